"""One thread per utterance: work is parallel across utterances, not within them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock, local

from threadpoolctl import LibController, ThreadpoolController

_lock = Lock()

#: Number of threads inside, and what the last of them restores: the limits of BLAS.
_n_inside = 0
_shared_limits = ExitStack()

#: PyTorch's number of threads outside.
_torch_threads = 1

#: What each thread knows of itself.
_own = local()

#: Number of loaded modules when the libraries were searched for, and what was found.
_search: tuple[int, ThreadpoolController] | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and PyTorch to one thread.

    Their threads wait for each other by spinning: on a busy machine, two threads are
    slower than one. Their number also decides the last bits of a sum.

    OpenMP and PyTorch have a limit for each thread of Python, which every thread sets
    and restores for itself. BLAS has one limit for the whole process: the first of
    several threads sets it, and the last restores it.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    global _n_inside
    if getattr(_own, "is_inside", False):
        yield
        return
    with ExitStack() as limits:
        with _lock:
            libraries = _find_libraries()
            _n_inside += 1
            limits.callback(_leave)
            if _n_inside == 1:
                _limit(libraries, "blas", _shared_limits)
            _limit_torch(limits)
            _limit(libraries, "openmp", limits)
        _own.is_inside = True
        yield


def _leave() -> None:
    global _n_inside
    _own.is_inside = False
    with _lock:
        _n_inside -= 1
        if _n_inside == 0:
            _shared_limits.close()


def _limit(libraries: ThreadpoolController, kind: str, limits: ExitStack) -> None:
    """Limit the libraries of a kind until `limits` ends."""
    for library in libraries.lib_controllers:
        if library.user_api == kind and (n_threads := library.num_threads) > 1:
            _set_threads(library, 1)
            limits.callback(_set_threads, library, n_threads)


def _set_threads(library: LibController, n_threads: int) -> None:
    # A thread that has a limit of its own may go on for long after it has left the
    # computation to a pool; threadpoolctl would let no other thread set one.
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(n_threads)
    if release is not None:
        release(force=True)


def _limit_torch(limits: ExitStack) -> None:
    """Limit PyTorch in this thread until `limits` ends."""
    global _torch_threads
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "set_num_threads"):
        return  # or it is being imported
    n_threads = torch.get_num_threads()
    if _n_inside == 1:
        _torch_threads = n_threads
    elif not getattr(_own, "is_known", False):
        # A new thread starts with the number that any thread has set last: with 1,
        # where another one is inside.
        n_threads = _torch_threads = max(n_threads, _torch_threads)
    _own.is_known = True
    torch.set_num_threads(1)
    limits.callback(torch.set_num_threads, n_threads)


def _find_libraries() -> ThreadpoolController:
    """Return the loaded libraries that have threads.

    A search takes milliseconds, so it is repeated only after an import.
    """
    global _search
    n_modules = len(sys.modules)
    if _search is None or _search[0] != n_modules:
        _search = n_modules, ThreadpoolController()
    return _search[1]
