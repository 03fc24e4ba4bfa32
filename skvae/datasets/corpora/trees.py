"""Folder trees of corpora: search, listing and completeness.

A tree of a million files is listed in seconds, because only folders are read. Files are
neither opened nor queried for their size.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

#: Number of missing items that a message lists. It counts the others.
N_SHOWN = 5

#: Depth below the given path to which folders of a corpus are searched. Archives often
#: unpack into a folder inside a folder of the same name.
DEPTH = 4


def check_folder(path: str | os.PathLike[str], corpus: str) -> str:
    """Raise an error unless a path is a folder.

    Parameters
    ----------
    path : str or path-like
        Path.
    corpus : str
        Name of the expected content, for the error message.

    Returns
    -------
    str
        The path.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the path is missing or is a file.

    Examples
    --------
    >>> check_folder(".", "TIMIT")
    '.'
    """
    root = os.fsdecode(path)
    if os.path.isdir(root):
        return root
    if os.path.exists(root):
        raise NotADirectoryError(f"{corpus} must be a folder, but {root!r} is a file.")
    raise FileNotFoundError(f"{corpus} must be a folder, but {root!r} does not exist.")


def find_folders(
    root: str, names: Collection[str], depth: int = DEPTH
) -> Iterator[str]:
    """Find folders by name, regardless of case, in order of depth.

    Parameters
    ----------
    root : str
        Folder at which the search begins. It may itself be the result.
    names : collection of str
        Names of folders.
    depth : int, default=4
        Maximum depth of the search.

    Yields
    ------
    str
        Path of a folder. Each folder occurs once, even if links lead to it, and folders
        of the same depth are sorted. Folders that match are not searched.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> os.makedirs(os.path.join(root, "TIMIT", "TRAIN"))
    >>> [os.path.basename(path) for path in find_folders(root, ["train"])]
    ['TRAIN']
    """
    wanted = {name.casefold() for name in names}
    level = [root]
    found: set[tuple[int, int]] = set()
    entered: set[tuple[int, int]] = set()
    for _ in range(depth + 1):
        inside = []
        for folder in sorted(level):
            is_wanted = os.path.basename(os.path.abspath(folder)).casefold() in wanted
            known = found if is_wanted else entered
            identity = _identify(folder)
            if identity in known:
                continue
            known.add(identity)
            if is_wanted:
                yield folder
            else:
                inside.append(folder)
        level = [folder for parent in inside for folder in list_folders(parent)]


class Listing(NamedTuple):
    """Names of the entries of a folder.

    Attributes
    ----------
    folders, files : list of str
        Names of folders and files, including links to them.
    broken : list of str
        Names of links whose target is missing, circular or not accessible.
    """

    folders: list[str]
    files: list[str]
    broken: list[str]


def list_folder(folder: str, hidden: bool = False) -> Listing:
    """List a folder in arbitrary order.

    Parameters
    ----------
    folder : str
        Path of the folder.
    hidden : bool, default=False
        Whether to include names that begin with a dot.

    Returns
    -------
    Listing
        Names of the entries.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> open(os.path.join(root, "ch01.wav"), "w").close()
    >>> list_folder(root)
    Listing(folders=[], files=['ch01.wav'], broken=[])
    """
    listing = Listing([], [], [])
    folders, files, broken = listing
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") and not hidden:
                continue
            try:
                # Only links cost a further system call.
                if entry.is_dir():
                    folders.append(name)
                elif entry.is_symlink() and not entry.is_file():
                    broken.append(name)
                else:
                    files.append(name)
            except OSError:
                broken.append(name)
    return listing


def list_folders(folder: str) -> list[str]:
    """Return the sorted paths of the folders in a folder, without hidden ones.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> os.makedirs(os.path.join(root, "DR1"))
    >>> [os.path.basename(path) for path in list_folders(root)]
    ['DR1']
    """
    return sorted(os.path.join(folder, name) for name in list_folder(folder).folders)


def list_files(folder: str) -> list[str]:
    """Return the sorted names of the files in a folder, without hidden ones.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> open(os.path.join(root, "ch01.wav"), "w").close()
    >>> list_files(root)
    ['ch01.wav']
    """
    return sorted(list_folder(folder).files)


def find_missing(root: str, files: Iterable[str]) -> list[str]:
    """Return the files that do not exist, reading each folder once.

    Parameters
    ----------
    root : str
        Folder to which paths are relative.
    files : iterable of str
        Paths. Repeated paths are reported once.

    Returns
    -------
    list of str
        Paths of missing files.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> open(os.path.join(root, "ch01.wav"), "w").close()
    >>> find_missing(root, ["ch01.wav", "ch02.wav"])
    ['ch02.wav']
    """
    there: dict[str, set[str]] = {}
    missing = []
    for file in dict.fromkeys(files):
        folder, name = os.path.split(file)
        if folder not in there:
            place = os.path.join(root, folder) or os.curdir
            is_folder = os.path.isdir(place)
            there[folder] = set(
                list_folder(place, hidden=True).files if is_folder else ()
            )
        if name not in there[folder]:
            missing.append(file)
    return missing


def walk(root: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """List a folder and all folders below it, without hidden ones.

    Links to folders are followed, except to a folder that contains them.

    Parameters
    ----------
    root : str
        Path of the folder.

    Yields
    ------
    tuple of str, list of str and list of str
        Path of a folder, names of its files, and names of its broken links.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> os.mkdir(os.path.join(root, "rain"))
    >>> open(os.path.join(root, "rain", "roof.flac"), "w").close()
    >>> [files for _, files, _ in walk(root)]
    [[], ['roof.flac']]
    """
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [(root, frozenset())]
    while pending:
        folder, above = pending.pop()
        identity = _identify(folder)
        if identity in above:
            continue
        folders, files, broken = list_folder(folder)
        yield folder, files, broken
        above |= {identity}
        pending += [(os.path.join(folder, name), above) for name in folders]


def _identify(folder: str) -> tuple[int, int]:
    """Return what identifies a folder, even if it is reached through links."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def stem_of(name: str) -> str:
    """Return a file name up to its first dot, which survives a conversion of the file.

    Examples
    --------
    >>> stem_of("SA1.WAV.wav")
    'SA1'
    """
    return name.partition(".")[0]


