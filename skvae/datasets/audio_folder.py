"""Audio files of a folder: find them, sort them, group them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

from skvae.datasets.audio import AudioFile, with_hint
from skvae.datasets.corpora.trees import walk
from skvae.utils.waveforms import check_sample_rate

#: Endings of the audio files that soundfile reads without being told their format.
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

    Hidden files and folders, whose names begin with a dot, are left out. Links are
    followed, except to a folder that they lie in; one that leads to nothing is listed,
    so that whoever reads it is told.

    Parameters
    ----------
    folder : str or path-like
        Where to look.
    recursive : bool, default=True
        Whether to look into the folders inside, too.
    sample_rate : int or None, default=None
        Rate in Hz to resample to when they are read; None keeps each file's own.

    Returns
    -------
    list of AudioFile
        Sorted by path as people sort: ``take2.wav`` comes before ``take10.wav``.

    Raises
    ------
    OSError
        When the folder is missing or is no folder.
    ValueError
        When there is no audio in it. The message counts what there is.

    See Also
    --------
    load_audio : Read a file at once.
    AudioFile : What the list holds.

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
    folder = os.fsdecode(folder)
    rate = None if sample_rate is None else check_sample_rate(sample_rate)
    try:
        os.scandir(folder).close()
    except OSError as error:
        hint = (
            "AudioFile(path) takes one file"
            if os.path.isfile(folder)
            else ("check the folder's name")
        )
        raise with_hint(error, hint) from error
    found, others = [], Counter[str]()
    for parent, names, broken in walk(folder):
        for name in (*names, *broken):
            extension = os.path.splitext(name)[1].lower()
            if extension in EXTENSIONS:
                found.append(os.path.join(parent, name))
            else:
                others[extension or "without an ending"] += 1
        if not recursive:
            break
    if not found:
        held = ", ".join(f"{n} {kind}" for kind, n in others.most_common()) or "nothing"
        where = "folder or those inside" if recursive else "folder itself"
        raise ValueError(
            f"no audio in {folder!r}: the {where} hold(s) {held}. "
            f"The endings read are {' '.join(sorted(EXTENSIONS))}."
        )
    return [AudioFile(path, sample_rate=rate) for path in sorted(found, key=_natural)]


def by_folder(recordings: Iterable[AudioFile]) -> dict[str, list[AudioFile]]:
    """Group recordings by the folders that they lie in.

    Parameters
    ----------
    recordings : iterable of AudioFile
        The recordings.

    Returns
    -------
    dict of str to list of AudioFile
        By the names of the folders, in the order in which they come.

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
    """Name of the folder that a recording lies in: its speaker, or kind of noise.

    Parameters
    ----------
    audio : AudioFile
        The recording.

    Returns
    -------
    str

    Examples
    --------
    >>> folder_name(AudioFile("speech/ann/1.wav"))
    'ann'
    """
    return os.path.basename(os.path.dirname(os.path.abspath(audio.path)))


def _natural(path: str) -> tuple[str, str]:
    """Sort key in which the numbers inside names count as numbers, folder by folder."""
    # One string, which sorts in a sixth of the time of lists: the end of a name is less
    # than a number in it, and a number less than a letter.
    return _NUMBER.sub(_as_text, path.casefold()).replace(os.sep, "\0"), path


def _as_text(number: re.Match[str]) -> str:
    """Text that sorts as a number does: how many digits it has, then these."""
    digits = number[0].lstrip("0")
    return f"\1{chr(len(digits))}{digits}"
