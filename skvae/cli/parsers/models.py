"""Arguments of ``skvae models``."""

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
        "List the models that --model knows, or describe one of them in full.",
        ["  skvae models", "  skvae models best"],
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="MODEL",
        help="name or file of a model, to show its training, scores and credits",
    )
