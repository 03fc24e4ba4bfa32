"""``skvae models``: the models that --model knows."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from skvae.cli.errors import CommandError
from skvae.storage.names import N_SHOWN, file_hash, is_known, model_names, packaged
from skvae.utils.words import did_you_mean, shown

if TYPE_CHECKING:
    from skvae.storage.model_files import ModelFile

#: The default model is the first of these that the package has.
_DEFAULTS = ("best", "log-mmse")

#: Columns of the lines of a card.
_WIDTH = 88


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each model, and the facts about those that were trained.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments.

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
        print(f"{shown(model.name):{width}}  {shown(model.description)}{mark}")
        if model.file is not None:
            lines = [*_describe(model.file, Path(model.path))]
            if model.file.card.attributions:
                hint = f"skvae models {shown(model.file.card.name)}"
                lines.append(f"credits, required when redistributing: {hint}")
            for line in lines:
                print(f"{'':{width}}  {line}")
    return 0


def _describe(file: ModelFile, path: Path) -> Iterator[str]:
    card = file.card
    facts = [card.date] if card.date else []
    facts += [f"{file.n_bytes / 1e6:.1f} MB"]
    if file.sample_rate is not None:
        facts.append(f"{file.sample_rate / 1000:g} kHz")
    if card.license:
        facts.append(shown(card.license))
    yield ", ".join(facts)
    digits = file_hash(path)[:N_SHOWN]
    if packaged().get(path.stem) == path:
        yield f"pinned to this file: {path.stem}@{digits}"
    else:
        yield f"SHA-256 {digits}"
    if card.training_data:
        yield f"trained on {shown(card.training_data)}"
    for title, figure in card.figures.items():
        text = figure if isinstance(figure, str) else f"{figure:g}"
        yield f"{shown(title)}: {shown(text)}"


def _card(name: str) -> str:
    """Describe a model in full."""
    from skvae.storage.classes import is_class_name
    from skvae.storage.model_files import read_summary
    from skvae.storage.pretrained import find_model_file, list_models

    check_name(name)
    path = find_model_file(name)
    if path is None:
        if is_class_name(name):
            return f"{name}: a class outside skvae"
        [model] = [model for model in list_models() if model.name == name]
        return f"{name}: {model.description}"
    try:
        file = read_summary(path)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    card = file.card
    lines = [f"{shown(card.name)}: {shown(card.description or file.estimator)}"]
    lines += _describe(file, path)
    if card.attributions:
        lines += ["", "credits of the training recordings"]
        lines += [
            textwrap.fill(
                shown(line),
                _WIDTH,
                initial_indent="* ",
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
            for line in card.attributions
        ]
    return "\n".join(lines)


def default_model() -> str:
    """Return the name of the model that is used without --model.

    Returns
    -------
    str
        "best", a trained model of the package; or a method where the package has none.

    Examples
    --------
    >>> default_model() in ("best", "log-mmse")
    True
    """
    names = model_names()
    return next(name for name in _DEFAULTS if name in names)


def check_name(name: str) -> None:
    """Raise an error if there is no such model.

    Parameters
    ----------
    name : str
        Argument of --model: a name, a path, or package.module:Class.

    Raises
    ------
    CommandError
        If it is none of these.
    """
    from skvae.storage.pretrained import find_model_file

    try:
        find_model_file(name)
    except OSError as error:
        raise CommandError(f"--model {error}", status=2) from error
    except ValueError as error:
        if is_known(name):  # pinned to another file
            raise CommandError(f"--model: {error}", status=2) from error
        raise CommandError(
            f"--model {name}: there is no such model; choose from "
            f"{', '.join(model_names())}, or name a model file or "
            "package.module:Class"
            + (f": {hint}" if (hint := did_you_mean(name, model_names())) else "."),
            status=2,
        ) from error
