"""Parallel tasks on several backends."""

from __future__ import annotations

import builtins
import os
import threading
import time

import joblib
import numpy as np
import pytest
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skvae.utils import workers as workers_module
from skvae.utils.workers import run_tasks, workers

#: Seconds that a busy machine may take.
PATIENCE = 600


@pytest.mark.parametrize(
    "backend", ["sequential", "threading", "loky", "multiprocessing"]
)
def test_tasks_run_on_every_backend_and_in_order(backend):
    # Some backends return all results at the end.
    with joblib.parallel_config(backend):
        results = run_tasks(np.power, [(k, 2) for k in range(20)], n_jobs=2)
        assert [int(x) for x in results] == [k**2 for k in range(20)]
        shared = run_tasks(np.subtract, [(1,), (2,)], n_jobs=2, shared=(5,))
        assert [int(x) for x in shared] == [4, 3]


def test_results_come_as_soon_as_they_are_there_if_order_does_not_matter():
    others_are_done = threading.Event()

    def wait_for_others(k):
        if k == 0:
            assert others_are_done.wait(PATIENCE)
        return k

    calls = [(k,) for k in range(5)]
    with joblib.parallel_config("threading"):
        results = run_tasks(wait_for_others, calls, n_jobs=2, ordered=False)
        found = [next(results) for _ in range(4)]
        others_are_done.set()
        assert [*sorted(found), *results] == [1, 2, 3, 4, 0]


@pytest.mark.parametrize(("n_jobs", "wanted"), [(10_000, 3), (2, 2), (-1, -1)])
def test_no_more_processes_start_than_there_are_tasks(monkeypatch, n_jobs, wanted):
    found = []

    class Parallel:
        def __init__(self, n_jobs, **options):
            found.append(n_jobs)

        def __call__(self, tasks):
            return [function(*args) for function, args, _ in tasks]

    monkeypatch.setattr(workers_module, "Parallel", Parallel)
    monkeypatch.setattr(workers_module, "delayed", joblib.delayed)
    assert [*run_tasks(abs, [(-1,), (2,), (-3,)], n_jobs)] == [1, 2, 3]
    assert found == [wanted]


@pytest.mark.parametrize("backend", ["sequential", "multiprocessing"])
def test_backends_that_keep_the_order_may_do_so(backend):
    with joblib.parallel_config(backend):
        results = run_tasks(abs, [(-1,), (2,)], n_jobs=2, ordered=False)
        assert [*results] == [1, 2]


def test_results_come_as_they_are_ready():
    started = []

    def note(k):
        started.append(k)
        return k

    results = run_tasks(note, [(k,) for k in range(50)])
    assert next(results) == 0
    assert len(started) < 50
    assert [*results] == [*range(1, 50)]


@pytest.mark.slow
def test_local_workers_are_processes_of_their_own_with_a_thread_each():
    with workers(2) as options:
        assert effective_n_jobs(options["n_jobs"]) == 2
        found = Parallel(**options)(
            delayed(os.getenv)("OMP_NUM_THREADS") for _ in range(4)
        )
        assert found == 4 * ["1"]
        pids = Parallel(**options)(delayed(os.getpid)() for _ in range(4))
    assert os.getpid() not in pids


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="asks for processes as POSIX does")
def test_local_workers_without_work_end(monkeypatch):
    """Workers end even if their parent process is killed."""
    monkeypatch.setattr("skvae.utils.workers._IDLE_SECONDS", 0.5)
    with workers(2) as options:
        pids = {*run_tasks(os.getpid, 4 * [()], **options)}
        assert os.getpid() not in pids
        end = time.monotonic() + PATIENCE
        while any(map(is_there, pids)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(map(is_there, pids))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="asks for processes as POSIX does")
def test_local_workers_end_with_their_context_and_others_begin_after_it():
    pids = []
    for _ in range(2):
        with workers(2) as options:
            pids.append({*run_tasks(os.getpid, 4 * [()], **options)})
        assert not any(map(is_there, pids[-1]))
    assert not pids[0] & pids[1]


def test_a_missing_package_is_named(monkeypatch):
    import_module = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "distributed":
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with (
        pytest.raises(ImportError, match=r'pip install "skvae\[dask\]"'),
        workers(address="tcp://127.0.0.1:8786"),
    ):
        pass


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "", "nonsense://x", "a b:1", "host"]
)
def test_an_address_where_nobody_answers_is_named(address):
    pytest.importorskip("distributed")
    with (
        pytest.raises(
            ConnectionError, match=f"no dask scheduler answers at '{address}'"
        ),
        workers(address=address, timeout=0.5),
    ):
        pass


@pytest.mark.slow
def test_a_scheduler_without_workers_is_told_so():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with (
            pytest.raises(ConnectionError, match="has no worker after"),
            workers(address=address, timeout=0.5),
        ):
            pass
