"""Speed-up by two processes, and memory for a long recording, with MCEM.

The script enhances forty utterances of eight seconds with one job and with two, after a
warm-up of the workers; the results must be identical. It enhances ten minutes in a new
process and prints its peak resident memory. With ``--models``, it also enhances a
folder of files of ten seconds with ``skvae enhance --jobs 1`` and ``--jobs 2``.
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
from sklearn.frozen import FrozenEstimator

from skvae import MCEM, SpeechVAE, Training, VAENMFEnhancer
from skvae.datasets import make_dataset, make_noise

#: Iterations per utterance; with this number, start-up time is negligible.
MAX_ITER = 8

#: Limits: time of two jobs relative to one, with MCEM and with the command; memory in
#: MB for ten minutes; speed of the command with one job, as a multiple of real time.
MOST_TIME, MOST_TIME_OF_COMMAND, MOST_MEMORY, REAL_TIMES = 0.6, 1 / 1.7, 1500, 10


def make_enhancer(max_iter: int) -> VAENMFEnhancer:
    """Return an enhancer with a speech model of the usual size, hardly trained."""
    _, clean = make_dataset(4, random_state=0)
    model = SpeechVAE(training=Training(1), random_state=0).fit(clean)
    enhancer = VAENMFEnhancer(FrozenEstimator(model), MCEM(max_iter), random_state=0)
    return enhancer.fit(clean)


def compare_jobs(n_utterances: int) -> float:
    """Measure the time of two jobs relative to one."""
    enhancer = make_enhancer(MAX_ITER)
    noisy, _ = make_dataset(n_utterances, duration=(8.0, 8.0), random_state=1)
    enhancer.set_params(n_jobs=2).transform(noisy[:2])  # warm-up
    seconds, enhanced = {}, {}
    for n_jobs in (2, 1):
        enhancer.set_params(n_jobs=n_jobs)
        begin = time.perf_counter()
        enhanced[n_jobs] = enhancer.transform(noisy)
        seconds[n_jobs] = time.perf_counter() - begin
    same = all(map(np.array_equal, enhanced[1], enhanced[2]))
    ratio = seconds[2] / seconds[1]
    print(
        f"{n_utterances} utterances of 8 s: {seconds[1]:.1f} s with one job, "
        f"{seconds[2]:.1f} s with two, ratio {ratio:.2f}; "
        f"{'identical' if same else 'DIFFERENT'} results"
    )
    return ratio


def compare_commands(model: str, n_files: int) -> tuple[float, float]:
    """Measure the speed of ``skvae enhance``, and the relative time of two jobs."""
    noisy, _ = make_dataset(1, duration=(10.0, 10.0), random_state=1)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "noisy")
        source.mkdir()
        for k in range(n_files):
            soundfile.write(source / f"{k}.wav", noisy[0], 16000)
        # Two alternating rounds, so that other work on the machine affects both.
        for k, jobs in enumerate((2, 1, 1, 2)):
            words = ["enhance", source, "-o", Path(folder, f"enhanced{k}")]
            options = ["--model", model, "--jobs", str(jobs), "--quiet"]
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "skvae", *words, *options], check=True
            )
            seconds[jobs].append(time.perf_counter() - begin)
    one, two = (np.array(seconds[jobs]) for jobs in (1, 2))
    ratio, real_times = float(np.mean(two / one)), 10 * n_files / float(one.mean())
    print(
        f"{n_files} files of 10 s with {Path(model).name}: {one.mean():.1f} s with "
        f"--jobs 1 ({real_times:.1f} times real time), {two.mean():.1f} s with "
        f"--jobs 2, {1 / ratio:.2f} times as fast "
        f"({', '.join(f'{each:.2f}' for each in one / two)})",
        flush=True,
    )
    return real_times, ratio


def fast_enough(real_times: float, ratio: float) -> bool:
    """Check whether the command meets the limits."""
    return real_times >= REAL_TIMES and ratio <= MOST_TIME_OF_COMMAND


def measure_memory(minutes: float) -> float:
    """Measure the peak resident memory in MB for a long recording."""
    import resource

    enhancer = make_enhancer(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Synthesizing all of it at once would need more memory than enhancing it.
    second = make_noise(16000, "pink", random_state=0).astype(np.float32)
    enhancer.transform([np.tile(second, round(60 * minutes))])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{minutes:g} minutes: peak of {peak:.0f} MB, including {before:.0f} MB for "
        "imports and the model"
    )
    return peak


def main(argv: list[str] | None = None) -> int:
    """Print the results; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=40, help="default: 40")
    parser.add_argument("--minutes", type=float, default=10.0, help="default: 10")
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="MODEL",
        help="also enhance files with these models",
    )  # fmt: skip
    parser.add_argument("--files", type=int, default=200, help="default: 200")
    parser.add_argument("--memory-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.memory_only:
        return int(measure_memory(arguments.minutes) > MOST_MEMORY)
    ratio = compare_jobs(arguments.utterances)
    words = ["--memory-only", "--minutes", str(arguments.minutes)]
    memory = subprocess.run([sys.executable, __file__, *words], check=False)
    passed = ratio <= MOST_TIME and memory.returncode == 0
    for model in arguments.models:
        passed &= fast_enough(*compare_commands(model, arguments.files))
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
