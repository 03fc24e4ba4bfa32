"""Corpora of one's own: plain folders, and a table of pairs."""

from __future__ import annotations

import csv
import math
import os

from skvae.datasets.audio import AudioFile
from skvae.datasets.audio_folder import EXTENSIONS
from skvae.datasets.corpora.corpus import UNKNOWN, Corpus
from skvae.datasets.corpora.trees import (
    check_folder,
    find_missing,
    list_files,
    refuse_incomplete,
    walk,
)
from skvae.datasets.mixing.pairs import SIDES, TABLE

#: Endings of audio files. WAV and FLAC first: they are read quickest, also in parts.
ENDINGS = (".wav", ".flac", *sorted(EXTENSIONS - {".wav", ".flac"}))

#: Columns of a table: what they may be called, ours first, then those of `skvae mix`.
COLUMNS = {
    "utterance": ("utterance", "pair"),
    "speaker": ("speaker",),
    "noise": ("noise", "environment"),
    "snr": ("snr", "snr_db"),
}


def load_folders(
    clean: str | os.PathLike[str],
    noisy: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    sample_rate: int | None = 16_000,
) -> Corpus:
    """List a folder of clean speech, or two folders with clean and noisy speech.

    A noisy and a clean recording belong together if they lie at the same place in their
    folders under the same name; the endings may differ. A recording in a folder inside
    has the speaker that that folder is called after. Links are followed, except to a
    folder that they lie in.

    Parameters
    ----------
    clean : str or path-like
        Folder of clean speech.
    noisy : str or path-like, default=None
        Folder of the noisy speech that belongs to it.
    name : str or None, default=None
        What the corpus is called; None means as the folder of the clean speech.
    sample_rate : int or None, default=16_000
        Rate in Hz to resample to when files are read; None keeps each file's own.

    Returns
    -------
    Corpus
        Pairs, or clean speech. Noises and ratios are not known.

    Raises
    ------
    OSError
        If there is no such folder, no audio in it, if one of a pair is missing, or if a
        link leads to nothing; the message lists them.

    See Also
    --------
    find_audio : The audio files of a folder.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> for side, ending in (("clean", "flac"), ("noisy", "wav")):
    ...     os.makedirs(os.path.join(root, side, "ann"))
    ...     open(os.path.join(root, side, "ann", f"1.{ending}"), "w").close()
    >>> load_folders(os.path.join(root, "clean"), os.path.join(root, "noisy"))
    Corpus('clean': 1 pair, 1 speaker)
    """
    root = check_folder(clean, "clean speech")
    title = name or os.path.basename(os.path.abspath(root))
    roots = {"clean": root}
    if noisy is not None:
        roots["noisy"] = check_folder(noisy, "noisy speech")
    sides, missing, known = {}, [], set()
    for side, folder in roots.items():
        sides[side], broken = _list_tree(folder)
        missing += [f"{link} (a link to nothing)" for link in broken]
        known |= {os.path.splitext(link)[0] for link in broken}
    utterances = sorted({stem for files in sides.values() for stem in files})
    missing += [
        f"{os.path.join(roots[side], stem)} ({side})"
        for stem in utterances
        for side, files in sides.items()
        if stem not in files and os.path.join(roots[side], stem) not in known
    ]
    if missing or not utterances:
        refuse_incomplete(title, root, missing or ["all audio"])
    lists = {
        side: [AudioFile(files[stem], sample_rate=sample_rate) for stem in utterances]
        for side, files in sides.items()
    }
    return Corpus(
        title,
        lists["clean"],
        lists.get("noisy"),
        utterances,
        [os.path.basename(os.path.dirname(stem)) for stem in utterances],
    )


