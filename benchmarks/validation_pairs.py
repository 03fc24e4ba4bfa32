"""Mix pairs to make choices on, so that the test pairs serve for reports only.

    python benchmarks/validation_pairs.py OUT --data DATA

Speech comes from DATA/speech/valid. Noise comes from those environments of
DATA/noise/train that are set aside for this: nothing that is compared on these pairs
may have been fitted on them. (For what has been fitted on no recorded noise at all,
``--environments all`` takes every one.) Environments and SNRs take turns, so that with
enough pairs every environment meets every SNR. OUT receives clean/, noisy/ and
pairs.csv, as ``quality.py`` reads.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import numpy as np

from skvae.datasets import find_audio
from skvae.datasets.mixing.pairs import mix_pairs, take_turns, write_pairs

#: Noises set aside for choices, and the ratios in dB of the test pairs.
ENVIRONMENTS = (
    "dishes",
    "stream",
    "home_room",
    "washing_machine",
    "underground",
    "market",
)
SNRS = (-5, 0, 5, 10)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", help="folder to write to")
    parser.add_argument("--data", required=True, help="folder of speech/ and noise/")
    parser.add_argument("--pairs", type=int, default=60, help="how many (60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--environments", nargs="+", default=list(ENVIRONMENTS), metavar="NAME",
        help="folders of DATA/noise/train, or all; default: those set aside",
    )  # fmt: skip
    arguments = parser.parse_args(argv)

    rng = np.random.default_rng(arguments.seed)
    speech = take_turns(
        find_audio(os.path.join(arguments.data, "speech", "valid")), rng
    )
    noise = os.path.join(arguments.data, "noise", "train")
    names = arguments.environments
    if names == ["all"]:
        names = sorted(os.listdir(noise))
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
