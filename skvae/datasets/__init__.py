"""Waveforms: from files and corpora, from mixtures, from a synthesiser."""

from skvae.datasets.audio import AudioFile, find_audio, load_audio
from skvae.datasets.augmentation import Augmentation
from skvae.datasets.chime import load_chime, load_chime_backgrounds
from skvae.datasets.corpus import Corpus
from skvae.datasets.mixing import Mixer, mix_at_snr
from skvae.datasets.mixtures import Mixture, mix_corpus, write_corpus
from skvae.datasets.noise_corpora import (
    DEMAND_ENVIRONMENTS,
    load_demand,
    load_noises,
    load_rouen,
)
from skvae.datasets.noises import NOISE_KINDS, make_noise
from skvae.datasets.own import load_folders, load_pairs
from skvae.datasets.speech import make_speech
from skvae.datasets.synthetic import make_dataset
from skvae.datasets.timit import load_timit
from skvae.datasets.voicebank import load_voicebank_demand
from skvae.datasets.wsj0 import load_wsj0

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
    "Corpus",
    "load_voicebank_demand",
    "load_chime",
    "load_chime_backgrounds",
    "load_wsj0",
    "load_timit",
    "load_demand",
    "load_rouen",
    "load_noises",
    "load_folders",
    "load_pairs",
    "DEMAND_ENVIRONMENTS",
    "Mixture",
    "mix_corpus",
    "write_corpus",
]
