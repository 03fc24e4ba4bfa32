"""``skvae``: the parser, and what all verbs share."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from skvae._version import __version__
from skvae.cli.errors import CommandError

#: What is used unless something else is asked for.
DEFAULT_MODEL = "log-mmse"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Its words; None means those of the process.

    Returns
    -------
    int
        Exit status: 0 if all was done, 1 if something failed, 2 if the words are off.

    Examples
    --------
    >>> main(["--version"])
    Traceback (most recent call last):
        ...
    SystemExit: 0
    """
    arguments = make_parser().parse_args(argv)
    warnings.showwarning = _show_warning
    try:
        return import_module(f"skvae.cli.{arguments.command}").run(arguments)
    except CommandError as error:
        print(f"skvae {arguments.command}: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        # The reader of our output has gone: nothing is left to say.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print(f"skvae {arguments.command}: interrupted", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Build the parser of all verbs.

    Returns
    -------
    argparse.ArgumentParser

    Examples
    --------
    >>> make_parser().parse_args(["enhance", "a.wav", "-o", "out"]).model
    'log-mmse'
    """
    parser = argparse.ArgumentParser(
        prog="skvae",
        description="Speech enhancement: take the noise out of recordings of speech.",
    )
    parser.add_argument("--version", action="version", version=f"skvae {__version__}")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_enhance(verbs)
    _add_evaluate(verbs)
    verbs.add_parser(
        "models",
        help="list the models",
        description="List the models that --model knows.",
    )
    _add_demo(verbs)
    return parser


def _add_enhance(verbs: argparse._SubParsersAction) -> None:
    enhance = verbs.add_parser(
        "enhance",
        help="enhance recordings",
        description=(
            "Enhance recordings. Each output has the sample rate, the channels, the "
            "length and the format of its input; all channels are filtered alike. "
            "Outputs appear whole or not at all, and those that are there already are "
            "left, so that a second run does what a first one left undone."
        ),
        epilog="example: skvae enhance noisy.wav recordings/ -o enhanced/",
    )
    enhance.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="audio files, or folders of them with everything below",
    )
    enhance.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="folder for the results, or a file name for a single input file",
    )
    _add_model(enhance, DEFAULT_MODEL)
    enhance.add_argument(
        "--attenuation-limit",
        type=float,
        metavar="DB",
        help="lower the noise by at most DB decibels (default: no limit)",
    )
    enhance.add_argument(
        "--noise-profile",
        metavar="FILE",
        help="a recording of the noise alone, to learn it from",
    )
    enhance.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="files enhanced side by side (default: 1)",
    )
    enhance.add_argument(
        "--overwrite", action="store_true", help="replace outputs that are there"
    )
    enhance.add_argument("--quiet", action="store_true", help="say nothing but errors")


def _add_evaluate(verbs: argparse._SubParsersAction) -> None:
    evaluate = verbs.add_parser(
        "evaluate",
        help="score enhanced recordings against clean ones",
        description=(
            "Score recordings against the clean ones of the same names: the noisy "
            "input, and what a model or another tool made of it."
        ),
        epilog="example: skvae evaluate --noisy noisy/ --clean clean/ --model wiener",
    )
    evaluate.add_argument("--noisy", required=True, metavar="DIR", help="noisy files")
    evaluate.add_argument("--clean", required=True, metavar="DIR", help="clean files")
    group = evaluate.add_mutually_exclusive_group()
    _add_model(group, None)
    group.add_argument(
        "--enhanced", metavar="DIR", help="files that were enhanced already"
    )
    evaluate.add_argument(
        "--metrics",
        default="si_sdr,sdr,pesq,estoi",
        metavar="NAMES",
        help="separated by commas (default: %(default)s)",
    )
    evaluate.add_argument("--csv", metavar="FILE", help="write a row an utterance")
    evaluate.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="files scored side by side (default: 1)",
    )
    evaluate.add_argument("--quiet", action="store_true", help="show no progress")


def _add_demo(verbs: argparse._SubParsersAction) -> None:
    demo = verbs.add_parser(
        "demo",
        help="hear and see what it does",
        description=(
            "Enhance an utterance made on the spot: writes noisy.wav, enhanced.wav, "
            "clean.wav and a picture, and prints what was gained."
        ),
    )
    demo.add_argument(
        "-o",
        "--output",
        default="skvae-demo",
        metavar="DIR",
        help="folder for the results (default: %(default)s)",
    )
    _add_model(demo, DEFAULT_MODEL)
    demo.add_argument(
        "--snr",
        type=float,
        default=0.0,
        metavar="DB",
        help="of the made utterance (default: 0)",
    )
    demo.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the made utterance"
    )


def _add_model(
    parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup,
    default: str | None,
) -> None:
    shown = "" if default is None else f" (default: {default})"
    parser.add_argument(
        "--model",
        default=default,
        metavar="NAME",
        help=f"see `skvae models`{shown}",
    )


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Say a warning as a person would, without the line of code that gave it."""
    print(f"warning: {message}", file=sys.stderr)
