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
    "STFT": "skvae.stft",
    "ISTFT": "skvae.stft",
    "Spectrogram": "skvae.spectrogram",
    "LogMel": "skvae.features",
    "BaseEnhancer": "skvae.base",
    "MaskEstimate": "skvae.base",
    "Separation": "skvae.base",
    "SpectralSubtraction": "skvae.classical",
    "WienerFilter": "skvae.classical",
    "LogMMSE": "skvae.classical",
    "ISNMF": "skvae.factorization",
    "RPCA": "skvae.factorization",
    "DNNMask": "skvae.masking",
    "BiLSTMMask": "skvae.masking",
    "SpeechVAE": "skvae.vae",
    "DenoisingVAE": "skvae.denoising",
    "NoiseAwareVAE": "skvae.noise_aware",
    "DnVAENMFEnhancer": "skvae.dnvaenmf",
    "VAENMFEnhancer": "skvae.vaenmf",
    "VEM": "skvae.inference",
    "GradientVEM": "skvae.inference",
    "MCEM": "skvae.inference",
    "MCMC": "skvae.inference",
    "AudioFile": "skvae.datasets",
    "load_pretrained": "skvae.pretrained",
    "save_pretrained": "skvae.pretrained",
    "list_models": "skvae.pretrained",
    "enhance_file": "skvae.recordings",
    "evaluate": "skvae.evaluation",
    "summarize": "skvae.summary",
    "compare": "skvae.summary",
    "make_enhancement_scorer": "skvae.evaluation",
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
