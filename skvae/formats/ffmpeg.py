"""Files that libsndfile does not read, decoded by the program ffmpeg through a pipe."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from skvae.formats.tags import Chapter, Picture, Tags

#: Endings of sound and video that only ffmpeg reads.
ENDINGS = frozenset(
    (
        ".3gp",
        ".aac",
        ".ac3",
        ".amr",
        ".ape",
        ".asf",
        ".avi",
        ".flv",
        ".m4a",
        ".m4b",
        ".m4v",
        ".mka",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".spx",
        ".ts",
        ".webm",
        ".wma",
        ".wmv",
        ".wv",
    )
)

#: What ffmpeg tells about a stream of sound: its codec and, at the end, its bit rate.
_STREAM = re.compile(r"Stream #\d+:\d+.*?: Audio: (\w+)(.*)")
_BITRATE = re.compile(r", (\d+) kb/s")

#: Codecs that lose nothing, which may have more than 16 bits.
_LOSSLESS = ("alac", "ape", "flac", "mlp", "pcm_", "truehd", "tta", "wavpack", "wmalos")

#: Bytes that are counted at once.
_AT_ONCE = 2**20


#: Tags about a container and not about the recording.
_OF_FILE = frozenset(
    {
        "compatible_brands",
        "creation_time",
        "encoder",
        "handler_name",
        "major_brand",
        "minor_version",
        "vendor_id",
    }
)

#: Names of tags in ffmpeg whose names in Vorbis comments are others.
_NAMES = {
    "album_artist": "ALBUMARTIST",
    "track": "TRACKNUMBER",
    "disc": "DISCNUMBER",
    "publisher": "ORGANIZATION",
}


def is_installed() -> bool:
    """Return whether the program is there.

    Examples
    --------
    >>> is_installed() in (True, False)
    True
    """
    return shutil.which("ffmpeg") is not None


def read_tags(path: str | os.PathLike[str]) -> Tags:
    """Read the tags of a file: texts, chapters and a cover.

    Parameters
    ----------
    path : str or path-like
        File that ffmpeg reads.

    Returns
    -------
    Tags
    """
    pictures = []
    if b"(attached pic)" in _call(path, []).stderr:
        words = ["-map", "0:v", "-frames:v", "1", "-c", "copy", "-f", "image2pipe"]
        data = _call(path, ["-v", "error", *words, "pipe:1"]).stdout
        if data:
            mime = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
            pictures.append(Picture(3, mime, "", data))
    words = ["-v", "error", "-map_metadata", "0", "-f", "ffmetadata", "pipe:1"]
    text = _call(path, words).stdout.decode("utf-8", "replace")
    return parse_tags(text)._replace(pictures=pictures)


def parse_tags(text: str) -> Tags:
    r"""Read tags in the format "ffmetadata".

    Examples
    --------
    >>> text = ";FFMETADATA1\ntitle=a\\=b\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\n"
    >>> parse_tags(text)
    Tags(fields=[('TITLE', 'a=b')], pictures=(), chapters=[Chapter(start=0.5, ...)])
    """
    sections: list[tuple[str, dict[str, str]]] = [("", {})]
    for line in re.split(r"(?<!\\)\n", text):
        if match := re.fullmatch(r"\[(\w+)\]", line):
            sections.append((match[1], {}))
        elif not line.startswith((";", "#")):
            parts = re.split(r"(?<!\\)=", line, maxsplit=1)
            name, *value = (re.sub(r"\\(.)", r"\1", part, flags=re.S) for part in parts)
            if value:
                sections[-1][1][name] = value[0]
    fields = [
        (_NAMES.get(name.lower(), name.upper()), value)
        for name, value in sections[0][1].items()
        if name.lower() not in _OF_FILE
    ]
    chapters = []
    for kind, entries in sections:
        if kind == "CHAPTER":
            up, _, down = entries.get("TIMEBASE", "1/1000000000").partition("/")
            unit = int(up) / int(down)
            start, end = (int(entries.get(name, 0)) for name in ("START", "END"))
            title = entries.get("title", "")
            chapters.append(Chapter(start * unit, title, end * unit or None))
    return Tags(fields, (), chapters)


def _find() -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            "soundfile cannot read the file. The program ffmpeg reads many other "
            "formats: install it, or convert the file to WAV or FLAC."
        )
    return program


def _command(path: str | os.PathLike[str], words: Sequence[str]) -> list[str]:
    # Playlists in the disguise of sound must not reach the network.
    options = ["-hide_banner", "-nostdin", "-protocol_whitelist", "file,pipe"]
    source = f"file:{os.path.abspath(os.fsdecode(path))}"
    n = 2 if words[:1] == ["-v"] else 0
    return [_find(), *options, *words[:n], "-i", source, *words[n:]]


def _call(
    path: str | os.PathLike[str], words: Sequence[str]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        _command(path, words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


class FFmpegFile:
    """Sound of a file, read once from its beginning to its end.

    It has what :class:`~skvae.recording_files.RecordingReader` uses of a SoundFile.

    Parameters
    ----------
    path : str or path-like
        File with sound. Of several streams, the first one is read.

    Attributes
    ----------
    samplerate, channels : int
        Sample rate in Hz and number of channels.
    format, subtype : str
        "FFMPEG", and the name of the codec; "PCM_16" or "PCM_24" for lossless ones.
    bitrate : float or None
        Bit rate in kbit/s, if ffmpeg tells it.

    Raises
    ------
    ValueError
        If ffmpeg is not installed, or finds no sound in the file.
    """

    format = "FFMPEG"
    endian = "FILE"
    extra_info = ""

    def __init__(self, path: str | os.PathLike[str]):
        self._path = path
        self.subtype, self.bitrate = self._probe()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        try:
            self.samplerate, self.channels = self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FFmpegFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            assert self._process.stdout is not None
            self._process.kill()
            self._process.stdout.close()
            self._process.wait()
        self._errors.close()

    def read(self, frames: int, dtype: str = "float32", **_: Any) -> np.ndarray:
        """Read samples of shape (n_samples, n_channels), fewer at the end."""
        assert self._process is not None and self._process.stdout is not None
        size = 4 * self.channels
        content = self._process.stdout.read(frames * size)
        content = content[: len(content) // size * size]
        return np.frombuffer(content, "<f4").astype(dtype).reshape(-1, self.channels)

    def count(self) -> int:
        """Decode all of the rest, and return its number of samples."""
        assert self._process is not None and self._process.stdout is not None
        n_bytes = 0
        while block := self._process.stdout.read(_AT_ONCE):
            n_bytes += len(block)
        self._process.wait()
        return n_bytes // (4 * self.channels)

    def complaint(self) -> str | None:
        """Return the last error of the program in a line, or None."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        return lines[-1] if lines else None

    def _probe(self) -> tuple[str, float | None]:
        # Without an output, ffmpeg describes the input and ends with an error.
        done = _call(self._path, [])
        text = done.stderr.decode("utf-8", "replace")
        found = _STREAM.search(text)
        if found is None:
            last = text.strip().split("\n")[-1].rpartition(": ")[2]
            reason = "it has no sound" if "Input #0" in text else last.strip()
            raise ValueError(
                f"neither soundfile nor ffmpeg can read the file ({reason})."
            )
        codec, rest = found.groups()
        bitrate = _BITRATE.search(rest)
        if codec.startswith(_LOSSLESS):
            return ("PCM_16" if ", s16" in rest else "PCM_24"), None
        return codec.upper(), None if bitrate is None else float(bitrate[1])

    def _start(self) -> tuple[int, int]:
        """Start to decode, and return the sample rate and the number of channels."""
        output = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        self._process = subprocess.Popen(
            _command(self._path, ["-v", "error", *output]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._process.stdout is not None
        file = self._process.stdout
        file.read(12)
        found = None
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                break
            content = file.read(size + size % 2)
            if name == b"fmt " and len(content) >= 8:
                _, n_channels, rate = struct.unpack_from("<HHI", content)
                found = rate, n_channels
        if found is None or found[1] == 0:
            self._process.wait()
            reason = self.complaint() or "it has no sound"
            raise ValueError(
                f"neither soundfile nor ffmpeg can read the file ({reason})."
            )
        return found
