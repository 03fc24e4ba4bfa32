"""Waveforms: from files, from mixtures of speech and noise, from a synthesiser."""

from skvae.datasets.audio import AudioFile, find_audio, load_audio
from skvae.datasets.augmentation import Augmentation
from skvae.datasets.mixing import Mixer, mix_at_snr
from skvae.datasets.noises import NOISE_KINDS, make_noise
from skvae.datasets.speech import make_speech
from skvae.datasets.synthetic import make_dataset

__all__ = [
    "AudioFile",
    "find_audio",
    "load_audio",
    "Mixer",
    "mix_at_snr",
    "Augmentation",
    "make_speech",
    "make_noise",
    "make_dataset",
    "NOISE_KINDS",
]
