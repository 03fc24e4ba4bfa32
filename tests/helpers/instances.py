"""Public estimators in settings that make a check take milliseconds."""

from __future__ import annotations

import inspect

import numpy as np
from sklearn.base import BaseEstimator, clone

import skvae
from skvae import (
    STFT,
    VEM,
    BaseEnhancer,
    DenoisingVAE,
    GradientVEM,
    NMFNoise,
    SpeechVAE,
    Training,
)
from skvae.datasets import Mixer

# For scikit-learn's rows of ten samples, and for utterances of a third of a second.
TINY_STFT = STFT(n_fft=8, hop_length=2)
SMALL_STFT = STFT(n_fft=256)

# Noise that is there: synthetic noise takes longer to make than a network to train.
MIXER = Mixer([np.random.default_rng(0).standard_normal(16_000).astype(np.float32)])
EPOCHS = Training(2, batch_size=64)

# What is slow by default; estimators that are not named here are fast as they are.
SMALL_SETTINGS = {
    "ISNMF": {
        "n_components": 4,
        "n_noise_components": 2,
        "max_iter": 5,
        "n_adapt_iter": 5,
    },
    "RPCA": {"max_iter": 20},
    "VAENMFEnhancer": {
        "vae": SpeechVAE(2, 8, training=Training(2)),
        "inference": VEM(3),
        "noise": NMFNoise(2),
    },
    "SpeechVAE": {"n_latent": 2, "hidden_layer_sizes": 8, "training": Training(3)},
    "DNNMask": {
        "hidden_layer_sizes": (8, 8),
        "n_mels": 4,
        "context": 3,
        "mixer": MIXER,
        "training": EPOCHS,
    },
    "BiLSTMMask": {
        "hidden_layer_sizes": 4,
        "n_mels": 4,
        "mixer": MIXER,
        "training": EPOCHS,
    },
    "BandSplitMask": {
        "hidden_layer_sizes": 4,
        "n_channels": 4,
        "bottleneck_size": 4,
        "mixer": MIXER,
        "training": EPOCHS,
    },
    "DenoisingVAE": {
        "n_latent": 2,
        "hidden_layer_sizes": 4,
        "n_mels": 4,
        "mixer": MIXER,
        "training": EPOCHS,
    },
    "DnVAENMFEnhancer": {
        "vae": DenoisingVAE(2, 4, n_mels=4, mixer=MIXER, training=EPOCHS),
        "inference": GradientVEM(3),
        "noise": NMFNoise(2),
    },
    "NoiseAwareVAE": {
        "vae": SpeechVAE(2, 8, training=Training(2)),
        "mixer": MIXER,
        "training": EPOCHS,
    },
}


def public_estimators() -> list[type]:
    """Every public class that can be made, so that no new one is forgotten."""
    public = [getattr(skvae, name) for name in skvae.__all__]
    return [
        value
        for value in public
        if inspect.isclass(value)
        and issubclass(value, BaseEstimator)
        and hasattr(value, "fit")
        and not inspect.isabstract(value)
    ]


def public_enhancers() -> list[type[BaseEnhancer]]:
    return [cls for cls in public_estimators() if issubclass(cls, BaseEnhancer)]


def small(cls: type, stft: STFT = SMALL_STFT) -> BaseEstimator:
    """Instance that is fast."""
    if cls is STFT:
        return STFT(**stft.get_params())
    settings = dict(SMALL_SETTINGS.get(cls.__name__, {}))
    if "stft" in inspect.signature(cls).parameters:
        settings["stft"] = stft
    return clone(cls(**settings))
