"""Which files go where, and writing them whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from skvae.cli.errors import CommandError


class Job(NamedTuple):
    """One file to enhance."""

    source: Path
    target: Path


def find_jobs(inputs: Sequence[str], output: str) -> list[Job]:
    """Pair each audio file with the file to write.

    Parameters
    ----------
    inputs : sequence of str
        Files, and folders that stand for all audio files below them.
    output : str
        A folder; or, for a single input file, a file name with an audio ending.

    Returns
    -------
    list of Job
        Below a folder its structure is kept.

    Raises
    ------
    CommandError
        If an input is missing or without audio, if two inputs would write one file,
        or if an input would write itself.
    """
    from skvae.datasets.audio import EXTENSIONS, find_audio

    target_folder = Path(output)
    names_file = (
        target_folder.suffix.lower() in EXTENSIONS and not target_folder.is_dir()
    )
    if target_folder.is_file() and not names_file:
        raise CommandError(f"-o {output} is a file: name a folder.", status=2)
    jobs: list[Job] = []
    for name in dict.fromkeys(inputs):
        source = Path(name)
        if source.is_dir():
            try:
                found = find_audio(source)
            except (OSError, ValueError) as error:
                raise CommandError(str(error)) from error
            paths = [Path(audio.path) for audio in found]
            written = target_folder.resolve()
            if source.resolve() in written.parents:
                # What an earlier run wrote below its own input is no input.
                paths = [p for p in paths if written not in p.resolve().parents]
            jobs += [Job(p, target_folder / p.relative_to(source)) for p in paths]
            if names_file:
                raise CommandError(
                    f"-o {output} names a file, but {name} is a folder: name a folder.",
                    status=2,
                )
        elif source.exists():
            jobs.append(
                Job(
                    source, target_folder if names_file else target_folder / source.name
                )
            )
        else:
            raise CommandError(f"{name}: there is no such file or folder.")
    if names_file and len(jobs) > 1:
        raise CommandError(
            f"-o {output} names a file, but there are {len(jobs)} inputs: "
            "name a folder.",
            status=2,
        )
    if names_file and jobs[0].source.suffix.lower() != target_folder.suffix.lower():
        raise CommandError(
            f"-o {output}: the output has the format of the input, whose name ends in "
            f"{jobs[0].source.suffix or 'nothing'}: end it likewise.",
            status=2,
        )
    _refuse_collisions(jobs)
    return jobs


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    writers: dict[Path, Path] = {}
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise CommandError(
                f"{job.target} is an input, and would be overwritten: choose another "
                "folder with -o."
            )
        if target in writers:
            raise CommandError(
                f"{writers[target]} and {job.source} would both write {job.target}: "
                "enhance them in two runs with different -o."
            )
        writers[target] = job.source


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a temporary file to write, which takes the target's place at the end.

    Parameters
    ----------
    target : Path
        The file to make; its folder is made too.

    Yields
    ------
    Path
        A file in the same folder. If writing fails it goes away and the target stays
        as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
    )
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
