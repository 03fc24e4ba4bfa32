"""Audio players for notebooks and web pages, without another package."""

from __future__ import annotations

import base64
import html
import io
import wave
from collections.abc import Mapping
from typing import Any

import numpy as np

from skvae.signal.utterances import is_spectrogram
from skvae.utils.waveforms import INT16_SCALE, check_sample_rate, open_waveform

#: Peak of the loudest sound, below full scale.
_PEAK = 0.9
#: Table row of a sound.
_ROW = (
    '<tr><th style="text-align:left; padding-right:1em">{name}</th><td>'
    '<audio controls preload="metadata" src="data:audio/wav;base64,{data}"></audio>'
    "</td></tr>"
)


class AudioPlayer:
    """Audio players for one or several waveforms.

    The players appear in notebooks and in rendered scripts if the object is the last
    expression of a cell. The page itself contains the audio.

    Parameters
    ----------
    waveforms : waveform, Spectrogram, or dict of str to these
        Sounds, by the names that are shown.
    sample_rate : int, default=16_000
        Sample rate of the waveforms in Hz. Spectrograms have their own.
    normalize : bool, default=True
        Whether to scale all sounds by one factor that brings the largest sample close
        to full scale.

    See Also
    --------
    SpectrogramDisplay : Figure of a waveform.

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
        """Return each sound as the bytes of a WAV file.

        Returns
        -------
        dict of str to bytes
            Files with 16 bits per sample, by name. The name of a single waveform is "".

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
