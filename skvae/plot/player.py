"""Sounds in a notebook or a web page, without a package for it."""

from __future__ import annotations

import base64
import html
import io
import wave
from collections.abc import Mapping
from typing import Any

import numpy as np

from skvae.signal.spectrogram import check_sample_rate
from skvae.signal.utterances import is_spectrogram
from skvae.utils.waveforms import INT16_SCALE, open_waveform

#: Peak of the loudest sound, below full scale.
_PEAK = 0.9
#: Sounds are told apart in a table, a line each.
_ROW = (
    '<tr><th style="text-align:left; padding-right:1em">{name}</th><td>'
    '<audio controls preload="metadata" src="data:audio/wav;base64,{data}"></audio>'
    "</td></tr>"
)


class AudioPlayer:
    """Waveforms to listen to, a player each.

    It shows itself in notebooks and in pages that are made of scripts, where it is the
    last expression of a cell, and holds the sounds itself.

    Parameters
    ----------
    waveforms : waveform, Spectrogram, or dict of str to these
        What to listen to, by names that are shown.
    sample_rate : int, default=16_000
        Samples per second of waveforms; spectrograms bring their own.
    normalize : bool, default=True
        Whether to make the loudest sample of all of them as loud as it can be. They
        keep their loudness relative to each other.

    See Also
    --------
    SpectrogramDisplay : The same for the eye.

    Examples
    --------
    >>> from skvae.datasets import make_dataset
    >>> from skvae.plot import AudioPlayer
    >>> noisy, clean = make_dataset(1, random_state=0)
    >>> AudioPlayer({"noisy": noisy[0], "clean": clean[0]})
    AudioPlayer(['noisy', 'clean'])
    """

    def __init__(
        self, waveforms: Any, *, sample_rate: int = 16_000, normalize: bool = True
    ):
        self.waveforms = waveforms
        self.sample_rate = sample_rate
        self.normalize = normalize

    def __repr__(self) -> str:
        names = list(self.waveforms) if isinstance(self.waveforms, Mapping) else ""
        return f"AudioPlayer({names})"

    def _repr_html_(self) -> str:
        rows = [
            _ROW.format(name=html.escape(name), data=base64.b64encode(sound).decode())
            for name, sound in self.to_wav().items()
        ]
        return f"<table>{''.join(rows)}</table>"

    def to_wav(self) -> dict[str, bytes]:
        """Make a WAV file of each sound.

        Returns
        -------
        dict of str to bytes
            Files with 16 bits a sample, by the names; "" for a waveform without.

        Examples
        --------
        >>> from skvae.datasets import make_speech
        >>> [sound] = AudioPlayer(make_speech(16000)).to_wav().values()
        >>> sound[:4], len(sound)
        (b'RIFF', 32044)
        """
        given = self.waveforms
        named = given if isinstance(given, Mapping) else {"": given}
        sounds = {
            str(name): _open(item, self.sample_rate, str(name) or "the waveform")
            for name, item in named.items()
        }
        scale = 1.0
        if self.normalize:
            peaks = [float(np.abs(samples).max()) for samples, _ in sounds.values()]
            loudest = max(peaks, default=0.0)
            scale = _PEAK / loudest if loudest > 0 else 1.0
        return {
            name: _write_wav(samples * scale, rate)
            for name, (samples, rate) in sounds.items()
        }


def _open(item: Any, sample_rate: int, name: str) -> tuple[np.ndarray, int]:
    if is_spectrogram(item):
        return item.samples(), item.sample_rate
    return open_waveform(item, name), check_sample_rate(sample_rate)


def _write_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    file = io.BytesIO()
    integers = np.rint(samples * INT16_SCALE).clip(-INT16_SCALE, INT16_SCALE - 1)
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(integers.astype("<i2").tobytes())
    return file.getvalue()
