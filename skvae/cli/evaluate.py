"""``skvae evaluate``: scores of recordings against the clean ones."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas

from skvae.cli.enhancers import Settings, choose_model, make_enhancer
from skvae.cli.errors import CommandError
from skvae.cli.files import check_output, find_recordings, shown
from skvae.cli.options import STATUS, add_model, add_workers, describe
from skvae.datasets.audio import AudioFile
from skvae.datasets.audio_folder import EXTENSIONS
from skvae.datasets.mixing.pairs import SYNTHETIC, TABLE
from skvae.evaluation.scores import evaluate
from skvae.evaluation.summary import (
    compare,
    format_comparison,
    format_summary,
    summarize,
)
from skvae.metrics import METRICS
from skvae.utils.files import written_whole
from skvae.utils.workers import workers

#: Names of the systems that are no models.
_NOISY, _ENHANCED = "noisy", "enhanced"

#: Number of folders above the recordings in which a table of pairs is searched.
_N_ABOVE = 2

#: Ratios are rounded to half a decibel; with more groups than these, to ranges.
_SNR_DIGIT, _MAX_GROUPS, _SNR_RANGE = 0.5, 8, 5.0


class System(NamedTuple):
    """A model, or None for files that are scored as they are, and the files."""

    model: Settings | None
    folder: Path
    files: dict[str, AudioFile]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    """
    describe(
        parser,
        "Score recordings against the clean ones of the same names: the noisy input, "
        "and the output of models or of another tool. Prints means with 95 % "
        "confidence intervals, and paired differences to the noisy input: for all "
        "files, by signal-to-noise ratio, and by kind of noise. Both are read from a "
        "pairs.csv, as skvae mix writes it, next to the files or in a folder above "
        "them; without one, the ratio is measured, and kinds of noise are not "
        "distinguished.",
        [
            "  skvae mix --clean speech/ --noise noise/ --snr 0 5 10 -o pairs/",
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\",
            "      --model wiener --model log-mmse -o scores.csv",
            "  skvae evaluate --clean pairs/clean --enhanced theirs/ --metrics pesq",
            "  skvae evaluate --clean pairs/clean --noisy pairs/noisy \\",
            "      --enhanced theirs/ --dask tcp://192.168.0.7:8786",
            STATUS.format(done="scored"),
        ],
    )
    parser.add_argument("--clean", required=True, metavar="DIR", help="clean files")
    parser.add_argument("--noisy", metavar="DIR", help="noisy files")
    parser.add_argument(
        "--enhanced", metavar="DIR", help="files that another tool has enhanced"
    )
    add_model(parser, several=True)
    parser.add_argument(
        "--metrics",
        default="si_sdr,sdr,pesq,estoi",
        metavar="NAMES",
        help=f"metrics, separated by commas, from {', '.join(METRICS)} "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        "--csv",
        metavar="CSV",
        help="table of all scores, with a row for each file and system",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the table if it exists"
    )
    add_workers(parser, "score", "scored")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Score files against the clean ones of the same names.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments.

    Returns
    -------
    int
        Exit status: 0 if every file was scored.
    """
    metrics = [name.strip() for name in arguments.metrics.split(",") if name.strip()]
    if not metrics:
        raise CommandError("--metrics must name at least one.", status=2)
    models = _check(arguments)
    clean = _find(arguments.clean)
    systems = _choose_systems(arguments, models, clean)
    _check_output(arguments, [clean, *(system.files for system in systems.values())])
    known = _read_known(arguments, [*next(iter(systems.values())).files])

    tables = {}
    try:
        with workers(arguments.jobs, arguments.dask) as options:
            for name, system in systems.items():
                tables[name] = _score(
                    system,
                    clean,
                    # The ratio is that of the noisy input.
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
    failed = _write(tables, arguments.output, arguments.overwrite)
    return 1 if failed else 0


def snr(clean: np.ndarray, noisy: np.ndarray) -> float:
    """Signal-to-noise ratio in dB: power of the speech over that of the difference.

    Parameters
    ----------
    clean, noisy : ndarray of shape (n_samples,)
        Speech, and a mixture with that speech at the same level.

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


def _check(arguments: argparse.Namespace) -> dict[str, Settings]:
    """Check the options before any recording is read; give the models by name."""
    if arguments.jobs == 0:
        raise CommandError("--jobs must not be 0.", status=2)
    if arguments.noisy is None and arguments.enhanced is None:
        raise CommandError("give --noisy DIR, --enhanced DIR, or both.", status=2)
    if arguments.model and arguments.noisy is None:
        raise CommandError("--model needs --noisy DIR, the files to enhance.", status=2)
    # Processes do not share a GPU.
    alone = arguments.jobs == 1 and arguments.dask is None
    return {
        name: choose_model(name, arguments.allow_class)._replace(
            device="auto" if alone else "cpu"
        )
        for name in arguments.model
    }


