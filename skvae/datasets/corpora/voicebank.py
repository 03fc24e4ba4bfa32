"""VoiceBank-DEMAND: 28 or 56 speakers in DEMAND's noises, and two more for the test.

C. Valentini-Botinhao, X. Wang, S. Takaki, J. Yamagishi: Investigating RNN-based speech
enhancement methods for noise-robust text-to-speech, SSW 2016.
"""

from __future__ import annotations

import math
import os

from skvae.datasets.audio import AudioFile
from skvae.datasets.corpora.corpus import Corpus
from skvae.datasets.corpora.trees import (
    by_stem,
    check_folder,
    find_folders,
    list_files,
    list_folders,
    refuse_incomplete,
)
from skvae.datasets.mixing.pairs import SIDES
from skvae.utils.parameters import check_option

NAME = "VoiceBank-DEMAND"

#: Subsets, and what stands in the names of their folders: the present name of the
#: archive first, then older ones.
SUBSETS = {
    "train": ("trainset_28spk", "trainset"),
    "train_56spk": ("trainset_56spk",),
    "test": ("testset",),
}

#: What people put behind the names of folders and files that they have resampled.
RESAMPLED = ("", "_16k", "_48k")

#: Endings of the recordings, the preferred ones first.
ENDINGS = (".wav", ".flac")


def load_voicebank_demand(
    path: str | os.PathLike[str],
    subset: str = "test",
    *,
    sample_rate: int | None = 16_000,
    log: bool = True,
) -> Corpus:
    r"""List VoiceBank-DEMAND.

    Below `path` lie ``clean_testset_wav`` and ``noisy_testset_wav``, or the folders of
    another subset, as their archives unpack: at 48 kHz, or resampled to 16 kHz with the
    same names or with ``_16k`` behind them. Both lie in one folder, so that recordings
    of different rates are not taken for pairs. The log files ``log_testset.txt``,
    ``log_trainset_28spk.txt`` and ``log_trainset_56spk.txt`` lie beside them, one
    folder higher or in `path`, or in ``logfiles`` in one of these.

    Parameters
    ----------
    path : str or path-like
        The folder.
    subset : {"train", "train_56spk", "test"}, default="test"
        "train" has 28 speakers and 11572 pairs, "test" two more speakers and 824.
    sample_rate : int or None, default=16_000
        Rate in Hz to resample to when files are read; None keeps their own, 48 kHz in
        the archives.
    log : bool, default=True
        Whether to read the log, which says what the noises and their ratios are, and
        which utterances there should be. Without it they are not known.

    Returns
    -------
    Corpus
        Pairs, by name.

    Raises
    ------
    OSError
        If there is no such folder or if something is missing; the message lists it.
    ValueError
        If the log cannot be read.

    See Also
    --------
    load_demand : The noise in it, whole.
    load_pairs : Pairs of your own.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> for side in ("clean", "noisy"):
    ...     os.mkdir(os.path.join(root, f"{side}_testset_wav"))
    ...     path = os.path.join(root, f"{side}_testset_wav", "p232_001.wav")
    ...     open(path, "w").close()
    >>> with open(os.path.join(root, "log_testset.txt"), "w") as file:
    ...     _ = file.write("p232_001 bus 17.5\n")
    >>> load_voicebank_demand(root)
    Corpus('VoiceBank-DEMAND test': 1 pair, 1 speaker, 1 noise, 17.5 dB)
    """
    root = check_folder(path, NAME)
    check_option("subset", subset, SUBSETS)
    sides = _find_sides(root, subset)
    missing = [] if sides else _name_missing(root, subset)
    hints = []
    if missing:
        hints.append(
            "Both are wanted in one folder. load_folders lists pairs in other folders, "
            "such as test/clean and test/noisy."
        )
    lines: dict[str, tuple[str, float]] | None = None
    log_name = f"log_{SUBSETS[subset][0]}.txt"
    if log:
        log_path = _find_log(root, sides, log_name)
        if log_path is None:
            missing.append(log_name)
            hints.append("Without the log, log=False leaves noises and ratios unknown.")
        else:
            lines = _read_log(log_path)
    if missing:
        refuse_incomplete(NAME, root, missing, " ".join(hints))

    files = {side: _list_side(folder) for side, folder in sides.items()}
    there = files["clean"].keys() | files["noisy"].keys()
    expected = sorted(there if lines is None else there | lines.keys())
    for stem in expected:
        missing += [
            f"{os.path.basename(sides[side])}/{stem}.wav"
            for side in sides
            if stem not in files[side]
        ]
        if lines is not None and stem not in lines:
            missing.append(f"{stem} in {log_name}")
    if missing or not expected:
        refuse_incomplete(NAME, root, missing or ["all recordings"])

    noises, snrs = None, None
    if lines is not None:
        noises = [lines[stem][0] for stem in expected]
        snrs = [lines[stem][1] for stem in expected]
    return Corpus(
        f"{NAME} {subset}",
        [AudioFile(files["clean"][stem], sample_rate=sample_rate) for stem in expected],
        [AudioFile(files["noisy"][stem], sample_rate=sample_rate) for stem in expected],
        expected,
        [stem.partition("_")[0] for stem in expected],
        noises,
        snrs,
    )


