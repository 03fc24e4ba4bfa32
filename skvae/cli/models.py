"""``skvae models``: what --model knows."""

from __future__ import annotations

import argparse

from skvae.cli.errors import CommandError
from skvae.cli.main import DEFAULT_MODEL


def run(arguments: argparse.Namespace) -> int:
    """Print a line a model.

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

    models = list_models()
    width = max(len(model.name) for model in models)
    for model in models:
        default = " (default)" if model.name == DEFAULT_MODEL else ""
        print(f"{model.name:{width}}  {model.description}{default}")
    return 0


def check_name(name: str) -> None:
    """End the command if there is no such model.

    Parameters
    ----------
    name : str
        As given to --model.

    Raises
    ------
    CommandError
        If it is unknown.
    """
    from skvae.pretrained import list_models

    names = [model.name for model in list_models()]
    if name not in names:
        raise CommandError(
            f"--model {name}: there is no such model; choose from {', '.join(names)}.",
            status=2,
        )
