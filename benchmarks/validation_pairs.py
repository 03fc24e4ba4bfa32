"""Validation pairs for choices, so that the test pairs are only used for reports.

    python benchmarks/validation_pairs.py OUT --data DATA
    python benchmarks/validation_pairs.py OUT --data DATA --environments transient
    python benchmarks/validation_pairs.py --list

The speech comes from DATA/speech/valid. The noise comes from environments of
DATA/noise/train that are reserved for validation: models that are compared on these
pairs must not have been trained on them. There are two sets: six environments of steady
and mixed noise ("steady", the default), and eight of transient and voiced noise
("transient"). ``--list`` prints all of them, for training without them. For models that
were trained on no recorded noise at all, ``--environments all`` uses all environments.
Environments and SNRs alternate, so that with enough pairs every environment occurs at
every SNR. The script writes clean/, noisy/ and pairs.csv to OUT, in the layout of
``quality.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import numpy as np

from skvae.datasets import find_audio
from skvae.datasets.mixing.pairs import mix_pairs, take_turns, write_pairs

#: Environments reserved for validation: steady and mixed noise, and transient and
#: voiced noise.
ENVIRONMENTS = {
    "steady": (
        "dishes",
        "stream",
        "home_room",
        "washing_machine",
        "underground",
        "market",
    ),
    "transient": (
        "crow",
        "goat",
        "laughing",
        "coughing",
        "footsteps_wood",
        "hammering",
        "doors",
        "glass",
    ),
}

#: SNRs of the test pairs in dB.
SNRS = (-5, 0, 5, 10)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", nargs="?", help="folder to write to")
    parser.add_argument("--data", help="folder of speech/ and noise/")
    parser.add_argument(
        "--list", action="store_true", help="print the reserved environments"
    )
    parser.add_argument("--pairs", type=int, default=60, help="number of pairs (60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--environments", nargs="+", default=["steady"], metavar="NAME",
        help="steady, transient, all, or folders of DATA/noise/train; default: steady",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    if arguments.list:
        print(*(name for names in ENVIRONMENTS.values() for name in names), sep="\n")
        return 0
    if arguments.out is None or arguments.data is None:
        parser.error("name the folder to write to, and --data, or pass --list")

    rng = np.random.default_rng(arguments.seed)
    speech = take_turns(
        find_audio(os.path.join(arguments.data, "speech", "valid")), rng
    )
    noise = os.path.join(arguments.data, "noise", "train")
    names = [
        name
        for given in arguments.environments
        for name in (
            sorted(os.listdir(noise))
            if given == "all"
            else ENVIRONMENTS.get(given, (given,))
        )
    ]
    noises = {name: find_audio(os.path.join(noise, name)) for name in names}
    order = [speech[k % len(speech)] for k in range(arguments.pairs)]
    rows = list(
        write_pairs(mix_pairs(order, noises, SNRS, rng), arguments.out, arguments.pairs)
    )
    minutes = sum(float(row[-1]) for row in rows) / 60
    n_speakers = len({row[1] for row in rows})
    print(f"{len(rows)} pairs of {n_speakers} speakers, {minutes:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
