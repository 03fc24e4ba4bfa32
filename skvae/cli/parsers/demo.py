"""Arguments of ``skvae demo``."""

from __future__ import annotations

import argparse

from skvae.cli.options import add_model, describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    """
    describe(
        parser,
        "Enhance a synthetic utterance. Writes noisy.wav, enhanced.wav, clean.wav and "
        "a picture of the spectrograms, and prints scores before and after.",
        [
            "  skvae demo",
            "  skvae demo --snr -5 --seed 1 -o harder/",
            "  skvae demo --model log-mmse -o log-mmse/",
        ],
    )
    parser.add_argument(
        "-o",
        "--output",
        default="skvae-demo",
        metavar="DIR",
        help="folder for the results (default: %(default)s)",
    )
    add_model(parser)
    parser.add_argument(
        "--snr",
        type=float,
        default=0.0,
        metavar="DB",
        help="signal-to-noise ratio in dB (default: 0)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed; another one gives another utterance (default: 0)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the results of an earlier run"
    )
