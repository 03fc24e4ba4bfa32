r"""Noise whose bins follow Student's t distribution.

The impulses are inverse-gamma, phi ~ IG(nu / 2, nu / 2), so that

.. math:: E[1 / \phi \,|\, p] = \frac{\nu / 2 + 1}{\nu / 2 + p / \lambda}.

See :mod:`skvae.vaenmf.heavy_tails`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skvae.utils.parameters import Number
from skvae.vaenmf.heavy_tails import HeavyTailedNoise


class StudentNoise(HeavyTailedNoise):
    """Noise model with heavy tails: Student's t in each bin.

    A bin that is far louder than the spectrum of the noise is taken for an impulse, a
    click for example, and does not change the spectrum.

    Parameters
    ----------
    df : float, default=4.0
        Degrees of freedom. Fewer mean more and louder impulses; with infinitely many
        the noise is that of `spectrum`.
    spectrum : noise model, default=None
        Model of the power that the impulses scale; None means ``NMFNoise()``.

    Attributes
    ----------
    spectrum_ : noise model
        Model of the spectrum, with what it learned from its `noise_profile`.

    See Also
    --------
    StableNoise : Heavier tails, which no power of the distribution bounds.
    NMFNoise : Gaussian noise.

    References
    ----------
    .. [1] M. Fontaine, K. Sekiguchi, A. A. Nugraha, Y. Bando and K. Yoshii,
       "Generalized fast multichannel nonnegative matrix factorization based on Gaussian
       scale mixtures for blind source separation", TASLP 2022.

    Examples
    --------
    >>> from skvae import NMFNoise, StudentNoise
    >>> StudentNoise(3.0, NMFNoise(10))
    StudentNoise(df=3.0, spectrum=NMFNoise(n_components=10))
    """

    _parameter_ranges = {"df": Number(low=0, high=1e9, open_low=True)}

    def __init__(self, df: float = 4.0, spectrum: Any = None):
        self.df = df
        self.spectrum = spectrum

    def _weight(self, power: Tensor) -> Tensor:
        half = self.df / 2
        return (half + 1) / (half + power)
