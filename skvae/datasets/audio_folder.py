"""Audio files in folders: found, sorted and grouped."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable

from skvae.datasets.audio import AudioFile, with_hint
from skvae.datasets.corpora.trees import walk
from skvae.utils.waveforms import check_sample_rate

#: File extensions from which soundfile recognizes the format.
EXTENSIONS = frozenset(
    (
        ".aif",
        ".aifc",
        ".aiff",
        ".au",
        ".caf",
        ".flac",
        ".mp3",
        ".oga",
        ".ogg",
        ".opus",
        ".rf64",
        ".snd",
        ".sph",
        ".w64",
        ".wav",
        ".wave",
    )
)

_NUMBER = re.compile("[0-9]+")


def find_audio(
    folder: str | os.PathLike[str],
    recursive: bool = True,
    sample_rate: int | None = None,
) -> list[AudioFile]:
    """List the audio files of a folder without opening them.

    Hidden files and folders, whose names begin with a dot, are ignored. Links are
    followed, except to a folder that contains them. Broken links are listed, so that
    reading them raises an error.

    Parameters
    ----------
    folder : str or path-like
        Folder to search.
    recursive : bool, default=True
        Whether to search subfolders.
    sample_rate : int or None, default=None
        Sample rate in Hz to resample to when files are read. None means the rate of
        each file.

    Returns
    -------
    list of AudioFile
        Files, sorted by path with numbers in numeric order: ``take2.wav`` comes before
        ``take10.wav``.

    Raises
    ------
    OSError
        If the folder is missing or is not a folder.
    ValueError
        If the folder contains no audio. The message counts the other files.

    See Also
    --------
    load_audio : Read a file at once.
    AudioFile : Item of the list.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["take10.wav", "take2.flac"]:
    ...         soundfile.write(os.path.join(folder, name), np.zeros(80), 8000)
    ...     [os.path.basename(audio.path) for audio in find_audio(folder)]
    ['take2.flac', 'take10.wav']
    """
    rate = None if sample_rate is None else check_sample_rate(sample_rate)
    found, others = scan_folder(folder, recursive)
    if not found:
        counts = Counter(
            os.path.splitext(path)[1].lower() or "without an extension"
            for path in others
        )
        held = ", ".join(f"{n} {kind}" for kind, n in counts.most_common()) or "nothing"
        where = (
            "the folder and its subfolders hold" if recursive else "the folder holds"
        )
        raise ValueError(
            f"no audio in {os.fsdecode(folder)!r}: {where} {held}. "
            f"The extensions of audio are {' '.join(sorted(EXTENSIONS))}."
        )
    return [AudioFile(path, sample_rate=rate) for path in found]


def scan_folder(
    folder: str | os.PathLike[str],
    recursive: bool = True,
    extensions: Collection[str] = EXTENSIONS,
) -> tuple[list[str], list[str]]:
    """List the files of a folder: those with some extensions, and the others.

    Parameters
    ----------
    folder, recursive
        As for :func:`find_audio`.
    extensions : collection of str, default=EXTENSIONS
        Extensions in lower case, with their dots.

    Returns
    -------
    found, others : list of str
        Paths, in the order of :func:`find_audio`.

    Raises
    ------
    OSError
        If the folder is missing or is not a folder.

    Examples
    --------
    >>> import tempfile
    >>> scan_folder(tempfile.mkdtemp())
    ([], [])
    """
    folder = os.fsdecode(folder)
    try:
        os.scandir(folder).close()
    except OSError as error:
        hint = (
            "AudioFile(path) takes one file"
            if os.path.isfile(folder)
            else "check the folder's name"
        )
        raise with_hint(error, hint) from error
    found: list[str] = []
    others: list[str] = []
    for parent, names, broken in walk(folder):
        for name in (*names, *broken):
            extension = os.path.splitext(name)[1].lower()
            chosen = found if extension in extensions else others
            chosen.append(os.path.join(parent, name))
        if not recursive:
            break
    return sorted(found, key=_natural), sorted(others, key=_natural)


def by_folder(recordings: Iterable[AudioFile]) -> dict[str, list[AudioFile]]:
    """Group recordings by the folder that contains them.

    Parameters
    ----------
    recordings : iterable of AudioFile
        Recordings.

    Returns
    -------
    dict of str to list of AudioFile
        Recordings by the name of their folder, in the given order.

    Examples
    --------
    >>> groups = by_folder([AudioFile("rain/1.wav"), AudioFile("rain/2.wav")])
    >>> {name: len(group) for name, group in groups.items()}
    {'rain': 2}
    """
    groups: dict[str, list[AudioFile]] = {}
    for audio in recordings:
        groups.setdefault(folder_name(audio), []).append(audio)
    return groups


def folder_name(audio: AudioFile) -> str:
    """Return the name of a recording's folder: its speaker or its kind of noise.

    Parameters
    ----------
    audio : AudioFile
        Recording.

    Returns
    -------
    str
        Name of the folder.

    Examples
    --------
    >>> folder_name(AudioFile("speech/ann/1.wav"))
    'ann'
    """
    return os.path.basename(os.path.dirname(os.path.abspath(audio.path)))


def _natural(path: str) -> tuple[str, str]:
    """Sort key that compares the numbers in names as numbers, folder by folder."""
    # One string sorts six times faster than a list. In it, the end of a name comes
    # before a number, and a number before a letter.
    return _NUMBER.sub(_as_text, path.casefold()).replace(os.sep, "\0"), path


def _as_text(number: re.Match[str]) -> str:
    """Encode a number as text that sorts like it: number of digits, then digits."""
    digits = number[0].lstrip("0")
    return f"\1{chr(len(digits))}{digits}"
