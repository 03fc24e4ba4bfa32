"""The inferences of VAE-NMF as objects, each with its own parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from skvae.utils.parameters import check_option, check_real

if TYPE_CHECKING:
    import torch

    from skvae.speech.prior import SpeechPrior
    from skvae.vaenmf.model import Noise, Posterior


class Inference(BaseEstimator, ABC):
    """Base of the inferences: how speech and noise are found in a mixture."""

    @abstractmethod
    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of range."""

    @staticmethod
    @abstractmethod
    def _algorithm() -> Callable[..., Posterior]:
        """Function of the mathematics, whose options are the parameters here."""

    def infer(
        self,
        V: torch.Tensor,
        prior: SpeechPrior,
        noise: Noise,
        generator: torch.Generator,
    ) -> Posterior:
        """Separate one utterance, or a padded batch of them.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the speech prior.
        prior : SpeechPrior
            Encoder and decoder.
        noise : Noise
            Where the noise starts, and which frames are no padding; it is changed.
        generator : torch.Generator
            Source of all draws.

        Returns
        -------
        Posterior
            Mask, its spread, latent variables, noise, and the cost of each iteration.
        """
        options = self.get_params(deep=False)
        return self._algorithm()(V, prior, noise, generator, **options)


class VEM(Inference):
    """Variational EM with the encoder as the posterior of z.

    Fast, because it neither samples nor differentiates [1]_.

    Parameters
    ----------
    n_iter : int, default=15
        Iterations; 100 in the paper [1]_. More than some ten or twenty find more of the
        mixture in the speech model, noise as well.
    n_samples : int, default=1
        Draws of z for an expectation; one is enough.
    covariance : bool, default=True
        Whether the encoder sees the posterior variance of speech. Without it this is
        the paper's "Heuristic".
    encoder_input : {"power", "log-expectation"}, default="log-expectation"
        The expected power, as in the paper, or ``exp(E[log |s|^2])``, which is what an
        encoder that reads logarithms was trained on.
    guidance : float, default=0.5
        Exponent, in a geometric mean with the expected power, of what the guide takes
        for speech. It keeps the encoder, which was trained on speech without noise,
        from finding more of it in each iteration. Without a guide there is none.
    reconstruction : {"mh", "s", "z"}, default="mh"
        MH-Wiener, S-Wiener or Z-Wiener.
    exponent : float, default=1.0
        Of the multiplicative updates.
    smoothing : int, default=3
        Bins over which the noise's bases are smoothed, an odd number; 1, as in the
        paper, is not at all.
    with_gain : bool, default=True
        Whether each frame has a gain; not in the paper.
    tol : float, default=0.0
        Iterations end when the cost changes by less than this.

    See Also
    --------
    GradientVEM : Moves the posterior of z by gradients, free of the encoder.
    MCEM : Draws from the posterior of z.
    MCMC : Draws the noise as well.

    References
    ----------
    .. [1] M. Pariente, A. Deleforge and E. Vincent, "A statistically principled and
       computationally efficient approach to speech enhancement using variational
       autoencoders", INTERSPEECH 2019.

    Examples
    --------
    >>> from skvae import VEM
    >>> paper = VEM(100, encoder_input="power", smoothing=1, with_gain=False)
    """

    def __init__(
        self,
        n_iter: int = 15,
        *,
        n_samples: int = 1,
        covariance: bool = True,
        encoder_input: str = "log-expectation",
        guidance: float = 0.5,
        reconstruction: str = "mh",
        exponent: float = 1.0,
        smoothing: int = 3,
        with_gain: bool = True,
        tol: float = 0.0,
    ):
        self.n_iter = n_iter
        self.n_samples = n_samples
        self.covariance = covariance
        self.encoder_input = encoder_input
        self.guidance = guidance
        self.reconstruction = reconstruction
        self.exponent = exponent
        self.smoothing = smoothing
        self.with_gain = with_gain
        self.tol = tol

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of range."""
        _check_shared(self)
        check_real("n_samples", self.n_samples, low=1, integer=True)
        check_option("covariance", self.covariance, [True, False])
        check_option("encoder_input", self.encoder_input, ["power", "log-expectation"])
        check_real("guidance", self.guidance, low=0, high=1)
        check_option("reconstruction", self.reconstruction, ["mh", "s", "z"])

    @staticmethod
    def _algorithm() -> Callable[..., Posterior]:
        from skvae.vaenmf.vem import vem

        return vem


class GradientVEM(Inference):
    """Variational EM with free posterior parameters, moved by Adam.

    Parameters
    ----------
    n_iter : int, default=100
        Alternations of a gradient step and an update of the noise; 200 in the paper
        [1]_. Where a trained guide leads, 50 are better.
    learning_rate : float, default=0.1
        Of Adam; 0.2 in the paper.
    n_samples : int, default=1
        Draws of z for a gradient, and for the update of the noise that follows; 10 for
        the latter in the paper.
    n_draws : int, default=10
        Draws of z for the mask.
    prior_weight : float, default=1.5
        Weight of the divergence from the prior. 1 is the lower bound; a little more
        keeps the speech model from explaining noise.
    hold : {"latent", "noise"} or None, default=None
        What stays where it starts, the posterior of the latent variables, or the noise.
    exponent : float, default=0.5
        Of the multiplicative updates.
    smoothing : int, default=3
        Bins over which the noise's bases are smoothed, an odd number; 1, as in the
        paper, is not at all.
    with_gain : bool, default=True
        Whether each frame has a gain; not in the paper.
    tol : float, default=0.0
        Iterations end when the cost changes by less than this.

    See Also
    --------
    VEM : Takes the encoder's posterior of z instead: faster.
    MCEM : Draws from the posterior of z.
    MCMC : Draws the noise as well.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import GradientVEM
    >>> faithful = {"prior_weight": 1.0, "smoothing": 1, "with_gain": False}
    >>> paper = GradientVEM(200, learning_rate=0.2, n_samples=10, **faithful)
    """

    def __init__(
        self,
        n_iter: int = 100,
        *,
        learning_rate: float = 0.1,
        n_samples: int = 1,
        n_draws: int = 10,
        prior_weight: float = 1.5,
        hold: str | None = None,
        exponent: float = 0.5,
        smoothing: int = 3,
        with_gain: bool = True,
        tol: float = 0.0,
    ):
        self.n_iter = n_iter
        self.learning_rate = learning_rate
        self.n_samples = n_samples
        self.n_draws = n_draws
        self.prior_weight = prior_weight
        self.hold = hold
        self.exponent = exponent
        self.smoothing = smoothing
        self.with_gain = with_gain
        self.tol = tol

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of range."""
        _check_shared(self)
        check_real("learning_rate", self.learning_rate, low=0, open_low=True)
        check_real("n_samples", self.n_samples, low=1, integer=True)
        check_real("n_draws", self.n_draws, low=1, integer=True)
        check_real("prior_weight", self.prior_weight, low=0)
        check_option("hold", self.hold, [None, "latent", "noise"])

    @staticmethod
    def _algorithm() -> Callable[..., Posterior]:
        from skvae.vaenmf.gradient import gradient_vem

        return gradient_vem


