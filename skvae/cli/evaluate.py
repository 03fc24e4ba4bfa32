"""``skvae evaluate``: how close recordings are to the clean ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from skvae.cli.errors import CommandError
from skvae.cli.models import check_name


def run(arguments: argparse.Namespace) -> int:
    """Score pairs of files of the same names.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the parser made of the command line.

    Returns
    -------
    int
        0 only if every file was scored.
    """
    from skvae.evaluation import evaluate, format_summary, summarize

    metrics = [name.strip() for name in arguments.metrics.split(",") if name.strip()]
    noisy, clean = _pair(arguments.noisy, arguments.clean)
    systems: dict[str, tuple[Any, list]] = {"noisy": (None, noisy)}
    if arguments.enhanced is not None:
        enhanced, _ = _pair(arguments.enhanced, arguments.clean)
        systems[arguments.enhanced] = (None, enhanced)
    elif arguments.model is not None:
        check_name(arguments.model)
        systems[arguments.model] = (_load(arguments.model, noisy[0]), noisy)

    import pandas

    tables = []
    for name, (estimator, inputs) in systems.items():
        try:
            table = evaluate(
                estimator,
                inputs,
                clean,
                metrics,
                n_jobs=arguments.jobs,
                verbose=0 if arguments.quiet else 1,
            )
        except (ImportError, ValueError) as error:
            raise CommandError(str(error), status=2) from error
        tables.append(table.assign(system=name))
    rows = pandas.concat(tables)
    summary = summarize(rows, by="system", metrics=metrics)
    print(format_summary(summary[summary["system"].isin(list(systems))]))
    if arguments.csv is not None:
        rows.to_csv(arguments.csv)
    failed = rows[rows["error"].notna()]
    for file, reason in zip(failed["file"], failed["error"], strict=True):
        print(f"failed: {file}: {reason}", file=sys.stderr)
    return 0 if failed.empty else 1


def _load(model: str, first: Any) -> Any:
    from skvae.cli.enhance import Settings, make_enhancer

    return make_enhancer(Settings(model, None, None), first.sample_rate)


def _pair(folder: str, clean_folder: str) -> tuple[list, list]:
    """Audio files of a folder, and the clean ones of the same relative names."""
    from skvae.datasets.audio import find_audio

    files = {}
    for name in (folder, clean_folder):
        try:
            found = find_audio(name)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        files[name] = {
            Path(audio.path).relative_to(name).with_suffix("").as_posix(): audio
            for audio in found
        }
    ours, clean = files[folder], files[clean_folder]
    missing = sorted(set(ours) - set(clean))
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise CommandError(
            f"{len(missing)} of {len(ours)} files of {folder} have no file of the same "
            f"name in {clean_folder}: {shown}."
        )
    return list(ours.values()), [clean[name] for name in ours]
