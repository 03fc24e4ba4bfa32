"""What ``skvae enhance`` says of its files: lines for people, JSON for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from typing import Any

from skvae._version import __version__
from skvae.cli.enhancing import Outcome
from skvae.cli.files import Job
from skvae.storage.names import file_hash
from skvae.storage.pretrained import find_model_file
from skvae.utils.words import counted

#: Digits of a speed in multiples of real time.
_DIGITS = 2


def speed(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the speed in multiples of real time.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Files that were enhanced.
    seconds : float
        Time that this took.

    Returns
    -------
    str

    Examples
    --------
    >>> job = Job("a.wav", None, None)
    >>> speed([Outcome(job, audio_seconds=4.0)], 9.0)
    '0.44 times real time'
    >>> speed([Outcome(job, audio_seconds=400.0)], 9.0)
    '44 times real time'
    """
    factor = sum(outcome.audio_seconds for outcome in outcomes) / max(seconds, 1e-9)
    digits = f"{factor:.0f}" if factor >= 10 else f"{factor:.{_DIGITS}g}"
    return f"{digits} times real time"


def describe_outcome(outcome: Outcome) -> str:
    """Return a line about a file.

    Parameters
    ----------
    outcome : Outcome
        Result of the file.

    Returns
    -------
    str
    """
    if outcome.error:
        return f"{outcome.job.name}: failed"
    if outcome.skipped:
        return f"{outcome.job.name}: done by another run"
    return (
        f"{outcome.job.name}: {outcome.audio_seconds:.1f} s in {outcome.seconds:.2f} "
        f"s, {speed([outcome], outcome.seconds)}"
    )


def summary(
    outcomes: Sequence[Outcome],
    n_there: int,
    n_resumed: int,
    seconds: float,
    model: str,
) -> str:
    """Return the last line, which states how many files failed.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Results of this run.
    n_there, n_resumed : int
        Number of files whose outputs existed, and of those that an interrupted run had
        done in place.
    seconds : float
        Time of the run.
    model : str
        Name of the model.

    Returns
    -------
    str
    """
    n_failed = sum(bool(outcome.error) for outcome in outcomes)
    done = [o for o in outcomes if not (o.error or o.skipped)]
    audio = sum(outcome.audio_seconds for outcome in done)
    parts = [
        f"enhanced {counted(len(done), 'file')} with {model}: "
        f"{audio:.1f} s of sound in {seconds:.1f} s, {speed(done, seconds)}"
    ]
    if n_there:
        parts.append(
            f"{n_there} already there, perhaps from another model or other options "
            "(--overwrite replaces them)"
        )
    if n_resumed:
        parts.append(f"{n_resumed} done in place by the interrupted run")
    if n_failed:
        parts.append(f"{n_failed} failed")
    return "; ".join(parts)


def json_report(
    jobs: Sequence[Job],
    outcomes: Sequence[Outcome],
    resumed: Collection[Job],
    seconds: float,
    model: str,
) -> str:
    """Return the report of a run as JSON.

    Parameters
    ----------
    jobs : sequence of Job
        All files, in order.
    outcomes : sequence of Outcome
        Results of this run.
    resumed : collection of Job
        Files that an interrupted run had done in place.
    seconds : float
        Time of the run.
    model : str
        Name of the model.

    Returns
    -------
    str
        An object with the keys ``skvae`` (version), ``model``, ``model_sha256`` (null
        for a method), ``seconds``, ``counts`` by status, and ``files``. A file has
        ``input``, ``output``, ``noise_output``, ``status`` ("enhanced", "failed",
        "exists", or "resumed"), ``duration`` and ``seconds``, ``real_time_factor``
        (seconds of work per second of sound), ``messages`` and ``error``.
    """
    found = {outcome.job: outcome for outcome in outcomes}
    files = [_entry(job, found.get(job), job in resumed) for job in jobs]
    path = find_model_file(model)
    counts: dict[str, int] = {}
    for file in files:
        counts[file["status"]] = counts.get(file["status"], 0) + 1
    report = {
        "skvae": __version__,
        "model": model,
        "model_sha256": None if path is None else file_hash(path),
        "seconds": round(seconds, 3),
        "counts": counts,
        "files": files,
    }
    return json.dumps(report, indent=2)


def _entry(job: Job, outcome: Outcome | None, is_resumed: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "input": "-" if job.name == "standard input" else os.fspath(job.source),
        "output": os.fspath(job.target),
        "noise_output": None if job.noise is None else os.fspath(job.noise),
        "status": "resumed" if is_resumed else "exists",
        "duration": None,
        "seconds": None,
        "real_time_factor": None,
        "messages": [],
        "error": None,
    }
    if outcome is None or outcome.skipped:
        return entry
    entry["status"] = "failed" if outcome.error else "enhanced"
    entry["seconds"] = round(outcome.seconds, 3)
    entry["messages"] = list(outcome.notes)
    entry["error"] = outcome.error
    if not outcome.error:
        entry["duration"] = round(outcome.audio_seconds, 3)
        if outcome.audio_seconds > 0:
            entry["real_time_factor"] = round(
                outcome.seconds / outcome.audio_seconds, 4
            )
    return entry
