"""Work on a dask cluster: the same results, and nothing is lost."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys

import joblib
import numpy as np
import pandas
import pytest
import soundfile
from helpers import remote
from helpers.instances import SMALL_STFT, small
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skvae import VAENMFEnhancer, WienerFilter, evaluate
from skvae.cli import main
from skvae.datasets import make_dataset
from skvae.utils.workers import run_tasks, workers

pytestmark = pytest.mark.slow

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

NOISY, CLEAN = make_dataset(6, (0.3, 0.5), 0.0, random_state=0)
#: Seconds that a scheduler and its workers have to start, on a busy machine too.
PATIENCE = 600
#: A busy machine may need long to import PyTorch, which connections must survive.
SLOW = {
    "distributed.comm.timeouts.tcp": "600s",
    "distributed.comm.timeouts.connect": "600s",
}


@contextlib.contextmanager
def local_cluster(n_workers, allowed_failures):
    """Worker processes, each with a nanny that starts it again when it dies."""
    settings = {
        "distributed.scheduler.allowed-failures": allowed_failures,
        # On a slow machine it would drop copies that are needed a moment later.
        "distributed.scheduler.active-memory-manager.start": False,
    }
    with (
        dask.config.set({**SLOW, **settings}),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=":0",
            silence_logs=50,  # some of them are going to be killed
        ) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(2, 1) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


@pytest.fixture
def on_dask(client):
    """A context in which joblib runs on the cluster."""

    @contextlib.contextmanager
    def use_client():  # joblib's own context begins where it is made
        with joblib.parallel_config("dask", client=client):
            yield

    return use_client()


@pytest.fixture(scope="module")
def vaenmf():
    return small(VAENMFEnhancer).set_params(random_state=0).fit(CLEAN)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_enhancement_is_that_of_this_process_to_the_bit(on_dask, vaenmf):
    integers = [(x / 4 * 32767).astype(np.int16) for x in NOISY]
    wiener = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    spectrograms = SMALL_STFT.fit_transform(NOISY)
    wanted = vaenmf.transform(NOISY), wiener.transform(integers)
    separated, spectral = vaenmf.separate(NOISY), wiener.transform(spectrograms)
    score = vaenmf.score(NOISY, CLEAN)
    with on_dask:
        assert_same(vaenmf.transform(NOISY), wanted[0])
        assert_same(wiener.transform(integers), wanted[1])
        found = vaenmf.separate(NOISY)
        assert_same([s.mask for s in found], [s.mask for s in separated])
        assert_same(
            [s.data for s in wiener.transform(spectrograms)], [s.data for s in spectral]
        )
        assert vaenmf.score(NOISY, CLEAN) == score


def test_evaluation_is_that_of_this_process(on_dask, vaenmf, capsys):
    metrics = ["si_sdr", "sdr"]
    noisy = [*NOISY[:5], np.full(100, np.nan)]
    with pytest.warns(UserWarning, match="1 of 6"):
        wanted = evaluate(vaenmf, noisy, CLEAN, metrics)
    with on_dask, pytest.warns(UserWarning, match="1 of 6"):
        found = evaluate(vaenmf, noisy, CLEAN, metrics, verbose=1)
    columns = [*metrics, "seconds", "error"]
    pandas.testing.assert_frame_equal(found[columns], wanted[columns], check_exact=True)
    assert "evaluating: 6/6" in capsys.readouterr().err


def test_a_search_finds_what_it_finds_here(on_dask):
    search = GridSearchCV(
        WienerFilter(stft=SMALL_STFT),
        {"smoothing": [0.5, 0.9, 0.98]},
        cv=2,
        error_score="raise",
    )
    wanted = clone(search).fit(NOISY, CLEAN)
    with on_dask:
        search.fit(NOISY, CLEAN)
    key = "mean_test_score"
    np.testing.assert_array_equal(search.cv_results_[key], wanted.cv_results_[key])
    assert search.best_params_ == wanted.best_params_
    assert_same(search.transform(NOISY), wanted.transform(NOISY))


@pytest.mark.parametrize("how", ["transform", "evaluate"])
def test_a_model_travels_once_to_a_worker(client, on_dask, how):
    traveller = remote.Traveller(stft=SMALL_STFT).fit(CLEAN)
    traveller.weights = np.zeros(10**6)
    traveller.seconds = 0.05
    noisy, clean = 3 * NOISY, 3 * CLEAN
    client.run(remote.arrivals)
    with on_dask:
        if how == "transform":
            traveller.transform(noisy)
        else:
            evaluate(traveller, noisy, clean, "si_sdr")
    assert list(client.run(remote.arrivals).values()) == [1, 1]


def test_a_worker_that_is_killed_loses_nothing(client, on_dask, tmp_path):
    before = set(client.run(os.getpid).values())
    traveller = remote.Traveller(stft=SMALL_STFT).fit(CLEAN)
    wanted = traveller.transform(3 * NOISY)
    traveller.grave = tmp_path / "grave"
    with on_dask:
        found = traveller.transform(3 * NOISY)
    victim = int(traveller.grave.read_text())
    assert victim in before
    assert_same(found, wanted)
    client.wait_for_workers(2, timeout=PATIENCE)
    assert victim not in client.run(os.getpid).values()


@pytest.mark.parametrize("ordered", [True, False])
def test_what_a_dead_worker_had_is_had_again(client, ordered):
    """The scheduler keeps what joblib would scatter: shared values and arrays."""
    big = np.arange(10_000.0)
    calls = [(k + big,) for k in range(12)]
    with joblib.parallel_config("dask", client=client):
        results = run_tasks(remote.add, calls, shared=(big,), ordered=ordered)
        first = next(results)
        os.kill(first[1], signal.SIGKILL)
        found = [first, *results]
    totals = [total for total, _ in found]
    assert (totals if ordered else sorted(totals)) == [
        big.sum() + (k + big).sum() for k in range(12)
    ]
    assert len({pid for _, pid in found}) > 1
    client.wait_for_workers(2, timeout=PATIENCE)


def test_what_a_task_calls_in_turn_stays_in_the_task(on_dask):
    with on_dask:
        pids = [*run_tasks(remote.nested, 4 * [()])]
    assert all(len(set(inner)) == 1 for inner in pids)


def test_a_task_that_workers_die_of_is_an_error():
    with (
        local_cluster(1, 0) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        joblib.parallel_config("dask", client=client),
        pytest.raises(distributed.KilledWorker),
    ):
        [*run_tasks(remote.die, [()])]


@contextlib.contextmanager
def running(*words, folder):
    """A process of dask's command line, which ends with the context."""
    environment = {
        **os.environ,
        **{f"DASK_{k.replace('.', '__').upper()}": value for k, value in SLOW.items()},
    }
    with open(folder / f"{words[0]}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_scheduler_and_workers_started_by_their_commands(tmp_path, capsys):
    for side, waveforms in (("noisy", NOISY), ("clean", CLEAN)):
        (tmp_path / side).mkdir()
        for k, waveform in enumerate(waveforms):
            soundfile.write(tmp_path / side / f"{k}.wav", waveform / 8, 16000)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ("scheduler", "--host", "127.0.0.1", "--port", str(port))
    worker = ("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")
    words = [
        *("evaluate", "--clean", f"{tmp_path}/clean", "--noisy", f"{tmp_path}/noisy"),
        *("--model", "wiener", "--metrics", "si_sdr,sdr", "--quiet"),
    ]
    enhance = ["enhance", f"{tmp_path}/noisy", "--model", "wiener", "--quiet"]
    with (
        running(*scheduler, "--no-dashboard", folder=tmp_path),
        running(*worker, folder=tmp_path),
        running(*worker, folder=tmp_path),
        workers(address=address, timeout=PATIENCE),  # waits until they are there
    ):
        assert main([*words, "-o", f"{tmp_path}/there.csv", "--dask", address]) == 0
        there = capsys.readouterr().out
        assert main([*enhance, "-o", f"{tmp_path}/there", "--dask", address]) == 0
    assert main([*words, "-o", f"{tmp_path}/here.csv"]) == 0
    assert capsys.readouterr().out == there
    tables = []
    for name in ("here", "there"):
        with open(tmp_path / f"{name}.csv", newline="") as file:
            tables.append([{**row, "rtf": ""} for row in csv.DictReader(file)])
    assert tables[0] == tables[1]
    assert len(tables[0]) == 12
    assert main([*enhance, "-o", f"{tmp_path}/here"]) == 0
    for path in (tmp_path / "here").iterdir():
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()
    assert len(list((tmp_path / "there").iterdir())) == len(NOISY)
