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
    _add_train(verbs)
    _add_mix(verbs)
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


def _add_train(verbs: argparse._SubParsersAction) -> None:
    train = verbs.add_parser(
        "train",
        help="train a model on recordings",
        description=(
            "Train what a recipe describes on recordings of clean speech, and of noise "
            "if it learns from noise, and write it to a file that --model takes. A "
            "file beside it keeps what has been learned so far: after an interruption "
            "the same command goes on from there, on a CPU to the same model."
        ),
        epilog=(
            "examples:\n"
            "  skvae train --method vae-nmf --clean speech/ -o mine.safetensors\n"
            "  skvae train --method bilstm-mask --clean speech/ --noise noise/ \\\n"
            "      --set max_iter=20 --set hidden=64 -o small.safetensors\n"
            "  skvae train my-recipe.toml --clean speech/ -o mine.safetensors\n"
            "  skvae enhance noisy.wav -o enhanced.wav --model mine.safetensors"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = train.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE",
        help="a TOML file, as skvae/recipes.py says",
    )
    source.add_argument(
        "--method",
        metavar="NAME",
        help="a recipe of the package: bilstm-mask, dnn-mask, speech-vae or vae-nmf",
    )
    train.add_argument(
        "--clean", required=True, metavar="DIR", help="recordings of clean speech"
    )
    train.add_argument(
        "--noise",
        metavar="DIR",
        help="recordings of noise to mix it with (default: noise that is made)",
    )
    train.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="MODEL",
        help="the file to write, which ends in .safetensors",
    )
    train.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help="where to compute (default: a GPU if there is one)",
    )
    train.add_argument(
        "--checkpoint",
        metavar="FILE",
        help=(
            "what to go on from after an interruption; removed at the end "
            "(default: MODEL.checkpoint)"
        ),
    )
    train.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="of all random numbers (default: the recipe's, or 0)",
    )
    train.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="PARAM=VALUE",
        help="change a parameter of the recipe: max_iter=20, vae__hidden=64",
    )
    train.add_argument(
        "--overwrite", action="store_true", help="replace a model that is there"
    )
    volume = train.add_mutually_exclusive_group()
    volume.add_argument("--quiet", action="store_true", help="say nothing but errors")
    volume.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say what is trained, and where in the code an error came from",
    )


def _add_mix(verbs: argparse._SubParsersAction) -> None:
    mix = verbs.add_parser(
        "mix",
        help="mix clean speech with noise",
        description=(
            "Mix recordings of clean speech with noise. DIR receives noisy/, clean/ "
            "and pairs.csv, which says what was mixed. Kinds of noise, which are the "
            "folders that it lies in, and ratios take turns. The same command gives "
            "the same pairs."
        ),
        epilog=(
            "examples:\n"
            "  skvae mix --clean speech/ --noise noise/ --snr -5 0 5 10 -o pairs/\n"
            "  skvae mix --clean speech/ --synthetic 1 --snr 0 --copies 3 -o pairs/\n"
            "  skvae evaluate --noisy pairs/noisy --clean pairs/clean --model wiener"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mix.add_argument(
        "--clean", required=True, metavar="DIR", help="recordings of clean speech"
    )
    mix.add_argument("--noise", metavar="DIR", help="recordings of noise")
    mix.add_argument(
        "--snr",
        type=float,
        nargs="+",
        required=True,
        metavar="DB",
        help="signal-to-noise ratios in dB",
    )
    mix.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for the pairs"
    )
    mix.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another one, other pairs"
    )
    mix.add_argument(
        "--augment",
        action="store_true",
        help="change speech and noise at random: speeds, equalisers, sums, gains",
    )
    mix.add_argument(
        "--synthetic",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the pairs, from 0 to 1, with noise that is made (default: 0)",
    )
    mix.add_argument(
        "--copies",
        type=int,
        default=1,
        metavar="N",
        help="pairs of each recording, with other noises (default: 1)",
    )
    mix.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what an earlier run wrote",
    )
    mix.add_argument("--quiet", action="store_true", help="say nothing but errors")


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
        metavar="NAME|FILE",
        help=f"a name that `skvae models` lists, or a model file{shown}",
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
