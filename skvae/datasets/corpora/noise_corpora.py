"""Corpora of noise: DEMAND, LITIS ROUEN, and your own folders.

The loaders return noises by environment: a dict of lists, for :func:`mix_corpus` and
:func:`~skvae.datasets.mixing.pairs.mix_pairs`. :class:`Mixer` takes one list of all
noises, ``[noise for kind in noises.values() for noise in kind]``.

J. Thiemann, N. Ito, E. Vincent: The diverse environments multi-channel acoustic noise
database, ICA 2013. A. Rakotomamonjy, G. Gasso: Histogram of gradients of time-frequency
representations for audio scene classification, IEEE/ACM TASLP 2015.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

from skvae.datasets.audio import AudioFile
from skvae.datasets.audio_folder import by_folder, find_audio
from skvae.datasets.corpora.trees import (
    by_stem,
    check_folder,
    find_folders,
    list_files,
    refuse_incomplete,
    walk,
)

#: Environments of DEMAND with descriptions.
DEMAND_ENVIRONMENTS = {
    "DKITCHEN": "kitchen, domestic",
    "DLIVING": "living room, domestic",
    "DWASHING": "laundry room, domestic",
    "NFIELD": "sports field, nature",
    "NPARK": "park, nature",
    "NRIVER": "creek, nature",
    "OHALLWAY": "hallway, office",
    "OMEETING": "meeting room, office",
    "OOFFICE": "small office, office",
    "PCAFETER": "cafeteria, public",
    "PRESTO": "restaurant, public",
    "PSTATION": "subway station, public",
    "SCAFE": "terrace of a cafe, street",
    "SPSQUARE": "public square, street",
    "STRAFFIC": "busy intersection, street",
    "TBUS": "bus, transportation",
    "TCAR": "car, transportation",
    "TMETRO": "subway, transportation",
}

#: Number of microphones of DEMAND.
DEMAND_CHANNELS = 16

#: Suffixes of the environment in the names of DEMAND's archives.
DEMAND_SUFFIXES = ("", "_16k", "_48k")

#: Number of scenes of LITIS ROUEN.
ROUEN_SCENES = 19

#: Name of the list of LITIS ROUEN's recordings.
ROUEN_LIST = "relation_wav_examples.txt"

#: Extensions of recordings, the preferred ones first.
ENDINGS = (".wav", ".flac")


def load_demand(
    path: str | os.PathLike[str],
    environments: Collection[str] | None = None,
    *,
    channels: Collection[int] = (1,),
    sample_rate: int | None = 16_000,
) -> dict[str, list[AudioFile]]:
    """List the noises of DEMAND.

    `path` contains a folder for each environment with ``ch01.wav`` to ``ch16.wav``, at
    48 or 16 kHz. Folder names such as ``TBUS_16k`` are also found.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus.
    environments : collection of str or None, default=None
        Keys of :data:`DEMAND_ENVIRONMENTS`. None means all 18. SCAFE is distributed at
        48 kHz only, so that the archives at 16 kHz contain 17.
    channels : collection of int, default=(1,)
        Microphones from 1 to 16, which recorded at the same time.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of
        each file.

    Returns
    -------
    dict of str to list of AudioFile
        Recordings of five minutes by environment, one for each channel.

    Raises
    ------
    OSError
        If the folder does not exist or if files are missing. The message lists them.
    ValueError
        If an environment or a channel is unknown.

    See Also
    --------
    load_rouen : Other environments.
    load_noises : Your own recordings of noise.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> os.mkdir(os.path.join(root, "TBUS"))
    >>> open(os.path.join(root, "TBUS", "ch01.wav"), "w").close()
    >>> [len(files) for files in load_demand(root, ["TBUS"]).values()]
    [1]
    """
    root = check_folder(path, "DEMAND")
    wanted = _check_choice("environments", environments, DEMAND_ENVIRONMENTS)
    numbers = _check_choice("channels", channels, range(1, DEMAND_CHANNELS + 1))
    noises: dict[str, list[AudioFile]] = {}
    missing = []
    for environment in wanted:
        folder = _find_environment(root, environment)
        if folder is None:
            missing.append(environment)
            continue
        files = by_stem(list_files(folder), ENDINGS)
        stems = [f"ch{number:02d}" for number in numbers]
        missing += [f"{environment}/{s}.wav" for s in stems if s not in files]
        noises[environment] = [
            AudioFile(os.path.join(folder, files[stem]), sample_rate=sample_rate)
            for stem in stems
            if stem in files
        ]
    if missing:
        hint = (
            "Select environments with environments=."
            if environments is None and noises
            else ""
        )
        refuse_incomplete("DEMAND", root, missing, hint)
    return noises


def load_rouen(
    path: str | os.PathLike[str],
    scenes: Collection[str] | None = None,
    *,
    sample_rate: int | None = 16_000,
) -> dict[str, list[AudioFile]]:
    """List the LITIS ROUEN audio scenes.

    `path` contains ``data_rouen`` with recordings such as ``busystreet12.wav``, whose
    names consist of the scene and a number. ``relation_wav_examples.txt``, which is
    distributed with them, lists all recordings.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus. It may be ``data_rouen`` itself.
    scenes : collection of str or None, default=None
        Scenes, such as "bus" and "metro-paris". None means all 19.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of the
        files, 22.05 kHz.

    Returns
    -------
    dict of str to list of AudioFile
        Recordings of half a minute by scene.

    Raises
    ------
    OSError
        If the folder does not exist, or if scenes or listed recordings are missing. The
        message lists them.

    See Also
    --------
    load_demand : Other environments.
    load_noises : Your own recordings of noise.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> for name in ("bus10.wav", "bus9.wav", "metro-paris1.wav"):
    ...     open(os.path.join(root, name), "w").close()
    >>> noises = load_rouen(root, ["bus"])
    >>> [os.path.basename(audio.path) for audio in noises["bus"]]
    ['bus9.wav', 'bus10.wav']
    """
    root = check_folder(path, "LITIS ROUEN")
    folder = next(find_folders(root, ["data_rouen"]), root)
    files = by_stem(list_files(folder), ENDINGS)
    by_scene: dict[str, list[tuple[int, str]]] = {}
    for stem, name in files.items():
        match = re.fullmatch(r"(\D+)(\d+)", stem)
        if match:
            place = os.path.join(folder, name)
            by_scene.setdefault(match[1], []).append((int(match[2]), place))
    if isinstance(scenes, str):
        raise ValueError(f"`scenes` must be a list of scenes, got {scenes!r}.")
    wanted = sorted(by_scene) if scenes is None else list(scenes)
    listed = [name for name in _read_rouen_list(root, folder) if name not in files]
    missing = [scene for scene in wanted if scene not in by_scene]
    missing += [f"{name}.wav" for name in listed if _scene_of(name) in wanted]
    if scenes is None:
        missing += [f"{name}.wav" for name in listed if _scene_of(name) not in wanted]
        if len(by_scene) < ROUEN_SCENES and not missing:
            held = ", ".join(sorted(by_scene)) or "none"
            missing = [
                f"{ROUEN_SCENES - len(by_scene)} of the {ROUEN_SCENES} scenes "
                f"(there are: {held})"
            ]
    if missing:
        refuse_incomplete("LITIS ROUEN", root, missing)
    return {
        scene: [
            AudioFile(place, sample_rate=sample_rate)
            for _, place in sorted(by_scene[scene])
        ]
        for scene in wanted
    }


def load_noises(
    path: str | os.PathLike[str], *, sample_rate: int | None = 16_000
) -> dict[str, list[AudioFile]]:
    """List your own noises, with one folder for each kind.

    Parameters
    ----------
    path : str or path-like
        Folder that contains the folders. All audio below it is listed under the name of
        its own folder. Links are followed, except to a folder that contains them.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of
        each file.

    Returns
    -------
    dict of str to list of AudioFile
        Recordings by the name of their folder.

    Raises
    ------
    OSError
        If the folder does not exist, or if links are broken. The message lists them.
    ValueError
        If the folder contains no audio.

    See Also
    --------
    load_demand, load_rouen, load_chime_backgrounds : Published recordings of noise.
    Mixer : Mixtures of speech and noise.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> os.mkdir(os.path.join(root, "rain"))
    >>> open(os.path.join(root, "rain", "roof.flac"), "w").close()
    >>> list(load_noises(root))
    ['rain']
    """
    root = check_folder(path, "noise")
    broken = [
        f"{os.path.join(folder, name)} (a broken link)"
        for folder, _, links in walk(root)
        for name in links
    ]
    if broken:
        refuse_incomplete("noise", root, broken)
    return by_folder(find_audio(root, sample_rate=sample_rate))


def _check_choice(name: str, chosen: Collection | None, known: Iterable) -> list:
    options = list(known)
    values = options if chosen is None else chosen
    wrong = isinstance(values, str) or not isinstance(values, Collection)
    if wrong or not len(values) or any(value not in options for value in values):
        raise ValueError(
            f"`{name}` must be a list of some of {options}, got {chosen!r}."
        )
    return list(values)


def _find_environment(root: str, environment: str) -> str | None:
    """Find the folder of an environment, which may have a suffix or be nested."""
    for suffix in DEMAND_SUFFIXES:
        for folder in find_folders(root, [environment + suffix], depth=2):
            nested = os.path.join(folder, environment)
            return nested if os.path.isdir(nested) else folder
    return None


def _scene_of(stem: str) -> str:
    return re.split(r"\d", stem, maxsplit=1)[0]


def _read_rouen_list(root: str, folder: str) -> list[str]:
    """Return the names of all recordings, the first word of each line of the list."""
    for place in (root, folder, os.path.dirname(os.path.abspath(folder))):
        path = os.path.join(place, ROUEN_LIST)
        if os.path.isfile(path):
            with open(path, encoding="latin-1") as file:
                names = [line.split()[0] for line in file if line.strip()]
            return [os.path.splitext(name)[0] for name in names]
    return []
