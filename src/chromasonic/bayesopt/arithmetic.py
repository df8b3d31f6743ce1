"""Arithmetic that neither depends on the user's settings of numpy nor changes them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any, final

import numpy as np
import scipy.special
from threadpoolctl import ThreadpoolController


@contextmanager
def own_error_state() -> Iterator[None]:
    """Keeps numpy and scipy from raising errors in a block, or in a decorated function.

    Whatever the user has set, an overflow is infinite, an underflow 0, and the logarithm of 0
    negative infinity, without a word.
    """
    # The stubs of scipy have another word than scipy itself.
    with np.errstate(all="ignore"), scipy.special.errstate(all="ignore"):  # type: ignore[arg-type]
        yield


@contextmanager
def own_arithmetic() -> Iterator[None]:
    """`own_error_state` on one BLAS thread; the limit that was set before comes back at the end.

    Matrices here are small: more threads cost more than they save, and on a busy machine many
    times that. The limit belongs to the whole process, so that threads take turns. Blocks may be
    nested; code of the user's must not run in one, for it may wait for another thread.
    """
    with own_error_state(), _one_blas_thread.held():
        yield


@final
class _OneBlasThread:
    """The limit of one BLAS thread, held by one Python thread at a time."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._depth = 0
        self._limit: Any = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the limit; only the outermost of nested blocks sets and lifts it."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth > 1:
                    yield
                    return
                self._limit = _blas().limit(limits=1)
                with self._limit:
                    yield
            finally:
                self._depth -= 1

    def begin_anew(self) -> None:
        """Lifts what another thread held when this process was forked: it was not copied."""
        self._lock = RLock()
        if self._depth > 0:
            self._depth = 0
            self._limit.restore_original_limits()


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of numpy and scipy, looked up once: that takes milliseconds."""
    # Each brings its own, and one must be loaded to be found.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")


_one_blas_thread = _OneBlasThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_blas_thread.begin_anew)
