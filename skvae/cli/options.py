"""Options that several verbs have, and the layout of their help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from skvae.cli.models import default_model

#: Exit statuses, as the help of a verb tells them.
STATUS = "exit status: 0 if all files were {done}, 1 if not, 2 for a usage error"


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps the description and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def describe(
    parser: argparse.ArgumentParser, description: str, examples: Sequence[str]
) -> None:
    """Set the text above and below the options.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    description : str
        What the verb does.
    examples : sequence of str
        Lines of commands; other lines may follow.
    """
    parser.description = description
    parser.epilog = "\n".join(["examples:", *examples])
    parser.formatter_class = HelpFormatter


def add_model(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add ``--model`` and ``--allow-class``.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    several : bool, default=False
        Whether the option may be given several times, each time with one model.
    """
    which = "a name that `skvae models` lists, a model file, or package.module:Class, "
    which += "an enhancer class of yours"
    if several:
        parser.add_argument(
            "--model",
            action="append",
            default=[],
            metavar="MODEL",
            help=f"{which}; enhances the noisy files; may be given several times",
        )
    else:
        parser.add_argument(
            "--model", metavar="MODEL", help=f"{which} (default: {default_model()})"
        )
    add_allowed(parser, "a model file")


def add_allowed(parser: argparse.ArgumentParser, where: str) -> None:
    """Add ``--allow-class``.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    where : str
        What may name the class.
    """
    parser.add_argument(
        "--allow-class",
        action="append",
        default=[],
        metavar="CLASS",
        help=(
            f"package.module:Class outside skvae that {where} may use; it is imported; "
            "may be given several times"
        ),
    )


def add_workers(parser: argparse.ArgumentParser, doing: str, done: str) -> None:
    """Add ``--jobs`` and ``--dask``.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    doing, done : str
        The work, in the infinitive and as a participle.
    """
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help=f"number of files {done} at the same time; -1: one per core (default: 1)",
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help=f"{doing} on the workers of this dask scheduler, which see the same files",
    )


def add_device(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--device``.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    default : str
        What "auto" means.
    """
    parser.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help=f"device of the networks (default: {default})",
    )


def add_volume(parser: argparse.ArgumentParser, told: str) -> None:
    """Add ``--quiet`` and ``--verbose``, which exclude each other.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    told : str
        What ``--verbose`` prints, besides tracebacks.
    """
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("--quiet", action="store_true", help="print only errors")
    volume.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help=f"print {told}, and the traceback of errors",
    )
