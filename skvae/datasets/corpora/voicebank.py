"""VoiceBank-DEMAND: 28 or 56 speakers in noises of DEMAND, and two more for the test.

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

#: Subsets, and their names in the names of folders: that of the current archive, then
#: older ones.
SUBSETS = {
    "train": ("trainset_28spk", "trainset"),
    "train_56spk": ("trainset_56spk",),
    "test": ("testset",),
}

#: Usual suffixes of the names of resampled folders and files.
RESAMPLED = ("", "_16k", "_48k")

#: Extensions of recordings, the preferred ones first.
ENDINGS = (".wav", ".flac")


def load_voicebank_demand(
    path: str | os.PathLike[str],
    subset: str = "test",
    *,
    sample_rate: int | None = 16_000,
    log: bool = True,
) -> Corpus:
    r"""List the pairs of VoiceBank-DEMAND.

    `path` contains ``clean_testset_wav`` and ``noisy_testset_wav``, or the folders of
    another subset, as unpacked from the archives. The files have 48 kHz or are
    resampled to 16 kHz, with the same names or with the suffix ``_16k``. Both folders
    must lie in the same folder, so that recordings of different rates are not paired.
    The log files ``log_testset.txt``, ``log_trainset_28spk.txt`` and
    ``log_trainset_56spk.txt`` may lie next to them, one folder higher, in `path`, or in
    ``logfiles`` in one of these folders.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus.
    subset : {"train", "train_56spk", "test"}, default="test"
        Subset to list. "train" has 28 speakers and 11572 pairs, "test" two other
        speakers and 824 pairs.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of the
        files, 48 kHz in the archives.
    log : bool, default=True
        Whether to read the log, which lists all utterances with their noises and SNRs.
        Without it, noises and SNRs are unknown.

    Returns
    -------
    Corpus
        Pairs, sorted by name.

    Raises
    ------
    OSError
        If the folder does not exist or if files are missing. The message lists them.
    ValueError
        If the log cannot be read.

    See Also
    --------
    load_demand : Complete recordings of the noise.
    load_pairs : Your own pairs.

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
            "Both must lie in one folder. For other folders, such as test/clean and "
            "test/noisy, use load_folders."
        )
    lines: dict[str, tuple[str, float]] | None = None
    log_name = f"log_{SUBSETS[subset][0]}.txt"
    if log:
        log_path = _find_log(root, sides, log_name)
        if log_path is None:
            missing.append(log_name)
            hints.append("Use log=False to go without noises and SNRs.")
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
    """Return the possible names of a subset's two folders, the preferred ones first."""
    return [
        {side: f"{side}_{part}_wav{suffix}" for side in SIDES}
        for part in SUBSETS[subset]
        for suffix in RESAMPLED
    ]


def _find_sides(root: str, subset: str) -> dict[str, str]:
    """Find the two folders of a subset next to each other, or return an empty dict."""
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
    """Return the names of the missing folders, only one if the other exists."""
    choices = _name_sides(subset)
    for names in choices:
        for side, other in zip(SIDES, reversed(SIDES), strict=True):
            for folder in find_folders(root, [names[side]]):
                return [f"{names[other]} beside {folder!r}"]
    return list(choices[0].values())


def _list_side(folder: str) -> dict[str, str]:
    """Return the paths of recordings by their names in the log."""
    # An archive may unpack into a nested folder of the same name.
    nested = os.path.join(folder, os.path.basename(folder))
    folder = nested if os.path.isdir(nested) else folder
    files = {}
    for stem, name in by_stem(list_files(folder), ENDINGS).items():
        for suffix in RESAMPLED[1:]:
            stem = stem.removesuffix(suffix)
        files[stem] = os.path.join(folder, name)
    return files


def _find_log(root: str, sides: dict[str, str], name: str) -> str | None:
    """Find a log next to the folders of a subset, one folder higher, or near `root`."""
    top = os.path.abspath(root)
    beside = os.path.dirname(os.path.abspath(sides["clean"])) if sides else top
    for folder in (beside, os.path.dirname(beside), top, os.path.dirname(top)):
        for place in (folder, os.path.join(folder, "logfiles")):
            path = os.path.join(place, name)
            if os.path.isfile(path):
                return path
    return None


def _read_log(path: str) -> dict[str, tuple[str, float]]:
    """Return the noise and SNR of each utterance.

    A line of the log is ``p232_001 bus 17.5``.
    """
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
                    f"{path!r}, line {number} must be an utterance, its noise and its "
                    f"SNR in dB, such as 'p232_001 bus 17.5', got {line.strip()!r}."
                )
            lines[stem.removesuffix(".wav")] = (" ".join(noise), ratio)
    return lines
