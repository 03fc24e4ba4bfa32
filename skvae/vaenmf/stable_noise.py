r"""Noise whose bins follow an alpha-stable distribution.

S. Leglaive, U. Simsekli, A. Liutkus, L. Girin and R. Horaud, "Speech enhancement with
variational autoencoders and alpha-stable distributions", ICASSP 2019. The impulses are
positive (alpha / 2)-stable, :math:`E[e^{-s \phi}] = e^{-s^{\alpha/2}}`, so that a bin
of the noise is isotropic complex alpha-stable. The paper draws phi by Metropolis steps;
here its posterior is a factor of its own (see :mod:`skvae.vaenmf.heavy_tails`), for
which one function of one variable is enough:

.. math:: E[1 / \phi \,|\, u] = \frac{E[\phi^{-2} e^{-u / \phi}]}
    {E[\phi^{-1} e^{-u / \phi}]}.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.utils.parameters import Number
from skvae.vaenmf.heavy_tails import HeavyTailedNoise

#: Logarithms of the powers between which the weights are tabulated; outside they are
#: constant, or fall as 1 / u.
_LOG_POWERS = np.linspace(-14.0, 16.0, 301)


class StableNoise(HeavyTailedNoise):
    """Noise model with heavy tails: an alpha-stable distribution in each bin.

    Parameters
    ----------
    alpha : float, default=1.8
        Characteristic exponent in [0.5, 2]. With 2 the noise is that of `spectrum`; 1
        is the Cauchy distribution.
    spectrum : noise model, default=None
        Model of the power that the impulses scale; None means ``NMFNoise()``. In [1]_
        the power is constant over time.

    Attributes
    ----------
    spectrum_ : noise model
        Model of the spectrum, with what it learned from its `noise_profile`.

    See Also
    --------
    StudentNoise : Another distribution of the impulses.
    NMFNoise : Gaussian noise.

    References
    ----------
    .. [1] S. Leglaive, U. Simsekli, A. Liutkus, L. Girin and R. Horaud, "Speech
       enhancement with variational autoencoders and alpha-stable distributions", ICASSP
       2019.

    Examples
    --------
    >>> from skvae import NMFNoise, StableNoise
    >>> StableNoise(1.5, NMFNoise(10))
    StableNoise(alpha=1.5, spectrum=NMFNoise(n_components=10))
    """

    _parameter_ranges = {"alpha": Number(low=0.5, high=2)}

    def __init__(self, alpha: float = 1.8, spectrum: Any = None):
        self.alpha = alpha
        self.spectrum = spectrum

    def _weight(self, power: Tensor) -> Tensor:
        return stable_weight(power, self.alpha)


def stable_weight(power: Tensor, alpha: float) -> Tensor:
    """Return E[1 / phi] of a stable impulse, given the power of the noise.

    Parameters
    ----------
    power : Tensor
        Power of the noise relative to its spectrum.
    alpha : float
        Characteristic exponent in [0.5, 2].

    Returns
    -------
    Tensor
        Interpolated from a table, within 0.3 %.

    Examples
    --------
    >>> import torch
    >>> stable_weight(torch.tensor([0.0, 1.0]), 1.0).round(decimals=2)
    tensor([6.0000, 1.2000])
    """
    if alpha == 2:
        return torch.ones_like(power)
    first, last = _LOG_POWERS[0], _LOG_POWERS[-1]
    table = torch.from_numpy(_log_weights(float(alpha))).to(power)
    logs = power.clamp_min(math.exp(first)).log_()
    place = (logs.clamp(max=last) - first) * ((len(table) - 1) / (last - first))
    below = place.floor().clamp_(max=len(table) - 2).long()
    weight = torch.lerp(table[below], table[below + 1], place - below)
    return (weight - (logs - last).clamp_min_(0)).exp_()


@lru_cache(maxsize=16)
def _log_weights(alpha: float) -> np.ndarray:
    """Tabulate log E[1 / phi] over the logarithm of the power.

    A positive a-stable variable is a function of a uniform and an exponential one (M.
    Kanter, "Stable densities under change of scale and total variation inequalities",
    1975), over which the trapezoidal rule integrates.
    """
    a = alpha / 2
    t = np.linspace(-36.0, 36.0, 361)  # U = pi / (1 + e^-t)
    log_e = np.linspace(-70.0, 4.0, 371)  # logarithm of the exponential variable
    share, rest = 1 / (1 + np.exp(-t)), 1 / (1 + np.exp(t))
    # sin(U) by the nearer end of [0, pi]: it must not lose its small values.
    log_sin = np.log(np.sin(math.pi * np.minimum(share, rest)))
    log_shape = np.log(np.sin(a * math.pi * share)) - log_sin / a
    log_shape += (1 - a) / a * np.log(np.sin((1 - a) * math.pi * share))
    log_phi = log_shape[:, None] - (1 - a) / a * log_e
    log_density = (np.log(share * rest))[:, None] + (log_e - np.exp(log_e))
    log_phi, log_density = log_phi.ravel(), log_density.ravel()
    likely = log_density > -80
    log_phi, log_density = log_phi[likely], log_density[likely]
    inverse = np.exp(-np.clip(log_phi, -600, 600))
    weights = []
    for power in np.exp(_LOG_POWERS):
        terms = log_density - log_phi - power * inverse
        terms -= terms.max()
        mass = np.exp(terms)
        weights.append((mass * inverse).sum() / mass.sum())
    return np.log(np.array(weights))
