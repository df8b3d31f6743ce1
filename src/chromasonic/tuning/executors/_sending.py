"""Objectives as bytes, for other processes."""

import cloudpickle

from chromasonic.errors import ExecutorError, one_line
from chromasonic.tuning.objective import Objective


def pickled_objective(objective: Objective) -> bytes:
    """The objective by cloudpickle, so that lambdas and functions of notebooks can be sent.

    Raises:
        ExecutorError: It holds something that cannot be pickled.
    """
    try:
        return bytes(cloudpickle.dumps(objective))
    except Exception as error:  # noqa: BLE001 - whatever hides in the objective
        raise ExecutorError(
            "the objective must be such that it can be sent to another process, but: "
            f"{one_line(error)}. Open files, locks and connections inside it, or run it in this "
            "process with executor='inline'."
        ) from None
