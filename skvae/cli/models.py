"""``skvae models``: what --model knows."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from skvae.cli.errors import CommandError

if TYPE_CHECKING:
    from skvae.storage.model_files import ModelFile

#: What is used unless something else is asked for: the first where the package has it.
_DEFAULTS = ("best", "log-mmse")

#: Columns of the lines of a card.
_WIDTH = 88


def run(arguments: argparse.Namespace) -> int:
    """Print a line a model, and what is known of those that were trained.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the parser made of the command line.

    Returns
    -------
    int
        Exit status.
    """
    from skvae.storage.pretrained import list_models

    if arguments.name is not None:
        print(_card(arguments.name))
        return 0

    try:
        models = list_models()
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    width = max(len(model.name) for model in models)
    default = default_model()
    for model in models:
        mark = " (default)" if model.name == default else ""
        print(f"{model.name:{width}}  {model.description}{mark}")
        if model.file is not None:
            lines = [*_describe(model.file)]
            if model.file.card.attributions:
                hint = f"skvae models {model.file.card.name}"
                lines.append(f"whom to name when you pass it on: {hint}")
            for line in lines:
                print(f"{'':{width}}  {line}")
    return 0


def _describe(file: ModelFile) -> Iterator[str]:
    card = file.card
    facts = [f"{file.n_bytes / 1e6:.1f} MB"]
    if file.sample_rate is not None:
        facts.append(f"{file.sample_rate / 1000:g} kHz")
    if card.licence:
        facts.append(card.licence)
    yield ", ".join(facts)
    if card.training_data:
        yield f"trained on {card.training_data}"
    for title, figure in card.figures.items():
        yield f"{title}: {figure if isinstance(figure, str) else f'{figure:g}'}"


def _card(name: str) -> str:
    """All that is known of a model."""
    from skvae.storage.model_files import read_summary
    from skvae.storage.pretrained import find_model_file, list_models

    check_name(name)
    path = find_model_file(name)
    if path is None:
        [model] = [model for model in list_models() if model.name == name]
        return f"{name}: {model.description}"
    try:
        file = read_summary(path)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    card = file.card
    lines = [f"{card.name}: {card.description or file.estimator}"]
    lines += _describe(file)
    if card.attributions:
        lines += ["", "made of recordings by"]
        lines += [
            textwrap.fill(
                line,
                _WIDTH,
                initial_indent="* ",
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
            for line in card.attributions
        ]
    return "\n".join(lines)


def default_model() -> str:
    """Name of the model that is used unless --model names one.

    Returns
    -------
    str
        "best", the trained model that comes with the package; or a method, without it.

    Examples
    --------
    >>> default_model() in ("best", "log-mmse")
    True
    """
    from skvae.storage.pretrained import model_names

    names = model_names()
    return next(name for name in _DEFAULTS if name in names)


def check_name(name: str) -> None:
    """End the command if there is no such model.

    Parameters
    ----------
    name : str
        As given to --model: a name or a path.

    Raises
    ------
    CommandError
        If it is neither.
    """
    from skvae.storage.pretrained import find_model_file, model_names

    try:
        find_model_file(name)
    except OSError as error:
        raise CommandError(f"--model {error}", status=2) from error
    except ValueError as error:
        raise CommandError(
            f"--model {name}: there is no such model; choose from "
            f"{', '.join(model_names())}, or name a model file.",
            status=2,
        ) from error
