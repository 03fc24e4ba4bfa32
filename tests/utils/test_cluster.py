"""A dask cluster that is silent, of another version, or lost: an error in time."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from skvae.utils import cluster as cluster_module
from skvae.utils import workers as workers_module
from skvae.utils.workers import run_tasks, workers

distributed = pytest.importorskip("distributed")

#: Seconds that a busy machine may take.
PATIENCE = 600


@pytest.fixture
def cluster():
    """A scheduler and a worker in threads of this process, spoken to by TCP."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.2)
    monkeypatch.setattr(workers_module, "_INTERVAL", 0.1)


def silent(conversation):
    """A port that accepts connections; the function may talk over them."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                conversation(connection)

    threading.Thread(target=serve, daemon=True).start()
    return server


@pytest.mark.parametrize(
    "conversation",
    [
        lambda connection: None,
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: connection.close(),
    ],
    ids=["silent", "another service", "closed at once"],
)
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_port_that_is_no_scheduler_is_told_in_time(scheme, conversation):
    with silent(conversation) as server:
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(ConnectionError, match="no dask scheduler answers at"),
            workers(address=address, timeout=0.5),
        ):
            pass


def test_no_client_is_left_where_nothing_answers(tmp_path):
    """A client that was made in vain would complain when it is deleted."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "skvae", "enhance", str(tmp_path), "-o", "x"),
            *("--dask", "tls://127.0.0.1:1"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ordered", [True, False])
def test_work_on_a_cluster_is_done(cluster, ordered):
    with workers(address=cluster.scheduler_address) as options:
        calls = [(k, 2) for k in range(40)]
        found = [*run_tasks(pow, calls, **options, ordered=ordered)]
    assert (found if ordered else sorted(found)) == [k**2 for k in range(40)]


def test_another_version_of_a_worker_is_told(cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "__version__", "9.9")
    with (
        pytest.raises(ConnectionError, match=r"has skvae .*, but this is skvae 9\.9"),
        workers(address=cluster.scheduler_address),
    ):
        pass


@contextlib.contextmanager
def running(*words, folder):
    """A process of dask's command line, which is killed with the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def processes(tmp_path):
    """Address of a scheduler; its process, and that of a worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ("scheduler", "--host", "127.0.0.1", "--port", str(port))
    worker = ("worker", address, "--no-dashboard", "--no-nanny", "--nthreads", "1")
    with (
        running(*scheduler, "--no-dashboard", folder=tmp_path) as one,
        running(*worker, folder=tmp_path) as other,
    ):
        yield address, one, other


def kill_at_work(address, process, number=signal.SIGKILL):
    """Stop a process of a cluster once a task runs there."""
    with distributed.Client(address, set_as_default=False) as client:
        while not any(client.processing().values()):
            time.sleep(0.02)
        process.send_signal(number)


def kill_soon(*arguments):
    threading.Thread(target=kill_at_work, args=arguments, daemon=True).start()


@pytest.fixture
def without_skvae(tmp_path):
    """The folder of the processes, which comes first where they import."""
    (tmp_path / "skvae.py").write_text("raise ImportError('not here')")


@pytest.mark.slow
def test_a_worker_without_skvae_is_told(without_skvae, processes):
    address, _, _ = processes
    with (
        pytest.raises(ConnectionError, match="cannot import skvae"),
        workers(address=address, timeout=PATIENCE),
    ):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("ordered", [True, False])
def test_workers_that_are_gone_end_the_work(processes, ordered):
    address, _, worker = processes
    with (
        pytest.raises(ConnectionError, match=r"has had no worker for 0\.2 s"),
        workers(address=address, timeout=PATIENCE) as options,
    ):
        calls = [(PATIENCE,)] * 3
        results = run_tasks(time.sleep, calls, **options, ordered=ordered)
        kill_soon(address, worker)
        next(results)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scheduler_that_is_gone_or_silent_is_told(processes, number):
    address, scheduler, _ = processes
    with (
        pytest.raises(ConnectionError, match="was lost: start it again"),
        workers(address=address, timeout=PATIENCE) as options,
    ):
        [watch] = workers_module._WATCHES.values()
        watch.timeout = 5.0  # it had longer to start
        results = run_tasks(time.sleep, [(PATIENCE,)] * 3, **options)
        kill_soon(address, scheduler, number)
        next(results)
