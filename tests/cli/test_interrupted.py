"""``skvae enhance``: interrupted, killed, started twice, and with long recordings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow

RATE = 16000

#: Timeout in seconds that is ample on a busy machine.
PATIENCE = 300

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="tells processes from /proc"
)


def write_noise(path, seconds):
    rng = np.random.default_rng(0)
    period = (3000 * rng.standard_normal(RATE)).astype(np.int16)
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.tile(period, seconds), RATE)


@pytest.fixture
def long_files(tmp_path):
    for k in range(3):
        write_noise(tmp_path / f"in/{k}.wav", 120)
    return tmp_path


def start(folder, *words):
    # In blocks of a second, which are slowest.
    options = ("--model", "wiener", "--block-seconds", "1")
    command = [sys.executable, "-m", "skvae", "enhance", "in", "-o", "out", *words]
    return subprocess.Popen(
        [*command, *options],
        cwd=folder,
        start_new_session=True,
        preexec_fn=heed_interrupts,
        stderr=subprocess.PIPE,
        text=True,
    )


def heed_interrupts():
    # Background processes of a shell ignore these signals.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def hidden(folder):
    return [path.name for path in folder.glob("out/.*")]


def members(group):
    """Processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(its_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


def assert_whole(folder):
    for path in (folder / "out").glob("*.wav"):
        assert soundfile.info(path).frames == soundfile.info(folder / "in/0.wav").frames


@needs_proc
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signals_leave_no_half_file_and_no_process(long_files, number, status, jobs):
    process = start(long_files, "--jobs", jobs)
    wait_for(lambda: hidden(long_files) or process.poll() is not None)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert "interrupted; run the same command again to resume" in err
    assert "Traceback" not in err
    assert hidden(long_files) == []
    assert_whole(long_files)
    assert len(list(long_files.glob("out/*"))) < 3
    wait_for(lambda: not members(process.pid))


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_after_a_kill_the_same_command_does_the_rest_and_cleans_up(long_files):
    process = start(long_files)
    wait_for(lambda: len(list(long_files.glob("out/*.wav"))) == 1)
    wait_for(lambda: hidden(long_files))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(hidden(long_files)) == 1
    assert_whole(long_files)
    first = long_files / "out/0.wav"
    os.utime(first, (0, 0))
    process = start(long_files)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert hidden(long_files) == []
    assert len(list(long_files.glob("out/*"))) == 3
    assert_whole(long_files)
    assert first.stat().st_mtime == 0
    assert "already there" in err


def test_two_runs_on_one_folder_do_not_disturb_each_other(tmp_path):
    for k in range(6):
        write_noise(tmp_path / f"in/{k}.wav", 20)
    processes = [start(tmp_path, *words) for words in ([], ["--overwrite"])]
    for process in processes:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == [f"{k}.wav" for k in range(6)]
    contents = {path.read_bytes() for path in tmp_path.glob("out/*")}
    assert len(contents) == 1
    assert_whole(tmp_path)


@needs_proc
def test_ten_minutes_need_the_memory_of_two(tmp_path):
    # The figure for a child process includes the memory of its parent.
    script = (
        "import re, sys; from pathlib import Path; from skvae.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "text = Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', text)[1])"
    )
    peaks = []
    for minutes in (2, 10):
        source = tmp_path / f"{minutes}.wav"
        write_noise(source, 60 * minutes)
        words = ["enhance", source, "-o", tmp_path / f"out{minutes}.wav", "--quiet"]
        command = [sys.executable, "-c", script, *words]
        done = subprocess.run(
            [*command, "--model", "spectral-subtraction"],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 50