def _name_sides(subset: str) -> list[dict[str, str]]:
    """What the two folders of a subset may be called, the preferred names first."""
    return [
        {side: f"{side}_{part}_wav{suffix}" for side in SIDES}
        for part in SUBSETS[subset]
        for suffix in RESAMPLED
    ]


def _find_sides(root: str, subset: str) -> dict[str, str]:
    """Find the two folders of a subset, of one kind and beside each other, if any."""
    for names in _name_sides(subset):
        for clean in find_folders(root, [names["clean"]]):
            beside = {
                os.path.basename(folder).casefold(): folder
                for folder in list_folders(os.path.dirname(clean) or os.curdir)
            }
            if all(name in beside for name in names.values()):
                return {side: beside[name] for side, name in names.items()}
    return {}


def _name_missing(root: str, subset: str) -> list[str]:
    """Names of the folders that are missing: one where the other is there."""
    choices = _name_sides(subset)
    for names in choices:
        for side, other in zip(SIDES, reversed(SIDES), strict=True):
            for folder in find_folders(root, [names[side]]):
                return [f"{names[other]} beside {folder!r}"]
    return list(choices[0].values())


def _list_side(folder: str) -> dict[str, str]:
    """Paths by the names that the log gives the utterances."""
    # The folder of an archive may hold one of the same name.
    nested = os.path.join(folder, os.path.basename(folder))
    folder = nested if os.path.isdir(nested) else folder
    files = {}
    for stem, name in by_stem(list_files(folder), ENDINGS).items():
        for suffix in RESAMPLED[1:]:
            stem = stem.removesuffix(suffix)
        files[stem] = os.path.join(folder, name)
    return files


def _find_log(root: str, sides: dict[str, str], name: str) -> str | None:
    """Find a log beside the folders of a subset or one higher, then by `root`."""
    top = os.path.abspath(root)
    beside = os.path.dirname(os.path.abspath(sides["clean"])) if sides else top
    for folder in (beside, os.path.dirname(beside), top, os.path.dirname(top)):
        for place in (folder, os.path.join(folder, "logfiles")):
            path = os.path.join(place, name)
            if os.path.isfile(path):
                return path
    return None


def _read_log(path: str) -> dict[str, tuple[str, float]]:
    """Noise and ratio of each utterance, from lines such as ``p232_001 bus 17.5``."""
    lines = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if not words:
                continue
            try:
                stem, *noise, snr = words
                ratio = float(snr)
            except ValueError:
                ratio, noise = math.nan, []
            if not noise or not math.isfinite(ratio):
                raise ValueError(
                    f"{path!r}, line {number}: wanted an utterance, its noise and its "
                    f"ratio in dB, such as 'p232_001 bus 17.5', got {line.strip()!r}."
                )
            lines[stem.removesuffix(".wav")] = (" ".join(noise), ratio)
    return lines
