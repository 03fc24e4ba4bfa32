"""NIST SPHERE files, in which TIMIT and WSJ0 are distributed.

libsndfile reads them where their samples are plain or mu-law. On the discs of WSJ0 they
are compressed by Shorten, which libsndfile does not know; then it says next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

#: How a SPHERE file begins, and how long the header is at the least.
MAGIC = b"NIST_1A"
HEADER_BYTES = 1024


def refuse_compressed(paths: Iterable[str], corpus: str) -> None:
    r"""Raise an error if there are SPHERE files that libsndfile cannot read.

    The first file is looked at, and the last of each folder and ending: where somebody
    stopped in the middle of converting a corpus, it is among those that are left.

    Parameters
    ----------
    paths : iterable of str
        The files of a corpus.
    corpus : str
        What the corpus is called.

    Raises
    ------
    ValueError
        If samples are compressed. The message says how to convert the corpus.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "011c0201.wv1")
    >>> header = "NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v1.1\n"
    >>> with open(path, "w") as file:
    ...     _ = file.write(header)
    >>> refuse_compressed([path], "WSJ0")
    Traceback (most recent call last):
        ...
    ValueError: WSJ0 is compressed ('pcm,embedded-shorten-v1.1' in ...
    """
    ordered = sorted(paths)
    last = {(os.path.dirname(path), path.rpartition(".")[2]): path for path in ordered}
    for path in (*ordered[:1], *last.values()):
        coding = sample_coding(path)
        if coding is not None and "," in coding:
            raise ValueError(
                f"{corpus} is compressed ({coding!r} in {path!r}), which libsndfile "
                "does not read. Convert it once, each file beside the old one, with "
                "sph2pipe of the LDC or with ffmpeg (ffmpeg -i NAME.wv1 NAME.wav); "
                "both are found then, and the WAV files are taken."
            )


def sample_coding(path: str | os.PathLike[str]) -> str | None:
    """How the header of a SPHERE file says that its samples are coded.

    Parameters
    ----------
    path : str or path-like
        A file of any kind.

    Returns
    -------
    str or None
        "pcm" where the header does not say it; None if it is no SPHERE file.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, soundfile
    >>> path = os.path.join(tempfile.mkdtemp(), "sa1.wav")
    >>> soundfile.write(path, np.zeros(80), 16000, format="NIST")
    >>> sample_coding(path)
    'pcm'
    """
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    if not header.startswith(MAGIC):
        return None
    for line in header.partition(b"end_head")[0].splitlines():
        key, _, value = line.partition(b" ")
        if key == b"sample_coding":
            # The value comes after its type, as in "sample_coding -s3 pcm".
            return value.split(b" ", 1)[-1].strip().decode("ascii", "replace")
    return "pcm"
