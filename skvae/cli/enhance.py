"""``skvae enhance``: files and folders in, the same out, cleaner."""

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
import traceback
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from skvae.cli.errors import CommandError
from skvae.cli.files import Job, find_jobs, shown
from skvae.cli.models import check_name, default_model
from skvae.utils.files import remove_parts, written_whole
from skvae.utils.progress import Progress
from skvae.utils.words import counted

#: What stands for standard input and output.
PIPE = "-"

#: Steps of the bar for a single file.
_N_STEPS = 100


class Settings(NamedTuple):
    """What a process needs to make its enhancer.

    Attributes
    ----------
    model : str
        A name, or the path of a file.
    attenuation_limit, block_seconds : float or None
        Parameters of the enhancer; None leaves the model's own.
    noise_profile : str or None
        A recording of noise, for methods.
    device : str
        Where networks compute; "auto" is a GPU if there is one.
    """

    model: str
    attenuation_limit: float | None = None
    block_seconds: float | None = None
    noise_profile: str | None = None
    device: str = "auto"


class Outcome(NamedTuple):
    """What became of one file: seconds of sound and of work, or the reason why not."""

    job: Job
    audio_seconds: float = 0.0
    seconds: float = 0.0
    error: str | None = None
    is_of_model: bool = False  # the error, that is: other files have it too
    trace: str = ""
    notes: tuple[str, ...] = ()
    skipped: bool = False


