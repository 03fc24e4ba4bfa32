"""Speech enhancement as scikit-learn estimators.

Public names are imported when they are first asked for, so that ``import skvae``
costs nothing and a classical method never loads PyTorch.
"""

from __future__ import annotations

import importlib
from typing import Any

from skvae._version import __version__

# One table: public name -> the module that defines it.
_EXPORTS = {
    "STFT": "skvae.signal.stft",
    "ISTFT": "skvae.signal.stft",
    "Spectrogram": "skvae.signal.spectrogram",
    "LogMel": "skvae.signal.features",
    "BaseEnhancer": "skvae.base",
    "MaskEstimate": "skvae.base",
    "Separation": "skvae.base",
    "SpectralSubtraction": "skvae.classical.enhancers",
    "WienerFilter": "skvae.classical.enhancers",
    "LogMMSE": "skvae.classical.enhancers",
    "ISNMF": "skvae.factorization.enhancers",
    "RPCA": "skvae.factorization.enhancers",
    "DNNMask": "skvae.masks.enhancers",
    "BiLSTMMask": "skvae.masks.enhancers",
    "SpeechVAE": "skvae.speech.vae",
    "DenoisingVAE": "skvae.speech.denoising_vae",
    "NoiseAwareVAE": "skvae.speech.noise_aware_vae",
    "DnVAENMFEnhancer": "skvae.vaenmf.dn_enhancer",
    "VAENMFEnhancer": "skvae.vaenmf.enhancer",
    "VEM": "skvae.vaenmf.inference",
    "GradientVEM": "skvae.vaenmf.inference",
    "MCEM": "skvae.vaenmf.inference",
    "MCMC": "skvae.vaenmf.inference",
    "AudioFile": "skvae.datasets",
    "load_pretrained": "skvae.storage.pretrained",
    "save_pretrained": "skvae.storage.pretrained",
    "list_models": "skvae.storage.pretrained",
    "enhance_file": "skvae.recordings",
    "evaluate": "skvae.evaluation.scores",
    "summarize": "skvae.evaluation.summary",
    "compare": "skvae.evaluation.summary",
    "make_enhancement_scorer": "skvae.evaluation.scores",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'skvae' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
