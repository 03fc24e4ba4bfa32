"""Validation pairs for choices, so that the test pairs are only used for reports.

    python benchmarks/validation_pairs.py OUT --data DATA

The speech comes from DATA/speech/valid. The noise comes from environments of
DATA/noise/train that are reserved for validation: models that are compared on these
pairs must not have been trained on them. For models that were trained on no recorded
noise at all, ``--environments all`` uses all environments. Environments and SNRs
alternate, so that with enough pairs every environment occurs at every SNR. The script
writes clean/, noisy/ and pairs.csv to OUT, in the layout of ``quality.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import numpy as np

from skvae.datasets import find_audio
from skvae.datasets.mixing.pairs import mix_pairs, take_turns, write_pairs

#: Environments reserved for validation, and SNRs of the test pairs in dB.
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
    parser.add_argument("--pairs", type=int, default=60, help="number of pairs (60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--environments", nargs="+", default=list(ENVIRONMENTS), metavar="NAME",
        help="folders of DATA/noise/train, or all; default: the reserved ones",
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
