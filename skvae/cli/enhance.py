"""``skvae enhance``: recordings in, enhanced recordings out."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from skvae.base import MAX_ATTENUATION, MAX_SECONDS
from skvae.cli.enhance_report import (
    describe_outcome,
    json_report,
    speed,
    summary,
)
from skvae.cli.enhancers import Settings, choose_model
from skvae.cli.enhancing import Outcome, enhance_all, is_done, try_model
from skvae.cli.errors import CommandError
from skvae.cli.files import Job, check_folder_name, find_jobs
from skvae.cli.journal import Journals
from skvae.datasets.audio import AudioFile
from skvae.formats.encodings import endings, format_of_ending
from skvae.utils.files import remove_parts
from skvae.utils.progress import Progress
from skvae.utils.words import shown

#: Name of standard input and output.
PIPE = "-"


class _Terminated(KeyboardInterrupt):
    """A signal ends the process, as control-C does."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


def run(arguments: argparse.Namespace) -> int:
    """Enhance files.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments.

    Returns
    -------
    int
        Exit status: 0 if every file was enhanced.
    """
    settings = _check(arguments)
    try:
        with _signals_raise():
            if PIPE in (*arguments.inputs, arguments.output):
                return _run_piped(arguments, settings)
            found = find_jobs(
                arguments.inputs,
                arguments.output,
                noise_output=arguments.noise_output,
                suffix=arguments.suffix,
                recursive=arguments.recursive,
                overwrite=arguments.overwrite,
                format=arguments.format,
            )
            if found.others and not arguments.quiet:
                print(_list_others(found.others), file=sys.stderr)
            return _run_jobs(found.jobs, arguments, settings)
    except KeyboardInterrupt as interrupt:
        number = getattr(interrupt, "number", signal.SIGINT)
        raise CommandError(
            "interrupted; run the same command again to resume.", 128 + number
        ) from None


def _check(arguments: argparse.Namespace) -> Settings:
    """Check the options before any recording is read."""
    for option in ("output", "noise_output"):
        if (name := getattr(arguments, option)) is not None:
            check_folder_name("-o" if option == "output" else "--noise-output", name)
    settings = choose_model(arguments.model, arguments.allow_class)
    if arguments.jobs == 0:
        raise CommandError("--jobs must not be 0.", status=2)
    limit, seconds = arguments.attenuation_limit, arguments.block_seconds
    if limit is not None and not 0 <= limit <= MAX_ATTENUATION:
        raise CommandError(
            f"--attenuation-limit must be from 0 to {MAX_ATTENUATION} dB, got {limit}.",
            status=2,
        )
    if seconds is not None and not 0 < seconds <= MAX_SECONDS:
        raise CommandError(
            f"--block-seconds must be more than 0 and at most {MAX_SECONDS}, got "
            f"{seconds}.",
            status=2,
        )
    if not 0 <= arguments.mix <= 1:
        raise CommandError(f"--mix must be from 0 to 1, got {arguments.mix}.", 2)
    bitrate = arguments.bitrate
    if bitrate is not None and not 0 < bitrate < math.inf:
        raise CommandError(f"--bitrate must be more than 0 kbit/s, got {bitrate}.", 2)
    if bitrate is not None and arguments.format in ("wav", "flac"):
        raise CommandError(
            f"--bitrate is for mp3, ogg and opus, and {arguments.format} has none: "
            "omit it.",
            status=2,
        )
    device = arguments.device
    if arguments.jobs != 1 and arguments.dask is None:
        if device not in ("auto", "cpu"):
            raise CommandError(
                f"--jobs {arguments.jobs} and --device {device} exclude each other: "
                "processes do not share a GPU.",
                status=2,
            )
        device = "cpu"
    profile = arguments.noise_profile
    if profile is not None:
        _check_profile(profile, settings)
        profile = os.path.abspath(profile)
    return settings._replace(
        attenuation_limit=limit,
        preset=arguments.preset,
        block_seconds=seconds,
        noise_profile=profile,
        device=device,
    )


def _check_profile(path: str, settings: Settings) -> None:
    if not settings.is_method:
        raise CommandError(
            "--noise-profile is for methods without training, and "
            f"{settings.model} has been fitted already.",
            status=2,
        )
    try:
        len(AudioFile(path))
    except (OSError, ValueError) as error:
        raise CommandError(f"--noise-profile: {error}", status=2) from error


