"""Waveforms: from files, from mixtures of speech and noise, from a synthesiser."""

from skvae.datasets.audio import AudioFile, find_audio, load_audio
from skvae.datasets.mixing import Mixer, mix_at_snr
from skvae.datasets.synthetic import (
    NOISE_KINDS,
    make_dataset,
    make_noise,
    make_speech,
)

__all__ = [
    "AudioFile",
    "find_audio",
    "load_audio",
    "Mixer",
    "mix_at_snr",
    "make_speech",
    "make_noise",
    "make_dataset",
    "NOISE_KINDS",
]
