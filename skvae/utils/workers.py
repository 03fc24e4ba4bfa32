"""Where tasks run: in this process, in others beside it, or on a dask cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from joblib import effective_n_jobs, parallel_config
from joblib.externals.loky import reusable_executor
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

#: Tasks that are sent to a cluster before their turn, for each of its threads.
_N_AHEAD = 4

#: Seconds after which local processes without work end. joblib's five minutes are how
#: long they would outlive a process that was killed.
_IDLE_SECONDS = 30

#: Seconds that a scheduler, and then its first worker, have to answer.
TIMEOUT = 10.0

Result = TypeVar("Result")


@contextmanager
def workers(
    n_jobs: int | None = None, address: str | None = None, timeout: float = TIMEOUT
) -> Iterator[dict[str, Any]]:
    """Context in which joblib's tasks run in local processes or on a dask cluster.

    Local processes that begin in it end with it.

    Parameters
    ----------
    n_jobs : int, default=None
        Local processes, as in scikit-learn. A cluster has as many as it has.
    address : str, default=None
        Of dask's scheduler, such as "tcp://192.168.0.7:8786"; None means no cluster.
    timeout : float, default=10.0
        Seconds that the scheduler, and then its first worker, have to answer.

    Yields
    ------
    dict
        Keyword arguments for :class:`sklearn.utils.parallel.Parallel`.

    Raises
    ------
    ImportError
        If there is an address, but no dask.
    ConnectionError
        If no scheduler or no worker answers.

    See Also
    --------
    run_tasks : Runs tasks in such a context, with what all of them need.

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
            # Parallelism goes over utterances: threads would only wait for another.
            inner_max_num_threads=1,
            idle_worker_timeout=_IDLE_SECONDS,
        ):
            others = reusable_executor._executor
            try:
                yield {"n_jobs": n_jobs}
            finally:
                _end_local_workers(others)
        return
    with _connected(address, timeout) as client, parallel_config("dask", client=client):
        yield {"n_jobs": -1}


def _end_local_workers(others: Any) -> None:
    """Kill those that have begun since there were others, if there were.

    All results are there, or nobody wants them; to wait for their end takes a second.
    """
    executor = reusable_executor._executor
    if executor is not None and executor is not others:
        executor.shutdown(wait=True, kill_workers=True)


@contextmanager
def _connected(address: str, timeout: float) -> Iterator[Any]:
    """Client of the scheduler at an address, which has a worker."""
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host
    except ImportError as error:
        raise ImportError(
            'a dask cluster needs the package distributed: pip install "skvae[dask]".'
        ) from error

    try:
        get_address_host(address)  # a client that fails by its address complains twice
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no dask scheduler answers at {address!r} within {timeout:g} s: start one "
            "with `dask scheduler`, and give the address that it prints."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError as error:
            raise ConnectionError(
                f"the dask scheduler at {address!r} has no worker after {timeout:g} s: "
                f"start one with `dask worker {address}`."
            ) from error
        yield client


def run_tasks(
    function: Callable[..., Result],
    calls: Iterable[tuple],
    n_jobs: int | None = None,
    *,
    shared: tuple = (),
    ordered: bool = True,
) -> Iterator[Result]:
    """Call a function many times, on whatever backend joblib is set to.

    What calls this from a task on a dask cluster, such as the scores of a search, does
    so in turn, in the task: the cluster is busy, and the data are here.

    Parameters
    ----------
    function : callable
        Called with what is shared, and then with what belongs to the call.
    calls : iterable of tuple
        Arguments of each call.
    n_jobs : int, default=None
        As in scikit-learn.
    shared : tuple
        First arguments of all calls, such as a fitted model. On a dask cluster they
        travel once to a worker.
    ordered : bool, default=True
        Whether results come in the order of the calls. Otherwise each comes as soon as
        it is there.

    Returns
    -------
    iterator
        Results, as they come.

    Examples
    --------
    >>> list(run_tasks(pow, [(1,), (2,)], shared=(3,)))
    [3, 9]
    """
    backend, _ = get_active_backend()
    client = getattr(backend, "client", None)
    if client is not None:
        if _in_task():
            return (function(*shared, *call) for call in calls)
        n_ahead = _N_AHEAD * effective_n_jobs(n_jobs)
        return _run_on_cluster(client, function, calls, shared, n_ahead, ordered)
    return_as = "generator" if ordered else "generator_unordered"
    if not getattr(backend, "supports_return_generator", False):
        return_as = "list"  # all results at the end
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
    """Yield results of dask's workers.

    joblib's own way there waits for ever for a task that its workers have died of, and
    scatters arguments, which are lost with the worker that has them. Here the scheduler
    keeps them: what is shared as a task of its own, which can be run again.
    """
    from distributed import as_completed

    common = [client.submit(_same, value, pure=False) for value in shared]
    futures = (client.submit(function, *common, *call, pure=False) for call in calls)
    if ordered:
        submitted = deque(islice(futures, n_ahead))
        while submitted:
            result = submitted.popleft().result()
            submitted.extend(islice(futures, 1))
            yield result
    else:
        finished = as_completed(islice(futures, n_ahead), loop=client.loop)
        for future in finished:
            finished.update(islice(futures, 1))
            yield future.result()


def _in_task() -> bool:
    """Whether a dask worker runs this."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _same(value: Any) -> Any:
    return value
