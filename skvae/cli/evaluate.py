"""``skvae evaluate``: how close recordings are to the clean ones."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skvae.cli.errors import CommandError
from skvae.cli.files import find_recordings
from skvae.cli.models import check_name
from skvae.datasets.audio import AudioFile
from skvae.datasets.mixing.pairs import SYNTHETIC, TABLE

if TYPE_CHECKING:
    import pandas

#: Names of the systems that are no models.
_NOISY, _ENHANCED = "noisy", "enhanced"

#: Folders above the recordings in which a table of pairs is looked for.
_N_ABOVE = 2

#: Ratios are told to half a decibel; if that makes more groups than these, in ranges.
_SNR_DIGIT, _MAX_GROUPS, _SNR_RANGE = 0.5, 8, 5.0


class System(NamedTuple):
    """What is scored: a model, or None for files as they are, and the files."""

    model: str | None
    folder: Path
    files: dict[str, AudioFile]


def run(arguments: argparse.Namespace) -> int:
    """Score files against the clean ones of the same names.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the parser made of the command line.

    Returns
    -------
    int
        0 only if every file was scored.
    """
    from skvae.utils.workers import workers

    metrics = [name.strip() for name in arguments.metrics.split(",") if name.strip()]
    if not metrics:
        raise CommandError("--metrics must name at least one.", status=2)
    _check(arguments)
    clean = _find(arguments.clean)
    systems = _choose_systems(arguments, clean)
    known = _read_known(arguments, [*next(iter(systems.values())).files])

    tables = {}
    try:
        with workers(arguments.jobs, arguments.dask) as options:
            for name, system in systems.items():
                tables[name] = _score(
                    system,
                    clean,
                    # The noise is all that noisy speech differs by.
                    [*metrics, snr]
                    if name == _NOISY and "snr" not in known
                    else metrics,
                    n_jobs=options["n_jobs"],
                    arguments=arguments,
                )
    except (ImportError, ValueError) as error:
        raise CommandError(str(error), status=2) from error
    except ConnectionError as error:
        raise CommandError(f"--dask: {error}") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] != "distributed":
            raise
        raise CommandError(f"--dask: {error}") from error

    if _NOISY in tables and "snr" not in known:
        known["snr"] = tables[_NOISY].pop("snr").to_numpy()
    for name, table in tables.items():
        tables[name] = _with_known(table, known)
    print(_report(tables, metrics))
    failed = _write(tables, arguments.output)
    return 1 if failed else 0


def snr(clean: np.ndarray, noisy: np.ndarray) -> float:
    """Signal-to-noise ratio in dB: power of the speech over that of what is added.

    Parameters
    ----------
    clean, noisy : ndarray of shape (n_samples,)
        The speech, and the mixture at the same level.

    Returns
    -------
    float
        Infinite without noise or speech, NaN without both.

    Examples
    --------
    >>> round(snr(np.array([1.0, 1.0]), np.array([1.1, 0.9])), 3)
    20.0
    """
    noise = noisy - clean
    of_speech, of_noise = (np.vdot(x, x).astype(np.float64) for x in (clean, noise))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(of_speech / of_noise))


def _check(arguments: argparse.Namespace) -> None:
    if arguments.jobs == 0:
        raise CommandError("--jobs must not be 0.", status=2)
    if arguments.noisy is None and arguments.enhanced is None:
        raise CommandError("say --noisy DIR, --enhanced DIR, or both.", status=2)
    if arguments.model and arguments.noisy is None:
        raise CommandError("--model enhances what --noisy DIR holds.", status=2)
    output = arguments.output
    if output is not None:
        if not Path(output).absolute().parent.is_dir():
            raise CommandError(f"-o {output}: there is no such folder.", status=2)
        if Path(output).is_dir():
            raise CommandError(f"-o {output} is a folder: name a file.", status=2)
    for name in arguments.model:
        check_name(name)


def _choose_systems(
    arguments: argparse.Namespace, clean: dict[str, AudioFile]
) -> dict[str, System]:
    systems = {}
    for name, folder in ((_NOISY, arguments.noisy), (_ENHANCED, arguments.enhanced)):
        if folder is None:
            continue
        files = _find(folder)
        missing = sorted(set(files) - set(clean))
        if missing:
            raise CommandError(
                f"{len(missing)} of {len(files)} files of {folder} have no file of the "
                f"same name in {arguments.clean}: {_some(missing)}."
            )
        systems[name] = System(None, Path(folder), files)
    if len(systems) == 2:
        noisy, enhanced = (set(system.files) for system in systems.values())
        if noisy != enhanced:
            raise CommandError(
                f"{arguments.noisy} and {arguments.enhanced} do not hold the same "
                f"files: only one has {_some(sorted(noisy ^ enhanced))}."
            )
    for model in dict.fromkeys(arguments.model):
        systems[model] = systems[_NOISY]._replace(model=model)
    return systems


def _find(folder: str) -> dict[str, AudioFile]:
    """Audio files below a folder, by their names in it without endings."""
    files: dict[str, AudioFile] = {}
    for audio in find_recordings(folder):
        name = Path(audio.path).relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise CommandError(
                f"{folder} holds several files called {name} with different endings."
            )
        files[name] = audio
    # One order whatever the endings.
    return dict(sorted(files.items()))


def _read_known(
    arguments: argparse.Namespace, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """What a table of pairs beside or above the recordings tells of them."""
    folders = [
        folder
        for given in (arguments.clean, arguments.noisy, arguments.enhanced)
        if given is not None
        for folder in [Path(given).absolute(), *Path(given).absolute().parents][
            : 1 + _N_ABOVE
        ]
    ]
    for folder in dict.fromkeys(folders):
        path = folder / TABLE
        if not path.is_file():
            continue
        try:
            with open(path, newline="", encoding="utf-8") as file:
                pairs = {row["pair"]: row for row in csv.DictReader(file)}
            rows = [pairs[name] for name in names]
            return {
                "snr": np.array([float(row["snr_db"]) for row in rows]),
                "noise": np.array([_noise(row) for row in rows]),
            }
        except (OSError, KeyError, TypeError, ValueError) as error:
            # Perhaps the table of other pairs: it is no part of what was asked for.
            print(
                f"warning: {path} is not used, as it does not tell of each file "
                f"({type(error).__name__}: {error})",
                file=sys.stderr,
            )
    return {}


def _noise(row: dict[str, str]) -> str:
    """Kind of noise: where it was recorded, or else how it was made."""
    place = row["environment"]
    return row["noise_file"] if place == SYNTHETIC else place


def _score(
    system: System,
    clean: dict[str, AudioFile],
    metrics: list[Any],
    n_jobs: int | None,
    arguments: argparse.Namespace,
) -> pandas.DataFrame:
    """Score files by the enhancer for their sample rate, as `enhance` chooses it."""
    import pandas

    from skvae.evaluation.scores import evaluate
    from skvae.storage.pretrained import has_own_rate

    groups: dict[int | None, list[str]] = {}
    for name, audio in system.files.items():
        groups.setdefault(_rate(audio), []).append(name)
    tables = []
    for rate, names in groups.items():
        enhancer = None
        if system.model is not None and rate is not None:
            made_for = None if has_own_rate(system.model) else rate
            enhancer = _make_enhancer(system.model, made_for, arguments)
            rate = enhancer.stft_.sample_rate
        noisy, target = (
            # Workers elsewhere have other current folders.
            [
                AudioFile(os.path.abspath(files[name].path), sample_rate=rate)
                for name in names
            ]
            for files in (system.files, clean)
        )
        table = evaluate(
            enhancer,
            noisy,
            target,
            metrics,
            n_jobs=n_jobs,
            verbose=0 if arguments.quiet else 1,
        )
        # As they were named here, and not from the root on.
        table["file"] = [system.files[name].path for name in names]
        tables.append(table.set_index(pandas.Index(names, name="utterance")))
    return pandas.concat(tables).reindex(list(system.files))


def _make_enhancer(
    model: str, sample_rate: int | None, arguments: argparse.Namespace
) -> Any:
    from skvae.cli.enhance import Settings, make_enhancer

    # A GPU is not shared by processes.
    alone = arguments.jobs == 1 and arguments.dask is None
    settings = Settings(model, device="auto" if alone else "cpu")
    return make_enhancer(settings, sample_rate)


def _rate(audio: AudioFile) -> int | None:
    try:
        return audio.sample_rate
    except (OSError, ValueError):
        return None  # told in the file's row


def _with_known(
    table: pandas.DataFrame, known: dict[str, np.ndarray]
) -> pandas.DataFrame:
    for place, (name, values) in enumerate(known.items(), start=1):
        table.insert(place, name, values)
    return table


def _report(tables: dict[str, pandas.DataFrame], metrics: list[str]) -> str:
    """Means of each system by ratio and noise, and its gains over the noisy input."""
    from skvae.evaluation.summary import (
        compare,
        format_comparison,
        format_summary,
        summarize,
    )

    parts = []
    for name, table in tables.items():
        groups = _groups(table)
        summary = _by_groups(groups, lambda rows: summarize(rows, metrics=metrics))
        parts += [name, format_summary(summary), ""]
        if name != _NOISY and _NOISY in tables:
            noisy = tables[_NOISY].drop(columns="file")

            def gain(
                rows: pandas.DataFrame, noisy: pandas.DataFrame = noisy
            ) -> pandas.DataFrame:
                rows = rows.drop(columns="file")
                return compare(rows, noisy.loc[rows.index], metrics)

            parts += [f"{name} less noisy", format_comparison(_by_groups(groups, gain))]
            parts.append("")
    parts.append("Means, with their 95 % confidence intervals from a bootstrap.")
    return "\n".join(parts)


def _groups(table: pandas.DataFrame) -> list[tuple[str, pandas.DataFrame]]:
    """Names and rows: all, those of each ratio, and those of each kind of noise."""
    groups = [("all", table)]
    for labels in (
        _snr_labels(table["snr"].to_numpy()) if "snr" in table else [],
        [(noise, noise) for noise in table["noise"]] if "noise" in table else [],
    ):
        groups += [
            (name, table[[own == name for _, own in labels]])
            for _, name in sorted(set(labels))
        ]
    return groups


def _snr_labels(ratios: np.ndarray) -> list[tuple[float, str]]:
    """Groups of ratios: what they are sorted by, and what they are called."""
    rounded = np.round(ratios / _SNR_DIGIT) * _SNR_DIGIT + 0.0  # no -0
    if len(set(rounded[np.isfinite(ratios)].tolist())) <= _MAX_GROUPS:
        known = [(x, f"{x:g} dB") for x in rounded.tolist()]
    else:
        low = np.floor(ratios / _SNR_RANGE) * _SNR_RANGE + 0.0
        known = [(x, f"{x:g} to {x + _SNR_RANGE:g} dB") for x in low.tolist()]
    return [
        pair if np.isfinite(pair[0]) else (np.inf, "no ratio known") for pair in known
    ]


def _by_groups(
    groups: list[tuple[str, pandas.DataFrame]],
    summarized: Callable[[pandas.DataFrame], pandas.DataFrame],
) -> pandas.DataFrame:
    import pandas

    parts = []
    for name, rows in groups:
        part = summarized(rows)
        part.insert(0, "", name)
        parts.append(part)
    return pandas.concat(parts, ignore_index=True)


def _write(tables: dict[str, pandas.DataFrame], output: str | None) -> bool:
    """Write all rows, say which files failed, and whether any did."""
    import pandas

    from skvae.utils.files import written_whole

    rows = pandas.concat([table.assign(system=name) for name, table in tables.items()])
    if output is not None:
        try:
            with written_whole(output) as file:
                rows.to_csv(file)
        except OSError as error:
            raise CommandError(f"-o {output}: {error.strerror}.") from error
    failed = rows[rows["error"].notna()]
    for file, reason in zip(failed["file"], failed["error"], strict=True):
        print(f"failed: {file}: {reason}", file=sys.stderr)
    return not failed.empty


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
