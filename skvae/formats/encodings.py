"""Formats of outputs: endings of names, encodings, sample rates and bit rates."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from skvae.formats import ffmpeg
from skvae.formats.mpeg import bitrates
from skvae.formats.names import FORMAT_NAMES, FormatName
from skvae.formats.ogg import read_pages, read_vorbis


class _Kind(NamedTuple):
    formats: tuple[str, ...]  # names in soundfile; a new file has the first one
    subtype: str | None  # None for integers, of the width of the input
    endings: tuple[str, ...]
    rates: tuple[int, ...] = ()  # allowed sample rates in Hz; () means any
    most_channels: int | None = None


_KINDS: dict[str, _Kind] = {
    "wav": _Kind(("WAV", "WAVEX", "RF64"), None, (".wav", ".wave")),
    "flac": _Kind(("FLAC",), None, (".flac",), most_channels=8),
    "mp3": _Kind(
        ("MP3",),
        "MPEG_LAYER_III",
        (".mp3",),
        (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
        most_channels=2,
    ),
    "ogg": _Kind(("OGG",), "VORBIS", (".ogg", ".oga")),
    "opus": _Kind(
        ("OGG",),
        "OPUS",
        (".opus", ".ogg", ".oga"),
        (8000, 12000, 16000, 24000, 48000),
    ),
}

#: Formats in soundfile that files with an ending can have. Other endings tell nothing.
_FORMATS_OF_ENDINGS: dict[str, tuple[str, ...]] = {
    **{ending: kind.formats for kind in _KINDS.values() for ending in kind.endings},
    **dict.fromkeys((".aif", ".aiff", ".aifc"), ("AIFF",)),
    **dict.fromkeys((".au", ".snd"), ("AU",)),
    **dict.fromkeys(ffmpeg.ENDINGS, ()),
    ".caf": ("CAF",),
    ".rf64": ("RF64",),
    ".sph": ("NIST",),
    ".w64": ("W64",),
}

#: Encodings with a bit rate.
LOSSY = frozenset({"MPEG_LAYER_III", "VORBIS", "OPUS"})

#: Bit rates in kbit/s of recordings that had none, for one channel and for more, at
#: sample rates from 32 kHz on. Half of it is enough below, and a quarter below 16 kHz.
#: Speech in them is hard to tell from the original.
_DEFAULTS = {"MPEG_LAYER_III": (128, 192), "VORBIS": (96, 160), "OPUS": (64, 128)}

#: libsndfile has a "compression level" c from 0 to 1 for all encodings. Measured with
#: libsndfile 1.2.2 (20 s of speech in noise, 8 to 48 kHz, 1 to 4 channels):
#: MP3 with a constant rate: (1 - c) * highest + c * lowest of the rates below, rounded
#: to the next rate that MP3 has, for all channels together. c = 1 is an error.
#: Opus: 256 - 250 * c kbit/s a channel, on average; pauses take less, and at low rates
#: other sounds, too: 29 for 32 kbit/s.
#: Vorbis: a quality of 1 - c; its bit rate depends on rate, channels and sound, and
#: the nominal one stands in the header of the file.
_MP3_RANGES = ((32000, 32, 320), (16000, 8, 160), (0, 8, 64))
_MP3_HIGHEST_LEVEL = 0.999

#: Size in bytes of frames of MP3 that can hold the length of the recording. Smaller
#: frames of a constant rate would leave it out, and decoders then add some 2000 samples
#: of silence. With an average rate, the length has a larger frame.
_N_LENGTH_FRAME = 192

_OPUS_LOWEST, _OPUS_HIGHEST = 6, 256

#: Ratio of the rate that Opus is asked for to the measured one of a recording in Opus,
#: so that the output has at least that.
_OPUS_MARGIN = 1.15

#: Steps of the search for a quality of Vorbis, which then is exact to 1/4096.
_N_STEPS = 12


class Layout(NamedTuple):
    """How a file is written.

    Attributes
    ----------
    sample_rate : int
        Sample rate in Hz.
    n_channels : int
        Number of channels.
    file_format, subtype, endian : str
        Names in soundfile.
    options : dict
        Arguments of soundfile for the bit rate.
    """

    sample_rate: int
    n_channels: int
    file_format: str
    subtype: str
    endian: str = "FILE"
    options: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Name of the format in messages."""
        return {"OPUS": "Opus", "VORBIS": "Ogg Vorbis"}.get(
            self.subtype, self.file_format
        )


