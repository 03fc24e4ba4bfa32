"""CHiME-3 and CHiME-4: speech of WSJ0 on a bus, in a café, among people, in a street.

J. Barker, R. Marxer, E. Vincent, S. Watanabe: The third CHiME speech separation and
recognition challenge, ASRU 2015. CHiME-4 has the same simulated data.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from skvae.datasets.audio import AudioFile
from skvae.datasets.corpora.corpus import Corpus
from skvae.datasets.corpora.trees import (
    check_folder,
    find_folders,
    find_missing,
    list_files,
    refuse_incomplete,
)
from skvae.utils.parameters import check_option, check_real

NAME = "CHiME"

#: Subsets, and the original speech of their simulation: its folder, and the end of its
#: file names.
SUBSETS = {
    "tr05": ("tr05_org", "ORG"),
    "dt05": ("dt05_bth", "BTH.CH0"),
    "et05": ("et05_bth", "BTH.CH0"),
}

#: Choices of the clean speech.
REFERENCES = ("image", "original")

#: Number of microphones of the tablet.
N_CHANNELS = 6

#: Required keys of an annotation.
KEYS = ("speaker", "wsj_name", "environment")

#: Folder of the audio, next to the annotations.
AUDIO = os.path.join("audio", "16kHz")


def load_chime(
    path: str | os.PathLike[str],
    subset: str = "et05",
    *,
    channel: int = 5,
    reference: str = "image",
    sample_rate: int | None = 16_000,
) -> Corpus:
    """List one channel of the simulated data of CHiME-3 or CHiME-4.

    `path` contains ``annotations/et05_simu.json``, which lists the utterances. Next to
    ``annotations`` lie the folders ``audio/16kHz/isolated`` with the noisy speech and,
    for the images, ``audio/16kHz/isolated_ext``.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus, for example ``CHiME3`` or ``CHiME3/data``.
    subset : {"tr05", "dt05", "et05"}, default="et05"
        Subset for training (7138 pairs), development (1640) or testing (1320).
    channel : int, default=5
        Microphone from 1 to 6. Most publications use 5. Microphone 2 faces backwards.
    reference : {"image", "original"}, default="image"
        Clean speech. "image" is the speech at the microphone as it is contained in the
        mixture, so that distortion can be measured:
        ``isolated_ext/et05_bus_simu/*.CH5.Clean.wav``. The simulation of CHiME-4 writes
        these files; the distribution does not contain them. "original" is the source of
        the simulation, with the same length but another level and timing: ``tr05_org``,
        or the booth recordings of ``dt05_bth`` and ``et05_bth``.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of the
        files, 16 kHz.

    Returns
    -------
    Corpus
        Pairs in the order of the annotations. The noises are BUS, CAF, PED and STR. The
        annotations do not contain SNRs: use :meth:`Corpus.measure_snrs` with images.

    Raises
    ------
    OSError
        If the folder does not exist, or if annotated files are missing. The message
        lists them.
    ValueError
        If the annotations cannot be read, or if a parameter is not valid.

    See Also
    --------
    load_chime_backgrounds : The noise without the speech.

    Notes
    -----
    The one-channel and two-channel tracks of CHiME-4 choose other microphones for each
    utterance. They are not supported.

    Examples
    --------
    >>> import json, os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> for folder in ("annotations", "audio/16kHz/isolated/et05_bus_simu",
    ...                "audio/16kHz/isolated_ext/et05_bus_simu"):
    ...     os.makedirs(os.path.join(root, folder))
    >>> entry = {"speaker": "M05", "wsj_name": "440C0201", "environment": "BUS"}
    >>> with open(os.path.join(root, "annotations", "et05_simu.json"), "w") as file:
    ...     json.dump([entry], file)
    >>> for name in ("isolated/et05_bus_simu/M05_440C0201_BUS.CH5.wav",
    ...              "isolated_ext/et05_bus_simu/M05_440C0201_BUS.CH5.Clean.wav"):
    ...     open(os.path.join(root, "audio/16kHz", name), "w").close()
    >>> load_chime(root, "et05")
    Corpus('CHiME et05': 1 pair, 1 speaker, 1 noise)
    """
    root = check_folder(path, NAME)
    check_option("subset", subset, SUBSETS)
    check_option("reference", reference, REFERENCES)
    check_real("channel", channel, low=1, high=N_CHANNELS, integer=True)
    data = _find_data(root)
    entries = _read_annotations(root, data, f"{subset}_simu.json")
    utterances, noisy, clean = [], [], []
    for entry in entries:
        environment = entry["environment"].upper()
        name = f"{entry['speaker']}_{entry['wsj_name']}"
        utterances.append(f"{name}_{environment}")
        folder = f"{subset}_{environment.lower()}_simu"
        noisy.append(f"isolated/{folder}/{name}_{environment}.CH{channel}.wav")
        if reference == "image":
            clean.append(
                f"isolated_ext/{folder}/{name}_{environment}.CH{channel}.Clean.wav"
            )
        else:
            original, ending = SUBSETS[subset]
            clean.append(f"isolated/{original}/{name}_{ending}.wav")
    audio = os.path.join(data, AUDIO)
    # An original belongs to up to four mixtures, and is reported once.
    missing = find_missing(audio, [*noisy, *clean])
    if missing:
        is_image = any(file.startswith("isolated_ext") for file in missing)
        hint = (
            "CHiME4_simulate_data of the challenge's tools writes isolated_ext. "
            "Without it, use reference='original'."
        )
        refuse_incomplete(f"{NAME} {subset}", audio, missing, hint if is_image else "")
    return Corpus(
        f"{NAME} {subset}",
        [_open(audio, name, sample_rate) for name in clean],
        [_open(audio, name, sample_rate) for name in noisy],
        utterances,
        [entry["speaker"] for entry in entries],
        [entry["environment"].upper() for entry in entries],
    )


def load_chime_backgrounds(
    path: str | os.PathLike[str],
    *,
    channel: int = 5,
    sample_rate: int | None = 16_000,
) -> dict[str, list[AudioFile]]:
    """List the background noise of CHiME-3 or CHiME-4.

    The training data are mixtures with this noise. The files are
    ``audio/16kHz/backgrounds/BGD_150203_010_BUS.CH5.wav`` and others.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus, as for :func:`load_chime`.
    channel : int, default=5
        Microphone from 1 to 6.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of the
        files, 16 kHz.

    Returns
    -------
    dict of str to list of AudioFile
        Recordings of each environment: BUS, CAF, PED, STR.

    Raises
    ------
    OSError
        If the folder does not exist, or if it contains no noise of that channel.

    See Also
    --------
    load_chime : The noisy speech.
    load_noises : Your own recordings of noise.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> folder = os.path.join(root, "audio", "16kHz", "backgrounds")
    >>> os.makedirs(folder)
    >>> os.makedirs(os.path.join(root, "annotations"))
    >>> open(os.path.join(folder, "BGD_150203_010_BUS.CH5.wav"), "w").close()
    >>> list(load_chime_backgrounds(root))
    ['BUS']
    """
    root = check_folder(path, NAME)
    check_real("channel", channel, low=1, high=N_CHANNELS, integer=True)
    folder = os.path.join(_find_data(root), AUDIO, "backgrounds")
    names = list_files(folder) if os.path.isdir(folder) else []
    noises: dict[str, list[AudioFile]] = {}
    for name in names:
        match = re.fullmatch(rf".*_([A-Z]+)\.CH{channel}\.wav", name)
        if match:
            audio = AudioFile(os.path.join(folder, name), sample_rate=sample_rate)
            noises.setdefault(match[1], []).append(audio)
    if not noises:
        refuse_incomplete(NAME, root, [f"{AUDIO}/backgrounds/*.CH{channel}.wav"])
    return dict(sorted(noises.items()))


def _open(root: str, name: str, sample_rate: int | None) -> AudioFile:
    return AudioFile(os.path.join(root, *name.split("/")), sample_rate=sample_rate)


def _find_data(root: str) -> str:
    """Find the folder that contains ``annotations/`` and ``audio/``."""
    found = next(find_folders(root, ["annotations"]), None)
    if found is None:
        refuse_incomplete(NAME, root, ["annotations"])
    return os.path.dirname(found)


def _read_annotations(root: str, data: str, name: str) -> list[dict[str, Any]]:
    path = os.path.join(data, "annotations", name)
    if not os.path.isfile(path):
        refuse_incomplete(NAME, root, [f"annotations/{name}"])
    with open(path, encoding="utf-8") as file:
        try:
            entries = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path!r} cannot be read as JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path!r} must hold a list of utterances.")
    for k, entry in enumerate(entries):
        is_entry = isinstance(entry, dict)
        if not is_entry or not all(isinstance(entry.get(key), str) for key in KEYS):
            raise ValueError(
                f"{path!r} must give the {', '.join(KEYS)} of each utterance, got "
                f"{entry!r} for number {k}."
            )
    return entries
