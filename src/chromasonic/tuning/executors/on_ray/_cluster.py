"""The connection to a running Ray cluster."""

import importlib
import logging
import os
import socket
import threading
import time
from typing import Any

from chromasonic.errors import ExecutorError, MissingExtra, one_line
from chromasonic.tuning.endings import Ending
from chromasonic.tuning.executors.protocol import TrialEnded


def end_by(error: Exception, number: int, exceptions: Any) -> TrialEnded:
    """Ending of a trial whose actor failed.

    Args:
        error: Ray's error.
        number: The trial's number.
        exceptions: The module `ray.exceptions`.
    """
    text = str(error)
    if isinstance(error, exceptions.RayTaskError):
        return TrialEnded(number, Ending.FAILED, last_line(error), text)
    # For an actor Ray may say so in the text alone.
    if isinstance(error, exceptions.OutOfMemoryError) or "running low on memory" in text:
        return TrialEnded(number, Ending.OUT_OF_MEMORY, "its node ran low on memory", text)
    if isinstance(error, exceptions.ActorUnavailableError):
        return TrialEnded(number, Ending.LOST, "its worker does not answer any more", text)
    return TrialEnded(number, Ending.LOST, _cause(error), text)


def _cause(error: Exception) -> str:
    """The sentence of Ray's message that gives the cause."""
    sentences = [line.partition(". ")[0] for line in str(error).splitlines()]
    because = [sentence for sentence in sentences if "because" in sentence]
    return (because or [one_line(error)])[0][:300].rstrip(".")


def last_line(error: Exception) -> str:
    """The last line of a worker's traceback."""
    return str(error).strip().rpartition("\n")[2].strip()[:300].rstrip(".")


CONNECT_WITHIN_S = 30.0
REACH_WITHIN_S = 2.0
LOOK_EVERY_S = 1.0

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray kills a process that cannot reach the head of its cluster for so long, 60 s by default;
    # a search must live on to report it.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    # Leaves out what Ray prints about dead workers: the driver reports them.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
"""Environment of Ray in this process; variables that the user has set stay."""


class RayCluster:
    """Connects, and disconnects at the end unless the process was connected before.

    Args:
        address: `host:port` of the cluster's head; None or `auto` for a cluster of this machine.

    Attributes:
        ray: The package.

    Raises:
        MissingExtra: Ray is not installed.
        ExecutorError: No cluster can be reached there.
    """

    def __init__(self, address: str | None) -> None:
        self.ray = _import_ray()
        self._is_ours = not self.ray.is_initialized()
        if self._is_ours:
            self._connect(address or "auto")
        context = self.ray.get_runtime_context()
        node_id = context.get_node_id()
        (node,) = [node for node in self.ray.nodes() if node["NodeID"] == node_id]
        self._places = {
            "its head": _host_and_port(context.gcs_address),
            "the node of this process": (node["NodeManagerAddress"], node["NodeManagerPort"]),
        }
        self._unreachable = ""
        self._looked_at = -LOOK_EVERY_S

    def slots(self, cpus: float, gpus: float, memory: int) -> int:
        """Number of trials with these needs that the nodes can run at the same time.

        Raises:
            ExecutorError: There is room for none.
        """
        needs = {"CPU": cpus, "GPU": gpus, "memory": memory}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        n_slots = sum(_fit(node, needs) for node in nodes)
        if n_slots == 0:
            wanted = ", ".join(f"{need:g} {name}" for name, need in needs.items() if need)
            raise ExecutorError(
                f"a node of the Ray cluster must have what one trial needs ({wanted}), but none "
                "of them has. Ask for less, or say how many trials to run at a time and add nodes."
            )
        return n_slots

    @property
    def unreachable(self) -> str:
        """Name of the part of the cluster that cannot be reached; empty if all can.

        It is to be asked before any call of Ray: without the head or the node of this process
        most calls block, or end the process.
        """
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self.look()
        return self._unreachable

    def look(self) -> str:
        """`unreachable` without the cache of one second."""
        unreached = (name for name, place in self._places.items() if not _is_reached(*place))
        self._unreachable = next(unreached, "")
        self._looked_at = time.monotonic()
        return self._unreachable

    def close(self) -> None:
        """Disconnects."""
        if self._is_ours and self.ray.is_initialized():
            self.ray.shutdown()

    def _connect(self, address: str) -> None:
        if address.startswith("ray://"):
            raise ExecutorError(
                f"a search must run on a machine of the Ray cluster, but got {address}. Start it "
                "there, and give the address of the head as host:port, or auto."
            )
        if address != "auto" and not _is_reached(*_host_and_port(address)):
            raise _not_there(address, "nothing answers there")
        # In a thread, since Ray waits for ever where something else answers, and since it replaces
        # the handler of SIGTERM when it starts in the main thread.
        failures: list[str] = []
        thread = threading.Thread(target=self._init, args=(address, failures), daemon=True)
        thread.start()
        thread.join(CONNECT_WITHIN_S)
        if thread.is_alive():
            raise _not_there(address, f"it did not answer as Ray does in {CONNECT_WITHIN_S:g} s")
        if failures:
            raise _not_there(address, failures[0].partition(". ")[0])

    def _init(self, address: str, failures: list[str]) -> None:
        try:
            self.ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one_line tells what it is
            failures.append(one_line(error))


def _import_ray() -> Any:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtra(
            "running trials on a Ray cluster needs Ray, which is not installed. "
            'Run: pip install "chromasonic[ray]"'
        ) from error


def _not_there(address: str, reason: str) -> ExecutorError:
    return ExecutorError(
        f"there must be a Ray cluster at the address {address}, but {reason}. "
        "Start one with `ray start --head`, or correct the address."
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ExecutorError(
            f"the address of a Ray cluster must be host:port, or auto, but got {address!r}."
        )
    return host.strip("[]"), int(port)


def _is_reached(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), REACH_WITHIN_S):
            return True
    except OSError:
        return False


def _fit(node: dict[str, float], needs: dict[str, float]) -> int:
    return min(int(node.get(name, 0.0) / need) for name, need in needs.items() if need)