def _check_output(
    arguments: argparse.Namespace, inputs: Sequence[dict[str, AudioFile]]
) -> None:
    """Check that the table does not replace what must be kept."""
    output = arguments.output
    if output is None:
        return
    if Path(output).suffix.lower() in EXTENSIONS:
        raise CommandError(
            f"-o {shown(output)} ends like a recording, and the table is a CSV file.",
            status=2,
        )
    read: list[str | Path] = [
        audio.path for files in inputs for audio in files.values()
    ]
    read += [*_tables_of_pairs(arguments), *filter(os.path.isfile, arguments.model)]
    check_output("-o", output, arguments.overwrite, read)


def _choose_systems(
    arguments: argparse.Namespace,
    models: dict[str, Settings],
    clean: dict[str, AudioFile],
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
                f"{arguments.noisy} and {arguments.enhanced} do not contain the same "
                f"files: only one has {_some(sorted(noisy ^ enhanced))}."
            )
    for name, model in models.items():
        systems[name] = systems[_NOISY]._replace(model=model)
    return systems


def _find(folder: str) -> dict[str, AudioFile]:
    """Audio files below a folder, by their names in it without endings."""
    files: dict[str, AudioFile] = {}
    for audio in find_recordings(folder):
        name = Path(audio.path).relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise CommandError(
                f"{folder} contains several files called {name} with different endings."
            )
        files[name] = audio
    # The order does not depend on the endings.
    return dict(sorted(files.items()))


def _read_known(
    arguments: argparse.Namespace, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read ratios and kinds of noise from a table of pairs near the recordings."""
    for path in _tables_of_pairs(arguments):
        try:
            with open(path, newline="", encoding="utf-8") as file:
                pairs = {row["pair"]: row for row in csv.DictReader(file)}
            rows = [pairs[name] for name in names]
            return {
                "snr": np.array([float(row["snr_db"]) for row in rows]),
                "noise": np.array([_noise(row) for row in rows]),
            }
        except (OSError, KeyError, TypeError, ValueError) as error:
            # It may be the table of other pairs, and the user has not named it.
            print(
                f"warning: {path} is not used, since it does not describe each file "
                f"({type(error).__name__}: {error})",
                file=sys.stderr,
            )
    return {}


def _tables_of_pairs(arguments: argparse.Namespace) -> list[Path]:
    """List the tables of pairs in the folders of recordings, and in those above."""
    folders = [
        folder
        for given in (arguments.clean, arguments.noisy, arguments.enhanced)
        if given is not None
        for folder in [Path(given).absolute(), *Path(given).absolute().parents][
            : 1 + _N_ABOVE
        ]
    ]
    paths = (folder / TABLE for folder in dict.fromkeys(folders))
    return [path for path in paths if path.is_file()]


def _noise(row: dict[str, str]) -> str:
    """Kind of noise: where it was recorded, or how it was synthesized."""
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
    groups: dict[int | None, list[str]] = {}
    for name, audio in system.files.items():
        groups.setdefault(_rate(audio), []).append(name)
    tables = []
    for rate, names in groups.items():
        enhancer = None
        if system.model is not None and rate is not None:
            made_for = None if system.model.has_own_rate else rate
            enhancer = make_enhancer(system.model, made_for)
            rate = enhancer.stft_.sample_rate
        noisy, target = (
            # Workers on other machines have another current folder.
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
        # Show the paths as the user gave them.
        table["file"] = [system.files[name].path for name in names]
        tables.append(table.set_index(pandas.Index(names, name="utterance")))
    return pandas.concat(tables).reindex(list(system.files))


def _rate(audio: AudioFile) -> int | None:
    try:
        return audio.sample_rate
    except (OSError, ValueError):
        return None  # the row of the file has the error


def _with_known(
    table: pandas.DataFrame, known: dict[str, np.ndarray]
) -> pandas.DataFrame:
    for place, (name, values) in enumerate(known.items(), start=1):
        table.insert(place, name, values)
    return table


def _report(tables: dict[str, pandas.DataFrame], metrics: list[str]) -> str:
    """Format the means of each system, and its gains over the noisy input."""
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

            parts += [
                f"{name} minus noisy",
                format_comparison(_by_groups(groups, gain)),
            ]
            parts.append("")
    parts.append("Means with 95 % confidence intervals from a bootstrap.")
    return "\n".join(parts)


def _groups(table: pandas.DataFrame) -> list[tuple[str, pandas.DataFrame]]:
    """Group the rows: all, by ratio, and by kind of noise."""
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
    """Label each ratio with the sort key and the name of its group."""
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
    parts = []
    for name, rows in groups:
        part = summarized(rows)
        part.insert(0, "", name)
        parts.append(part)
    return pandas.concat(parts, ignore_index=True)


def _write(
    tables: dict[str, pandas.DataFrame], output: str | None, overwrite: bool
) -> bool:
    """Write all rows, print the failures, and return whether there are any."""
    rows = pandas.concat([table.assign(system=name) for name, table in tables.items()])
    if output is not None:
        try:
            with written_whole(output, overwrite=overwrite) as file:
                rows.to_csv(file)
        except OSError as error:
            raise CommandError(f"-o {output}: {error.strerror}.") from error
    failed = rows[rows["error"].notna()]
    for file, reason in zip(failed["file"], failed["error"], strict=True):
        print(f"failed: {file}: {reason}", file=sys.stderr)
    return not failed.empty


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