class _Terminated(KeyboardInterrupt):
    """A signal asks to end, as control-C does."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


def run(arguments: argparse.Namespace) -> int:
    """Enhance files.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the parser made of the command line.

    Returns
    -------
    int
        0 only if every file was done.
    """
    settings = _check(arguments)
    try:
        with _signals_raise():
            if PIPE in (*arguments.inputs, arguments.output):
                return _run_piped(arguments, settings)
            jobs = find_jobs(
                arguments.inputs,
                arguments.output,
                noise_output=arguments.noise_output,
                suffix=arguments.suffix,
                recursive=arguments.recursive,
                overwrite=arguments.overwrite,
            )
            return _run_jobs(jobs, arguments, settings)
    except KeyboardInterrupt as interrupt:
        number = getattr(interrupt, "number", signal.SIGINT)
        raise CommandError(
            "interrupted; the same command does what is missing.", 128 + number
        ) from None


@lru_cache(maxsize=8)
def make_enhancer(settings: Settings, sample_rate: int | None) -> Any:
    """Enhancer for recordings of one sample rate, made once in a process.

    Parameters
    ----------
    settings : Settings
        The model and its options.
    sample_rate : int or None
        A method without training works at this rate, so that it sees all frequencies;
        a model that has its own takes None.

    Returns
    -------
    BaseEnhancer
        Fitted.

    Raises
    ------
    CommandError
        If a file holds none.
    """
    from skvae.base import BaseEnhancer
    from skvae.datasets.audio import AudioFile
    from skvae.recordings import scaled_stft
    from skvae.signal.stft import STFT
    from skvae.storage.pretrained import find_model_file, load_pretrained

    parameters: dict[str, Any] = {}
    if find_model_file(settings.model) is None:
        stft = STFT() if sample_rate is None else scaled_stft(sample_rate)
        parameters["stft"] = stft
        if settings.noise_profile is not None:
            parameters["noise"] = AudioFile(
                settings.noise_profile, sample_rate=stft.sample_rate
            )
    try:
        enhancer = load_pretrained(settings.model, **parameters)
    except (OSError, ValueError) as error:
        raise CommandError(f"--model: {error}", status=2) from error
    if not isinstance(enhancer, BaseEnhancer):
        raise CommandError(
            f"--model: {settings.model} holds a {type(enhancer).__name__}, which does "
            "not enhance.",
            status=2,
        )
    for name in ("attenuation_limit", "block_seconds"):
        if (value := getattr(settings, name)) is not None:
            enhancer.set_params(**{name: value})
    _set_device(enhancer, settings)
    return enhancer


def _set_device(enhancer: Any, settings: Settings) -> None:
    from skvae.utils.device import check_device

    if "device" in enhancer.get_params(deep=False):
        try:
            enhancer.set_params(device=check_device(settings.device))
        except ValueError as error:
            raise CommandError(f"--device: {error}", status=2) from error
    elif settings.device not in ("auto", "cpu"):
        raise CommandError(
            f"--device {settings.device}: {settings.model} computes on the CPU.",
            status=2,
        )


def _check(arguments: argparse.Namespace) -> Settings:
    """Refuse what cannot be, before anything is read."""
    model = arguments.model or default_model()
    check_name(model)
    if arguments.jobs == 0:
        raise CommandError("--jobs must not be 0.", status=2)
    limit, seconds = arguments.attenuation_limit, arguments.block_seconds
    if limit is not None and not 0 <= limit < math.inf:
        raise CommandError(
            f"--attenuation-limit must be at least 0 dB, got {limit}.", status=2
        )
    if seconds is not None and not 0 < seconds < math.inf:
        raise CommandError(
            f"--block-seconds must be more than 0, got {seconds}.", status=2
        )
    if not 0 <= arguments.mix <= 1:
        raise CommandError(f"--mix must be from 0 to 1, got {arguments.mix}.", 2)
    device = arguments.device
    if arguments.jobs != 1 and arguments.dask is None:
        if device not in ("auto", "cpu"):
            raise CommandError(
                f"--jobs {arguments.jobs} and --device {device} exclude each other: "
                "a GPU is not shared by processes.",
                status=2,
            )
        device = "cpu"
    profile = arguments.noise_profile
    if profile is not None:
        _check_profile(profile, model)
        profile = os.path.abspath(profile)
    return Settings(model, limit, seconds, profile, device)


def _check_profile(path: str, model: str) -> None:
    from skvae.datasets.audio import AudioFile
    from skvae.storage.pretrained import find_model_file

    if find_model_file(model) is not None:
        raise CommandError(
            f"--noise-profile is for methods, and {model} has been fitted already.",
            status=2,
        )
    try:
        len(AudioFile(path))
    except (OSError, ValueError) as error:
        raise CommandError(f"--noise-profile: {error}", status=2) from error


def _run_piped(arguments: argparse.Namespace, settings: Settings) -> int:
    """Enhance what comes from standard input, or goes to standard output.

    Both are kept in temporary files, for a header tells the length.
    """
    inputs, output, noise = arguments.inputs, arguments.output, arguments.noise_output
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise CommandError(f"{PIPE} stands for one file: name no other input.", 2)
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
            source = Path(folder, "input.wav")
            with open(source, "wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            if output != PIPE:
                _check_format(source, target)
        if output == PIPE:
            target = Path(folder, "output.wav")
        name = "standard input" if inputs[0] == PIPE else shown(source)
        job = Job(name, source, target, None if noise is None else Path(noise))
        status = _run_jobs([job], arguments, settings)
        if output == PIPE and status == 0:
            with open(target, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    return status


def _check_format(source: Path, target: Path) -> None:
    """Refuse a name that promises another format than that of a file."""
    import soundfile

    try:
        found = soundfile.info(str(source)).format
    except soundfile.SoundFileError:
        return  # which is told with all other failures
    promised = target.suffix[1:].upper()
    if promised in soundfile.available_formats() and not found.startswith(promised):
        raise CommandError(
            f"-o {shown(target)}: the output has the format of the input, which is "
            f"{found}: end it likewise.",
            status=2,
        )


def _run_jobs(
    jobs: list[Job], arguments: argparse.Namespace, settings: Settings
) -> int:
    """Do what is missing, and tell of it."""
    folders = {path.parent for job in jobs for path in job.outputs}
    for folder in folders:
        remove_parts(folder)
    todo = [job for job in jobs if arguments.overwrite or not _is_done(job)]
    if todo and not _workers_try(todo, arguments, settings):
        _try_model(todo, settings)
    if arguments.verbose:
        print(f"{len(todo)} of {len(jobs)} files to do: {settings}", file=sys.stderr)
    begin = time.monotonic()
    outcomes = []
    results = _enhance_all(todo, arguments, settings)
    shows = bool(todo) and not arguments.quiet
    try:
        with Progress(len(todo), "enhanced", enabled=shows) as progress:
            for outcome in results:
                outcomes.append(outcome)
                factor = _factor(outcomes, time.monotonic() - begin)
                progress.label = f"enhanced at {factor:.0f} times real time"
                progress.advance(_describe(outcome))
                _tell(outcome, arguments)
    except BaseException:
        results.close()
        # Workers that were killed at their work could not clean up.
        for folder in folders:
            remove_parts(folder)
        raise
    order = {job: k for k, job in enumerate(todo)}
    failed = sorted((o for o in outcomes if o.error), key=lambda o: order[o.job])
    if not arguments.quiet:
        n_there = len(jobs) - len(todo) + sum(outcome.skipped for outcome in outcomes)
        _summarize(outcomes, n_there, time.monotonic() - begin, settings.model)
    for outcome in failed:
        print(f"failed: {outcome.job.name}: {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


def _is_done(job: Job) -> bool:
    # Files appear whole, so that one that is there is done.
    return all(path.is_file() for path in job.outputs)


def _own_rate(settings: Settings, job: Job) -> int | None:
    """Rate that the enhancer of a file is made for; None for that of the model."""
    from skvae.recordings import read_rate
    from skvae.storage.pretrained import has_own_rate

    return None if has_own_rate(settings.model) else read_rate(job.source)


def _is_done_here(jobs: Sequence[Job], arguments: argparse.Namespace) -> bool:
    """Whether this process enhances the files itself."""
    return arguments.dask is None and (len(jobs) <= 1 or arguments.jobs == 1)


def _workers_try(
    jobs: Sequence[Job], arguments: argparse.Namespace, settings: Settings
) -> bool:
    """Whether a model is left to local workers, which load it anyway.

    They start two seconds sooner if this process does not load it before.
    """
    from skvae.storage.pretrained import find_model_file

    is_file = find_model_file(settings.model) is not None
    return is_file and arguments.dask is None and not _is_done_here(jobs, arguments)


def _try_model(jobs: Sequence[Job], settings: Settings) -> None:
    """Make the enhancer once, so that what is wrong with it is told once."""
    with suppress(OSError, ValueError):  # a file that cannot be read is told of later
        make_enhancer(settings, _own_rate(settings, jobs[0]))


def _enhance_all(
    jobs: list[Job], arguments: argparse.Namespace, settings: Settings
) -> Generator[Outcome, None, None]:
    """Yield what became of each file, in any order."""
    rest = (arguments.mix, arguments.overwrite)
    if _is_done_here(jobs, arguments):
        show = len(jobs) == 1 and not arguments.quiet and sys.stderr.isatty()
        for job in jobs:
            with Progress(_N_STEPS, "percent enhanced", enabled=show) as progress:
                yield _enhance_one(job, settings, *rest, progress if show else None)
        return
    from skvae.utils.workers import run_tasks, workers

    wrong: list[Outcome] = []  # errors of the model
    try:
        with (
            _for_workers(settings, arguments.dask is None) as loaded,
            workers(arguments.jobs, arguments.dask) as options,
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
        # Not of a file, for what goes wrong with one is an outcome.
        if arguments.verbose:
            traceback.print_exc()
        raise CommandError(
            f"a worker was lost ({type(error).__name__}), perhaps for want of memory: "
            "the same command does what is missing; fewer --jobs, or shorter "
            "--block-seconds, take less."
        ) from error
    if wrong:
        _tell(wrong[0], arguments)
        raise CommandError(str(wrong[0].error), status=2)


@contextmanager
def _for_workers(settings: Settings, local: bool) -> Iterator[Settings]:
    """Settings by which workers load the model themselves, once; no task carries it."""
    from skvae.storage.pretrained import (
        find_model_file,
        has_own_rate,
        model_names,
        save_pretrained,
    )

    model = settings.model
    if find_model_file(model) is not None or not has_own_rate(model):
        known = model in model_names()
        yield settings if known else settings._replace(model=os.path.abspath(model))
    elif not local or settings.noise_profile is not None:
        yield settings  # fitted by each, for a file would not do
    else:
        with tempfile.TemporaryDirectory(prefix="skvae-") as folder:
            path = os.path.join(folder, "fitted.safetensors")
            save_pretrained(make_enhancer(settings, None), path)
            yield settings._replace(model=path)


def _enhance_one(
    job: Job,
    settings: Settings,
    mix: float,
    overwrite: bool,
    progress: Progress | None = None,
) -> Outcome:
    from skvae.recordings import DamagedFileWarning, enhance_file
    from skvae.storage.pretrained import has_own_rate

    if not overwrite and _is_done(job):
        return Outcome(job, skipped=True)  # somebody else was quicker
    begin = time.monotonic()

    def advance(share: float) -> None:
        while progress is not None and progress.done < share * _N_STEPS:
            progress.advance()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were told by the first to make it
            enhancer = make_enhancer(settings, _own_rate(settings, job))
        with warnings.catch_warnings(record=True) as caught, ExitStack() as stack:
            warnings.simplefilter("always", DamagedFileWarning)
            target, noise = (
                _begin(path, overwrite, stack) for path in (job.target, job.noise)
            )
            seconds = enhance_file(
                enhancer,
                job.source,
                target,
                mix=mix,
                noise_target=noise,
                progress=advance,
            )
    # Whatever goes wrong with a file, the others are done.
    except Exception as error:
        return Outcome(
            job,
            seconds=time.monotonic() - begin,
            error=_reason(error, job),
            is_of_model=isinstance(error, CommandError)
            and has_own_rate(settings.model),
            trace=traceback.format_exc(),
        )
    notes = tuple(
        dict.fromkeys(
            str(warning.message)
            for warning in caught
            if issubclass(warning.category, DamagedFileWarning)
        )
    )
    return Outcome(job, seconds, time.monotonic() - begin, notes=notes)


def _begin(path: Path | None, overwrite: bool, stack: ExitStack) -> str | None:
    """Name of the file to write instead of another, which it will replace."""
    if path is None or (path.is_file() and not overwrite):
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return stack.enter_context(written_whole(path)).name


def _reason(error: Exception, job: Job) -> str:
    """What went wrong with a file, in one line that says what to do."""
    if isinstance(error, MemoryError):
        return "there is not enough memory: shorter --block-seconds take less."
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None and Path(error.filename) == job.source:
            return f"it cannot be read: {error.strerror}."
        return (
            f"{shown(job.target)} cannot be written: {error.strerror}. Make room or "
            "take another folder, and run the same command again."
        )
    text = " ".join(str(error).split())
    if isinstance(error, OSError | ValueError | RuntimeError | CommandError) and text:
        return text
    return f"{type(error).__name__}: {text} (-v tells where)"


def _tell(outcome: Outcome, arguments: argparse.Namespace) -> None:
    for note in outcome.notes:
        print(f"warning: {outcome.job.name}: {note}", file=sys.stderr)
    if arguments.verbose and outcome.trace:
        print(outcome.trace, end="", file=sys.stderr)


def _factor(outcomes: Sequence[Outcome], seconds: float) -> float:
    return sum(outcome.audio_seconds for outcome in outcomes) / max(seconds, 1e-9)


def _describe(outcome: Outcome) -> str:
    if outcome.error:
        return f"{outcome.job.name}: failed"
    if outcome.skipped:
        return f"{outcome.job.name}: done by another run"
    return (
        f"{outcome.job.name}: {outcome.audio_seconds:.1f} s in {outcome.seconds:.2f} "
        f"s, {_factor([outcome], outcome.seconds):.0f} times real time"
    )


def _summarize(
    outcomes: Sequence[Outcome], n_there: int, seconds: float, model: str
) -> None:
    n_failed = sum(bool(outcome.error) for outcome in outcomes)
    done = [o for o in outcomes if not (o.error or o.skipped)]
    audio = sum(outcome.audio_seconds for outcome in done)
    parts = [
        f"enhanced {counted(len(done), 'file')} with {model}: "
        f"{audio:.1f} s of sound in {seconds:.1f} s, "
        f"{_factor(done, seconds):.0f} times real time"
    ]
    if n_there:
        parts.append(f"{n_there} there already (--overwrite replaces them)")
    if n_failed:
        parts.append(f"{n_failed} failed")
    print("; ".join(parts), file=sys.stderr)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let the signals that end a process do so as control-C does: cleaning up."""
    numbers = [
        getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main one may listen to signals
        return

    def interrupt(number: int, frame: object) -> None:
        raise _Terminated(number)

    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:  # nohup wants that
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
