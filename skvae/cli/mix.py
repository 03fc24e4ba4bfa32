"""``skvae mix``: clean speech and noise in, pairs of noisy and clean speech out."""

from __future__ import annotations

import argparse
import csv
import math
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from skvae.cli.errors import CommandError, reason_of
from skvae.cli.files import check_folder_name, find_recordings
from skvae.datasets.audio import AudioFile
from skvae.datasets.audio_folder import by_folder
from skvae.datasets.mixing.pairs import (
    COLUMNS,
    SIDES,
    TABLE,
    mix_pairs,
    take_turns,
    write_pairs,
)
from skvae.utils.progress import Progress
from skvae.utils.words import counted, shown


def run(arguments: argparse.Namespace) -> int:
    """Mix every clean recording with noise.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments.

    Returns
    -------
    int
        Exit status.
    """
    _check(arguments)
    check_folder_name("-o", arguments.output)
    target = Path(arguments.output).resolve()
    inputs = [name for name in (arguments.clean, arguments.noise) if name is not None]
    _check_target(target, arguments.output, inputs, arguments.overwrite)
    speech = _find(arguments.clean, target)
    noise = [] if arguments.noise is None else _find(arguments.noise, target)

    rng = np.random.default_rng(arguments.seed)
    # A new order for each copy pairs an utterance with other noises and ratios.
    order = [x for _ in range(arguments.copies) for x in take_turns(speech, rng)]
    rows = []
    try:
        with (
            _folder_written_whole(target, arguments.overwrite) as folder,
            Progress(
                len(order), "mixed", sys.stderr, enabled=not arguments.quiet
            ) as progress,
        ):
            pairs = mix_pairs(
                order,
                by_folder(noise),
                arguments.snr,
                rng,
                synthetic=arguments.synthetic,
                augment=arguments.augment,
            )
            for row in write_pairs(pairs, folder, len(order)):
                rows.append(row)
                progress.advance()
    except (OSError, ValueError, RuntimeError) as error:
        # soundfile raises RuntimeErrors.
        raise CommandError(f"{reason_of(error)}; nothing was written.") from error
    if not arguments.quiet:
        minutes = sum(float(row[COLUMNS.index("seconds")]) for row in rows) / 60
        n_noises = len({row[COLUMNS.index("environment")] for row in rows})
        print(
            f"wrote {counted(len(rows), 'pair')} with {counted(n_noises, 'kind')} of "
            f"noise, {minutes:.1f} minutes, to {shown(arguments.output)}",
            file=sys.stderr,
        )
    return 0


def _check(arguments: argparse.Namespace) -> None:
    for snr in arguments.snr:
        if not math.isfinite(snr):
            raise CommandError(f"--snr must be finite numbers of dB, got {snr}.", 2)
    if not 0 <= arguments.synthetic <= 1:
        raise CommandError(
            f"--synthetic must be a share from 0 to 1, got {arguments.synthetic}.", 2
        )
    if arguments.noise is None and arguments.synthetic < 1:
        raise CommandError(
            "--noise DIR is missing: name a folder of noise, or use synthetic noise "
            "with --synthetic 1.",
            status=2,
        )
    if arguments.copies < 1:
        raise CommandError(f"--copies must be at least 1, got {arguments.copies}.", 2)
    if arguments.seed < 0:
        raise CommandError(f"--seed must not be negative, got {arguments.seed}.", 2)


def _check_target(target: Path, name: str, inputs: list[str], overwrite: bool) -> None:
    """Raise an error for a folder whose content must not be replaced."""
    if not target.exists():
        return
    if not target.is_dir():
        raise CommandError(f"-o {name} is a file: name a folder.", status=2)
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise CommandError(
            f"-o {name} exists and is not empty: name another folder, or replace the "
            "pairs of an earlier run with --overwrite."
        )
    for folder in inputs:
        if target in (source := Path(folder).resolve()).parents or target == source:
            raise CommandError(f"-o {name} contains {folder}, which would be lost.")
    if not _is_ours(target):
        raise CommandError(
            f"-o {name} contains other files than skvae mix writes: --overwrite "
            "replaces only those."
        )


def _is_ours(folder: Path) -> bool:
    if {path.name for path in folder.iterdir()} != {*SIDES, TABLE}:
        return False
    try:
        with open(folder / TABLE, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, ValueError, csv.Error):
        return False
    files = {f"{row[0]}.wav" for row in rows[1:] if row}
    return rows[:1] == [list(COLUMNS)] and all(
        {path.name for path in (folder / side).iterdir()} == files for side in SIDES
    )


def _find(name: str, target: Path) -> list[AudioFile]:
    found = find_recordings(name)
    # The outputs of an earlier run below its own input are no input.
    inputs = [a for a in found if target not in Path(a.path).resolve().parents]
    if not inputs:
        raise CommandError(f"{name} contains no audio except that of -o.")
    return inputs


@contextmanager
def _folder_written_whole(target: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a new folder, which takes the place of the target at the end.

    Without `overwrite` the target is missing or empty, then as now.
    """
    token = secrets.token_hex(4)
    part, old = (
        target.with_name(f".{target.name}.{token}.{end}") for end in ("part", "old")
    )
    part.mkdir(parents=True)
    try:
        yield part
        if target.exists():
            if overwrite:
                target.rename(old)
            else:
                target.rmdir()
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    if old.exists():
        shutil.rmtree(old)
