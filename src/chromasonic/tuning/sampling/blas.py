"""BLAS on one thread: spread over several, products of small matrices cost more than they save."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

_lock = Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits BLAS to one thread; threads that want this take turns.

    The limit is the process's. If two threads were inside at once, the one that came second would
    take the other's limit for what was before, and leave it behind.
    """
    with _lock, _blas().limit(limits=1):
        yield


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of the process, looked up once: that takes milliseconds."""
    # What is not loaded yet would not be found.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")
