"""``skvae evaluate``: how close recordings are to the clean ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from skvae.cli.errors import CommandError
from skvae.cli.models import check_name
from skvae.datasets.audio import AudioFile, find_audio

if TYPE_CHECKING:
    import pandas


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
    from skvae.summary import format_summary, summarize

    metrics = [name.strip() for name in arguments.metrics.split(",") if name.strip()]
    if arguments.jobs == 0:
        raise CommandError("--jobs must not be 0.", status=2)
    if arguments.csv is not None and not Path(arguments.csv).absolute().parent.is_dir():
        raise CommandError(f"--csv {arguments.csv}: there is no such folder.", status=2)
    noisy, clean = _pair(arguments.noisy, arguments.clean)
    systems = {"noisy": (None, noisy, clean)}
    if arguments.enhanced is not None:
        systems["enhanced"] = (None, *_pair(arguments.enhanced, arguments.clean))
    elif arguments.model is not None:
        check_name(arguments.model)
        systems[arguments.model] = (arguments.model, noisy, clean)

    import pandas

    tables = []
    for name, (model, inputs, targets) in systems.items():
        try:
            table = _score(model, inputs, targets, metrics, arguments)
        except (ImportError, ValueError) as error:
            raise CommandError(str(error), status=2) from error
        tables.append(table.assign(system=name))
    rows = pandas.concat(tables)
    for name in systems:
        summary = summarize(rows[rows["system"] == name], metrics=metrics)
        print(f"{name}\n{format_summary(summary)}\n")
    if arguments.csv is not None:
        rows.to_csv(arguments.csv)
    failed = rows[rows["error"].notna()]
    for file, reason in zip(failed["file"], failed["error"], strict=True):
        print(f"failed: {file}: {reason}", file=sys.stderr)
    return 0 if failed.empty else 1


def _score(
    model: str | None,
    inputs: list[AudioFile],
    targets: list[AudioFile],
    metrics: list[str],
    arguments: argparse.Namespace,
) -> pandas.DataFrame:
    """Score files by the enhancer for their sample rate, as `enhance` chooses it."""
    import pandas

    from skvae.cli.enhance import Settings, make_enhancer
    from skvae.evaluation import evaluate
    from skvae.pretrained import has_own_rate

    groups: dict[int | None, list[int]] = {}
    for k, audio in enumerate(inputs):
        groups.setdefault(_rate(audio), []).append(k)
    tables = []
    for rate, places in groups.items():
        enhancer = None
        if model is not None and rate is not None:
            made_for = None if has_own_rate(model) else rate
            enhancer = make_enhancer(Settings(model, None, None), made_for)
            rate = enhancer.stft_.sample_rate
        pairs = [
            [
                AudioFile(audio.path, sample_rate=rate)
                for audio in (inputs[k], targets[k])
            ]
            for k in places
        ]
        table = evaluate(
            enhancer,
            [pair[0] for pair in pairs],
            [pair[1] for pair in pairs],
            metrics,
            n_jobs=arguments.jobs,
            verbose=0 if arguments.quiet else 1,
        )
        tables.append(table.set_index(pandas.Index(places, name=table.index.name)))
    return pandas.concat(tables).sort_index()


def _rate(audio: AudioFile) -> int | None:
    try:
        return audio.sample_rate
    except (OSError, ValueError):
        return None  # told in the file's row


def _pair(folder: str, clean_folder: str) -> tuple[list, list]:
    """Audio files of a folder, and the clean ones of the same relative names."""
    files = {}
    for name in (folder, clean_folder):
        try:
            found = find_audio(name)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        stems = [
            Path(audio.path).relative_to(name).with_suffix("").as_posix()
            for audio in found
        ]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        if twice:
            raise CommandError(
                f"{name} holds several files called {twice[0]} with different endings."
            )
        files[name] = dict(zip(stems, found, strict=True))
    ours, clean = files[folder], files[clean_folder]
    missing = sorted(set(ours) - set(clean))
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise CommandError(
            f"{len(missing)} of {len(ours)} files of {folder} have no file of the same "
            f"name in {clean_folder}: {shown}."
        )
    return list(ours.values()), [clean[name] for name in ours]
