"""Many files enhanced: in this process, by workers on this machine, or by dask."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
import warnings
from collections.abc import Generator, Sequence
from contextlib import ExitStack, suppress
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from skvae.cli import journal
from skvae.cli.enhancers import Settings, make_enhancer, settings_for_workers
from skvae.cli.errors import CommandError
from skvae.cli.files import Job
from skvae.recording_files import DamagedFileWarning, read_rate
from skvae.recordings import enhance_file
from skvae.signal.music import MusicWarning
from skvae.utils.files import written_whole
from skvae.utils.memory import is_out_of_memory
from skvae.utils.progress import Progress
from skvae.utils.words import shown, shown_lines
from skvae.utils.workers import run_tasks, workers

#: What to do about errors of writing.
_ADVICE = dict.fromkeys(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    "Free some space or choose another folder, and run the same command again.",
) | {errno.ENAMETOOLONG: "Rename the input, or choose a shorter folder or --suffix."}

#: Warnings about a file, which its outcome tells.
_TOLD = (DamagedFileWarning, MusicWarning)

#: Steps of the bar for a single file.
_N_STEPS = 100

#: Seconds between lines about a long file where there is no terminal.
_PAUSE = 60.0


class Outcome(NamedTuple):
    """Result of one file.

    Attributes
    ----------
    job : Job
        The file.
    audio_seconds, seconds : float
        Duration of the recording, and of the work.
    error : str or None
        Reason of a failure.
    is_of_model : bool
        Whether the failure is one of the model, which all files would have.
    trace : str
        Traceback of a failure.
    notes : tuple of str
        Warnings about the file.
    skipped : bool
        Whether another run has written the outputs in the meantime.
    """

    job: Job
    audio_seconds: float = 0.0
    seconds: float = 0.0
    error: str | None = None
    is_of_model: bool = False
    trace: str = ""
    notes: tuple[str, ...] = ()
    skipped: bool = False

    def tell(self, *, with_trace: bool) -> None:
        """Print the warnings about the file on standard error.

        Parameters
        ----------
        with_trace : bool
            Whether to print the traceback of a failure, too.
        """
        for note in self.notes:
            print(f"warning: {self.job.name}: {note}", file=sys.stderr)
        if with_trace and self.trace:
            print(shown_lines(self.trace), end="", file=sys.stderr)


def is_done(job: Job) -> bool:
    """Whether all outputs of a file exist: they appear only when they are complete.

    Parameters
    ----------
    job : Job
        The file.

    Returns
    -------
    bool
    """
    return all(map(os.path.isfile, job.outputs))


def _rate(settings: Settings, job: Job) -> int | None:
    """Sample rate of the enhancer of a file; None for that of the model."""
    return None if settings.has_own_rate else read_rate(job.source)


def _is_done_here(jobs: Sequence[Job], arguments: argparse.Namespace) -> bool:
    """Whether this process enhances the files itself."""
    return arguments.dask is None and (len(jobs) <= 1 or arguments.jobs == 1)


def try_model(
    jobs: Sequence[Job], arguments: argparse.Namespace, settings: Settings
) -> None:
    """Make the enhancer in advance, so that its errors and warnings are told once.

    A model file is left to local workers, which load it anyway: they start two seconds
    earlier if this process does not load it first.

    Parameters
    ----------
    jobs : sequence of Job
        The files.
    arguments : argparse.Namespace
        The arguments of ``skvae enhance``.
    settings : Settings
        The model and its options.
    """
    is_local = arguments.dask is None and not _is_done_here(jobs, arguments)
    if not jobs or (is_local and not settings.is_method):
        return
    with suppress(OSError, ValueError):  # a file that cannot be read fails later
        make_enhancer(settings, _rate(settings, jobs[0]))


def enhance_all(
    jobs: list[Job], arguments: argparse.Namespace, settings: Settings
) -> Generator[Outcome, None, None]:
    """Enhance files here, by workers or on a cluster.

    Parameters
    ----------
    jobs : list of Job
        The files.
    arguments : argparse.Namespace
        The arguments of ``skvae enhance``.
    settings : Settings
        The model and its options.

    Yields
    ------
    Outcome
        One for each file, in any order.

    Raises
    ------
    CommandError
        If the model cannot be used, or the workers are lost.
    """
    rest = (arguments.mix, arguments.overwrite, arguments.bitrate)
    if _is_done_here(jobs, arguments):
        # On a terminal, the bar of several files counts files.
        on_terminal = sys.stderr.isatty()
        show = not arguments.quiet and (len(jobs) == 1 or not on_terminal)
        for job in jobs:
            label = "percent enhanced"
            if not on_terminal:
                label = f"{job.name}: {label}"
            with Progress(
                _N_STEPS, label, sys.stderr, enabled=show, pause=_PAUSE
            ) as progress:
                yield _enhance_one(job, settings, *rest, progress if show else None)
        return
    wrong: list[Outcome] = []  # errors of the model
    try:
        with (
            settings_for_workers(settings, local=arguments.dask is None) as loaded,
            workers(min(arguments.jobs, len(jobs)), arguments.dask) as options,
        ):
            every = ((job, loaded, *rest) for job in jobs)
            calls = takewhile(lambda call: not wrong, every)
            for outcome in run_tasks(_enhance_one, calls, **options, ordered=False):
                if outcome.is_of_model and arguments.dask is None:
                    wrong.append(outcome)
                else:
                    yield outcome
    except (ImportError, ConnectionError) as error:
        raise CommandError(f"--dask: {error}") from error
    except Exception as error:
        # Errors of a single file are outcomes; this is one of the workers.
        if isinstance(error, OSError) and not is_out_of_memory(error):
            raise  # no room for temporary files, for instance
        if arguments.verbose:
            traceback.print_exc()
        raise CommandError(
            f"a worker was lost ({type(error).__name__}), perhaps for lack of memory: "
            "run the same command again to resume; fewer --jobs, or shorter "
            "--block-seconds, take less memory."
        ) from error
    if wrong:
        wrong[0].tell(with_trace=arguments.verbose)
        raise CommandError(str(wrong[0].error), status=2)


def _enhance_one(
    job: Job,
    settings: Settings,
    mix: float,
    overwrite: bool,
    bitrate: float | None = None,
    progress: Progress | None = None,
) -> Outcome:
    if not overwrite and is_done(job):
        return Outcome(job, skipped=True)  # another run was faster
    begin = time.monotonic()

    def advance(share: float) -> None:
        while progress is not None and progress.done < share * _N_STEPS:
            progress.advance()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told when it was made first
            enhancer = make_enhancer(settings, _rate(settings, job))
        with warnings.catch_warnings(record=True) as caught, ExitStack() as stack:
            for category in _TOLD:
                warnings.simplefilter("always", category)
            target, noise = (
                _begin(path, overwrite, stack) for path in (job.target, job.noise)
            )
            seconds = enhance_file(
                enhancer,
                job.source,
                target,
                mix=mix,
                noise_target=noise,
                format=job.format,
                bitrate=bitrate,
                progress=advance,
            )
            if target is not None and journal.is_in_place(job):
                journal.note(job.target, target)
    # A failure of one file does not stop the others.
    except Exception as error:
        if isinstance(error, FileExistsError) and not overwrite and is_done(job):
            return Outcome(job, skipped=True)
        return Outcome(
            job,
            seconds=time.monotonic() - begin,
            error=shown(_reason(error, job)),
            is_of_model=isinstance(error, CommandError) and settings.has_own_rate,
            trace=traceback.format_exc(),
        )
    notes = tuple(
        dict.fromkeys(
            shown(str(warning.message))
            for warning in caught
            if issubclass(warning.category, _TOLD)
        )
    )
    return Outcome(job, seconds, time.monotonic() - begin, notes=notes)


def _begin(path: Path | None, overwrite: bool, stack: ExitStack) -> str | None:
    """Name of a temporary file, which will replace another one when it is complete."""
    if path is None or (os.path.isfile(path) and not overwrite):
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return stack.enter_context(written_whole(path, overwrite=overwrite)).name


def _reason(error: Exception, job: Job) -> str:
    """Describe in one line why a file has failed, and what to do."""
    if is_out_of_memory(error):
        return "there is not enough memory: shorter --block-seconds need less."
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None and Path(error.filename) == job.source:
            return f"it cannot be read: {error.strerror}."
        advice = _ADVICE.get(error.errno or 0, "Choose another folder.")
        return f"{shown(job.target)} cannot be written: {error.strerror}. {advice}"
    text = " ".join(str(error).split())
    if isinstance(error, OSError | ValueError | RuntimeError | CommandError) and text:
        return text
    return f"{type(error).__name__}: {text} (-v shows where)"
