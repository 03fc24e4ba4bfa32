"""Parallel tasks: in this process, in local processes, or on a dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from joblib import effective_n_jobs, parallel_config
from joblib.externals.loky import reusable_executor
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

#: Number of tasks per cluster thread that are submitted in advance.
_N_AHEAD = 4

#: Seconds after which idle local processes end. With joblib's default, they would
#: outlive a killed process by five minutes.
_IDLE_SECONDS = 30

#: Seconds to wait for a scheduler, and then for its first worker.
TIMEOUT = 10.0

#: Seconds between two looks at a cluster from which no result comes.
_INTERVAL = 5.0

#: Looks at the clusters of :func:`workers`. Clients of others are not looked after:
#: their clusters may start workers when they like.
_WATCHES: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

Result = TypeVar("Result")


@contextmanager
def workers(
    n_jobs: int | None = None, address: str | None = None, timeout: float = TIMEOUT
) -> Iterator[dict[str, Any]]:
    """Set the backend of joblib: local processes or a dask cluster.

    Local processes that start in the context end with it.

    Parameters
    ----------
    n_jobs : int, default=None
        Number of local processes, as in scikit-learn. Ignored on a cluster.
    address : str, default=None
        Address of dask's scheduler, such as "tcp://192.168.0.7:8786". None means local
        processes.
    timeout : float, default=10.0
        Seconds to wait for the scheduler, and then for its first worker.

    Yields
    ------
    dict
        Keyword arguments for :class:`sklearn.utils.parallel.Parallel`.

    Raises
    ------
    ImportError
        If an address is given and dask is not installed.
    ConnectionError
        If the scheduler does not answer or has no worker, or if a worker has another
        version of skvae. :func:`run_tasks` raises it if the scheduler is lost, or all
        workers for a long time.

    See Also
    --------
    run_tasks : Runs tasks in this context.

    Examples
    --------
    >>> with workers(1) as options:
    ...     Parallel(**options)(delayed(abs)(x) for x in (-1, 2))
    [1, 2]
    """
    if address is None:
        with parallel_config(
            "loky",
            n_jobs=n_jobs,
            # Utterances run in parallel: more threads would only wait for each other.
            inner_max_num_threads=1,
            idle_worker_timeout=_IDLE_SECONDS,
        ):
            others = reusable_executor._executor
            try:
                yield {"n_jobs": n_jobs}
            finally:
                _end_local_workers(others)
        return
    try:
        import distributed  # noqa: F401

        from skvae.utils.cluster import connected
    except ImportError as error:
        raise ImportError(
            'a dask cluster needs the package distributed: pip install "skvae[dask]".'
        ) from error
    with (
        connected(address, timeout) as (client, watch),
        parallel_config("dask", client=client),
    ):
        _WATCHES[client] = watch
        try:
            yield {"n_jobs": -1}
        finally:
            del _WATCHES[client]


def _end_local_workers(others: Any) -> None:
    """Kill the local workers that started after `others`, if any.

    All results have arrived or are not wanted. Waiting for the workers takes a second.
    """
    executor = reusable_executor._executor
    if executor is not None and executor is not others:
        executor.shutdown(wait=True, kill_workers=True)


def run_tasks(
    function: Callable[..., Result],
    calls: Iterable[tuple],
    n_jobs: int | None = None,
    *,
    shared: tuple = (),
    ordered: bool = True,
) -> Iterator[Result]:
    """Call a function many times on the active backend of joblib.

    Calls from within a task on a dask cluster, such as the scores of a search, run one
    after another in that task: the cluster is busy, and the data are there already.

    Parameters
    ----------
    function : callable
        Function to call, with the shared arguments first.
    calls : iterable of tuple
        Arguments of each call.
    n_jobs : int, default=None
        Number of parallel jobs, as in scikit-learn.
    shared : tuple
        First arguments of all calls, such as a fitted model. A dask cluster sends them
        to each worker once.
    ordered : bool, default=True
        Whether results come in the order of the calls. False means as soon as they are
        available.

    Returns
    -------
    iterator
        Results of the calls.

    Examples
    --------
    >>> list(run_tasks(pow, [(1,), (2,)], shared=(3,)))
    [3, 9]
    """
    if isinstance(calls, Sized) and n_jobs is not None and n_jobs > 1:
        n_jobs = max(1, min(n_jobs, len(calls)))  # a process is started for each
    backend, _ = get_active_backend()
    client = getattr(backend, "client", None)
    if client is not None:
        if _in_task():
            return (function(*shared, *call) for call in calls)
        n_ahead = _N_AHEAD * effective_n_jobs(n_jobs)
        return _run_on_cluster(client, function, calls, shared, n_ahead, ordered)
    return_as = "generator" if ordered else "generator_unordered"
    if not getattr(backend, "supports_return_generator", False):
        return_as = "list"
    parallel = Parallel(n_jobs=n_jobs, return_as=return_as)
    return iter(parallel(delayed(function)(*shared, *call) for call in calls))


def _run_on_cluster(
    client: Any,
    function: Callable[..., Result],
    calls: Iterable[tuple],
    shared: tuple,
    n_ahead: int,
    ordered: bool,
) -> Iterator[Result]:
    """Yield the results of dask's workers.

    joblib's dask backend waits forever for a task that has killed its workers. It also
    scatters arguments, which are lost when their worker dies. Here the scheduler keeps
    shared arguments as tasks of their own, which it can run again.
    """
    from skvae.utils.cluster import LOST

    watch = _WATCHES.get(client)
    try:
        common = [client.submit(_same, value, pure=False) for value in shared]
        futures = (
            client.submit(function, *common, *call, pure=False) for call in calls
        )
        finished: SimpleQueue[Any] = SimpleQueue()
        waiting: list[Any] = []

        def submit(n: int) -> None:
            for future in islice(futures, n):
                waiting.append(future)
                if not ordered:
                    future.add_done_callback(finished.put)

        submit(n_ahead)
        while waiting:
            future = waiting[0] if ordered else _first_done(waiting, finished, watch)
            result = _result_of(future, watch)
            waiting.remove(future)
            submit(1)
            yield result
    except LOST as error:
        if watch is None:
            raise
        raise watch.lost() from error


def _first_done(waiting: list[Any], finished: SimpleQueue[Any], watch: Any) -> Any:
    """Wait for one of several futures; look at the cluster while none is done."""
    while True:
        for future in waiting:
            if future.done():
                return future
        # A result that died with its worker is computed again and not reported again.
        try:
            finished.get(timeout=_INTERVAL)
        except Empty:
            if watch is not None:
                watch.check()


def _result_of(future: Any, watch: Any) -> Any:
    """Wait for the result of a future; look at the cluster while there is none."""
    if watch is None:
        return future.result()
    while True:
        try:
            return future.result(timeout=_INTERVAL)
        except TimeoutError:
            if future.status == "error":  # that of the task itself
                raise
            watch.check()


def _in_task() -> bool:
    """Return whether this code runs in a task of a dask worker."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _same(value: Any) -> Any:
    return value
