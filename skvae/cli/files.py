"""Input files and the output files that belong to them."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from skvae.cli.errors import CommandError
from skvae.formats.names import DEFAULT_FORMAT, FormatName
from skvae.utils.files import check_writable, ignores_case
from skvae.utils.words import shown

if TYPE_CHECKING:
    from skvae.datasets.audio import AudioFile

#: Ends of a name that make it one of a folder.
_SEPARATORS = ("/", os.sep)


class Job(NamedTuple):
    """One file to enhance.

    Attributes
    ----------
    name : str
        Name in messages.
    source, target : Path
        File to read, and file to write.
    noise : Path or None
        Second file to write, with the removed noise.
    format : str or None
        Format of the outputs; None means that of the source.
    """

    name: str
    source: Path
    target: Path
    noise: Path | None = None
    format: FormatName | None = None

    @property
    def outputs(self) -> list[Path]:
        """Files to write."""
        return [self.target] if self.noise is None else [self.target, self.noise]


class _Destination(NamedTuple):
    """Folder for the outputs, or file name of a single output."""

    option: str
    path: Path
    names_file: bool

    def target(self, relative: Path, suffix: str, ending: str) -> Path:
        if self.names_file:
            return self.path
        return self.path / relative.with_name(relative.stem + suffix + ending)


class Found(NamedTuple):
    """Files to enhance, and files of the same folders that are no recordings.

    Attributes
    ----------
    jobs : list of Job
        Files to enhance.
    others : list of Path
        Files that are not read, because their endings are not those of sound.
    """

    jobs: list[Job]
    others: list[Path]


def find_jobs(
    inputs: Sequence[str],
    output: str,
    *,
    noise_output: str | None = None,
    suffix: str = "",
    recursive: bool = True,
    overwrite: bool = False,
    format: FormatName | None = None,
) -> Found:
    """Pair each audio file with the files to write.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders of audio files, and patterns.
    output : str
        Folder, or a file name with an audio ending for a single input file.
    noise_output : str or None, default=None
        The same for the removed noise.
    suffix : str, default=""
        Text added to the names of the outputs, before the ending.
    recursive : bool, default=True
        Whether to search subfolders.
    overwrite : bool, default=False
        Whether an output may replace its own input.
    format : str or None, default=None
        Format of the outputs. None means that of the ending of a file that `output`
        names, and that of each input otherwise, or FLAC if only ffmpeg reads it.

    Returns
    -------
    Found
        Outputs keep the structure of subfolders.

    Raises
    ------
    CommandError
        If an input is missing or has no audio, if two inputs have the same output, if
        an input would be lost, or if a file would be written outside `output`.
    """
    destinations = [_destination("-o", output, inputs)]
    if noise_output is not None:
        destinations.append(_destination("--noise-output", noise_output, inputs))
    if Path(f"name{suffix}").name != f"name{suffix}" or "\0" in suffix:
        raise CommandError(
            f"--suffix {shown(suffix)} must be part of a file name.", status=2
        )
    folders = [os.path.realpath(destination.path) for destination in destinations]
    jobs, others = [], []
    for name in _expand(inputs):
        found = _find(Path(name), recursive, folders)
        others += found.others
        for source, relative in found.files:
            chosen = _choose_format(source, destinations, format)
            ending = _ending(source, chosen)
            path, target, *noise = (
                Path(os.path.abspath(path))
                for path in (
                    source,
                    *(to.target(relative, suffix, ending) for to in destinations),
                )
            )
            jobs.append(
                Job(shown(source), path, target, noise[0] if noise else None, chosen)
            )
    if suffix:
        # The outputs of an earlier run in the folder of the inputs are no inputs.
        written = {os.path.realpath(path) for job in jobs for path in job.outputs}
        jobs = [job for job in jobs if os.path.realpath(job.source) not in written]
    for destination in destinations:
        if destination.names_file and len(jobs) != 1:
            raise CommandError(
                f"{destination.option} {destination.path} is a file, but there are "
                f"{len(jobs)} inputs: name a folder.",
                status=2,
            )
    _refuse_collisions(jobs, overwrite)
    _refuse_equal_but_for_case(jobs)
    _refuse_ways_out(jobs, destinations)
    return Found(jobs, others)


def find_recordings(
    folder: str | os.PathLike[str],
    recursive: bool = True,
    sample_rate: int | None = None,
) -> list[AudioFile]:
    """List the audio files of a folder.

    Parameters
    ----------
    folder, recursive, sample_rate
        As for :func:`~skvae.datasets.find_audio`.

    Returns
    -------
    list of AudioFile

    Raises
    ------
    CommandError
        If the folder is missing, is no folder, or contains no audio.

    Examples
    --------
    >>> find_recordings("nowhere")
    Traceback (most recent call last):
        ...
    skvae.cli.errors.CommandError: [Errno 2] No such file or directory (check the
    folder's name): 'nowhere'
    """
    from skvae.datasets.audio_folder import find_audio

    try:
        return find_audio(folder, recursive, sample_rate)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error


def check_output(
    option: str,
    name: str,
    overwrite: bool,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Raise an error if an option names a file that must not be written.

    Parameters
    ----------
    option : str
        Option that names the file.
    name : str
        File to write.
    overwrite : bool
        Whether ``--overwrite`` is given.
    inputs : iterable of str or path-like, default=()
        Files that the command reads, which are never replaced.

    Raises
    ------
    CommandError
        If the file exists and `overwrite` is False, or if
        :func:`~skvae.utils.files.check_writable` refuses it for another reason.

    Examples
    --------
    >>> check_output("-o", "", overwrite=True)
    Traceback (most recent call last):
        ...
    skvae.cli.errors.CommandError: -o '': the name of the file is empty.
    """
    try:
        check_writable(name, overwrite, inputs)
    except FileExistsError as error:
        raise CommandError(
            f"{option} {shown(name)}: {error.strerror}: choose another name, or "
            "replace it with --overwrite.",
            status=2,
        ) from error
    except OSError as error:
        reason = f"{error.strerror}: choose another name."
        raise CommandError(f"{option} {shown(name)}: {reason}", status=2) from error
    except ValueError as error:  # an empty name, or one with a null byte
        text = str(error).rstrip(".")
        raise CommandError(f"{option} {name!r}: {text}.", status=2) from error


def check_folder_name(option: str, name: str) -> None:
    """Raise an error if an option names no folder, like a variable that is not set.

    Parameters
    ----------
    option : str
        Option that names the folder.
    name : str
        Its argument.

    Raises
    ------
    CommandError
        If the name is empty.

    Examples
    --------
    >>> check_folder_name("-o", "")
    Traceback (most recent call last):
        ...
    skvae.cli.errors.CommandError: -o '': the name is empty.
    """
    if not name:
        raise CommandError(f"{option} {name!r}: the name is empty.", status=2)


def _destination(option: str, name: str, inputs: Sequence[str]) -> _Destination:
    from skvae.datasets.audio_folder import EXTENSIONS
    from skvae.formats import ffmpeg

    check_folder_name(option, name)
    path = Path(name)
    ending = path.suffix.lower()
    # A single file of another ending has an output of the same ending.
    is_like_input = len(inputs) == 1 and (
        ending == Path(inputs[0]).suffix.lower() and os.path.isfile(inputs[0])
    )
    names_file = (
        not name.endswith(_SEPARATORS)
        and not os.path.isdir(path)
        and (ending in EXTENSIONS | ffmpeg.ENDINGS or (ending != "" and is_like_input))
    )
    if os.path.exists(path) and not os.path.isdir(path) and not names_file:
        kind = "a file" if os.path.isfile(path) else "a device, a pipe or a socket"
        raise CommandError(f"{option} {shown(name)} is {kind}: name a folder.", 2)
    if names_file and os.path.exists(path):
        check_output(option, name, overwrite=True)  # no device, pipe or socket
    return _Destination(option, path, names_file)


def _expand(inputs: Sequence[str]) -> Iterator[str]:
    """Yield files and folders, each once; expand patterns that the shell has not."""
    seen = set()
    for name in inputs:
        names = [name]
        if not os.path.lexists(name) and any(sign in name for sign in "*?["):
            names = sorted(glob.glob(name, recursive=True))
            if not names:
                raise CommandError(f"{shown(name)}: no file matches this pattern.")
        for each in names:
            if not os.path.exists(each):
                hint = " (a broken link)" if os.path.islink(each) else ""
                raise CommandError(
                    f"{shown(each)}: there is no such file or folder{hint}."
                )
            if (path := os.path.realpath(each)) not in seen:
                seen.add(path)
                yield each


class _Listing(NamedTuple):
    files: list[tuple[Path, Path]]  # with their paths relative to the input
    others: list[Path]


def _find(path: Path, recursive: bool, written: Sequence[str]) -> _Listing:
    """List the recordings of an input, and the files in it that are none."""
    from skvae.datasets.audio_folder import EXTENSIONS, scan_folder
    from skvae.formats import ffmpeg

    if not os.path.isdir(path):
        return _Listing([(path, Path(path.name))], [])
    try:
        listed = scan_folder(path, recursive, EXTENSIONS | ffmpeg.ENDINGS)
    except OSError as error:
        raise CommandError(str(error)) from error
    if not listed[0]:
        find_recordings(path, recursive)  # which says what there is
    # The outputs of an earlier run below the input, or where a link in it leads, are no
    # inputs.
    root = os.path.realpath(path)
    apart = [
        folder for folder in written if root != folder and not _is_below(root, folder)
    ]
    parents = {os.path.dirname(file) for files in listed for file in files}
    real = {folder: os.path.realpath(folder) for folder in parents}
    found, others = (
        [
            Path(file)
            for file in files
            if not any(
                parent == folder or _is_below(parent, folder)
                for parent in [real[os.path.dirname(file)]]
                for folder in apart
            )
        ]
        for files in listed
    )
    if not found:
        raise CommandError(f"{shown(path)} contains no audio except earlier outputs.")
    return _Listing([(file, file.relative_to(path)) for file in found], others)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _choose_format(
    source: Path, destinations: Sequence[_Destination], name: FormatName | None
) -> FormatName | None:
    """Choose the format of the outputs of a file. None means its own format."""
    from skvae.formats import encodings, ffmpeg

    named = [to for to in destinations if to.names_file]
    if name is None and named:
        name = encodings.format_of_ending(named[0].path, source)
    if name is None and source.suffix.lower() in ffmpeg.ENDINGS:
        name = DEFAULT_FORMAT
    for option, path, _ in named:
        endings = [source.suffix.lower()] if name is None else encodings.endings(name)
        if not any(encodings.is_same_family(path.suffix.lower(), e) for e in endings):
            wanted = shown(endings[0]) or "nothing"
            raise CommandError(
                f"{option} {shown(path)}: the output would end in {wanted}: use that "
                "ending, name a folder, or choose another --format.",
                status=2,
            )
    return name


def _ending(source: Path, name: FormatName | None) -> str:
    """Return the ending of an output in a folder."""
    from skvae.formats import encodings

    if name is None or source.suffix.lower() in encodings.endings(name):
        return source.suffix
    return encodings.endings(name)[0]


def _refuse_collisions(jobs: Sequence[Job], overwrite: bool) -> None:
    writers: dict[str, Job] = {}
    sources = {os.path.realpath(job.source): job for job in jobs}
    for job in jobs:
        for path in job.outputs:
            target = os.path.realpath(path)
            owner = sources.get(target)
            if owner is not None and not (overwrite and owner is job):
                hint = ", or replace it with --overwrite" if owner is job else ""
                raise CommandError(
                    f"{shown(path)} is an input and would be overwritten: choose "
                    f"another folder with -o{hint}."
                )
            if target in writers:
                raise CommandError(
                    f"{writers[target].name} and {job.name} would both write "
                    f"{shown(path)}: enhance them in two runs with different -o."
                )
            writers[target] = job


def _refuse_equal_but_for_case(jobs: Sequence[Job]) -> None:
    """Raise an error for outputs that are one file where case does not count."""
    writers: dict[str, tuple[Path, Job]] = {}
    for job in jobs:
        for path in job.outputs:
            name = unicodedata.normalize("NFC", os.fspath(path)).casefold()
            other, owner = writers.setdefault(name, (path, job))
            if other != path and ignores_case(path.parent):
                raise CommandError(
                    f"{owner.name} and {job.name} would both write {shown(path)}: "
                    "that disk does not distinguish the case of letters. Enhance them "
                    "in two runs with different -o."
                )


def _refuse_ways_out(jobs: Sequence[Job], destinations: Sequence[_Destination]) -> None:
    """Raise an error for links in an output folder that lead out of it."""
    for k, (option, path, names_file) in enumerate(destinations):
        if names_file:
            continue
        root = os.path.realpath(path)
        for folder in {job.outputs[k].parent for job in jobs}:
            real = os.path.realpath(folder)
            if real != root and not _is_below(real, root):
                raise CommandError(
                    f"{shown(folder)} leads out of {option} {shown(path)}, to "
                    f"{shown(real)}: remove the link, or name that folder."
                )
