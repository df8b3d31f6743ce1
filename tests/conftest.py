import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import cloudpickle
import psutil
import pytest
from hypothesis import settings

# How long an example takes depends on the machine, and no test is about that.
settings.register_profile("chromasonic", deadline=None, print_blob=True)
settings.load_profile("chromasonic")


CHRONICLE = pytest.StashKey[list[str]]()
SEED = pytest.StashKey[int]()

# Files whose tests may run in several processes, and files of which only one runs at a time;
# every other file is run by one process, which builds its fixtures once.
SPREAD = {"test_faults.py"}
RAY = {"test_ray.py", "test_ray_faults.py"}


def pytest_collection_modifyitems(items):
    """Runs the files with slow tests first, so that no process is left with one at the end."""
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With several processes (`-n 2`): whole files to one process each, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            name = Path(file).name
            return "ray" if name in RAY else nodeid if name in SPREAD else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


# Faults that tests inject at random moments, told at the end with the seed that repeats them.


def pytest_addoption(parser):
    parser.addoption("--injections", type=int, default=40, help="How many faults to inject.")
    parser.addoption("--faults-log", type=Path, help="Where to write what was injected.")
    parser.addoption("--moments-seed", type=int, help="Of random moments; drawn by default.")


@pytest.fixture(scope="session")
def moments_seed(request):
    return request.config.stash[SEED]


@pytest.fixture
def random_moments(request, moments_seed):
    """A generator for moments at which a test does something; a failure shows how to repeat it."""
    print(f"repeat these moments with --moments-seed {moments_seed}")  # noqa: T201
    return random.Random(f"{moments_seed} {request.node.nodeid}")


@pytest.fixture(scope="session")
def chronicle(request):
    """Takes down what was injected and what came of it."""
    return request.config.stash[CHRONICLE]


def pytest_configure(config):
    # With several processes the first one draws the seed and tells the others.
    given = getattr(config, "workerinput", {}).get("moments_seed")
    chosen = config.getoption("--moments-seed") if given is None else given
    config.stash[SEED] = random.SystemRandom().randrange(10**6) if chosen is None else chosen
    config.stash[CHRONICLE] = []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["moments_seed"] = node.config.stash[SEED]


def pytest_sessionfinish(session):
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["chronicle"] = session.config.stash[CHRONICLE]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[CHRONICLE] += getattr(node, "workeroutput", {}).get("chronicle", [])


def pytest_terminal_summary(terminalreporter, config):
    lines = config.stash[CHRONICLE]
    if not lines:
        return
    seed = config.stash[SEED]
    repeat = f"the moments are drawn from seed {seed}; repeat them with --moments-seed {seed}"
    injected = Counter(line.split()[0].strip(",:") for line in lines)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(injected.items()))
    closing = f"{injected.total()} faults injected and survived: {counts}"
    terminalreporter.write_line(repeat)
    terminalreporter.write_line(closing)
    if file := config.getoption("--faults-log"):
        file.write_text("\n".join([repeat, *lines, closing]) + "\n", encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def users_key(tmp_path_factory):
    """The key that signs names of classes: not that of the user who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


class PostgreSQL:
    """A real server on a free port of this machine, which can be stopped and killed.

    `anna` needs her password, `s3cret`; `postgres` needs none.
    """

    def __init__(self, binaries, folder):
        self._binaries = binaries
        self._folder = folder
        # It refuses to run as root.
        self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        if os.geteuid() != 0:
            self._user = {}
        self._process = None
        self._numbers = count()
        self.port = free_port()
        self._make()

    def _make(self):
        if self._user:
            shutil.chown(self._folder, "postgres")
        data = self._folder / "data"
        command = [self._binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run(
            [*command, "--no-sync", "--locale=C", "--encoding=UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **self._user,
        )
        rules = data / "pg_hba.conf"
        rules.write_text(f"host all anna 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.start()
        self.run("CREATE ROLE anna LOGIN PASSWORD 's3cret'")

    @property
    def is_running(self):
        return self._process is not None

    def start(self):
        # fsync guards against a power cut only, which no test makes.
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            "fsync": "off",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        command = [self._binaries / "postgres", "-D", self._folder / "data"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-p", str(self.port), *settings],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._user,
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        for _ in range(600):
            if self._process.poll() is not None:
                break
            asked = subprocess.run(
                [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            )
            if asked.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((self._folder / "log").read_text())

    def stop(self):
        """As `pg_ctl stop -m fast`: whoever is connected is thrown out."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        self._process = None

    def kill(self):
        """As `kill -9` of all its processes."""
        family = [*psutil.Process(self._process.pid).children(), self._process]
        for process in reversed(family):
            process.kill()
        psutil.wait_procs(family[:-1])
        self._process.wait()
        self._process = None

    @contextmanager
    def silent(self):
        """Lets the server accept and never answer while the block runs."""
        family = [psutil.Process(self._process.pid)]
        family += family[0].children()
        try:
            # The first one last: it starts a process for whoever connects.
            for process in reversed(family):
                process.suspend()
            yield
        finally:
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def restart(self):
        self.stop()
        self.start()

    def run(self, statement, *values, database="postgres"):
        """The rows of a statement, asked through a connection of our own."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def url(self, database, user="postgres", password=None, port=None):
        login = user if password is None else f"{user}:{password}"
        return f"postgresql+psycopg://{login}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self):
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return name


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgresql_binaries():
    """The newest installed ones; a test that needs them is not to be skipped in silence."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in reversed(folders):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    pytest.fail(
        "this test needs a PostgreSQL server, but none is installed: "
        "run apt-get install postgresql, or put initdb on the PATH"
    )


@pytest.fixture(scope="session")
def postgresql_server():
    """One server for all tests; none may leave it stopped."""
    # A folder of pytest's own is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="chromasonic-postgresql-"))
    server = None
    try:
        server = PostgreSQL(postgresql_binaries(), folder)
        yield server
    finally:
        if server is not None and server.is_running:
            server.kill()
        shutil.rmtree(folder)


@pytest.fixture
def postgresql(postgresql_server):
    """The server, running again after a test that has stopped it."""
    yield postgresql_server
    if not postgresql_server.is_running:
        postgresql_server.start()


@pytest.fixture
def postgresql_url(postgresql):
    """The URL of a database of the test's own."""
    name = postgresql.new_database()
    yield postgresql.url(name)
    if not postgresql.is_running:
        postgresql.start()
    postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def functions_travel(request):
    """Lets child processes, which cannot import test modules, run what is defined in one."""
    cloudpickle.register_pickle_by_value(request.module)
    yield
    cloudpickle.unregister_pickle_by_value(request.module)
