"""BLAS on one thread: for small matrices more threads cost more than they save."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

_lock = Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits BLAS to one thread while the block runs; one block at a time.

    The limit is one of the process. Of two blocks at once the second would restore the limit of
    the first as if the user had set it.
    """
    with _lock, _blas().limit(limits=1):
        yield


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of the process, looked up once: that takes milliseconds."""
    # A library must be loaded to be found.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")