def load_pairs(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    sample_rate: int | None = 16_000,
) -> Corpus:
    r"""List the pairs of a table, or of a folder that ``skvae mix`` wrote.

    The table is a file of comma-separated values in UTF-8 whose first row names the
    columns. ``clean`` and ``noisy`` hold paths, which start at the folder of the table;
    one of the two may be left out. ``utterance``, ``speaker``, ``noise`` and ``snr``
    (in dB) may be there, and their cells may be empty. Others are passed over::

        noisy,clean,speaker,noise,snr
        mixed/1.wav,speech/ann/1.wav,ann,rain,5
        mixed/2.wav,speech/bob/7.wav,bob,,

    A table of ``skvae mix`` has the column ``pair`` instead of the paths: recordings of
    that name lie in ``clean/`` and ``noisy/`` beside it.

    Parameters
    ----------
    path : str or path-like
        The table; or a folder, in which it is called ``pairs.csv``.
    name : str or None, default=None
        What the corpus is called; None means as the folder.
    sample_rate : int or None, default=16_000
        Rate in Hz to resample to when files are read; None keeps each file's own.

    Returns
    -------
    Corpus
        In the order of the table.

    Raises
    ------
    OSError
        If there is no such file, or if recordings are missing; the message lists them.
    ValueError
        If the table cannot be read. The message names the line.

    See Also
    --------
    load_folders : Clean speech alone, of several speakers.
    write_corpus : Writes such a folder.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> for file in ("noisy.wav", "clean.wav"):
    ...     open(os.path.join(root, file), "w").close()
    >>> table = os.path.join(root, "own.csv")
    >>> with open(table, "w") as file:
    ...     _ = file.write("noisy,clean,noise,snr\nnoisy.wav,clean.wav,rain,5\n")
    >>> load_pairs(table, name="own")
    Corpus('own': 1 pair, 1 noise, 5 dB)
    """
    table = os.fsdecode(path)
    if os.path.isdir(table):
        table = os.path.join(table, TABLE)
        if not os.path.isfile(table):
            refuse_incomplete("a folder of pairs", os.fsdecode(path), [TABLE])
    columns = _read_table(table)
    root = os.path.dirname(table)
    title = name or os.path.basename(os.path.abspath(root))
    sides = {side: columns[side] for side in SIDES if side in columns}
    if not sides:
        sides = {side: _find_by_name(root, side, columns["pair"]) for side in SIDES}
    missing = find_missing(root, (file for files in sides.values() for file in files))
    if missing:
        refuse_incomplete(title, root, missing)
    lists = {
        side: [AudioFile(os.path.join(root, f), sample_rate=sample_rate) for f in files]
        for side, files in sides.items()
    }
    values = {
        key: next((columns[name] for name in names if name in columns), None)
        for key, names in COLUMNS.items()
    }
    utterances = values["utterance"] or [
        os.path.splitext(os.path.basename(file))[0]
        for file in sides.get("noisy", sides.get("clean", []))
    ]
    return Corpus(
        title,
        lists.get("clean"),
        lists.get("noisy"),
        utterances,
        values["speaker"],
        values["noise"],
        _read_ratios(table, values["snr"]),
    )


def _list_tree(root: str) -> tuple[dict[str, str], list[str]]:
    """Paths of audio files by their place in a folder, and those of broken links."""
    files, broken = {}, []
    for folder, names, links in walk(root):
        broken += [os.path.join(folder, name) for name in links]
        place = os.path.relpath(folder, root)
        for name in _prefer(names):
            stem = os.path.splitext(name)[0]
            key = stem if place == os.curdir else os.path.join(place, stem)
            files[key] = os.path.join(folder, name)
    return files, broken


def _prefer(names: list[str]) -> list[str]:
    """Audio files, one for each name without its ending."""
    chosen: dict[str, str] = {}
    for name in sorted(names, key=_rank):
        stem, ending = os.path.splitext(name)
        if ending.lower() in EXTENSIONS:
            chosen.setdefault(stem, name)
    return list(chosen.values())


def _rank(name: str) -> tuple[int, str]:
    ending = os.path.splitext(name)[1].lower()
    return ENDINGS.index(ending) if ending in EXTENSIONS else len(ENDINGS), name


def _read_table(path: str) -> dict[str, list[str]]:
    """Columns of a table, with a path or a pair in each row."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            rows = [(reader.line_num, row) for row in reader if row]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path!r} cannot be read as a table: {error}") from error
    header = [name.strip() for name in rows[0][1]] if rows else []
    needed = [name for name in (*SIDES, "pair") if name in header]
    if not needed:
        raise ValueError(
            f"{path!r} must have columns called clean and noisy, or pair, got "
            f"{', '.join(header) or 'nothing'}."
        )
    if len(rows) == 1:
        raise ValueError(f"{path!r} must have a row for each pair, got none.")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"{path!r}, line {line}: wanted {len(header)} cells, as in the first "
                f"row, got {len(row)}."
            )
        for name in needed:
            if not row[header.index(name)].strip():
                raise ValueError(f"{path!r}, line {line}: {name} is empty.")
    return {
        name: [row[k].strip() for _, row in rows[1:]] for k, name in enumerate(header)
    }


def _find_by_name(root: str, side: str, names: list[str]) -> list[str]:
    """Paths of recordings of which only the names are known."""
    folder = os.path.join(root, side)
    found = _prefer(list_files(folder)) if os.path.isdir(folder) else []
    files = {os.path.splitext(name)[0]: name for name in found}
    return [os.path.join(side, files.get(name, f"{name}.wav")) for name in names]


def _read_ratios(path: str, cells: list[str] | None) -> list[float] | None:
    if cells is None:
        return None
    ratios = []
    for number, cell in enumerate(cells, 1):
        try:
            ratios.append(math.nan if cell == UNKNOWN else float(cell))
        except ValueError as error:
            raise ValueError(
                f"{path!r}, pair {number}: the ratio must be a number of dB or empty, "
                f"got {cell!r}."
            ) from error
    return ratios
