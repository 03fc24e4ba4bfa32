"""Parts of an estimator that are estimators: fitted, or frozen and used as they are."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT


class Data(NamedTuple):
    """Speech that an estimator is fitted on.

    Attributes
    ----------
    noisy : list of Spectrogram, or None
        Noisy speech, if there is any.
    clean : list of Spectrogram
        Clean speech.
    """

    noisy: list[Spectrogram] | None
    clean: list[Spectrogram]


def fitted_part(
    name: str, part: Any, data: Data, *, device: str, rng: np.random.Generator
) -> Any:
    """Return a part of an estimator, fitted unless it is frozen.

    Parameters
    ----------
    name : str
        Parameter that holds the part.
    part : estimator or FrozenEstimator
        Value of the parameter, or what None stands for.
    data : Data
        Speech to fit it on.
    device : str
        PyTorch device for it, if it uses one.
    rng : Generator
        Source of its seed, if it has none of its own.

    Returns
    -------
    estimator
        A fitted clone, or the frozen estimator itself.

    Warns
    -----
    UserWarning
        If it is fitted already and not frozen.
    """
    if isinstance(part, FrozenEstimator):
        return part
    if hasattr(part, "stft_"):
        warnings.warn(
            f"`{name}` is fitted already and is fitted again: wrap it in "
            "sklearn.frozen.FrozenEstimator to use it as it is.",
            UserWarning,
            stacklevel=5,  # the call of its owner's fit, which scikit-learn wraps
        )
    part = clone(part)
    if "device" in part.get_params():
        part.set_params(device=device)
    if part.random_state is None:
        part.set_params(random_state=int(rng.integers(2**31)))
    return part.fit(data.clean) if data.noisy is None else part.fit(*data)


def agreed_stft(name: str, part: Any, chosen: STFT, *, is_default: bool) -> STFT:
    """Return the STFT of an estimator that may have a frozen part.

    Parameters
    ----------
    name : str
        Parameter that holds the part.
    part : object
        Value of the parameter.
    chosen : STFT
        STFT that the estimator would use without the part.
    is_default : bool
        Whether `chosen` is only the default, which the STFT of the part replaces.

    Returns
    -------
    STFT

    Raises
    ------
    ValueError
        If the part was fitted with another STFT.

    Examples
    --------
    >>> from skvae.signal.stft import STFT
    >>> agreed_stft("vae", None, STFT(512), is_default=False)
    STFT(n_fft=512)
    """
    if not isinstance(part, FrozenEstimator):
        return chosen
    check_is_fitted(part)
    if is_default:
        return clone(part.stft_)
    same = chosen.framing() == part.stft_.framing()
    if not same or chosen.sample_rate != part.stft_.sample_rate:
        raise ValueError(
            f"`{name}` was fitted with {part.stft_}, which differs from {chosen}: use "
            "that STFT, or fit the part anew."
        )
    return chosen
