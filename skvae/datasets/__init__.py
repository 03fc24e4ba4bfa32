"""Waveforms from files, corpora, mixtures and synthesis."""

from skvae.datasets.audio import AudioFile, load_audio
from skvae.datasets.audio_folder import find_audio
from skvae.datasets.corpora.chime import load_chime, load_chime_backgrounds
from skvae.datasets.corpora.corpus import Corpus
from skvae.datasets.corpora.noise_corpora import (
    DEMAND_ENVIRONMENTS,
    load_demand,
    load_noises,
    load_rouen,
)
from skvae.datasets.corpora.own import load_folders, load_pairs
from skvae.datasets.corpora.timit import load_timit
from skvae.datasets.corpora.voicebank import load_voicebank_demand
from skvae.datasets.corpora.wsj0 import load_wsj0
from skvae.datasets.mixing.augmentation import Augmentation
from skvae.datasets.mixing.channel import Channel
from skvae.datasets.mixing.mixed_corpus import Mixture, mix_corpus, write_corpus
from skvae.datasets.mixing.mixer import Mixer
from skvae.datasets.mixing.noises import NOISE_KINDS, make_noise
from skvae.datasets.mixing.rooms import Rooms
from skvae.datasets.mixing.snr import mix_at_snr
from skvae.datasets.mixing.speech import make_speech
from skvae.datasets.mixing.synthetic import make_dataset

__all__ = [
    "AudioFile",
    "find_audio",
    "load_audio",
    "Mixer",
    "mix_at_snr",
    "Augmentation",
    "Rooms",
    "Channel",
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
