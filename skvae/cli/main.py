"""``skvae``: the parser, and what all verbs share."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from skvae._version import __version__
from skvae.cli.errors import CommandError

#: What `skvae.cli.models.default_model` will choose, said without looking.
_DEFAULT_MODEL = "best; log-mmse where the package has no best"


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
    >>> make_parser().parse_args(["enhance", "a.wav", "-o", "out"]).jobs
    1
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
    models = verbs.add_parser(
        "models",
        help="list the models",
        description="List the models that --model knows, or tell all of one.",
        epilog="examples:\n  skvae models\n  skvae models best",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    models.add_argument(
        "name",
        nargs="?",
        metavar="NAME|FILE",
        help="a model to tell all of: its training, its figures, whom to name",
    )
    _add_demo(verbs)
    return parser


def _add_enhance(verbs: argparse._SubParsersAction) -> None:
    enhance = verbs.add_parser(
        "enhance",
        help="enhance recordings",
        description=(
            "Enhance recordings. Each output has the sample rate, the channels, the "
            "length and the format of its input; all channels are filtered alike. A "
            "method without training works at the rate of the file; a trained model at "
            "its own, and what lies above its band is filtered like the top of it. "
            "Outputs appear whole or not at all, and those that are there already are "
            "left, so that a second run does what a first one left undone. Recordings "
            "may be of any length; there is no streaming: a pipe is read to its end "
            "first."
        ),
        epilog=(
            "examples:\n"
            "  skvae enhance noisy.wav -o enhanced.wav\n"
            "  skvae enhance recordings/ more/*.flac -o enhanced/ --jobs 4\n"
            "  skvae enhance noisy.wav -o out/ --mix 0.8 --noise-output noise/\n"
            "  ffmpeg -i talk.mp4 -f wav - | skvae enhance - -o - | play -\n"
            "exit status: 0 if all files were done, 1 if not, 2 if the command is wrong"
        ),
        formatter_class=_HelpFormatter,
    )
    enhance.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="audio files, folders of them, patterns, or - for standard input",
    )
    enhance.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=(
            "folder for the results; a file name for a single input; or - for "
            "standard output"
        ),
    )
    _add_model(enhance, _DEFAULT_MODEL)
    enhance.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="files enhanced side by side; -1: as many as cores (default: 1)",
    )
    enhance.add_argument(
        "--dask",
        metavar="ADDRESS",
        help=(
            "enhance on the workers of this dask scheduler, which see the same files"
        ),
    )
    enhance.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help=("where networks compute (default: a GPU if there is one, and one job)"),
    )
    enhance.add_argument(
        "--attenuation-limit",
        type=float,
        metavar="DB",
        help="lower the noise by at most DB decibels (default: the model's, if any)",
    )
    enhance.add_argument(
        "--mix",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the enhanced sound, from 0 to 1; the rest is the input "
        "(default: 1)",
    )
    enhance.add_argument(
        "--noise-profile",
        metavar="FILE",
        help="a recording of the noise alone, to learn it from; for methods",
    )
    enhance.add_argument(
        "--noise-output",
        metavar="OUT",
        help="where to write what is taken away: the input minus the output",
    )
    enhance.add_argument(
        "--block-seconds",
        type=float,
        metavar="S",
        help=(
            "longer recordings are enhanced in blocks of this length, which bound the "
            "memory (default: the model's, mostly 60)"
        ),
    )
    enhance.add_argument(
        "--suffix",
        default="",
        metavar="S",
        help="add S to the names in a folder: _clean makes a_clean.wav of a.wav",
    )
    enhance.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=(
            "folders stand for everything below them, also where links lead, which is "
            "the default; or not"
        ),
    )
    enhance.add_argument(
        "--overwrite",
        action="store_true",
        help=(
            "replace outputs that are there; an input, too, where it is its own output"
        ),
    )
    _add_volume(enhance)


def _add_volume(parser: argparse.ArgumentParser) -> None:
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("--quiet", action="store_true", help="say nothing but errors")
    volume.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say what is done, and where in the code an error came from",
    )


def _add_evaluate(verbs: argparse._SubParsersAction) -> None:
    evaluate = verbs.add_parser(
        "evaluate",
        help="score enhanced recordings against clean ones",
        description=(
            "Score recordings against the clean ones of the same names: the noisy "
            "input, and what models or another tool made of it. Prints means with 95 % "
            "confidence intervals, and differences to the noisy input pair by pair: of "
            "all files, by signal-to-noise ratio, and by kind of noise. Both are read "
            "from a pairs.csv, as skvae mix writes it, beside or above the files; "
            "without one the ratio is measured, and kinds are not told apart."
        ),
        epilog=(
            "examples:\n"
            "  skvae mix --clean speech/ --noise noise/ --snr 0 5 10 -o pairs/\n"
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\\n"
            "      --model wiener --model log-mmse -o scores.csv\n"
            "  skvae evaluate --clean pairs/clean --enhanced theirs/ --metrics pesq\n"
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\\n"
            "      --enhanced theirs/ --dask tcp://192.168.0.7:8786\n"
            "exit status: 0 if all files were scored, 1 if not, 2 if the command is "
            "wrong"
        ),
        formatter_class=_HelpFormatter,
    )
    evaluate.add_argument("--clean", required=True, metavar="DIR", help="clean files")
    evaluate.add_argument("--noisy", metavar="DIR", help="noisy files")
    evaluate.add_argument(
        "--enhanced", metavar="DIR", help="files that were enhanced already"
    )
    evaluate.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help=(
            "a name that `skvae models` lists, or a model file, to enhance the noisy "
            "files; may be given several times"
        ),
    )
    evaluate.add_argument(
        "--metrics",
        default="si_sdr,sdr,pesq,estoi",
        metavar="NAMES",
        help="separated by commas (default: %(default)s)",
    )
    evaluate.add_argument(
        "-o",
        "--output",
        "--csv",
        metavar="CSV",
        help="file to write, a row for each file and what was made of it",
    )
    evaluate.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="files scored side by side; -1: as many as cores (default: 1)",
    )
    evaluate.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="score on the workers of this dask scheduler, which see the same files",
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
            "      --set training__max_iter=20 --set hidden_layer_sizes=64 \\\n"
            "      -o small.safetensors\n"
            "  skvae train my-recipe.toml --clean speech/ -o mine.safetensors\n"
            "  skvae enhance noisy.wav -o enhanced.wav --model mine.safetensors\n"
            "  torchrun --nproc_per_node 2 -m skvae train --method dnvae-nmf \\\n"
            "      --clean speech/ --noise noise/ -o mine.safetensors"
        ),
        formatter_class=_HelpFormatter,
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
        help=(
            "a recipe of the package: best, bilstm-mask, dnn-mask, dnvae-nmf, "
            "speech-vae or vae-nmf"
        ),
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
        help="change a parameter of the recipe: vae__training__max_iter=20",
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
        formatter_class=_HelpFormatter,
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
        help="change speech and noise at random: speeds, equalizers, sums, gains",
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
        epilog=(
            "examples:\n"
            "  skvae demo\n"
            "  skvae demo --snr -5 --seed 1 -o harder/\n"
            "  skvae demo --model log-mmse -o log-mmse/"
        ),
        formatter_class=_HelpFormatter,
    )
    demo.add_argument(
        "-o",
        "--output",
        default="skvae-demo",
        metavar="DIR",
        help="folder for the results (default: %(default)s)",
    )
    _add_model(demo, _DEFAULT_MODEL)
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
        metavar="NAME|FILE",
        help=f"a name that `skvae models` lists, or a model file{shown}",
    )


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps a description, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


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
