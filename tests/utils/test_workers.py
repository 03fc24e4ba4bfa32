"""Where tasks run."""

from __future__ import annotations

import builtins
import os

import joblib
import numpy as np
import pytest
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skvae.utils.workers import run_tasks, workers


@pytest.mark.parametrize(
    "backend", ["sequential", "threading", "loky", "multiprocessing"]
)
def test_tasks_run_on_every_backend_and_in_order(backend):
    # Some of these give no results before the end.
    with joblib.parallel_config(backend):
        results = run_tasks(np.power, [(k, 2) for k in range(20)], n_jobs=2)
        assert [int(x) for x in results] == [k**2 for k in range(20)]
        shared = run_tasks(np.subtract, [(1,), (2,)], n_jobs=2, shared=(5,))
        assert [int(x) for x in shared] == [4, 3]


def test_results_come_as_they_are_ready():
    started = []

    def note(k):
        started.append(k)
        return k

    results = run_tasks(note, [(k,) for k in range(50)])
    assert next(results) == 0
    assert len(started) < 50
    assert [*results] == [*range(1, 50)]


def test_local_workers_are_processes_of_their_own_with_a_thread_each():
    with workers(2) as options:
        assert effective_n_jobs(options["n_jobs"]) == 2
        found = Parallel(**options)(
            delayed(os.environ.get)("OMP_NUM_THREADS") for _ in range(4)
        )
        assert found == 4 * ["1"]
        pids = Parallel(**options)(delayed(os.getpid)() for _ in range(4))
    assert os.getpid() not in pids


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
