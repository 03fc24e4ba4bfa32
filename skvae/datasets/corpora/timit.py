"""TIMIT: 630 speakers of eight dialects of American English, ten sentences each.

J. S. Garofolo et al.: TIMIT acoustic-phonetic continuous speech corpus, LDC93S1.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection

from skvae.datasets.audio import AudioFile
from skvae.datasets.corpora.corpus import Corpus
from skvae.datasets.corpora.sphere import refuse_compressed
from skvae.datasets.corpora.trees import (
    DEPTH,
    by_stem,
    check_folder,
    find_folders,
    list_files,
    list_folder,
    list_folders,
    refuse_incomplete,
)
from skvae.utils.parameters import check_option

NAME = "TIMIT"

#: Folders of the subsets, and the names of the subsets in the table of speakers.
SUBSETS = {"train": "TRN", "test": "TST"}

#: Folders of the dialects.
DIALECTS = tuple(f"DR{k}" for k in range(1, 9))

#: Kinds of sentences, and their number for each speaker. SA are the same two for all
#: speakers, SX are phonetically compact, SI are from diverse texts.
SENTENCES = {"SA": 2, "SX": 5, "SI": 3}

#: Extensions of recordings, the preferred ones first. On the disc, ``.WAV`` is a SPHERE
#: file. Some copies contain a converted ``.WAV.wav`` next to it.
ENDINGS = (".wav", ".flac", ".sph")

#: Name of the table of speakers.
SPEAKER_TABLE = "spkrinfo.txt"


def load_timit(
    path: str | os.PathLike[str],
    subset: str = "test",
    *,
    sentences: Collection[str] = tuple(SENTENCES),
    sample_rate: int | None = 16_000,
) -> Corpus:
    """List the clean speech of TIMIT.

    `path` contains ``TRAIN`` and ``TEST``, with a folder for each dialect and in it one
    for each speaker: ``TRAIN/DR1/FCJF0/SA1.WAV``. Names may be in upper or lower case.
    Files may be SPHERE as on the disc, WAV or FLAC.

    ``SPKRINFO.TXT`` lists the speakers. It may lie next to ``TRAIN`` and ``TEST``, one
    folder higher, in `path`, or in ``DOC`` in one of these folders. Without it, missing
    speakers are detected only if a dialect has none. Compare the number of speakers
    with those below.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus.
    subset : {"train", "test"}, default="test"
        Subset to list. "train" has 462 speakers and 4620 sentences, "test" 168 other
        speakers and 1680 sentences.
    sentences : collection of {"SA", "SX", "SI"}, default=("SA", "SX", "SI")
        Kinds of sentences. SA are the same two for all speakers, in both subsets.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of the
        files, 16 kHz.

    Returns
    -------
    Corpus
        Clean speech. Utterances have names such as ``DR1/FCJF0/SA1``, speakers such as
        ``FCJF0``. The first letter is the sex, F or M.

    Raises
    ------
    OSError
        If the folder does not exist, or if dialects, sentences, or speakers of
        ``SPKRINFO.TXT`` are missing. The message lists them.
    ValueError
        If `subset` or `sentences` is unknown, or if files are compressed.

    See Also
    --------
    load_wsj0 : Another corpus of read speech.
    load_folders : Your own recordings.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> sentences = ["SA1", "SA2"]
    >>> for dialect in range(1, 9):
    ...     speaker = os.path.join(root, "TEST", f"DR{dialect}", f"FAAA{dialect}")
    ...     os.makedirs(speaker)
    ...     for sentence in sentences:
    ...         open(os.path.join(speaker, f"{sentence}.WAV"), "w").close()
    >>> corpus = load_timit(root, "test", sentences=["SA"])
    >>> corpus
    Corpus('TIMIT test': 16 utterances, 8 speakers)
    >>> print(corpus.utterances[0])
    DR1/FAAA1/SA1
    """
    root = check_folder(path, NAME)
    check_option("subset", subset, SUBSETS)
    kinds = _check_sentences(sentences)
    folder = _find_subset(root, subset)
    if folder is None:
        hint = f"A folder of this name must contain {', '.join(DIALECTS)}."
        refuse_incomplete(NAME, root, [subset.upper()], hint)
    dialects = {
        os.path.basename(path).upper(): path
        for path in list_folders(folder)
        if os.path.basename(path).upper() in DIALECTS
    }
    missing = [f"{subset.upper()}/{d}" for d in DIALECTS if d not in dialects]
    files: dict[str, str] = {}
    speakers: list[str] = []
    for dialect, dialect_folder in dialects.items():
        inside = list_folder(dialect_folder)
        missing += [f"{dialect}/{link} (a broken link)" for link in inside.broken]
        if not inside.folders:
            missing.append(f"all speakers of {dialect}")
        for folder_name in sorted(inside.folders):
            speaker_folder = os.path.join(dialect_folder, folder_name)
            speaker = folder_name.upper()
            speakers.append(speaker)
            stems = {
                stem.upper(): name
                for stem, name in by_stem(list_files(speaker_folder), ENDINGS).items()
                if re.fullmatch(r"S[AXI][0-9]+", stem.upper())
            }
            counts = Counter(stem[:2] for stem in stems)
            missing += [
                f"{dialect}/{speaker}: {SENTENCES[kind] - counts[kind]} of the "
                f"{SENTENCES[kind]} {kind} sentences"
                for kind in kinds
                if counts[kind] < SENTENCES[kind]
            ]
            for stem in sorted(stems):
                if stem[:2] in kinds:
                    name = f"{dialect}/{speaker}/{stem}"
                    files[name] = os.path.join(speaker_folder, stems[stem])
    table = _find_table(root, folder)
    listed = {} if table is None else _read_speakers(table, subset)
    lost = [f"{dr}/{name}" for name, dr in listed.items() if name not in speakers]
    if missing or lost or not files:
        hint = f"{table!r} lists the speakers." if lost else ""
        everything = [*missing, *lost] or ["all speakers"]
        refuse_incomplete(f"{NAME} {subset}", root, everything, hint)
    refuse_compressed(files.values(), NAME)
    return Corpus(
        f"{NAME} {subset}",
        [AudioFile(path, sample_rate=sample_rate) for path in files.values()],
        None,
        list(files),
        [name.split("/")[1] for name in files],
    )


def _check_sentences(sentences: Collection[str]) -> list[str]:
    kinds = [] if isinstance(sentences, str) else list(sentences)
    if not kinds or any(kind not in SENTENCES for kind in kinds):
        raise ValueError(
            f"`sentences` must be a list of some of {list(SENTENCES)}, got "
            f"{sentences!r}."
        )
    return kinds


def _find_subset(root: str, subset: str) -> str | None:
    """Find the folder of a subset by its name and the dialects in it."""
    for dialect_folder in find_folders(root, DIALECTS, depth=DEPTH + 1):
        folder = os.path.dirname(dialect_folder) or os.curdir
        if os.path.basename(os.path.abspath(folder)).casefold() == subset:
            return folder
    return None


def _find_table(root: str, folder: str) -> str | None:
    """Find the table of speakers near the folder of a subset."""
    beside = os.path.dirname(os.path.abspath(folder))
    for place in (beside, os.path.dirname(beside), root):
        for holder in (place, *find_folders(place, ["doc"], depth=1)):
            for name in list_files(holder):
                if name.casefold() == SPEAKER_TABLE:
                    return os.path.join(holder, name)
    return None


def _read_speakers(table: str, subset: str) -> dict[str, str]:
    """Return the folders of a subset's speakers and their dialects.

    A line of the table is ``CJF0  F  1  TRN  ...``: identity, sex, dialect and subset.
    """
    with open(table, encoding="latin-1") as file:
        rows = [line.split() for line in file if not line.startswith(";")]
    return {
        f"{row[1]}{row[0]}".upper(): f"DR{row[2]}"
        for row in rows
        if len(row) > 3 and row[3].upper() == SUBSETS[subset]
    }
