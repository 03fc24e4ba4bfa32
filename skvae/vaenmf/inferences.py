"""Inferences by name, and the combinations that fit."""

from __future__ import annotations

from typing import Any

from skvae.speech.base import SpeechModel
from skvae.utils.parameters import check_option
from skvae.vaenmf.gradient_vem import GradientVEM
from skvae.vaenmf.inference import Inference
from skvae.vaenmf.langevin import Langevin
from skvae.vaenmf.mcem import MCEM
from skvae.vaenmf.mcmc import MCMC
from skvae.vaenmf.noise import NoiseModel
from skvae.vaenmf.point_em import PointEM
from skvae.vaenmf.vem import VEM

#: Short names that `inference` accepts; an inference need not have one.
INFERENCES: dict[str, type[Inference]] = {
    "vem": VEM,
    "gradient": GradientVEM,
    "point": PointEM,
    "langevin": Langevin,
    "mcem": MCEM,
    "mcmc": MCMC,
}


def make_inference(inference: Any) -> Inference:
    """Return the inference that a name stands for, or an inference itself.

    Parameters
    ----------
    inference : str or Inference
        A key of :data:`INFERENCES`, which means default parameters, or an object,
        whose parameters are not checked.

    Returns
    -------
    Inference

    Examples
    --------
    >>> make_inference("mcem")
    MCEM()
    """
    if isinstance(inference, str):
        check_option("inference", inference, list(INFERENCES))
        return INFERENCES[inference]()
    if not isinstance(inference, Inference):
        names = ", ".join(map(repr, INFERENCES))
        raise ValueError(
            f"`inference` must be one of {names}, or an object such as MCEM(), "
            f"got {inference!r}."
        )
    return inference


def check_combination(
    speech: type[SpeechModel], noise: NoiseModel, inference: Inference
) -> None:
    """Raise a ValueError for models and an inference that do not fit together.

    ===========  =====================================  ======================
    Inference    Speech model                           Noise model
    ===========  =====================================  ======================
    VEM          with a standard normal prior           any
    GradientVEM  any                                    any
    PointEM      any                                    any
    Langevin     any                                    any
    MCEM         any                                    any
    MCMC         any                                    one that can be drawn
    ===========  =====================================  ======================

    Metropolis chains (MCEM, MCMC and the "mh" reconstruction of VEM) move block by
    block where the decoder or the prior of the speech model joins frames. An adjusted
    Langevin chain then accepts or rejects whole sequences.

    Parameters
    ----------
    speech : type
        Class of the speech model.
    noise : NoiseModel
        Noise model.
    inference : Inference
        Inference.

    Examples
    --------
    >>> from skvae import MCMC, NMFNoise, SpeechVAE
    >>> check_combination(SpeechVAE, NMFNoise(), MCMC())
    """
    name = type(inference).__name__
    if not inference.follows_prior and not speech.has_standard_prior:
        raise ValueError(
            f"{name} assumes a standard normal prior of the latent variables, which "
            f"{speech.__name__} does not have: use GradientVEM, MCEM or MCMC."
        )
    if inference.draws_noise and not noise.can_be_drawn:
        raise ValueError(
            f"{name} draws the noise, which {type(noise).__name__} does not offer: use "
            "NMFNoise, or another inference."
        )
