"""Enhance random inputs, and count what must never happen.

Inputs are of every kind, dtype, length and scale that `transform` takes: noise, tones,
clicks, silence, steps, denormal and huge numbers, and mixtures of them with speech; and
inputs that must be refused. Each goes through an enhancer with random settings::

    python tools/fuzz_inputs.py --n 2000
    python tools/fuzz_inputs.py --n 100 --methods best vae-nmf --seed 1

A row of the table is a method. An input is refused if a ValueError says why. Everything
else but a good output is counted, and printed with the seed that makes it again. The
exit status is 1 if anything was counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections import Counter
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from skvae import STFT, load_pretrained
from skvae.datasets import make_dataset, make_noise

#: Methods without training at any sample rate, which take an STFT of any size.
CLASSICAL = ("spectral-subtraction", "wiener", "log-mmse", "rpca")

#: How much more amplitude than its input an output may have, as a root mean square. A
#: peak may grow: a click that pointed away from an offset is higher without the offset.
LOUDER = 1.1

#: Amplitudes at which single precision has no digits.
TINY = 1e-42

#: What is counted.
COUNTED = (
    "crashes",
    "not finite",
    "wrong length",
    "wrong dtype",
    "louder",
    "input changed",
    "warnings",
)

SPEECH, _ = make_dataset(3, (0.2, 0.5), snr=(-5, 15), random_state=0)


def random_waveform(rng: np.random.Generator) -> np.ndarray:
    """Make a waveform of a random kind, length, scale and dtype."""
    n = int(rng.choice([1, 2, 3, 7, 64, 513, 1024, 4000, 8000]))
    n = max(1, n + int(rng.integers(-1, 2)))
    time = np.arange(n)
    kind = rng.integers(12)
    if kind == 0:
        x = np.zeros(n)
    elif kind == 1:
        x = rng.standard_normal(n)
    elif kind == 2:
        x = np.sin(time * rng.uniform(0, np.pi))
    elif kind == 3:  # clicks
        x = np.zeros(n)
        x[rng.integers(n, size=max(1, n // 500))] = rng.choice([-1.0, 1.0])
    elif kind == 4:
        x = np.full(n, 1.0)
    elif kind == 5:
        x = np.sign(np.sin(time * rng.uniform(0, 1)) + 1e-3)
    elif kind == 6:  # levels far apart
        x = rng.standard_normal(n) * 10.0 ** rng.uniform(-20, 10, n)
    elif kind == 7:
        x = rng.standard_normal(n) * (time > n // 2)
    elif kind == 8:
        x = make_noise(n, "pink", 16000, random_state=rng)
    elif kind == 9:  # two values
        x = rng.choice([0.0, 1.0], n)
    else:
        x = SPEECH[rng.integers(len(SPEECH))][:n].astype(float)
    if rng.random() < 0.2:
        x = x + rng.choice([-1, 1]) * rng.uniform(0, 10)  # an offset
    x = x * 10.0 ** rng.choice([-300, -45, -30, -10, -3, -1, 0, 0, 0, 1, 4, 9, 11, 12])
    dtype = rng.choice(["f8", "f8", "f4", "f4", "f2", "i2", "i2", "i4", "u1"])
    if dtype == "i2":
        return np.clip(x * 32767, -32768, 32767).astype(np.int16)
    with np.errstate(all="ignore"):
        x = np.nan_to_num(x).astype(dtype)
    return np.ascontiguousarray(x)


def random_view(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """The waveform in another layout of memory, or of the other byte order."""
    kind = rng.integers(6)
    if kind == 0:
        return np.repeat(x, 2)[::2]
    if kind == 1:
        return x[::-1]
    if kind == 2:
        return x.astype(x.dtype.newbyteorder())
    if kind == 3:
        x = x.copy()
        x.flags.writeable = False
    return x


def random_input(rng: np.random.Generator) -> Any:
    """Make an argument of `transform`."""
    kind = rng.integers(10)
    if kind < 6:
        return [
            random_view(rng, random_waveform(rng)) for _ in range(rng.integers(1, 4))
        ]
    if kind < 8:
        x = random_waveform(rng)
        return np.stack([x] * rng.integers(1, 4))
    if kind == 8:  # numbers that must be refused
        x = random_waveform(rng).astype(float)
        x[rng.integers(len(x))] = rng.choice([np.nan, np.inf, -np.inf, 1e300])
        return [x]
    return [
        *([], np.zeros(0), [np.zeros(0)], np.zeros((2, 0)), [np.zeros((3, 3))]),
        *([None], ["a.wav"], [np.zeros(9, complex)], [["a"]], 5, None, "a.wav"),
        *([np.zeros(9, bool)], [[1, 2, 3]], np.zeros(9), [np.float64(1)]),
    ][rng.integers(16)]


def random_enhancer(rng: np.random.Generator, name: str, cache: dict) -> Any:
    """Make an enhancer with random settings; trained ones are loaded once."""
    if name not in CLASSICAL:
        if name not in cache:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # fitted on synthetic speech
                cache[name] = load_pretrained(name)
        enhancer = cache[name]
    else:
        n_fft = int(rng.choice([8, 63, 64, 256, 1024]))
        hop_length = int(rng.integers(1, max(2, n_fft // 2)))
        hop_length = max(hop_length, n_fft // 16)
        stft = STFT(
            n_fft,
            hop_length,
            window=str(rng.choice(["sine", "hann", "hamming"])),
            center=bool(rng.integers(2)),
            sample_rate=int(rng.choice([8000, 16000, 44100])),
        )
        settings: dict[str, Any] = {"stft": stft}
        if rng.random() < 0.2:
            settings["noise_profile"] = np.asarray(random_waveform(rng), float)
        enhancer = load_pretrained(name, **settings)
    return enhancer.set_params(
        attenuation_limit=rng.choice([None, 0, 6, 1000]),
        block_seconds=rng.choice([None, 0.05, 60]),
    )


def copied(X: Any) -> Any:
    """A copy of arrays, to see whether they change."""
    if isinstance(X, np.ndarray):
        return X.copy()
    return [copied(x) for x in X] if isinstance(X, list) else X


def same(X: Any, Y: Any) -> bool:
    """Whether arrays have not changed."""
    if isinstance(X, np.ndarray):
        return X.tobytes() == Y.tobytes()
    return not isinstance(X, list) or all(map(same, X, Y))


def amplitude(x: np.ndarray) -> float:
    """Root mean square, of the smallest and the largest numbers, too."""
    peak = np.abs(x).max(initial=0)
    return float(peak * np.sqrt(np.mean((x / peak) ** 2))) if peak > 0 else 0.0


def judge(X: Any, enhanced: Any) -> list[str]:
    """What is wrong with an output."""
    if len(X) != len(enhanced):
        return ["wrong length"]
    wrong = []
    for x, y in zip(map(np.asarray, X), enhanced, strict=True):
        if y.shape != x.shape:
            wrong.append("wrong length")
            continue
        floats = x.dtype in (np.float32, np.float64)
        wanted = x.dtype if floats or x.dtype == np.int16 else None
        if wanted is not None and y.dtype != wanted.newbyteorder("="):
            wrong.append("wrong dtype")
        x, y = x.astype(float), y.astype(float)
        if not np.isfinite(y).all():
            wrong.append("not finite")
        elif amplitude(y) > LOUDER * amplitude(x) + TINY:
            wrong.append("louder")
    return wrong


def try_one(name: str, seed: int, cache: dict) -> list[str]:
    """Enhance one random input: "done", "refused", and what is wrong."""
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            enhancer = random_enhancer(rng, name, cache)
        except ValueError:
            return ["refused"]  # an STFT or a profile that cannot be
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        X = random_input(rng)
        before = copied(X)
        try:
            enhanced = enhancer.transform(X)
        except (ValueError, TypeError) as error:
            result = ["refused"]
            # The sentences of skvae name what is wrong; Python's own are crashes.
            if isinstance(error, TypeError) and not str(error).endswith("."):
                result = ["crashes"]
                traceback.print_exc()
        except Exception:
            result = ["crashes"]
            traceback.print_exc()
        else:
            result = ["done", *judge(X, enhanced)]
    if not same(before, X):
        result.append("input changed")
    if caught:
        result.append("warnings")
        print(caught[0].message, f"({caught[0].filename}:{caught[0].lineno})")
    return result


def main(argv: list[str] | None = None) -> int:
    """Print a row for each method; return 1 if anything was counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2000, help="default: 2000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[*CLASSICAL, "is-nmf"],
        metavar="NAME",
        help="names for load_pretrained (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    counts: dict[str, Counter[str]] = {name: Counter() for name in arguments.methods}
    cache: dict[str, Any] = {}
    for k in range(arguments.n):
        name = arguments.methods[k % len(arguments.methods)]
        found = try_one(name, arguments.seed + k, cache)
        counts[name].update(set(found))
        wrong = sorted(set(found) & set(COUNTED))
        if wrong:
            print(f"--methods {name} --n 1 --seed {arguments.seed + k}: {wrong}")
    columns = ("done", "refused", *COUNTED)
    print(f"{'':22}" + "".join(f"{column:>14}" for column in columns))
    for name, count in counts.items():
        print(f"{name:22}" + "".join(f"{count[column]:14}" for column in columns))
    is_bad = any(count[column] for count in counts.values() for column in COUNTED)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
