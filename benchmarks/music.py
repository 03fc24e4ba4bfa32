"""The warning about music: how often it is missing, and how often it is false.

    python benchmarks/music.py --data DATA --models best

``skvae enhance`` warns if little is left of a recording that sounds like music. The
script counts the warnings for the first ten seconds of recordings in DATA/noise/train:
those of music, and those of the environments that are reserved for validation, steady
and transient. It also counts them for the noisy speech of ``validation_pairs.py``. It
prints the number of recordings, the number of warnings, and the median change of the
level in dB. The last lines name the recordings of the two kinds of errors.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas
from command_line import model_name
from quality import load
from validation_pairs import ENVIRONMENTS, SNRS

from skvae.base import BaseEnhancer
from skvae.datasets import find_audio
from skvae.datasets.mixing.pairs import mix_pairs, take_turns
from skvae.signal.music import MusicDetector

MUSIC = "music"
SECONDS = 10


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    for name in arguments.models:
        model = load(name, None)
        rows = []
        for group, file, samples in recordings(arguments.data, arguments.pairs):
            detector = observe(model, samples)
            rows.append((group, file, detector.is_erased, detector.change))
        columns = ["group", "file", "warned", "change"]
        table = pandas.DataFrame(rows, columns=columns)
        print(f"{name}\n{'-' * len(name)}\n{report(table)}\n")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of speech/ and noise/")
    parser.add_argument(
        "--models", nargs="+", default=["best"], metavar="MODEL", type=model_name
    )
    parser.add_argument(
        "--pairs", type=int, default=60, help="number of pairs of noisy speech (60)"
    )
    return parser.parse_args(argv)


def recordings(data: str, n_pairs: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """Group, name and samples of each recording."""
    folder = os.path.join(data, "noise", "train")
    groups = {MUSIC: [MUSIC]}
    groups |= {f"{kind} noise": names for kind, names in ENVIRONMENTS.items()}
    for group, environments in groups.items():
        for environment in environments:
            path = os.path.join(folder, environment)
            for file in find_audio(path) if os.path.isdir(path) else []:
                samples = np.asarray(file, np.float64)[: SECONDS * file.sample_rate]
                yield group, str(file.path), samples
    rng = np.random.default_rng(0)
    speech = take_turns(find_audio(os.path.join(data, "speech", "valid")), rng)
    order = [speech[k % len(speech)] for k in range(n_pairs)]
    noises = {
        name: find_audio(os.path.join(folder, name)) for name in ENVIRONMENTS["steady"]
    }
    for pair in mix_pairs(order, noises, SNRS, rng):
        yield "noisy speech", pair.utterance, pair.noisy


def observe(model: BaseEnhancer, samples: np.ndarray) -> MusicDetector:
    """Enhance a recording, and watch what is removed."""
    detector = MusicDetector.of(model.stft_)
    for _ in model.enhance_blocks([samples], observer=detector.observe):
        pass
    return detector


def report(table: pandas.DataFrame) -> str:
    groups = table.groupby("group", sort=False)
    counts = groups.agg(
        n=("warned", "size"), warned=("warned", "sum"), change=("change", "median")
    )
    parts = [counts.round(1).to_string()]
    is_music = table["group"] == MUSIC
    for title, rows in (
        ("music without a warning", table[is_music & ~table["warned"]]),
        ("false warnings", table[~is_music & table["warned"]]),
    ):
        parts += [f"{title}: {', '.join(map(os.path.basename, rows['file'])) or '-'}"]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
