"""Arguments of ``skvae mix``."""

from __future__ import annotations

import argparse

from skvae.cli.options import describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    """
    describe(
        parser,
        "Mix recordings of clean speech with noise. The output folder gets noisy/, "
        "clean/ and pairs.csv, which describes each pair. Kinds of noise, which are "
        "the folders that contain the files, and signal-to-noise ratios alternate. The "
        "same command gives the same pairs.",
        [
            "  skvae mix --clean speech/ --noise noise/ --snr -5 0 5 10 -o pairs/",
            "  skvae mix --clean speech/ --synthetic 1 --snr 0 --copies 3 -o pairs/",
            "  skvae evaluate --noisy pairs/noisy --clean pairs/clean --model wiener",
        ],
    )
    parser.add_argument(
        "--clean", required=True, metavar="DIR", help="recordings of clean speech"
    )
    parser.add_argument("--noise", metavar="DIR", help="recordings of noise")
    parser.add_argument(
        "--snr",
        type=float,
        nargs="+",
        required=True,
        metavar="DB",
        help="signal-to-noise ratios in dB",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for the pairs"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed; another one gives other pairs (default: 0)",
    )
    parser.add_argument(
        "--augment",
        action="store_true",
        help="vary speech and noise at random: speeds, equalizers, sums, gains",
    )
    parser.add_argument(
        "--synthetic",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the pairs with synthetic noise, from 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--copies",
        type=int,
        default=1,
        metavar="N",
        help="number of pairs made of each recording, with different noise "
        "(default: 1)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the pairs of an earlier run",
    )
    parser.add_argument("--quiet", action="store_true", help="print only errors")
