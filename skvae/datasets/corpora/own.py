"""Your own corpora: plain folders, and tables of pairs."""

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

#: Extensions of audio files. WAV and FLAC come first, since they are fastest to read.
ENDINGS = (".wav", ".flac", *sorted(EXTENSIONS - {".wav", ".flac"}))

#: Columns of a table and their possible names, those of `skvae mix` last.
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

    A noisy and a clean recording form a pair if they have the same relative path,
    except for the extension. A recording in a subfolder has the name of the subfolder
    as its speaker. Links are followed, except to a folder that contains them.

    Parameters
    ----------
    clean : str or path-like
        Folder of clean speech.
    noisy : str or path-like, default=None
        Folder of the corresponding noisy speech. None means clean speech only.
    name : str or None, default=None
        Name of the corpus. None means the name of the folder of clean speech.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of
        each file.

    Returns
    -------
    Corpus
        Pairs, or clean speech only. Noises and SNRs are unknown.

    Raises
    ------
    OSError
        If a folder does not exist or contains no audio, if one file of a pair is
        missing, or if a link is broken. The message lists the files.

    See Also
    --------
    find_audio : List the audio files of a folder.

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
        missing += [f"{link} (a broken link)" for link in broken]
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
    r"""List the pairs of a table, or of a folder from ``skvae mix``.

    The table is a CSV file in UTF-8 with column names in the first row. The columns
    ``clean`` and ``noisy`` contain paths relative to the folder of the table. One of
    the two may be omitted. The columns ``utterance``, ``speaker``, ``noise`` and
    ``snr`` (in dB) are optional, and their cells may be empty. Other columns are
    ignored::

        noisy,clean,speaker,noise,snr
        mixed/1.wav,speech/ann/1.wav,ann,rain,5
        mixed/2.wav,speech/bob/7.wav,bob,,

    A table of ``skvae mix`` has the column ``pair`` instead of the paths. It names the
    recordings in ``clean/`` and ``noisy/`` next to the table.

    Parameters
    ----------
    path : str or path-like
        Path of the table, or of a folder that contains it as ``pairs.csv``.
    name : str or None, default=None
        Name of the corpus. None means the name of the folder.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of
        each file.

    Returns
    -------
    Corpus
        Pairs in the order of the table.

    Raises
    ------
    OSError
        If the table or recordings are missing. The message lists them.
    ValueError
        If the table cannot be read. The message names the line.

    See Also
    --------
    load_folders : Clean speech only, or pairs without a table.
    write_corpus : Write such a folder.

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
    """Return the paths of audio files by their relative stem, and the broken links."""
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
    """Choose one audio file per stem by the preferred extension."""
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
    """Return the columns of a table, after checking its rows."""
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
            f"{path!r} must have the columns clean and noisy, or pair, got "
            f"{', '.join(header) or 'nothing'}."
        )
    if len(rows) == 1:
        raise ValueError(f"{path!r} must have a row for each pair, got none.")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"{path!r}, line {line} must have {len(header)} cells like the first "
                f"row, got {len(row)}."
            )
        for name in needed:
            if not row[header.index(name)].strip():
                raise ValueError(f"{path!r}, line {line}: {name} is empty.")
    return {
        name: [row[k].strip() for _, row in rows[1:]] for k, name in enumerate(header)
    }


def _find_by_name(root: str, side: str, names: list[str]) -> list[str]:
    """Return the paths of recordings of which only the names are known."""
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
                f"{path!r}, pair {number}: the SNR must be a number in dB or empty, "
                f"got {cell!r}."
            ) from error
    return ratios