def ending_of(path: str | os.PathLike[str]) -> str:
    """Return the ending of a file's name, in lower case."""
    return Path(os.fsdecode(path)).suffix.lower()


def format_of_ending(
    target: str | os.PathLike[str], source: str | os.PathLike[str] = ""
) -> FormatName | None:
    """Return the format that the name of an output asks for.

    Parameters
    ----------
    target : str or path-like
        Name of the output.
    source : str or path-like, default=""
        Name of the input.

    Returns
    -------
    str or None
        None if the names have the same ending, or if the ending is of no format that
        can be chosen: the output then has the format of the input.

    Examples
    --------
    >>> format_of_ending("talk.mp3", "talk.m4a"), format_of_ending("b.wav", "a.wav")
    ('mp3', None)
    """
    ending = ending_of(target)
    if ending == ending_of(source):
        return None
    return next((name for name in FORMAT_NAMES if ending in _KINDS[name].endings), None)


def endings(name: FormatName) -> tuple[str, ...]:
    """Return the endings of files of a format, the usual one first.

    Examples
    --------
    >>> endings("wav")
    ('.wav', '.wave')
    """
    return _KINDS[name].endings


def is_same_family(ending: str, other: str) -> bool:
    """Return whether two endings stand for the same format.

    Examples
    --------
    >>> is_same_family(".aif", ".aiff"), is_same_family(".wav", ".flac")
    (True, False)
    """
    formats = [_FORMATS_OF_ENDINGS.get(name) or (name,) for name in (ending, other)]
    return formats[0] == formats[1]


def check_ending(
    target: str | os.PathLike[str], layout: Layout, source: str | os.PathLike[str] = ""
) -> None:
    """Raise an error if a name promises another format than the file will have.

    Parameters
    ----------
    target : str or path-like
        Name of the output.
    layout : Layout
        How it will be written.
    source : str or path-like, default=""
        Name of an input with the same format. It may have a wrong ending, and the
        output may share that.

    Raises
    ------
    ValueError
        If the ending stands for other formats.

    Examples
    --------
    >>> check_ending("a.mp3", Layout(16000, 1, "WAV", "PCM_16"))
    Traceback (most recent call last):
        ...
    ValueError: 'a.mp3' would hold WAV: use another ending, such as .wav, or another ...
    """
    ending = ending_of(target)
    known = _FORMATS_OF_ENDINGS.get(ending)
    fits = known is None or layout.file_format in known
    fits = fits and not (ending == ".opus" and layout.subtype != "OPUS")
    if fits or ending == ending_of(source):
        return
    suggested = next(
        end
        for end, formats in [*_FORMATS_OF_ENDINGS.items(), (".wav", (layout[2],))]
        if layout.file_format in formats
    )
    raise ValueError(
        f"{os.fspath(target)!r} would hold {layout.name}: use another ending, "
        f"such as {suggested}, or another format ({', '.join(FORMAT_NAMES)})."
    )


def choose_layout(
    source: Layout,
    name: FormatName | None,
    bitrate: float | None,
    source_bitrate: float | None,
) -> Layout:
    """Choose how an output is written.

    Parameters
    ----------
    source : Layout
        How the input is written.
    name : {"wav", "flac", "mp3", "ogg", "opus"} or None
        Format of the output. None means that of the input.
    bitrate : float or None
        Bit rate in kbit/s for lossy formats. None means that of the input or more.
    source_bitrate : float or None
        Bit rate of the input, if it has one.

    Returns
    -------
    Layout
        A sample rate that the format does not have becomes the next higher one.

    Raises
    ------
    ValueError
        If the format cannot hold the channels or the bit rate.

    Examples
    --------
    >>> choose_layout(Layout(44100, 1, "WAV", "PCM_24"), "opus", None, None)[:4]
    (48000, 1, 'OGG', 'OPUS')
    """
    layout = source if name is None else _convert(source, name)
    if layout.subtype not in LOSSY:
        if bitrate is not None and name is not None:
            raise ValueError(
                f"`bitrate` is for mp3, ogg and opus, and {name} has none: omit it."
            )
        return layout
    options = _bitrate_options(layout, bitrate, source_bitrate, source.subtype)
    return layout._replace(options=options)


