"""Kill ``skvae enhance`` at random times, run it again, and count what is lost.

Each time the command starts on a folder of recordings and receives a signal once a
random number of outputs is there: KILL, TERM, INT or HUP, in turn, with one job and
with two. Workers outlive a killed process. Then the same command runs to its end::

    python tools/kill_enhance.py --kills 40

All of these must be zero: outputs that differ from those of an undisturbed run, inputs
that changed, files left over after the second run, outputs that are not whole after the
signal, second runs that fail, and processes that do not end. The exit status is 1 if
anything was counted. Needs POSIX.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile

from skvae.datasets import make_noise

SIGNALS = ("KILL", "TERM", "INT", "HUP")

#: What is counted.
COUNTED = (
    "hangs",
    "not whole",
    "second failed",
    "differ",
    "inputs changed",
    "left over",
)

SAMPLE_RATE = 16_000

#: Seconds that a process has to end after a signal, or to do its work.
PATIENCE = 600


def write_recordings(folder: Path, n_files: int, seconds: float) -> None:
    """Write noise of different lengths, in a subfolder as well."""
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    noise = make_noise(round(2 * seconds * SAMPLE_RATE), "pink", random_state=0)
    for k in range(n_files):
        n = round(rng.uniform(0.5, 1.5) * seconds * SAMPLE_RATE)
        path = folder / ("sub" if k % 3 == 0 else "") / f"{k:03d}.wav"
        soundfile.write(path, 0.3 * noise[:n], SAMPLE_RATE)


def digests(folder: Path) -> dict[str, str]:
    """Digest of each file of a folder, hidden ones included."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def count_files(folder: Path) -> int:
    return sum(path.is_file() and not hidden(path.name) for path in folder.rglob("*"))


def hidden(name: str) -> bool:
    return Path(name).name.startswith(".")


def start(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own, as a terminal would."""
    command = [sys.executable, "-m", "skvae", "enhance", "in", "-o", "out", "--quiet"]
    return subprocess.Popen(
        [*command, *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    # Background processes of a shell ignore them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(process: subprocess.Popen[bytes]) -> int | None:
    """Exit status of a process, or None if it had to be killed."""
    try:
        return process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def try_one(
    inputs: Path,
    words: list[str],
    name: str,
    n_wanted: int,
    delay: float,
    wanted: dict[str, str],
) -> tuple[set[str], int]:
    """Interrupt and repeat a run: what is wrong, and the files done by the signal."""
    wrong: set[str] = set()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.symlink(inputs, folder / "in")
        before = digests(inputs)
        out = folder / "out"
        process = start(folder, words)
        while process.poll() is None and count_files(out) < n_wanted:
            time.sleep(0.005)
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):  # it may have done all
            os.kill(process.pid, getattr(signal, f"SIG{name}"))
        if end(process) is None:
            wrong.add("hangs")
        done = {n: d for n, d in digests(out).items() if not hidden(n)}
        if any(wanted.get(n) != digest for n, digest in done.items()):
            wrong.add("not whole")
        status = end(start(folder, words))
        wrong.update({None: {"hangs"}, 0: set()}.get(status, {"second failed"}))
        found = digests(out)
        if {n: d for n, d in found.items() if not hidden(n)} != wanted:
            wrong.add("differ")
        if any(map(hidden, found)):
            wrong.add("left over")
        if digests(inputs) != before:
            wrong.add("inputs changed")
    return wrong, len(done)


def main(argv: list[str] | None = None) -> int:
    """Print a row for each signal and number of jobs; return 1 for any fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40, help="default: 40")
    parser.add_argument("--files", type=int, default=40, help="default: 40")
    parser.add_argument("--seconds", type=float, default=4, help="default: 4")
    parser.add_argument("--model", default="log-mmse", help="default: log-mmse")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    arguments = parser.parse_args(argv)
    rng = np.random.default_rng(arguments.seed)
    counts: dict[tuple[str, int], Counter[str]] = {}
    with tempfile.TemporaryDirectory() as place:
        inputs = Path(place, "in")
        write_recordings(inputs, arguments.files, arguments.seconds)
        wanted = {}
        for jobs in (1, 2):
            folder = Path(place, f"undisturbed-{jobs}")
            folder.mkdir()
            os.symlink(inputs, folder / "in")
            words = ["--model", arguments.model, "--jobs", str(jobs)]
            if end(start(folder, words)) != 0:
                raise SystemExit("the undisturbed run failed")
            wanted[jobs] = digests(folder / "out")
        if wanted[1] != wanted[2]:
            raise SystemExit("one job and two jobs give different outputs")
        for k in range(arguments.kills):
            name, jobs = SIGNALS[k % len(SIGNALS)], 1 + k // len(SIGNALS) % 2
            words = ["--model", arguments.model, "--jobs", str(jobs)]
            n_wanted, delay = int(rng.integers(arguments.files)), rng.uniform(0, 0.1)
            wrong, n_done = try_one(inputs, words, name, n_wanted, delay, wanted[jobs])
            count = counts.setdefault((name, jobs), Counter())
            count.update(wrong | {"runs"})
            count["at work"] += 0 < n_done < arguments.files
            if wrong:
                print(f"SIG{name}, {jobs} jobs, at {n_wanted} outputs: {sorted(wrong)}")
    columns = ("runs", "at work", *COUNTED)
    print(f"{'':16}" + "".join(f"{column:>16}" for column in columns))
    for (name, jobs), count in sorted(counts.items()):
        row = f"SIG{name}, {jobs} job{'s' if jobs > 1 else ''}"
        print(f"{row:16}" + "".join(f"{count[column]:16}" for column in columns))
    return int(any(count[c] for count in counts.values() for c in COUNTED))


if __name__ == "__main__":
    sys.exit(main())
