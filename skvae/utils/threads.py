"""One thread per utterance: parallel work goes over utterances, not inside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_lock = Lock()
_n_inside = 0
_limits: threadpool_limits | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS, OpenMP and PyTorch to one thread.

    Their threads wait for one another by spinning, which on a busy machine makes two
    of them slower than one. The limit is the process's, so that only the first of
    several threads inside sets it and only the last one lifts it.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    global _n_inside, _limits
    with _lock:
        _n_inside += 1
        if _n_inside == 1:
            _limits = threadpool_limits(1)
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if _n_inside == 0 and _limits is not None:
                _limits.restore_original_limits()
                _limits = None
