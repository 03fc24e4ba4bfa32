r"""Noise with heavy tails: each bin scales its power by a random factor.

A Gaussian scale mixture [M. Fontaine, K. Sekiguchi, A. A. Nugraha, Y. Bando and K.
Yoshii, "Generalized fast multichannel nonnegative matrix factorization based on
Gaussian scale mixtures for blind source separation", TASLP 2022] has, in each bin, an
*impulse* phi of its own,

.. math:: b \,|\, \phi \sim N_c(0, \phi\, \lambda), \quad \phi \sim p(\phi),

where lambda is the power of another noise model, the *spectrum*. The posterior of phi
is approximated by a factor q(phi) of its own. The best one, given the expected power
p = E|b|^2 of the noise, enters through one number for each bin,

.. math:: \omega = E_q[1 / \phi] = E[1 / \phi \,|\, |b|^2 = p].

With q held, the cost is that of Gaussian noise of the power lambda / omega:

.. math:: \log(g \sigma^2 + \lambda / \omega) + \frac{V}{g \sigma^2 + \lambda / \omega}
    = \log(\omega g \sigma^2 + \lambda) + \frac{\omega V}{\omega g \sigma^2 + \lambda}
    - \log \omega.

So the spectrum is updated from a mixture and a speech variance that are both multiplied
by omega. Neither step increases the bound.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.utils.learned import Instance
from skvae.utils.parameters import NamedParts
from skvae.vaenmf.mixture import FLOOR
from skvae.vaenmf.nmf_noise import NMFNoise
from skvae.vaenmf.noise import Noise, NoiseModel


class HeavyTailedNoise(NamedParts, NoiseModel):
    """Base of noise models whose bins are Gaussian scale mixtures.

    Subclasses have the parameter `spectrum` and the method ``_weight``.

    Attributes
    ----------
    spectrum_ : noise model
        Model of the spectrum, with what it learned from its `noise_profile`.
    """

    _learned = {"spectrum_": Instance(NoiseModel)}

    spectrum: Any
    spectrum_: NoiseModel

    @abstractmethod
    def _weight(self, power: Tensor) -> Tensor:
        """Return E[1 / phi] given the power of the noise, for a spectrum of one."""

    @property
    def noise_profile(self) -> Any:
        """Recording of the noise alone: that of the spectrum."""
        return self._make_part("spectrum", self.spectrum).noise_profile

    def _make_part(self, name: str, value: Any) -> Any:
        return NMFNoise() if name == "spectrum" and value is None else value

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of its range."""
        super().check()
        spectrum = self._make_part("spectrum", self.spectrum)
        if not isinstance(spectrum, NoiseModel):
            raise ValueError(
                "`spectrum` must be None or a noise model such as NMFNoise(), got "
                f"{spectrum!r}."
            )
        spectrum.check()

    def fit_profile(
        self, power: np.ndarray | None, device: str, rng: np.random.Generator
    ) -> HeavyTailedNoise:
        """Let the spectrum learn from the noise alone, where there is any.

        Parameters
        ----------
        power : ndarray of shape (N, F), or None
            Power of `noise_profile`.
        device : str
            PyTorch device.
        rng : Generator
            Source of random numbers.

        Returns
        -------
        HeavyTailedNoise
            Itself.
        """
        spectrum = self._make_part("spectrum", self.spectrum)
        self.spectrum_ = spectrum.learned_from(spectrum).fit_profile(power, device, rng)
        return self

    def learned_from(self, fitted: NoiseModel) -> NoiseModel:
        """Return a copy with these parameters and what another model has learned.

        Parameters
        ----------
        fitted : NoiseModel
            Model whose `fit_profile` was called.

        Returns
        -------
        NoiseModel
            New model.
        """
        model = super().learned_from(fitted)
        if isinstance(model, HeavyTailedNoise) and hasattr(model, "spectrum_"):
            spectrum = self._make_part("spectrum", self.spectrum)
            model.spectrum_ = spectrum.learned_from(model.spectrum_)
        return model

    def check_bins(self, n_bins: int) -> None:
        """Raise a ValueError if what was learned has another number of bins.

        Parameters
        ----------
        n_bins : int
            Number of bins of the recordings.
        """
        self.spectrum_.check_bins(n_bins)

    def start(
        self,
        V: Tensor,
        generator: torch.Generator,
        *,
        frames: Tensor | None = None,
        state: Any = None,
    ) -> HeavyTailed:
        """Return the noise that an inference starts from, without impulses.

        Parameters
        ----------
        V : Tensor of shape (..., N, F)
            Power of the mixture, or of what is known of the noise in it.
        generator : torch.Generator
            Source of random numbers.
        frames : Tensor of shape (B, N, 1), default=None
            Frames that count, in a padded batch.
        state : object, default=None
            State of the spectrum after the block before.

        Returns
        -------
        HeavyTailed
            Noise of the spectrum, with impulses of one.
        """
        spectrum = getattr(self, "spectrum_", None)
        if spectrum is None:
            spectrum = self._make_part("spectrum", self.spectrum)
        noise = spectrum.start(V, generator, frames=frames, state=state)
        return HeavyTailed(noise, self._weight, torch.ones_like(V))


class HeavyTailed(Noise):
    """Noise of one mixture, or of each of a batch, with an impulse in each bin.

    Parameters
    ----------
    spectrum : Noise
        Noise that the impulses scale.
    weight : callable
        Power of the noise relative to the spectrum -> E[1 / phi].
    omega : Tensor of shape (..., N, F)
        First values of E[1 / phi], which are replaced.
    """

    def __init__(
        self, spectrum: Noise, weight: Callable[[Tensor], Tensor], omega: Tensor
    ):
        self.spectrum = spectrum
        self.frames = spectrum.frames
        self.omega = omega
        self._weight = weight

    def power(self, out: Tensor | None = None) -> Tensor:
        """Return the power, impulses included; see :meth:`Noise.power`."""
        power = self.spectrum.power(out=out)
        return power.div_(self.omega).clamp_(FLOOR, 1 / FLOOR)

    def update(
        self, V: Tensor, variances: Sequence[Tensor], gain: Tensor, memory: Tensor
    ) -> None:
        """Update the impulses, then the spectrum; see :meth:`Noise.update`."""
        V_b, V_x, expected, _ = memory
        self.power(out=V_b)
        expected.zero_()
        for variance in variances:
            # E|b|^2 = r^2 V + r g sigma^2 with r = V_b / V_x
            torch.addcmul(V_b, variance, gain, out=V_x)
            ratio = V_b / V_x
            expected.addcmul_(ratio, ratio * V + (V_x - V_b))
        expected /= len(variances)
        self._set_impulses(expected)
        scaled = [variance * self.omega for variance in variances]
        self.spectrum.update(V * self.omega, scaled, gain, memory)

    def update_from_power(self, power: Tensor, V_b: Tensor, parts: Tensor) -> None:
        """Update the impulses, then the spectrum; see `Noise.update_from_power`."""
        self._set_impulses(power)
        self.spectrum.power(out=V_b)
        self.spectrum.update_from_power(power * self.omega, V_b, parts)

    def state(self, n_bins: int) -> Any:
        """Return the state of the spectrum; see :meth:`Noise.state`."""
        return self.spectrum.state(n_bins)

    def _set_impulses(self, power: Tensor) -> None:
        """Set q(phi), given the expected power of the noise."""
        relative = (power / self.spectrum.power()).clamp_(max=1 / FLOOR)
        self.omega = self._weight(relative).clamp_(FLOOR, 1 / FLOOR)
