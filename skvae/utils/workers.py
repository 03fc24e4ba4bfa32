"""Parallel tasks: in this process, in local processes, or on a dask cluster."""

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

#: Number of tasks per cluster thread that are submitted in advance.
_N_AHEAD = 4

#: Seconds after which idle local processes end. With joblib's default, they would
#: outlive a killed process by five minutes.
_IDLE_SECONDS = 30

#: Seconds to wait for a scheduler, and then for its first worker.
TIMEOUT = 10.0

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
        If the scheduler does not answer or has no worker.

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
    with _connected(address, timeout) as client, parallel_config("dask", client=client):
        yield {"n_jobs": -1}


def _end_local_workers(others: Any) -> None:
    """Kill the local workers that started after `others`, if any.

    All results have arrived or are not wanted. Waiting for the workers takes a second.
    """
    executor = reusable_executor._executor
    if executor is not None and executor is not others:
        executor.shutdown(wait=True, kill_workers=True)


@contextmanager
def _connected(address: str, timeout: float) -> Iterator[Any]:
    """Connect to the scheduler at an address and wait for a worker."""
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host
    except ImportError as error:
        raise ImportError(
            'a dask cluster needs the package distributed: pip install "skvae[dask]".'
        ) from error

    try:
        # A client with a malformed address reports the error twice.
        get_address_host(address)
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no dask scheduler answers at {address!r} within {timeout:g} s: start one "
            "with `dask scheduler` and pass the address that it prints."
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
    """Return whether this code runs in a task of a dask worker."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _same(value: Any) -> Any:
    return value
