"""Scores that ``skvae evaluate`` writes, and the settings that made them."""

from __future__ import annotations

import argparse
import hashlib
import platform
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas

from skvae._version import __version__
from skvae.base import BaseEnhancer
from skvae.cli.enhancers import Settings
from skvae.cli.errors import CommandError
from skvae.cli.evaluate_report import to_json
from skvae.storage.names import file_hash
from skvae.storage.pretrained import find_model_file
from skvae.utils.files import written_whole
from skvae.utils.words import shown

#: Packages whose versions may change a score.
_PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "torch", "soundfile", "soxr", "pandas"),
    *("pystoi", "pesq"),
)


def settings_path(output: str) -> str:
    """Name of the file with the settings, next to the table of scores.

    Parameters
    ----------
    output : str
        Name of the table.

    Returns
    -------
    str

    Examples
    --------
    >>> settings_path("scores.csv")
    'scores.json'
    """
    return str(Path(output).with_suffix(".json"))


def describe_model(
    model: Settings, enhancers: Sequence[BaseEnhancer]
) -> dict[str, Any]:
    """Describe a model so that it can be recognized.

    Parameters
    ----------
    model : Settings
        Model and its options.
    enhancers : sequence of BaseEnhancer
        Enhancers that were made of it, one per sample rate.

    Returns
    -------
    dict
        Name, file and its SHA-256 checksum (None for a method), and of each enhancer
        its class, sample rate, seed and parameters.
    """
    path = find_model_file(model.model)
    return {
        "model": model.model,
        "file": None if path is None else path.name,
        "sha256": None if path is None else file_hash(path),
        "enhancers": [_describe(enhancer) for enhancer in enhancers],
    }


def collect_settings(
    arguments: argparse.Namespace,
    *,
    metrics: Sequence[str],
    n_failed: int,
    systems: Mapping[str, Any],
) -> dict[str, Any]:
    """Collect what the scores depend on.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments of ``skvae evaluate``.
    metrics : sequence of str
        Names of the metrics.
    n_failed : int
        Number of rows with an error.
    systems : mapping of str to dict
        Description of each system.

    Returns
    -------
    dict
    """
    return {
        "command": shlex.join(["skvae", *arguments.words]),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "metrics": list(metrics),
        "intervals": {"confidence": 0.95, "n_resamples": 2000, "random_state": 0},
        "clean": arguments.clean,
        "reference": arguments.reference,
        "systems": dict(systems),
        "errors": n_failed,
    }


def write_scores(
    rows: pandas.DataFrame,
    output: str,
    settings: Mapping[str, Any],
    *,
    overwrite: bool,
) -> None:
    """Write the table of scores and the settings, both or neither.

    Parameters
    ----------
    rows : DataFrame
        Scores.
    output : str
        CSV file of the scores. The settings go to :func:`settings_path`.
    settings : mapping
        Settings, which get the checksum of the table.
    overwrite : bool
        Whether to replace files.

    Raises
    ------
    CommandError
        If a file cannot be written.
    """
    data = rows.to_csv().encode()
    about = {
        "name": Path(output).name,
        "rows": len(rows),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    told = to_json({**settings, "table": about}) + "\n"
    try:
        with ExitStack() as stack:
            # The table, which is entered last, is moved first.
            for path, content in (
                (settings_path(output), told.encode()),
                (output, data),
            ):
                file = stack.enter_context(written_whole(path, overwrite=overwrite))
                file.write(content)
    except OSError as error:
        name = error.filename if error.filename is not None else output
        raise CommandError(f"-o {shown(name)}: {error.strerror}.") from error


def _describe(enhancer: BaseEnhancer) -> dict[str, Any]:
    kind = type(enhancer)
    parameters = enhancer.get_params(deep=True)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "sample_rate": enhancer.stft_.sample_rate,
        "seed": enhancer.seed_,
        # Parts are told by their class, and their parameters have names of their own.
        "parameters": {
            name: type(value).__name__ if hasattr(value, "get_params") else value
            for name, value in sorted(parameters.items())
        },
    }


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {
        "skvae": __version__,
        "python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
