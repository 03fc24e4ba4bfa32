"""Memory and time of ``skvae enhance`` for hours of sound.

The script creates a stereo recording at 48 kHz and enhances it with each model in a new
process. It prints the peak resident memory and the time. The memory must not depend on
the length: compare ``--minutes 10`` with the default of three hours.
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

#: Seconds of sound that are synthesized. The recording repeats them at random levels.
PERIOD = 60

#: Command that prints its peak memory in bytes. On Linux, getrusage would include the
#: memory of the parent process.
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

#: Maximum memory in MB.
MOST_MEMORY = 1000


def write_recording(path: Path, minutes: float) -> None:
    """Write speech in the left channel and noise in both, one minute at a time."""
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
    """Return the peak resident memory in MB and the time in seconds of the command."""
    words = ["enhance", source, "-o", target, "--model", model, "--quiet", *options]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"skvae enhance --model {model} ended with {done.returncode}")
    return float(done.stdout) / 1e6, time.perf_counter() - begin


def main(argv: list[str] | None = None) -> int:
    """Print a line per model; return 1 if one needs too much memory."""
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
                sys.exit(f"{made.frames} samples of {given.frames} were written")
            target.unlink()
            factor = arguments.minutes * 60 / seconds
            name = Path(model).name
            print(f"{name:32}{peak:10.0f}{seconds:10.1f}{factor:18.1f}", flush=True)
            peaks.append(peak)
    return int(max(peaks) > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
