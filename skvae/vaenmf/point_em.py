r"""EM with a point estimate: the most probable z in place of its posterior.

H. Kameoka, L. Li, S. Inoue and S. Makino, "Supervised determined source separation with
multichannel variational autoencoder", Neural Computation 2019; as "PEEM" in S.
Leglaive, X. Alameda-Pineda, L. Girin and R. Horaud, "A recurrent variational
autoencoder for speech enhancement", ICASSP 2020. Adam lowers

.. math:: U(z) = \sum_f \left( \log V_x + \frac{V}{V_x} \right) - \log p(z),

and the noise and the gain are updated at the z that it arrives at.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skvae.utils.parameters import MAX_DRAWS, MAX_WEIGHT, Number
from skvae.vaenmf.adam import Adam
from skvae.vaenmf.energy import energy_and_gradient
from skvae.vaenmf.inference import IterativeInference, Posterior, Run
from skvae.vaenmf.mixture import workspace
from skvae.vaenmf.moments import wiener_gain
from skvae.vaenmf.padding import total


class PointEM(IterativeInference):
    """EM with the most probable latent variables, moved by Adam.

    It ignores how uncertain z is, so its masks have no spread.

    Parameters
    ----------
    max_iter : int, default=100
        Maximum number of iterations.
    n_steps : int, default=1
        Number of steps of Adam in an iteration; 10 in [1]_.
    learning_rate : float, default=0.1
        Learning rate of Adam; 0.01 in [1]_.
    prior_weight : float, default=1.5
        Weight of the prior. 1 is the model's; larger values keep the speech model from
        explaining noise.
    gain : {"free"} or None, default="free"
        Gain of the speech in each frame: estimated, or one.
    tol : float, default=0.0
        Change of the cost below which iterations end; 0 disables it.

    See Also
    --------
    GradientVEM : Moves a Gaussian posterior of z instead of a point.
    Langevin : Draws z with the same gradient.

    References
    ----------
    .. [1] S. Leglaive, X. Alameda-Pineda, L. Girin and R. Horaud, "A recurrent
       variational autoencoder for speech enhancement", ICASSP 2020.

    Examples
    --------
    >>> from skvae import PointEM
    >>> PointEM.as_published()
    PointEM(learning_rate=0.01, n_steps=10, prior_weight=1.0)
    """

    _parameter_ranges = {
        "n_steps": Number(low=1, high=MAX_DRAWS, integer=True),
        "learning_rate": Number(low=0, high=10, open_low=True),
        "prior_weight": Number(low=0, high=MAX_WEIGHT),
    }

    def __init__(
        self,
        max_iter: int = 100,
        *,
        n_steps: int = 1,
        learning_rate: float = 0.1,
        prior_weight: float = 1.5,
        gain: str | None = "free",
        tol: float = 0.0,
    ):
        self.max_iter = max_iter
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.prior_weight = prior_weight
        self.gain = gain
        self.tol = tol

    @classmethod
    def as_published(cls) -> PointEM:
        """Return the inference with the settings of the paper.

        Returns
        -------
        PointEM
        """
        return cls(n_steps=10, learning_rate=0.01, prior_weight=1.0)

    def _begin(self, *mixture: Any) -> Run:
        return _PointRun(self, *mixture)


class _PointRun(Run):
    """The latent variables, and the optimizer that moves them.

    The cost is the energy at the z of the last gradient, before the noise is updated.
    """

    def start(self) -> None:
        mean, _ = self.prior.first_posterior(self.V)
        self.z = mean.clone()
        self.adam = Adam((self.z,), self.options.learning_rate)
        self.memory = workspace(self.V)
        self.variances = [self.V.new_empty(self.V.shape)]

    def move_latent(self) -> None:
        [variance] = self.variances
        V_b = self.noise.power(out=self.memory[0])
        for _ in range(self.options.n_steps):
            energy, gradient = energy_and_gradient(
                self.V,
                self.prior,
                self.z,
                V_b,
                self.gain,
                self.memory[1:],
                out=variance,
                prior_weight=self.options.prior_weight,
                frames=self.noise.frames,
            )
            self.adam.step((gradient,))
        self._cost = total(energy[..., None], self.noise.frames)
        self.prior.variance_into(self.z, variance)

    def cost(self) -> Tensor:
        return self._cost

    def finish(self, history: list[Any]) -> Posterior:
        [variance] = self.variances
        mask = wiener_gain(variance, self.gain, self.noise.power())
        return Posterior(mask, None, self.z, self.noise, self.gain, history)