def _convert(source: Layout, name: FormatName) -> Layout:
    kind = _KINDS[name]
    if source.file_format in kind.formats and kind.subtype in (None, source.subtype):
        return source
    if kind.most_channels is not None and source.n_channels > kind.most_channels:
        raise ValueError(
            f"{name} holds up to {kind.most_channels} channels, and the recording has "
            f"{source.n_channels}: choose another format."
        )
    rate = source.sample_rate
    if kind.rates and rate not in kind.rates:
        rate = next((one for one in kind.rates if one > rate), kind.rates[-1])
    subtype = kind.subtype or _integers(source.subtype, name)
    return Layout(rate, source.n_channels, kind.formats[0], subtype)


def _integers(subtype: str, name: FormatName) -> str:
    """Return the lossless encoding of another one. Lossy ones need only 16 bits."""
    if name == "wav" and subtype in ("PCM_U8", "PCM_32", "FLOAT", "DOUBLE"):
        return subtype
    if name == "flac" and subtype == "PCM_S8":
        return subtype
    is_wide = subtype in ("FLOAT", "DOUBLE") or subtype.endswith(("_20", "_24", "_32"))
    return "PCM_24" if is_wide else "PCM_16"


def _bitrate_options(
    layout: Layout, bitrate: float | None, source_bitrate: float | None, subtype: str
) -> dict[str, Any]:
    """Return the arguments of soundfile for a bit rate, or for that of the input."""
    rate, n_channels = layout.sample_rate, layout.n_channels
    lowest, highest = _limits(layout)
    if bitrate is not None and not lowest <= bitrate <= highest:
        raise ValueError(
            f"`bitrate` of {layout.name} with {n_channels} channels at {rate} Hz must "
            f"be from {lowest:.0f} to {highest:.0f} kbit/s, got {bitrate:g}."
        )
    wanted = bitrate
    if wanted is None:
        default = _DEFAULTS[layout.subtype][min(n_channels, 2) - 1]
        default //= 1 if rate >= 32000 else 2 if rate >= 16000 else 4
        # The same number of bits is worth less in another encoding.
        is_same = source_bitrate is not None and layout.subtype == subtype
        wanted = source_bitrate if is_same else max(source_bitrate or 0, default)
        assert wanted is not None
        if is_same and layout.subtype == "OPUS":
            wanted *= _OPUS_MARGIN
        wanted = min(max(wanted, lowest), highest)
    if layout.subtype == "MPEG_LAYER_III":
        wanted = next(one for one in bitrates(rate) if one >= wanted)
        level = min((highest - wanted) / (highest - lowest), _MP3_HIGHEST_LEVEL)
        n_bytes = (1152 if rate >= 32000 else 576) * 125 * wanted / rate
        mode = "CONSTANT" if n_bytes >= _N_LENGTH_FRAME else "AVERAGE"
        return {"compression_level": level, "bitrate_mode": mode}
    if layout.subtype == "OPUS":
        return {"compression_level": (highest - wanted) / (highest - lowest)}
    return {"compression_level": _vorbis_level(rate, n_channels, wanted)}


def _limits(layout: Layout) -> tuple[float, float]:
    """Return the lowest and the highest bit rate in kbit/s."""
    if layout.subtype == "MPEG_LAYER_III":
        return next(rates[1:] for rates in _MP3_RANGES if layout[0] >= rates[0])
    if layout.subtype == "OPUS":
        return _OPUS_LOWEST * layout.n_channels, _OPUS_HIGHEST * layout.n_channels
    lowest, highest = (
        _nominal(layout.sample_rate, layout.n_channels, level) for level in (1.0, 0.0)
    )
    return lowest, highest


@lru_cache
def _vorbis_level(sample_rate: int, n_channels: int, bitrate: float) -> float:
    """Return the highest level whose nominal bit rate is not below another one."""
    low, high = 0.0, 1.0
    if _nominal(sample_rate, n_channels, high) >= bitrate:
        return high
    for _ in range(_N_STEPS):
        middle = (low + high) / 2
        if _nominal(sample_rate, n_channels, middle) >= bitrate:
            low = middle
        else:
            high = middle
    return low


def _nominal(sample_rate: int, n_channels: int, level: float) -> float:
    """Return the nominal bit rate in kbit/s of Vorbis, from the header of a file."""
    import soundfile

    file = io.BytesIO()
    layout = (sample_rate, n_channels, "VORBIS", None, "OGG", True, level)
    try:
        soundfile.SoundFile(file, "w", *layout).close()
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"Ogg Vorbis cannot hold {n_channels} channels at {sample_rate} Hz: choose "
            "another format."
        ) from error
    file.seek(0)
    return read_vorbis(next(read_pages(file)).body)[1] or 0.0
