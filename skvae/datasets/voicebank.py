"""VoiceBank-DEMAND: 28 or 56 speakers in DEMAND's noises, and two more for the test.

C. Valentini-Botinhao, X. Wang, S. Takaki, J. Yamagishi: Investigating RNN-based speech
enhancement methods for noise-robust text-to-speech, SSW 2016.
"""

from __future__ import annotations

import math
import os

from skvae.datasets.audio import AudioFile
from skvae.datasets.corpus import Corpus
from skvae.datasets.trees import (
    by_stem,
    check_folder,
    find_folders,
    list_files,
    refuse_incomplete,
)
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
    same names or with ``_16k`` behind them. The log files ``log_testset.txt``,
    ``log_trainset_28spk.txt`` and ``log_trainset_56spk.txt`` lie beside them, in a
    folder, or one folder higher.

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
    sides = {side: _find_side(root, side, subset) for side in ("clean", "noisy")}
    official = f"{{}}_{SUBSETS[subset][0]}_wav"
    missing = [official.format(side) for side, folder in sides.items() if not folder]
    lines: dict[str, tuple[str, float]] | None = None
    log_name = f"log_{SUBSETS[subset][0]}.txt"
    hint = ""
    if log:
        log_path = _find_log(root, log_name)
        if log_path is None:
            missing.append(log_name)
            hint = "Without the log, log=False leaves noises and ratios unknown."
        else:
            lines = _read_log(log_path)
    if missing:
        refuse_incomplete(NAME, root, missing, hint)

    files = {side: _list_side(folder) for side, folder in sides.items() if folder}
    there = files["clean"].keys() | files["noisy"].keys()
    expected = sorted(there if lines is None else there | lines.keys())
    for stem in expected:
        missing += [
            f"{os.path.basename(str(sides[side]))}/{stem}.wav"
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


def _find_side(root: str, side: str, subset: str) -> str | None:
    for part in SUBSETS[subset]:
        for suffix in RESAMPLED:
            name = f"{side}_{part}_wav{suffix}"
            for folder in find_folders(root, [name]):
                # The folder of an archive may hold one of the same name.
                nested = os.path.join(folder, name)
                return nested if os.path.isdir(nested) else folder
    return None


def _list_side(folder: str) -> dict[str, str]:
    """Paths by the names that the log gives the utterances."""
    files = {}
    for stem, name in by_stem(list_files(folder), ENDINGS).items():
        for suffix in RESAMPLED[1:]:
            stem = stem.removesuffix(suffix)
        files[stem] = os.path.join(folder, name)
    return files


def _find_log(root: str, name: str) -> str | None:
    parent = os.path.dirname(os.path.abspath(root))
    for folder in (root, os.path.join(root, "logfiles"), parent):
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
