"""Time of enhancement relative to the Fourier transform, and time of a cold start.

    python benchmarks/speed.py [--models NAME ...] [--seconds 10] [--rounds 21]

Each round measures the transform and its inverse alone, and every model, in random
order and on one thread. The script prints medians over the rounds. Ratios are computed
within a round, so that slow phases of the machine affect both parts. The exit status is
1 if spectral subtraction takes more than LIMIT times the time of the transforms, or if
a cold start of the command line takes more than MOST_START times its unavoidable
imports.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from skvae import STFT
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.storage.pretrained import list_models, load_pretrained

RATE = 16_000

#: Maximum time of spectral subtraction, relative to the transform and its inverse.
LIMIT, LIMITED = 2.0, "spectral-subtraction"

#: Name of the row for the transform and its inverse alone.
ALONE = "STFT + ISTFT"

#: Models that took this many seconds in total skip the rounds after the third.
PATIENCE, FEWEST_ROUNDS = 10.0, 3

#: Seconds of audio for the cold start.
FILE_SECONDS = 1

#: Models whose cold start is measured, and the imports that each cannot do without.
UNAVOIDABLE = {
    "wiener": "import sklearn.base, scipy.signal",
    "best": "import torch, sklearn.base, scipy.signal",
}

#: Programs that are measured for comparison.
BARE = ("import torch", *UNAVOIDABLE.values())

#: Maximum time of a cold start, relative to its unavoidable imports.
MOST_START = 1.3

#: Environment variables that limit the libraries of a new process to one thread.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def main(argv: Sequence[str] | None = None) -> int:
    names = [model.name for model in list_models()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", default=names, choices=names, metavar="NAME"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio (10)")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--starts", type=int, default=5, help="cold starts (5)")
    arguments = parser.parse_args(argv)

    passed = True
    # Training on synthetic speech causes warnings, which are irrelevant here.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", UserWarning)
        models = {name: load_pretrained(name) for name in arguments.models}
        for dtype in (np.float32, np.float64):
            noisy = make_noisy(arguments.seconds).astype(dtype)
            passed &= report_costs(models, noisy, arguments.rounds)
    if arguments.starts:
        passed &= report_cold_start(arguments.starts)
    return 0 if passed else 1


def make_noisy(seconds: float) -> np.ndarray:
    n_samples = round(seconds * RATE)
    clean = make_speech(n_samples, RATE, random_state=0)
    noise = make_noise(n_samples, "pink", RATE, random_state=0)
    return mix_at_snr(clean, noise, 5.0, rng=0)


def report_costs(models: dict, noisy: np.ndarray, n_rounds: int) -> bool:
    """Print a line per model; return False if spectral subtraction is too slow."""
    # The transforms without the validation by the estimators STFT and ISTFT.
    framing = STFT().framing()
    tasks: dict[str, Callable[[], object]] = {
        ALONE: lambda: framing.synthesise(framing.analyse(noisy), len(noisy))
    }
    for name, model in models.items():
        tasks[name] = lambda model=model: model.transform([noisy])
    times = time_rounds(tasks, n_rounds)

    seconds = len(noisy) / RATE
    print(f"{noisy.dtype}, {seconds:g} s of audio, one thread")
    print(f"{'':20}  ms per s of audio  times {ALONE} [quartiles]  rounds")
    alone = times[ALONE]
    passed = True
    for name, spent in times.items():
        ratio = spent / alone[: len(spent)]
        low, median, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        cost = 1000 * np.median(spent) / seconds
        verdict = ""
        if name == LIMITED:
            passed = bool(median <= LIMIT)
            verdict = f"  {'PASS' if passed else 'FAIL'}: at most {LIMIT:g}"
        print(
            f"{name:20}  {cost:17.3f}  {median:12.2f} [{low:.2f}, {high:.2f}]"
            f"  {len(spent):6d}{verdict}"
        )
    print()
    return passed


def time_rounds(
    tasks: dict[str, Callable[[], object]], n_rounds: int
) -> dict[str, np.ndarray]:
    """Measure the seconds of every task in rounds that run each task once."""
    rng = np.random.default_rng(0)
    names = list(tasks)
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:  # imports, caches
        tasks[name]()
    for _ in range(n_rounds):
        for i in rng.permutation(len(names)):
            name = names[i]
            is_slow = sum(times[name]) > PATIENCE and len(times[name]) >= FEWEST_ROUNDS
            if is_slow:
                continue
            begin = time.perf_counter()
            tasks[name]()
            times[name].append(time.perf_counter() - begin)
    return {name: np.array(spent) for name, spent in times.items()}


def report_cold_start(n_starts: int) -> bool:
    """Print the times of cold starts; return False if one is too long."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "noisy.wav")
        soundfile.write(source, make_noisy(FILE_SECONDS), RATE)
        target = os.path.join(folder, "enhanced.wav")
        tasks = {code: start(["-c", code]) for code in BARE}
        for model in UNAVOIDABLE:
            options = ["--model", model, "--overwrite", "--quiet"]
            tasks[model] = start(
                ["-m", "skvae", "enhance", source, "-o", target, *options]
            )
        times = time_rounds(tasks, n_starts)
    print(f"cold start, {FILE_SECONDS} s of audio, medians of {n_starts}")
    for code in BARE:
        print(f"{np.median(times[code]):6.2f} s  python -c {code!r}")
    passed = True
    for model, code in UNAVOIDABLE.items():
        # A slow command takes no part in the last rounds.
        n = min(len(times[model]), len(times[code]))
        ratio = np.median(times[model][:n] / times[code][:n])
        print(
            f"{np.median(times[model]):6.2f} s  skvae enhance --model {model}, "
            f"{ratio:.2f} times {code!r}"
        )
        passed &= bool(ratio <= MOST_START)
    print(f"{'PASS' if passed else 'FAIL'}: at most {MOST_START:g} times the imports")
    return passed


def start(command: list[str]) -> Callable[[], object]:
    """Return a task that runs Python in a new process."""
    environment = {**os.environ, **ONE_THREAD}
    return lambda: subprocess.run(
        [sys.executable, *command],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )


if __name__ == "__main__":
    sys.exit(main())
