r"""Markov chain Monte Carlo of all that is unknown: the noise and z.

Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical speech
enhancement based on probabilistic integration of variational autoencoder and
non-negative matrix factorization", ICASSP 2018; equation numbers are theirs. The
conditionals of the noise are in :mod:`skvae.vaenmf.nmf_sampling`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skvae.speech.prior import SpeechPrior
from skvae.utils.parameters import (
    MAX_DRAWS,
    MAX_WEIGHT,
    Number,
    Option,
)
from skvae.vaenmf.draws import draw
from skvae.vaenmf.inference import Inference, Posterior
from skvae.vaenmf.metropolis import start_chain
from skvae.vaenmf.mixture import Costs, misfit
from skvae.vaenmf.moments import MaskMoments, wiener_gain
from skvae.vaenmf.noise import Noise


class MCMC(Inference):
    """Markov chain Monte Carlo of the noise and of z.

    The paper's conditionals of the noise [1]_ come from a lower bound of the likelihood
    that moves with the present values: a useful sampler, but not one of the posterior.
    `exact` draws from the true conditionals instead.

    Parameters
    ----------
    n_burn_in : int, default=100
        Number of sweeps that are dropped.
    n_samples : int, default=50
        Number of sweeps that are kept.
    n_latent_steps : int, default=5
        Number of Metropolis steps of z in a sweep. The single step of [1]_ moves z too
        slowly for 150 sweeps.
    shape : pair of float, default=(1.0, 1.0)
        Shapes a0 and a1 of the gamma priors of W and H.
    rate : pair of float, default=(1e-3, None)
        Rates b0 and b1 of the gamma priors of W and H; None for b1 is K over the
        mixture's mean power. The value 1 of [1]_ for b0 keeps the bases from the loud
        end of a noise that falls by 40 dB over frequency.
    proposal_variance : float, default=0.01
        Variance of the random walk.
    exact : bool, default=False
        Whether to draw from the exact conditionals of an augmented model.
    average : {"parameters", "masks"}, default="parameters"
        What is averaged over the sweeps: W, H and z, which give one mask, (26) of [1]_,
        or the masks. With either, `mask_std` is the standard deviation of the masks of
        the sweeps about their own mean.

    See Also
    --------
    MCEM : Draws the latent variables alone.
    VEM : Draws nothing and is far faster.
    GradientVEM : Moves the posterior of z by gradients.

    References
    ----------
    .. [1] Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical
       speech enhancement based on probabilistic integration of variational autoencoder
       and non-negative matrix factorization", ICASSP 2018.

    Examples
    --------
    >>> from skvae import MCMC
    >>> MCMC.as_published()
    MCMC(n_latent_steps=1, rate=(1.0, None))
    """

    draws_noise = True

    _n_published_components = 5

    _parameter_ranges = {
        "n_burn_in": Number(0, MAX_DRAWS, integer=True),
        "n_samples": Number(1, MAX_DRAWS, integer=True),
        "n_latent_steps": Number(1, MAX_DRAWS, integer=True),
        "proposal_variance": Number(0, MAX_WEIGHT, open_low=True),
        "exact": Option(True, False),
        "average": Option("parameters", "masks"),
    }

    def __init__(
        self,
        n_burn_in: int = 100,
        n_samples: int = 50,
        *,
        n_latent_steps: int = 5,
        shape: tuple[float, float] = (1.0, 1.0),
        rate: tuple[float, float | None] = (1e-3, None),
        proposal_variance: float = 0.01,
        exact: bool = False,
        average: str = "parameters",
    ):
        self.n_burn_in = n_burn_in
        self.n_samples = n_samples
        self.n_latent_steps = n_latent_steps
        self.shape = shape
        self.rate = rate
        self.proposal_variance = proposal_variance
        self.exact = exact
        self.average = average

    @classmethod
    def as_published(cls) -> MCMC:
        """Return the inference with the settings of the paper.

        Returns
        -------
        MCMC
        """
        return cls(n_latent_steps=1, rate=(1.0, None))

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of its range."""
        super().check()
        for name in ("shape", "rate"):
            pair = getattr(self, name)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise ValueError(f"`{name}` must be a pair of numbers, got {pair!r}.")
            for k, value in enumerate(pair):
                optional = name == "rate" and k == 1
                allowed = Number(0, MAX_WEIGHT, open_low=True, optional=optional)
                allowed.check(f"{name}[{k}]", value)

    def infer(
        self,
        V: Tensor,
        prior: SpeechPrior,
        noise: Noise,
        generator: torch.Generator,
    ) -> Posterior:
        """Separate one utterance, or a padded batch of them, by sampling.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the speech model.
        prior : SpeechPrior
            Speech model of the mixture.
        noise : Noise
            Noise to start from, which is changed.
        generator : torch.Generator
            Source of all draws.

        Returns
        -------
        Posterior
            Its history holds the mean of log(V_x) + V / V_x over the bins after each
            sweep; its noise has the means of the draws.
        """
        gain = torch.ones_like(V[..., :1])
        mean, log_variance = prior.first_posterior(V)
        chain = start_chain(
            V,
            prior,
            draw(mean, log_variance, generator),
            generator,
            self.proposal_variance,
            frames=noise.frames,
        )
        sampler = noise.sampler(  # type: ignore[attr-defined]  # see check_combination
            V, generator, shape=self.shape, rate=self.rate, exact=self.exact
        )
        z_sum = torch.zeros_like(chain.z)
        moments = MaskMoments(V)
        costs = Costs(V, noise.frames)
        for sweep in range(self.n_burn_in + self.n_samples):
            sampler.step(chain.variance * gain)
            chain.refresh(noise, gain)
            for _ in range(self.n_latent_steps):
                chain.step()
            V_x = torch.addcmul(chain.V_b, chain.variance, gain)
            costs.add(misfit(V / V_x, V_x, noise.frames))
            if sweep >= self.n_burn_in:
                sampler.keep()
                z_sum += chain.z
                moments.add(wiener_gain(chain.variance, gain, chain.V_b))
        sampler.finish()
        z = z_sum / self.n_samples
        mask = moments.mean
        if self.average == "parameters":  # (26)
            mask = wiener_gain(prior.variance(z), gain, noise.power())
        return Posterior(mask, moments.std(), z, noise, gain, costs.history())
