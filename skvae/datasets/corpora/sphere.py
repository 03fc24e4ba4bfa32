"""NIST SPHERE files, the format in which TIMIT and WSJ0 are distributed.

libsndfile reads them if their samples are plain or mu-law. On the discs of WSJ0 they
are compressed with Shorten, which libsndfile cannot read, and its own error message
does not say so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

#: First bytes of a SPHERE file, and minimum length of its header.
MAGIC = b"NIST_1A"
HEADER_BYTES = 1024


def refuse_compressed(paths: Iterable[str], corpus: str) -> None:
    r"""Raise an error if there are SPHERE files that libsndfile cannot read.

    The function checks the first file, and the last file of each folder and extension.
    This detects corpora that are only partly converted.

    Parameters
    ----------
    paths : iterable of str
        Files of a corpus.
    corpus : str
        Name of the corpus.

    Raises
    ------
    ValueError
        If files are compressed. The message explains how to convert the corpus.

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
                "cannot read. Convert each file to WAV next to the original, with "
                "sph2pipe of the LDC or with ffmpeg (ffmpeg -i NAME.wv1 NAME.wav): "
                "the WAV files are then used."
            )


def sample_coding(path: str | os.PathLike[str]) -> str | None:
    """Return the encoding of the samples in the header of a SPHERE file.

    Parameters
    ----------
    path : str or path-like
        Path of a file of any format.

    Returns
    -------
    str or None
        Encoding, or "pcm" if the header does not name it. None if the file is not a
        SPHERE file.

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
            # The value follows its type, as in "sample_coding -s3 pcm".
            return value.split(b" ", 1)[-1].strip().decode("ascii", "replace")
    return "pcm"
