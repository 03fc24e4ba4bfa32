"""Memory and time that ``skvae enhance`` takes for hours of sound.

A stereo recording at 48 kHz is made and enhanced by each model, in a process of its own
whose peak of resident memory is told, with the time it took. Memory must not depend on
the length: compare ``--minutes 10`` with the three hours of the default.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile

from skvae.datasets import make_noise, make_speech

SAMPLE_RATE = 48_000

#: Seconds that are made; the recording repeats them, each time at another level.
PERIOD = 60

#: The command, which tells its peak in bytes. What Linux tells of a child counts the
#: memory of its parent, too.
COMMAND = """
import re, resource, sys
from skvae.cli import main
status = main(sys.argv[1:])
try:
    with open("/proc/self/status") as file:
        print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1]))
except OSError:
    unit = 1 if sys.platform == "darwin" else 1024
    print(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""

#: What the enhancement may take, in MB.
MOST_MEMORY = 1000


def write_recording(path: Path, minutes: float) -> None:
    """Write speech on the left and noise on both sides, a minute at a time."""
    n_samples = PERIOD * SAMPLE_RATE
    speech = make_speech(n_samples, SAMPLE_RATE, random_state=0)
    noises = [
        make_noise(n_samples, "pink", SAMPLE_RATE, random_state=seed) for seed in (1, 2)
    ]
    period = np.stack([speech + noises[0], 0.5 * speech + noises[1]], axis=1)
    period *= 0.5 / np.abs(period).max()
    n_left = round(minutes * 60 * SAMPLE_RATE)
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, "PCM_16") as file:
        while n_left > 0:
            gain = rng.uniform(0.5, 1.0)
            file.write(gain * period[:n_left])
            n_left -= n_samples


def measure(
    source: Path, target: Path, model: str, *options: str
) -> tuple[float, float]:
    """Peak of resident memory in MB, and seconds, of a command that succeeds."""
    words = ["enhance", source, "-o", target, "--model", model, "--quiet", *options]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"skvae enhance --model {model} ended with {done.returncode}")
    return float(done.stdout) / 1e6, time.perf_counter() - begin


def main(argv: list[str] | None = None) -> int:
    """Print a line a model; the exit status is 1 if one takes too much memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models", nargs="+", default=["log-mmse", "best"], metavar="MODEL"
    )
    parser.add_argument("--minutes", type=float, default=180.0, help="default: 180")
    arguments = parser.parse_args(argv)
    print(f"{arguments.minutes:g} minutes at 48 kHz, stereo")
    print(f"{'model':32}{'peak MB':>10}{'s':>10}{'times real time':>18}")
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "long.wav"), Path(folder, "enhanced.wav")
        write_recording(source, arguments.minutes)
        for model in arguments.models:
            peak, seconds = measure(source, target, model)
            given, made = (soundfile.info(path) for path in (source, target))
            if given.frames != made.frames:
                sys.exit(f"{made.frames} samples came of {given.frames}")
            target.unlink()
            factor = arguments.minutes * 60 / seconds
            name = Path(model).name
            print(f"{name:32}{peak:10.0f}{seconds:10.1f}{factor:18.1f}", flush=True)
            peaks.append(peak)
    return int(max(peaks) > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
