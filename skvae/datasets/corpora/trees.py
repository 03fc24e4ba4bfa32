"""Folders of corpora: found by the names they go by, listed, complete or refused.

A tree of a million files is listed in seconds: folders are read, files are neither
opened nor asked for their size.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

#: How many missing things a message lists before it counts the others.
N_SHOWN = 5

#: How deep below the given path a folder of a corpus is looked for: archives unpack
#: into a folder of their own, as often as not into one of the same name again.
DEPTH = 4


def check_folder(path: str | os.PathLike[str], corpus: str) -> str:
    """Check that a path is a folder.

    Parameters
    ----------
    path : str or path-like
        The path.
    corpus : str
        What should be there.

    Returns
    -------
    str
        The path.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If it is not.

    Examples
    --------
    >>> check_folder(".", "TIMIT")
    '.'
    """
    root = os.fsdecode(path)
    if os.path.isdir(root):
        return root
    if os.path.exists(root):
        raise NotADirectoryError(f"{corpus} must be a folder, {root!r} is a file.")
    raise FileNotFoundError(f"{corpus} must be a folder, there is no {root!r}.")


def find_folders(
    root: str, names: Collection[str], depth: int = DEPTH
) -> Iterator[str]:
    """Find folders by name, in upper or lower case, the highest ones first.

    Parameters
    ----------
    root : str
        Where to look: the folder itself, those in it, those in them.
    names : collection of str
        The names.
    depth : int, default=4
        How far down.

    Yields
    ------
    str
        A folder, each once whatever links lead to it; those as high up as each other
        are sorted. Inside of one that is found no other is looked for, and no further
        down than the caller asks for.

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
    """Names of what lies in a folder.

    Attributes
    ----------
    folders, files : list of str
        Links count as what they lead to.
    broken : list of str
        Links that lead to nothing, to each other, or to what may not be looked at.
    """

    folders: list[str]
    files: list[str]
    broken: list[str]


def list_folder(folder: str, hidden: bool = False) -> Listing:
    """List a folder, in any order.

    Parameters
    ----------
    folder : str
        The folder.
    hidden : bool, default=False
        Whether names that begin with a dot are listed, too.

    Returns
    -------
    Listing

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
                # What a link leads to is asked for once; of others it is known.
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
    """Paths of the folders in a folder, without the hidden ones.

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
    """Names of the files in a folder, without the hidden ones and broken links.

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
    """Those of some files that are not there, by reading each folder once.

    Parameters
    ----------
    root : str
        The folder that relative paths are of.
    files : iterable of str
        Paths; what is named twice is missing once.

    Returns
    -------
    list of str

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
    """List a folder and all inside it, but the hidden ones.

    Links to folders are followed, except to a folder that they lie in.

    Parameters
    ----------
    root : str
        The folder.

    Yields
    ------
    tuple of str, list of str and list of str
        A folder, and the names of its files and of its broken links.

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
    """What a folder has in common with the links to it."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def stem_of(name: str) -> str:
    """Name of a file up to its first dot: what stays when a file is converted.

    Examples
    --------
    >>> stem_of("SA1.WAV.wav")
    'SA1'
    """
    return name.partition(".")[0]


def by_stem(names: Iterable[str], endings: Sequence[str]) -> dict[str, str]:
    """Choose a file for each stem: that with the first of some endings.

    Parameters
    ----------
    names : iterable of str
        Names of files.
    endings : sequence of str
        Endings that count, in lower case, the preferred ones first.

    Returns
    -------
    dict of str to str
        By the stems as they are written.

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
    """Say what a corpus lacks.

    Parameters
    ----------
    corpus : str
        What it is called.
    root : str
        Where it lies.
    missing : sequence of str
        What is missing; the first few are shown.
    hint : str
        What can be done about it.

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
