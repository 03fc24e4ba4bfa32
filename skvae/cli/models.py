"""``skvae models``: what --model knows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from skvae.cli.errors import CommandError
from skvae.cli.main import DEFAULT_MODEL

if TYPE_CHECKING:
    from skvae.model_files import ModelFile


def run(arguments: argparse.Namespace) -> int:
    """Print a line a model, and what is known of those that were trained.

    Parameters
    ----------
    arguments : argparse.Namespace
        Not used.

    Returns
    -------
    int
        Exit status.
    """
    from skvae.pretrained import list_models

    try:
        models = list_models()
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    width = max(len(model.name) for model in models)
    for model in models:
        default = " (default)" if model.name == DEFAULT_MODEL else ""
        print(f"{model.name:{width}}  {model.description}{default}")
        if model.file is not None:
            for line in _describe(model.file):
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
    yield from card.attributions
    for title, figure in card.figures.items():
        yield f"{title}: {figure if isinstance(figure, str) else f'{figure:g}'}"


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
    from skvae.pretrained import find_model_file, model_names

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
