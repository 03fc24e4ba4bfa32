"""One thread per utterance: work is parallel across utterances, not within them."""

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
    """Limit BLAS, OpenMP and PyTorch to one thread.

    Their threads wait for each other by spinning: on a busy machine, two threads are
    slower than one. The limit applies to the whole process. If several threads of
    Python use this context at once, the first sets the limit and the last removes it.

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
