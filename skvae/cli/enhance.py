"""``skvae enhance``: files and folders in, the same out, cleaner."""

from __future__ import annotations

import argparse
import math
import sys
import time
from functools import lru_cache
from typing import Any, NamedTuple

from skvae.cli.errors import CommandError
from skvae.cli.files import Job, find_jobs, written_whole
from skvae.cli.models import check_name
from skvae.utils.progress import Progress


class Outcome(NamedTuple):
    """What became of one file: seconds of sound and of work, or the reason why not."""

    job: Job
    audio_seconds: float
    seconds: float
    error: str | None


class Settings(NamedTuple):
    """What a worker process needs to make its enhancer."""

    model: str
    attenuation_limit: float | None
    noise_profile: str | None


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
    check_name(arguments.model)
    if arguments.jobs == 0:
        raise CommandError("--jobs must not be 0.", status=2)
    limit = arguments.attenuation_limit
    if limit is not None and not 0 <= limit < math.inf:
        raise CommandError(
            f"--attenuation-limit must be at least 0 dB, got {limit}.", status=2
        )
    if arguments.noise_profile is not None:
        _check_profile(arguments.noise_profile, arguments.model)
    jobs = find_jobs(arguments.inputs, arguments.output)
    todo = [job for job in jobs if arguments.overwrite or not job.target.exists()]
    settings = Settings(arguments.model, limit, arguments.noise_profile)
    begin = time.monotonic()
    outcomes = _enhance_all(todo, settings, arguments.jobs, arguments.quiet)
    failed = [outcome for outcome in outcomes if outcome.error]
    if not arguments.quiet:
        _summarize(outcomes, len(jobs) - len(todo), time.monotonic() - begin, settings)
    for outcome in failed:
        print(f"failed: {outcome.job.source}: {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


def _enhance_all(
    jobs: list[Job], settings: Settings, n_jobs: int, quiet: bool
) -> list[Outcome]:
    from skvae.pretrained import has_own_rate

    # What learns is made once, here; what does not depends on each file's rate.
    learned = None
    if jobs and has_own_rate(settings.model):
        learned = make_enhancer(settings, None)
    if len(jobs) == 1 or n_jobs == 1:
        results = (_enhance_one(job, settings, learned) for job in jobs)
    else:
        from sklearn.utils.parallel import Parallel, delayed

        parallel = Parallel(n_jobs=n_jobs, return_as="generator")
        results = parallel(
            delayed(_enhance_one)(job, settings, learned) for job in jobs
        )
    outcomes = []
    with Progress(len(jobs), "enhanced", enabled=not quiet and bool(jobs)) as progress:
        for outcome in results:
            outcomes.append(outcome)
            progress.advance(None if outcome.error else _describe(outcome))
    return outcomes


def _check_profile(path: str, model: str) -> None:
    from skvae.datasets.audio import AudioFile
    from skvae.pretrained import find_model_file

    if find_model_file(model) is not None:
        raise CommandError(
            f"--noise-profile is for methods, and {model} has been fitted already.",
            status=2,
        )
    try:
        len(AudioFile(path))
    except (OSError, ValueError) as error:
        raise CommandError(f"--noise-profile: {error}", status=2) from error


def _enhance_one(job: Job, settings: Settings, learned: Any) -> Outcome:
    import soundfile

    from skvae.recordings import enhance_file

    begin = time.monotonic()
    try:
        enhancer = learned
        if enhancer is None:
            rate = soundfile.info(str(job.source)).samplerate
            enhancer = make_enhancer(settings, rate)
        with written_whole(job.target) as temporary:
            audio_seconds = enhance_file(enhancer, job.source, temporary)
    except (OSError, ValueError, RuntimeError) as error:
        # soundfile's errors are RuntimeErrors, ours say what to do.
        reason = " ".join(str(error).split()) or type(error).__name__
        return Outcome(job, 0.0, time.monotonic() - begin, reason)
    return Outcome(job, audio_seconds, time.monotonic() - begin, None)


@lru_cache(maxsize=4)
def make_enhancer(settings: Settings, sample_rate: int | None) -> Any:
    """Enhancer for recordings of one sample rate.

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
    from skvae.datasets.audio import AudioFile
    from skvae.pretrained import find_model_file, load_pretrained
    from skvae.recordings import scaled_stft
    from skvae.stft import STFT

    if find_model_file(settings.model) is not None:
        return _load(settings)
    stft = STFT() if sample_rate is None else scaled_stft(sample_rate)
    parameters: dict[str, Any] = {
        "stft": stft,
        "attenuation_limit": settings.attenuation_limit,
    }
    if settings.noise_profile is not None:
        noise = AudioFile(settings.noise_profile, sample_rate=stft.sample_rate)
        parameters["noise"] = noise
    return load_pretrained(settings.model, **parameters)


def _load(settings: Settings) -> Any:
    from skvae.base import BaseEnhancer
    from skvae.pretrained import load_pretrained

    try:
        enhancer = load_pretrained(settings.model)
    except (OSError, ValueError) as error:
        raise CommandError(f"--model: {error}", status=2) from error
    if not isinstance(enhancer, BaseEnhancer):
        raise CommandError(
            f"--model: {settings.model} holds a {type(enhancer).__name__}, which does "
            "not enhance.",
            status=2,
        )
    if settings.attenuation_limit is not None:
        enhancer.set_params(attenuation_limit=settings.attenuation_limit)
    return enhancer


def _describe(outcome: Outcome) -> str:
    factor = outcome.audio_seconds / max(outcome.seconds, 1e-9)
    return (
        f"{outcome.job.target}: {outcome.audio_seconds:.1f} s in "
        f"{outcome.seconds:.2f} s, {factor:.0f} times real time"
    )


def _summarize(
    outcomes: list[Outcome], n_skipped: int, seconds: float, settings: Settings
) -> None:
    done = [outcome for outcome in outcomes if not outcome.error]
    audio = sum(outcome.audio_seconds for outcome in done)
    parts = [
        f"enhanced {len(done)} file{'s' * (len(done) != 1)} with {settings.model}: "
        f"{audio:.1f} s of sound in {seconds:.1f} s"
    ]
    if n_skipped:
        parts.append(f"{n_skipped} there already (--overwrite replaces them)")
    if len(done) < len(outcomes):
        parts.append(f"{len(outcomes) - len(done)} failed")
    print("; ".join(parts), file=sys.stderr)
