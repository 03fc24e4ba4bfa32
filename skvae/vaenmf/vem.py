r"""Variational EM that reuses the encoder as the posterior of z.

M. Pariente, A. Deleforge and E. Vincent, "A statistically principled and
computationally efficient approach to speech enhancement using variational
autoencoders", INTERSPEECH 2019; equation numbers are theirs. (18) lacks the factor 1/D,
which is here. (24)-(25) condition on all bins of a frame.

Beyond the paper, as options:

* `encoder_input`: the encoder was trained on periodograms, but (21) feeds it an
  expected power. Where the posterior is wide, that is 2.5 dB too much for an encoder
  that reads logarithms, at every iteration. "log-expectation" feeds exp(E[log |s|^2])
  instead, which for complex Gaussian s is |mu|^2 exp(E_1(|mu|^2 / Sigma)).
* `gain`: a gain of each frame, by its maximum of the same bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skvae.utils.parameters import (
    MAX_DRAWS,
    Number,
    Option,
)
from skvae.vaenmf.draws import draw
from skvae.vaenmf.inference import IterativeInference, Posterior, Run
from skvae.vaenmf.mixture import FLOOR, bounded_gain, sum_log
from skvae.vaenmf.padding import total
from skvae.vaenmf.reconstruction import (
    gradient_wiener,
    latent_wiener,
    metropolis_wiener,
)


class VEM(IterativeInference):
    """Variational EM with the encoder as the posterior of z.

    It is fast, because it neither samples nor differentiates [1]_.

    Parameters
    ----------
    max_iter : int, default=15
        Maximum number of iterations; 100 in [1]_. After 10 to 20 iterations the speech
        model begins to explain the noise as well.
    n_samples : int, default=1
        Number of draws of z for an expectation; one is enough.
    covariance : bool, default=True
        Whether the encoder's input includes the posterior variance of the speech. False
        is "Heuristic" in [1]_.
    encoder_input : {"power", "log-expectation"}, default="log-expectation"
        Input of the encoder: the expected power, as in [1]_, or
        ``exp(E[log |s|^2])``, which suits an encoder trained on logarithms.
    guidance : float, default=0.5
        Exponent, in a geometric mean with the expected power, of the speech power that
        the guide estimates. It keeps the encoder, which was trained on clean speech,
        from finding more speech in each iteration. It has no effect without a guide.
    reconstruction : {"gradient", "mh", "s", "z"}, default="gradient"
        Estimate of the mask. "gradient" fits a Gaussian posterior of z by gradients,
        with the noise held, and averages over its draws. MH-Wiener, S-Wiener and
        Z-Wiener are those of [1]_, which prefers "mh".
    gain : {"free"} or None, default="free"
        Gain of the speech in each frame: estimated, or one as in [1]_.
    tol : float, default=0.0
        Change of the cost below which iterations end; 0 disables it.

    See Also
    --------
    GradientVEM : Moves the posterior of z by gradients.
    MCEM : Draws z by a Markov chain.
    MCMC : Draws z and the noise.

    Notes
    -----
    The encoder stands for the posterior of z, which holds for a standard normal prior
    only: speech models with another prior are refused.

    References
    ----------
    .. [1] M. Pariente, A. Deleforge and E. Vincent, "A statistically principled and
       computationally efficient approach to speech enhancement using variational
       autoencoders", INTERSPEECH 2019.

    Examples
    --------
    >>> from skvae import VEM
    >>> VEM.as_published()
    VEM(encoder_input='power', gain=None, guidance=0.0, max_iter=100,
        reconstruction='mh')
    """

    follows_prior = False

    _parameter_ranges = {
        "n_samples": Number(1, MAX_DRAWS, integer=True),
        "covariance": Option(True, False),
        "encoder_input": Option("power", "log-expectation"),
        "guidance": Number(low=0, high=1),
        "reconstruction": Option("gradient", "mh", "s", "z"),
    }

    def __init__(
        self,
        max_iter: int = 15,
        *,
        n_samples: int = 1,
        covariance: bool = True,
        encoder_input: str = "log-expectation",
        guidance: float = 0.5,
        reconstruction: str = "gradient",
        gain: str | None = "free",
        tol: float = 0.0,
    ):
        self.max_iter = max_iter
        self.n_samples = n_samples
        self.covariance = covariance
        self.encoder_input = encoder_input
        self.guidance = guidance
        self.reconstruction = reconstruction
        self.gain = gain
        self.tol = tol

    @classmethod
    def as_published(cls) -> VEM:
        """Return the inference with the settings of the paper.

        Returns
        -------
        VEM
        """
        return cls(
            100, encoder_input="power", guidance=0.0, reconstruction="mh", gain=None
        )

    def _begin(self, *mixture: Any) -> Run:
        return _VEMRun(self, *mixture)


class _VEMRun(Run):
    """Posterior r(z), and what the E-step finds.

    The cost is the sum of log(V_x) + V / V_x with the speech variance gamma^2.
    """

    def start(self) -> None:
        V, prior, options = self.V, self.prior, self.options
        self.mean, self.log_variance = prior.first_posterior(V)
        self.inverse_gamma, self.V_b, *self.E, self.power, self.noise_power = (
            V.new_empty(7, *V.shape)
        )
        self.parts = V.new_empty(2, *V.shape)
        self.guiding = None
        if prior.guided is not None and options.guidance > 0:
            self.guiding = prior.guided.clamp_min(FLOOR).pow_(options.guidance)

    def move_latent(self) -> None:
        options, prior = self.options, self.prior
        _, mean_power, covariance_ss = self.E
        # E-(s, n): (16)-(18)
        self._average_inverse_variance()
        if options.gain is not None:
            self.inverse_gamma /= self.gain
        self.noise.power(out=self.V_b)
        source_posterior(self.V, self.inverse_gamma, self.V_b, out=self.E)
        self._cost = self._misfit()
        # E-z: (21)
        power = self.power
        if not options.covariance:
            power.copy_(mean_power)
        elif options.encoder_input == "power":
            torch.add(mean_power, covariance_ss, out=power)
        else:
            expected_log = exp_expected_log(torch.div(mean_power, covariance_ss))
            torch.mul(covariance_ss, expected_log, out=power)
        if options.gain is not None:
            # The maximum of the bound by the gain, which the encoder's input excludes.
            expected = torch.add(mean_power, covariance_ss).mul_(self.inverse_gamma)
            self.gain = bounded_gain(self.gain * expected.mean(-1, keepdim=True))
            power /= self.gain
        if self.guiding is not None:
            power.pow_(1 - options.guidance).mul_(self.guiding)
        self.mean, self.log_variance = prior.encode(power)

    def update_noise(self) -> None:
        # M: (22)-(23), with the expected power |mu_n|^2 + Sigma_nn
        mask, _, covariance_nn = self.E
        torch.sub(1, mask, out=self.noise_power).square_().mul_(self.V).add_(
            covariance_nn
        )
        self.noise.update_from_power(self.noise_power, self.V_b, self.parts)

    def update_gain(self) -> None:
        """Do nothing: the E-step has updated the gain."""

    def cost(self) -> Tensor:
        return self._cost

    def finish(self, history: list[Any]) -> Posterior:
        V, prior, noise, gain = self.V, self.prior, self.noise, self.gain
        if self.options.reconstruction == "s":
            self._average_inverse_variance()
            self.inverse_gamma /= gain
            noise.power(out=self.V_b)
            mask, *_ = source_posterior(V, self.inverse_gamma, self.V_b, out=self.E)
            return Posterior(mask.clone(), None, self.mean, noise, gain, history)
        given = noise, gain, self.generator
        if self.options.reconstruction == "gradient":
            moments = gradient_wiener(V, prior, *given)
        elif self.options.reconstruction == "mh":
            moments = metropolis_wiener(V, prior, self.mean, *given)
        else:
            moments = latent_wiener(prior, self.mean, self.log_variance, *given)
        return Posterior(moments.mean, moments.std(), self.mean, noise, gain, history)

    def _average_inverse_variance(self) -> None:
        """Average 1 / sigma^2(z) over draws from r(z): (18) with its 1/D."""
        out, n_samples = self.inverse_gamma, self.options.n_samples
        for d in range(n_samples):
            z = draw(self.mean, self.log_variance, self.generator)
            if d == 0:
                inverse = self.prior.log_variance(z, out=out).neg_().exp_()
                if inverse is not out:
                    out.copy_(inverse)
            else:
                out += self.prior.log_variance(z).neg_().exp_()
        if n_samples > 1:
            out /= n_samples

    def _misfit(self) -> Tensor:
        """Sum log V_x + V / V_x with V_x = gamma^2 / mask."""
        mask, frames = self.E[0], self.noise.frames
        inverse, ratio = self.power, self.noise_power
        torch.mul(self.inverse_gamma, mask, out=inverse)
        torch.mul(self.V, inverse, out=ratio)
        return total(ratio, frames) - total(sum_log(inverse)[..., None], frames)


def source_posterior(
    V: Tensor, inverse_gamma: Tensor, V_b: Tensor, out: Sequence[Tensor] | None = None
) -> Sequence[Tensor]:
    """Return the posterior of speech and noise given z, (16)-(17).

    Parameters
    ----------
    V : Tensor of shape (..., N, F)
        Power of the mixture.
    inverse_gamma : Tensor of shape (..., N, F)
        1 / gamma^2.
    V_b : Tensor of shape (..., N, F)
        Power of the noise.
    out : three Tensor of shape (..., N, F), default=None
        Memory for the results.

    Returns
    -------
    mask : Tensor of shape (..., N, F)
        gamma^2 / (gamma^2 + V_b); the mean of s is x times it.
    mean_power : Tensor of shape (..., N, F)
        |mu_s|^2.
    covariance : Tensor of shape (..., N, F)
        Sigma_ss, which equals Sigma_nn.
    """
    mask, mean_power, covariance = V.new_empty(3, *V.shape) if out is None else out
    torch.mul(V_b, inverse_gamma, out=mask).add_(1).reciprocal_()
    torch.mul(mask, mask, out=mean_power).mul_(V)
    torch.mul(mask, V_b, out=covariance)
    return mask, mean_power, covariance


def exp_expected_log(k: Tensor) -> Tensor:
    r"""Return exp(E[log |s|^2]) of complex Gaussian s, |mean|^2 = k, variance 1.

    The value is :math:`k \exp(E_1(k))`, which grows from :math:`e^{-\gamma}` at 0 to k.

    Parameters
    ----------
    k : Tensor
        Numbers of at least zero.

    Returns
    -------
    Tensor
        Accurate to 1e-6 of its value in float64 (the rational approximation 5.1.56 of
        Abramowitz and Stegun above 1, the series of E_1(k) + log(k) below).

    Examples
    --------
    >>> import torch
    >>> exp_expected_log(torch.tensor([0.0, 1.0, 100.0])).round(decimals=4)
    tensor([  0.5615,   1.2453, 100.0000])
    """
    small = k.clamp(max=1.0)
    # E_1(k) + log(k) = -gamma + k - k^2/4 + k^3/18 - ...
    series = _horner(small, _E1_SERIES)
    # Beyond the bound the value is k, and the fraction would overflow.
    large = k.clamp(min=1.0, max=_MOST_CORRECTED)
    fraction = _horner(large, _E1_NUMERATOR) / _horner(large, _E1_DENOMINATOR)
    tail = k * (fraction * (-large).exp() / large).exp()
    return torch.where(k < 1, series.exp(), tail)


def _horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Evaluate a polynomial, highest power first."""
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value.mul_(x).add_(coefficient)
    return value


#: exp(-k) is zero in float32 and float64 from here on.
_MOST_CORRECTED = 1e6
#: (-1)^(n+1) / (n n!) for n = 9 ... 1, then -gamma (Abramowitz and Stegun, 5.1.11).
_E1_SERIES = (
    1 / (9 * 362880),
    -1 / (8 * 40320),
    1 / (7 * 5040),
    -1 / (6 * 720),
    1 / (5 * 120),
    -1 / (4 * 24),
    1 / (3 * 6),
    -1 / (2 * 2),
    1.0,
    -0.5772156649015329,
)
#: k e^k E_1(k) for k >= 1 (Abramowitz and Stegun, 5.1.56).
_E1_NUMERATOR = (
    1.0,
    8.5733287401,
    18.0590169730,
    8.6347608925,
    0.2677737343,
)
_E1_DENOMINATOR = (
    1.0,
    9.5733223454,
    25.6329561486,
    21.0996530827,
    3.9584969228,
)
