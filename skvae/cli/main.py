"""``skvae``: the parser, and how a verb is run."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any

from skvae._version import __version__
from skvae.cli.errors import CommandError, reason_of
from skvae.cli.streams import drop_output, fill_closed_streams, flush_output
from skvae.utils.memory import is_out_of_memory
from skvae.utils.words import shown

#: Verbs. Each has a module with ``run``, and one in ``parsers`` with its arguments, so
#: that help does not wait for PyTorch or scikit-learn.
VERBS = {
    "enhance": "enhance recordings",
    "evaluate": "score enhanced recordings against clean ones",
    "train": "train a model on recordings",
    "mix": "mix clean speech with noise",
    "models": "list the models",
    "demo": "enhance an example and show the result",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Words of the command line; None means those of the process.

    Returns
    -------
    int
        Exit status: 0 if everything was done, 1 if something failed, 2 for a usage
        error.

    Examples
    --------
    >>> main(["--version"])
    Traceback (most recent call last):
        ...
    SystemExit: 0
    """
    fill_closed_streams()
    words = sys.argv[1:] if argv is None else argv
    arguments = make_parser(words[:1]).parse_args(words)
    arguments.words = list(words)
    warnings.showwarning = _show_warning
    try:
        status: int = _module(arguments.command).run(arguments)
        flush_output()
        return status
    except CommandError as error:
        return _tell(arguments, str(error), error.status)
    except BrokenPipeError:
        # The reader of the output is gone: there is nobody to tell.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return _tell(arguments, "interrupted", 130)
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        hint = 'the tables need the package pandas: pip install "skvae[evaluate]".'
        return _tell(arguments, hint, 1)
    except Exception as error:
        if not (isinstance(error, OSError) or is_out_of_memory(error)):
            raise
        if getattr(arguments, "verbose", False):
            traceback.print_exc()
        return _tell(arguments, _describe(error), 1)


def _tell(arguments: argparse.Namespace, message: str, status: int) -> int:
    """Print why a command ends, and return its exit status."""
    drop_output()
    print(f"skvae {arguments.command}: {message}", file=sys.stderr)
    return status


def _describe(error: Exception) -> str:
    """Describe an error of the system that no verb expects."""
    if is_out_of_memory(error):
        return "there is not enough memory."
    try:
        os.getcwd()
    except OSError:
        return "the working directory does not exist any more: change to another one."
    return f"{shown(reason_of(error))}."


def make_parser(verbs: Collection[str] = tuple(VERBS)) -> argparse.ArgumentParser:
    """Build the parser.

    Parameters
    ----------
    verbs : collection of str, default=all
        Verbs that get their arguments.

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
        description="Speech enhancement: remove noise from recordings of speech.",
    )
    parser.add_argument("--version", action="version", version=f"skvae {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for verb, summary in VERBS.items():
        subparser = subparsers.add_parser(verb, help=summary)
        if verb in verbs:
            import_module(f"skvae.cli.parsers.{verb}").add_arguments(subparser)
    return parser


def _module(verb: str) -> Any:
    return import_module(f"skvae.cli.{verb}")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Print a warning without the line of code that gave it."""
    print(f"warning: {shown(str(message))}", file=sys.stderr)
