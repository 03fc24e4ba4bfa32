"""Speech enhancement as scikit-learn estimators.

Public names are imported on first use: ``import skvae`` takes milliseconds, and
classical methods never load PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from skvae._version import __version__

if TYPE_CHECKING:  # what editors and type checkers read: the same names
    from skvae.arrays import reduce_noise as reduce_noise
    from skvae.base import BaseEnhancer as BaseEnhancer
    from skvae.classical.log_mmse import LogMMSE as LogMMSE
    from skvae.classical.spectral_subtraction import (
        SpectralSubtraction as SpectralSubtraction,
    )
    from skvae.classical.wiener import WienerFilter as WienerFilter
    from skvae.datasets import AudioFile as AudioFile
    from skvae.enhancement import MaskEstimate as MaskEstimate
    from skvae.enhancement import Separation as Separation
    from skvae.evaluation.scores import evaluate as evaluate
    from skvae.evaluation.scores import (
        make_enhancement_scorer as make_enhancement_scorer,
    )
    from skvae.evaluation.summary import compare as compare
    from skvae.evaluation.summary import summarize as summarize
    from skvae.factorization.isnmf import ISNMF as ISNMF
    from skvae.factorization.rpca import RPCA as RPCA
    from skvae.masks.band_split_mask import BandSplitMask as BandSplitMask
    from skvae.masks.bilstm_mask import BiLSTMMask as BiLSTMMask
    from skvae.masks.dnn_mask import DNNMask as DNNMask
    from skvae.recordings import enhance_file as enhance_file
    from skvae.signal.features import LogMel as LogMel
    from skvae.signal.spectrogram import Spectrogram as Spectrogram
    from skvae.signal.stft import ISTFT as ISTFT
    from skvae.signal.stft import STFT as STFT
    from skvae.speech.denoising_vae import DenoisingVAE as DenoisingVAE
    from skvae.speech.noise_aware_vae import NoiseAwareVAE as NoiseAwareVAE
    from skvae.speech.vae import SpeechVAE as SpeechVAE
    from skvae.storage.pretrained import list_models as list_models
    from skvae.storage.pretrained import load_pretrained as load_pretrained
    from skvae.storage.pretrained import save_pretrained as save_pretrained
    from skvae.training.parameters import Training as Training
    from skvae.vaenmf.dn_enhancer import DnVAENMFEnhancer as DnVAENMFEnhancer
    from skvae.vaenmf.enhancer import VAENMFEnhancer as VAENMFEnhancer
    from skvae.vaenmf.fixed_noise import FixedNoise as FixedNoise
    from skvae.vaenmf.gradient_vem import GradientVEM as GradientVEM
    from skvae.vaenmf.langevin import Langevin as Langevin
    from skvae.vaenmf.mcem import MCEM as MCEM
    from skvae.vaenmf.mcmc import MCMC as MCMC
    from skvae.vaenmf.nmf_noise import NMFNoise as NMFNoise
    from skvae.vaenmf.point_em import PointEM as PointEM
    from skvae.vaenmf.smooth_noise import SmoothNMFNoise as SmoothNMFNoise
    from skvae.vaenmf.stable_noise import StableNoise as StableNoise
    from skvae.vaenmf.student_noise import StudentNoise as StudentNoise
    from skvae.vaenmf.vem import VEM as VEM

# Public name -> the module that defines it, in the order of the API reference.
_EXPORTS = {
    "STFT": "skvae.signal.stft",
    "ISTFT": "skvae.signal.stft",
    "Spectrogram": "skvae.signal.spectrogram",
    "LogMel": "skvae.signal.features",
    "BaseEnhancer": "skvae.base",
    "MaskEstimate": "skvae.enhancement",
    "Separation": "skvae.enhancement",
    "SpectralSubtraction": "skvae.classical.spectral_subtraction",
    "WienerFilter": "skvae.classical.wiener",
    "LogMMSE": "skvae.classical.log_mmse",
    "ISNMF": "skvae.factorization.isnmf",
    "RPCA": "skvae.factorization.rpca",
    "DNNMask": "skvae.masks.dnn_mask",
    "BiLSTMMask": "skvae.masks.bilstm_mask",
    "BandSplitMask": "skvae.masks.band_split_mask",
    "SpeechVAE": "skvae.speech.vae",
    "DenoisingVAE": "skvae.speech.denoising_vae",
    "NoiseAwareVAE": "skvae.speech.noise_aware_vae",
    "DnVAENMFEnhancer": "skvae.vaenmf.dn_enhancer",
    "VAENMFEnhancer": "skvae.vaenmf.enhancer",
    "Training": "skvae.training.parameters",
    "NMFNoise": "skvae.vaenmf.nmf_noise",
    "SmoothNMFNoise": "skvae.vaenmf.smooth_noise",
    "FixedNoise": "skvae.vaenmf.fixed_noise",
    "StudentNoise": "skvae.vaenmf.student_noise",
    "StableNoise": "skvae.vaenmf.stable_noise",
    "VEM": "skvae.vaenmf.vem",
    "GradientVEM": "skvae.vaenmf.gradient_vem",
    "PointEM": "skvae.vaenmf.point_em",
    "Langevin": "skvae.vaenmf.langevin",
    "MCEM": "skvae.vaenmf.mcem",
    "MCMC": "skvae.vaenmf.mcmc",
    "AudioFile": "skvae.datasets",
    "load_pretrained": "skvae.storage.pretrained",
    "save_pretrained": "skvae.storage.pretrained",
    "list_models": "skvae.storage.pretrained",
    "enhance_file": "skvae.recordings",
    "reduce_noise": "skvae.arrays",
    "evaluate": "skvae.evaluation.scores",
    "summarize": "skvae.evaluation.summary",
    "compare": "skvae.evaluation.summary",
    "make_enhancement_scorer": "skvae.evaluation.scores",
}

__all__ = ["__version__", *_EXPORTS]


if not TYPE_CHECKING:  # so that a misspelled name is an error there

    def __getattr__(name: str) -> Any:
        if name not in _EXPORTS:
            raise AttributeError(f"module 'skvae' has no attribute {name!r}")
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