def by_stem(names: Iterable[str], endings: Sequence[str]) -> dict[str, str]:
    """Choose one file per stem by the preferred extension.

    Parameters
    ----------
    names : iterable of str
        Names of files.
    endings : sequence of str
        Extensions in lower case, the preferred ones first. Other files are ignored.

    Returns
    -------
    dict of str to str
        Names of files by their stem in its original case.

    Examples
    --------
    >>> by_stem(["1.wav", "1.wv1", "2.wv1", "2.txt"], [".wav", ".wv1"])
    {'1': '1.wav', '2': '2.wv1'}
    """
    chosen: dict[str, tuple[int, str]] = {}
    for name in names:
        ending = os.path.splitext(name)[1].lower()
        if ending in endings:
            stem = stem_of(name)
            candidate = (endings.index(ending), name)
            if stem not in chosen or candidate < chosen[stem]:
                chosen[stem] = candidate
    return {stem: name for stem, (_, name) in chosen.items()}


def refuse_incomplete(
    corpus: str, root: str, missing: Sequence[str], hint: str = ""
) -> NoReturn:
    """Raise an error that lists what is missing from a corpus.

    Parameters
    ----------
    corpus : str
        Name of the corpus.
    root : str
        Path of the corpus.
    missing : sequence of str
        Missing items. The message shows the first few.
    hint : str
        Advice to the user.

    Raises
    ------
    FileNotFoundError
        Always.

    Examples
    --------
    >>> refuse_incomplete("TIMIT", "/data/timit", ["TRAIN", "TEST"])
    Traceback (most recent call last):
        ...
    FileNotFoundError: TIMIT in '/data/timit' is incomplete, 2 missing: TRAIN, TEST.
    """
    shown = ", ".join(missing[:N_SHOWN])
    if len(missing) > N_SHOWN:
        shown += f" and {len(missing) - N_SHOWN} more"
    end = f" {hint}" if hint else ""
    raise FileNotFoundError(
        f"{corpus} in {root!r} is incomplete, {len(missing)} missing: {shown}.{end}"
    )