def _run_piped(arguments: argparse.Namespace, settings: Settings) -> int:
    """Enhance standard input, or write to standard output.

    Both go through temporary files, since the header of a file contains its length.
    """
    inputs, output, noise = arguments.inputs, arguments.output, arguments.noise_output
    if output == PIPE and arguments.json:
        raise CommandError("--json prints where -o - writes: name a file.", status=2)
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise CommandError(f"{PIPE} stands for one file: name no other input.", 2)
    if inputs[0] == PIPE and sys.stdin is None:
        raise CommandError("standard input is closed: pipe a file into it.", 2)
    if output == PIPE and sys.stdout is None:
        raise CommandError("standard output is closed: redirect it to a file.", 2)
    if inputs[0] == PIPE and sys.stdin.isatty():
        raise CommandError("standard input is a terminal: pipe a file into it.", 2)
    if output == PIPE and sys.stdout.isatty():
        raise CommandError(
            "standard output is a terminal: redirect it to a file or a program.", 2
        )
    if output != PIPE and os.path.isdir(output):
        raise CommandError(f"-o {shown(output)} is a folder: name a file.", status=2)
    if noise is not None and os.path.isdir(noise):
        raise CommandError(
            f"--noise-output {shown(noise)} is a folder: name a file.", status=2
        )
    with tempfile.TemporaryDirectory(prefix="skvae-") as folder:
        source, target = Path(inputs[0]), Path(output)
        if inputs[0] == PIPE:
            source = Path(folder, "input")
            _store_input(source)
        chosen = arguments.format
        if output == PIPE:
            target = Path(folder, "output")
        elif chosen is None:
            chosen = format_of_ending(target, source)
        elif target.suffix.lower() not in endings(chosen):
            raise CommandError(
                f"-o {shown(target)} does not end in {' or '.join(endings(chosen))}, "
                f"the endings of --format {chosen}.",
                status=2,
            )
        name = "standard input" if inputs[0] == PIPE else shown(source)
        job = Job(name, source, target, None if noise is None else Path(noise), chosen)
        status = _run_jobs([job], arguments, settings)
        if output == PIPE and status == 0:
            _pass_on(target)
    return status


def _list_others(paths: Sequence[Path]) -> str:
    """Describe files of folders that are not read."""
    counts = Counter(path.suffix.lower() or "without an ending" for path in paths)
    kinds = ", ".join(f"{n} {shown(kind)}" for kind, n in counts.most_common())
    return (
        f"not read, since the ending of the name is not one of sound: {kinds} (name a "
        "file itself to try it)"
    )


def _store_input(path: Path) -> None:
    """Copy standard input to a file."""
    try:
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise CommandError(
            f"standard input cannot be stored in {path.parent.parent}: "
            f"{error.strerror}. Free some space, or set TMPDIR to another folder."
        ) from error


def _pass_on(path: Path) -> None:
    """Copy a file to standard output."""
    try:
        with open(path, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # the reader has what it wants
    except OSError as error:
        raise CommandError(
            f"standard output cannot be written: {error.strerror}."
        ) from error


def _run_jobs(
    jobs: list[Job], arguments: argparse.Namespace, settings: Settings
) -> int:
    """Enhance the files whose outputs are missing, and report."""
    folders = {path.parent for job in jobs for path in job.outputs}
    for folder in folders:
        remove_parts(folder)
    journals, n_resumed = None, 0
    if arguments.overwrite:
        journals = Journals(jobs, _options(arguments, settings))
        todo = [job for job in jobs if not journals.is_done(job)]
        n_resumed = len(jobs) - len(todo)
    else:
        todo = [job for job in jobs if not is_done(job)]
    try_model(todo, arguments, settings)
    if arguments.verbose:
        print(f"{len(todo)} of {len(jobs)} files to do: {settings}", file=sys.stderr)
    begin = time.monotonic()
    outcomes: list[Outcome] = []

    def elapsed() -> float:
        return time.monotonic() - begin

    results = enhance_all(todo, arguments, settings)
    shows = bool(todo) and not arguments.quiet
    try:
        with Progress(len(todo), "enhanced", sys.stderr, enabled=shows) as progress:
            for outcome in results:
                outcomes.append(outcome)
                progress.label = f"enhanced at {speed(outcomes, elapsed())}"
                progress.advance(describe_outcome(outcome))
                outcome.tell(with_trace=arguments.verbose)
    except BaseException:
        results.close()
        raise
    finally:
        # Workers that were killed could not clean up.
        for folder in folders:
            remove_parts(folder)
    if journals is not None and not any(outcome.error for outcome in outcomes):
        journals.remove()
    order = {job: k for k, job in enumerate(todo)}
    failed = sorted((o for o in outcomes if o.error), key=lambda o: order[o.job])
    for outcome in failed:
        print(f"failed: {outcome.job.name}: {outcome.error}", file=sys.stderr)
    if not arguments.quiet:
        n_there = len(jobs) - len(todo) + sum(outcome.skipped for outcome in outcomes)
        n_there -= n_resumed
        line = summary(outcomes, n_there, n_resumed, elapsed(), settings.model)
        print(line, file=sys.stderr)
    if arguments.json:
        resumed = set(jobs) - set(todo) if n_resumed else set()
        print(json_report(jobs, outcomes, resumed, elapsed(), settings.model))
    return 1 if failed else 0


def _options(arguments: argparse.Namespace, settings: Settings) -> str:
    """Return the options that change the outputs, as text."""
    chosen = {name: getattr(arguments, name) for name in ("mix", "format", "bitrate")}
    return repr((settings._replace(device="auto"), chosen))


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let the signals that end a process raise an exception, as control-C does."""
    numbers = [
        getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def interrupt(number: int, frame: object) -> None:
        raise _Terminated(number)

    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:  # nohup ignores it
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
