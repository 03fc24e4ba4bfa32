"""Enhancers by the names that the command line knows, ready to use."""

from __future__ import annotations

import importlib
import warnings
from typing import Any, NamedTuple

import numpy as np

from skvae.base import BaseEnhancer
from skvae.utils.parameters import check_option

#: Utterances of synthetic speech, and seconds of each, that stand in for a corpus.
_N_STAND_INS, _STAND_IN_SECONDS = 10, 3


class ModelRecord(NamedTuple):
    """What there is to know of a model before it is loaded.

    Attributes
    ----------
    name : str
        What :func:`load_pretrained` takes.
    path : str
        Module and class.
    description : str
        One line.
    learns : bool
        Whether it has to be fitted on clean speech.
    """

    name: str
    path: str
    description: str
    learns: bool = False


_RECORDS = (
    ModelRecord(
        "spectral-subtraction",
        "skvae.classical.SpectralSubtraction",
        "Subtracts the power of the noise; the fastest",
    ),
    ModelRecord(
        "wiener",
        "skvae.classical.WienerFilter",
        "Wiener filter with a smoothed a priori SNR",
    ),
    ModelRecord(
        "log-mmse",
        "skvae.classical.LogMMSE",
        "Log-spectral amplitude estimator of Ephraim and Malah",
    ),
    ModelRecord(
        "is-nmf",
        "skvae.factorization.ISNMF",
        "Itakura-Saito NMF: a dictionary of speech, noise learned on the spot",
        learns=True,
    ),
    ModelRecord(
        "rpca",
        "skvae.factorization.RPCA",
        "Robust PCA: sparse speech on noise of low rank",
    ),
)


def list_models() -> list[ModelRecord]:
    """List the models that :func:`load_pretrained` knows.

    Returns
    -------
    list of ModelRecord
        Nothing is imported to make it.

    Examples
    --------
    >>> [model.name for model in list_models() if not model.learns]
    ['spectral-subtraction', 'wiener', 'log-mmse', 'rpca']
    """
    return list(_RECORDS)


def load_pretrained(name: str, *, clean: Any = None, **params: Any) -> BaseEnhancer:
    """Make an enhancer that is ready to use.

    Parameters
    ----------
    name : str
        One of the names in :func:`list_models`.
    clean : list of waveforms, default=None
        Clean speech to fit on, for models that learn. None means synthetic speech,
        with a warning, for them; the others need none.
    **params
        Parameters of the enhancer's constructor.

    Returns
    -------
    BaseEnhancer
        A fitted one.

    Raises
    ------
    ValueError
        If there is no model of that name.

    Warns
    -----
    UserWarning
        If a model that learns from speech is given none.

    Examples
    --------
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(2, random_state=0)
    >>> enhancer = load_pretrained("log-mmse", min_prior_snr=-25.0)
    >>> enhancer
    LogMMSE(min_prior_snr=-25.0)
    >>> len(enhancer.transform(noisy))
    2
    """
    check_option("name", name, [record.name for record in _RECORDS])
    [record] = [record for record in _RECORDS if record.name == name]
    module, _, class_name = record.path.rpartition(".")
    constructor = getattr(importlib.import_module(module), class_name)
    if record.learns:
        params.setdefault("random_state", 0)  # ready to use means the same every time
    enhancer = constructor(**params)
    if clean is None and record.learns:
        warnings.warn(
            f"{name!r} learns what speech looks like, and was fitted on synthetic "
            "speech, which is a poor substitute for recordings. In Python, pass them: "
            f"load_pretrained({name!r}, clean=[...]).",
            UserWarning,
            stacklevel=2,
        )
        clean = _synthetic_speech(enhancer)
    # The others learn nothing: any utterance fits them.
    return enhancer.fit([np.zeros(1)] if clean is None else clean)


def _synthetic_speech(enhancer: BaseEnhancer) -> list[np.ndarray]:
    from skvae.datasets import make_speech
    from skvae.stft import STFT

    rate = (enhancer.stft or STFT()).sample_rate
    return [
        make_speech(_STAND_IN_SECONDS * rate, rate, random_state=seed)
        for seed in range(_N_STAND_INS)
    ]
