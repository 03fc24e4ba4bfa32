"""``skvae evaluate``: scores of recordings against the clean ones."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas

from skvae.cli.enhancers import Settings, choose_model, make_enhancer
from skvae.cli.errors import CommandError
from skvae.cli.evaluate_report import NOISY, format_report, make_sections
from skvae.cli.evaluate_settings import (
    collect_settings,
    describe_model,
    settings_path,
    write_scores,
)
from skvae.cli.files import check_output, find_recordings
from skvae.cli.parsers.evaluate import ENHANCED
from skvae.datasets.audio import AudioFile
from skvae.datasets.audio_folder import EXTENSIONS
from skvae.datasets.mixing.pairs import SYNTHETIC, TABLE
from skvae.evaluation.scores import evaluate
from skvae.utils.words import shown, shown_lines
from skvae.utils.workers import workers

#: Number of folders above the recordings in which a table of pairs is searched.
_N_ABOVE = 2


class System(NamedTuple):
    """What is scored.

    Attributes
    ----------
    model : Settings or None
        Model; None for files that are scored as they are.
    folder : Path
        Folder of the files.
    files : dict of str to AudioFile
        Files by their names in the folder.
    """

    model: Settings | None
    folder: Path
    files: dict[str, AudioFile]


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
    inputs = [clean, *(system.files for system in systems.values())]
    _check_output(arguments, inputs, models)
    known = _read_known(arguments, [*next(iter(systems.values())).files])

    tables, enhancers = {}, {}
    try:
        with workers(arguments.jobs, arguments.dask) as options:
            for name, system in systems.items():
                tables[name], enhancers[name] = _score(
                    system,
                    clean,
                    # The ratio is that of the noisy input.
                    [*metrics, snr]
                    if name == NOISY and "snr" not in known
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

    if NOISY in tables and "snr" not in known:
        known["snr"] = tables[NOISY].pop("snr").to_numpy()
    for name, table in tables.items():
        tables[name] = _with_known(table, known)
    rows = pandas.concat([table.assign(system=name) for name, table in tables.items()])
    failed = rows[rows["error"].notna()]
    settings = collect_settings(
        arguments,
        metrics=metrics,
        n_failed=len(failed),
        systems={
            name: {"folder": str(system.folder), **enhancers[name]}
            for name, system in systems.items()
        },
    )
    sections = make_sections(tables, metrics, arguments.reference)
    report = format_report(sections, arguments.format, settings)
    try:
        if arguments.output is not None:
            write_scores(
                rows, arguments.output, settings, overwrite=arguments.overwrite
            )
    finally:  # after the table, which is kept if nobody reads the report
        print(shown_lines(report))
    for file, reason in zip(failed["file"], failed["error"], strict=True):
        print(f"failed: {shown(file)}: {shown(reason)}", file=sys.stderr)
    return 0 if failed.empty else 1


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
    for name in (NOISY, ENHANCED):
        if arguments.reference == name and getattr(arguments, name) is None:
            raise CommandError(f"--reference {name} needs --{name} DIR.", status=2)
    names = [*arguments.model, arguments.reference]
    names = [name for name in names if name not in (None, NOISY, ENHANCED)]
    if names and arguments.noisy is None:
        raise CommandError(
            "--model and --reference need --noisy DIR, the files to enhance.", status=2
        )
    # Processes do not share a GPU.
    alone = arguments.jobs == 1 and arguments.dask is None
    return {
        name: choose_model(name, arguments.allow_class)._replace(
            device="auto" if alone else "cpu"
        )
        for name in dict.fromkeys(names)
    }


def _check_output(
    arguments: argparse.Namespace,
    inputs: Sequence[dict[str, AudioFile]],
    models: Iterable[str],
) -> None:
    """Check that the table and the settings do not replace what must be kept."""
    output = arguments.output
    if output is None:
        return
    ending = Path(output).suffix.lower()
    if ending == ".json":
        raise CommandError(
            f"-o {shown(output)}: .json is the ending of the file with the settings: "
            "use .csv. --format json prints the summary as JSON.",
            status=2,
        )
    if ending in EXTENSIONS:
        raise CommandError(
            f"-o {shown(output)} ends like a recording, and the table is a CSV file.",
            status=2,
        )
    read: list[str | Path] = [
        audio.path for files in inputs for audio in files.values()
    ]
    read += [*_tables_of_pairs(arguments), *filter(os.path.isfile, models)]
    check_output("-o", output, arguments.overwrite, read)
    check_output("-o", settings_path(output), arguments.overwrite, read)


def _choose_systems(
    arguments: argparse.Namespace,
    models: dict[str, Settings],
    clean: dict[str, AudioFile],
) -> dict[str, System]:
    systems = {}
    for name, folder in ((NOISY, arguments.noisy), (ENHANCED, arguments.enhanced)):
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
        systems[name] = systems[NOISY]._replace(model=model)
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
) -> tuple[pandas.DataFrame, dict[str, Any]]:
    """Score files by the enhancer for their sample rate, as `enhance` chooses it.

    The dict describes the model for the settings.
    """
    groups: dict[int | None, list[str]] = {}
    for name, audio in system.files.items():
        groups.setdefault(_rate(audio), []).append(name)
    tables, enhancers = [], []
    for rate, names in groups.items():
        enhancer = None
        if system.model is not None and rate is not None:
            made_for = None if system.model.has_own_rate else rate
            enhancer = make_enhancer(system.model, made_for)
            enhancers.append(enhancer)
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
    about = {} if system.model is None else describe_model(system.model, enhancers)
    return pandas.concat(tables).reindex(list(system.files)), about


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


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