class MCEM(Inference):
    """Monte Carlo EM: Metropolis draws of z, multiplicative updates of the rest.

    Parameters
    ----------
    n_iter : int, default=100
        Iterations.
    n_burn_in : int, default=30
        Metropolis steps of an iteration that are dropped.
    n_samples : int, default=10
        Metropolis steps of an iteration that are kept.
    proposal_variance : float, default=0.01
        Variance of the random walk.
    exponent : float, default=0.5
        Of the multiplicative updates.
    smoothing : int, default=3
        Bins over which the noise's bases are smoothed, an odd number; 1, as in the
        paper [1]_, is not at all.
    with_gain : bool, default=True
        Whether each frame has a gain.
    tol : float, default=0.0
        Iterations end when the cost changes by less than this.

    See Also
    --------
    VEM : Approximates the posterior of z by the encoder's: far faster.
    GradientVEM : Approximates it by a Gaussian, which gradients move.
    MCMC : Draws the noise as well.

    Notes
    -----
    The speech variances of the kept draws stay in memory until the noise is updated:
    its steps need them one after another, each with another model of the mixture. In
    all some `n_samples` + 6 numbers of four bytes are held for each frame and bin (11
    at least): 33 kB a frame by default with 513 bins, 120 MB for a minute at 16 kHz.
    An enhancer's `block_seconds` bounds it.

    References
    ----------
    .. [1] S. Leglaive, L. Girin and R. Horaud, "A variance modeling framework based on
       variational autoencoders for speech enhancement", MLSP 2018.

    Examples
    --------
    >>> from skvae import MCEM
    >>> MCEM(smoothing=1)  # as in the paper
    MCEM(smoothing=1)
    """

    def __init__(
        self,
        n_iter: int = 100,
        *,
        n_burn_in: int = 30,
        n_samples: int = 10,
        proposal_variance: float = 0.01,
        exponent: float = 0.5,
        smoothing: int = 3,
        with_gain: bool = True,
        tol: float = 0.0,
    ):
        self.n_iter = n_iter
        self.n_burn_in = n_burn_in
        self.n_samples = n_samples
        self.proposal_variance = proposal_variance
        self.exponent = exponent
        self.smoothing = smoothing
        self.with_gain = with_gain
        self.tol = tol

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of range."""
        _check_shared(self)
        check_real("n_burn_in", self.n_burn_in, low=0, integer=True)
        check_real("n_samples", self.n_samples, low=1, integer=True)
        check_real("proposal_variance", self.proposal_variance, low=0, open_low=True)

    @staticmethod
    def _algorithm() -> Callable[..., Posterior]:
        from skvae.vaenmf.mcem import mcem

        return mcem


class MCMC(Inference):
    """Markov chain Monte Carlo of the noise and of z.

    The paper's conditionals of the noise [1]_ come from a lower bound of the likelihood
    that moves with the present values: a useful sampler, but not one of the posterior.
    `exact` draws from the true conditionals instead.

    Parameters
    ----------
    n_burn_in : int, default=100
        Sweeps that are dropped.
    n_samples : int, default=50
        Sweeps that are kept.
    n_latent_steps : int, default=5
        Metropolis steps of z in a sweep; the paper's one moves it too slowly for 150
        sweeps.
    shape : pair of float, default=(1.0, 1.0)
        Shapes a0 and a1 of the gamma priors of W and H.
    rate : pair of float, default=(1e-3, None)
        Rates b0 and b1 of the same; None for b1 is K over the mixture's mean power. The
        paper's b0 of 1 keeps the bases from the loud end of a noise that falls by 40 dB
        over frequency.
    proposal_variance : float, default=0.01
        Variance of the random walk.
    exact : bool, default=False
        Draw from the exact conditionals of an augmented model.
    reconstruction : {"means", "masks"}, default="means"
        One mask from the means of W, H and z, as in the paper, or the mean of masks.

    See Also
    --------
    MCEM : Draws the latent variables alone.
    VEM : Does not draw, and is far faster.
    GradientVEM : Does not draw the noise, and moves the posterior of z by gradients.

    References
    ----------
    .. [1] Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical
       speech enhancement based on probabilistic integration of variational autoencoder
       and non-negative matrix factorization", ICASSP 2018.

    Examples
    --------
    >>> from skvae import MCMC
    >>> MCMC(n_latent_steps=1, rate=(1.0, None))  # as in the paper
    MCMC(n_latent_steps=1, rate=(1.0, None))
    """

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
        reconstruction: str = "means",
    ):
        self.n_burn_in = n_burn_in
        self.n_samples = n_samples
        self.n_latent_steps = n_latent_steps
        self.shape = shape
        self.rate = rate
        self.proposal_variance = proposal_variance
        self.exact = exact
        self.reconstruction = reconstruction

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of range."""
        check_real("n_burn_in", self.n_burn_in, low=0, integer=True)
        check_real("n_samples", self.n_samples, low=1, integer=True)
        check_real("n_latent_steps", self.n_latent_steps, low=1, integer=True)
        check_real("proposal_variance", self.proposal_variance, low=0, open_low=True)
        check_option("exact", self.exact, [True, False])
        check_option("reconstruction", self.reconstruction, ["means", "masks"])
        for name in ("shape", "rate"):
            pair = getattr(self, name)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise ValueError(f"`{name}` must be a pair of numbers, got {pair!r}.")
            for k, value in enumerate(pair):
                optional = name == "rate" and k == 1
                check_real(
                    f"{name}[{k}]", value, low=0, open_low=True, optional=optional
                )

    @staticmethod
    def _algorithm() -> Callable[..., Posterior]:
        from skvae.vaenmf.mcmc import mcmc

        return mcmc


#: What `inference` may be called.
INFERENCES: dict[str, type[Inference]] = {
    "vem": VEM,
    "gradient": GradientVEM,
    "mcem": MCEM,
    "mcmc": MCMC,
}


def make_inference(inference: Any) -> Inference:
    """Turn a name, or an inference, into an inference, its parameters unchecked.

    Parameters
    ----------
    inference : str or Inference
        "vem", "gradient", "mcem" or "mcmc", with default parameters, or an object.

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
    if not hasattr(inference, "infer") or isinstance(inference, type):
        names = ", ".join(map(repr, INFERENCES))
        raise ValueError(
            f"`inference` must be one of {names}, or an object such as MCEM(), "
            f"got {inference!r}."
        )
    return inference


def _check_shared(inference: Any) -> None:
    check_real("n_iter", inference.n_iter, low=1, integer=True)
    check_real("exponent", inference.exponent, low=0, high=1, open_low=True)
    check_real("smoothing", inference.smoothing, low=1, integer=True)
    if inference.smoothing % 2 == 0:
        raise ValueError(
            f"`smoothing` must be an odd number, got {inference.smoothing}."
        )
    check_option("with_gain", inference.with_gain, [True, False])
    check_real("tol", inference.tol, low=0)
