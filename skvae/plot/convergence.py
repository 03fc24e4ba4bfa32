"""Convergence of an inference or of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.enhancement import Separation
from skvae.plot.style import color, line, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class ConvergenceDisplay:
    """Cost after each iteration, or loss after each epoch.

    Parameters
    ----------
    curves : dict of str to sequence of float
        Values after each iteration, by the names in the legend.
    xlabel, ylabel : str
        Labels of the axes.
    first : int, default=1
        Number of the first iteration. 0 if the first value precedes all iterations.
    best : int, default=None
        Number of the iteration whose result was kept. None marks no iteration.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure of the plot.
    ax_ : matplotlib Axes
        Axes of the plot.
    lines_ : list of matplotlib Line2D
        Curves.

    See Also
    --------
    EnhancementDisplay : Result of an inference.

    Examples
    --------
    >>> from skvae import SpeechVAE, Training
    >>> from skvae.datasets import make_speech
    >>> from skvae.plot import ConvergenceDisplay
    >>> speech = [make_speech(16000, random_state=k) for k in range(4)]
    >>> vae = SpeechVAE(4, 16, training=Training(3), random_state=0).fit(speech)
    >>> display = ConvergenceDisplay.from_estimator(vae)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'validation']
    """

    def __init__(
        self,
        curves: Mapping[str, Sequence[float]],
        *,
        xlabel: str = "iteration",
        ylabel: str = "cost",
        first: int = 1,
        best: int | None = None,
    ):
        self.curves = curves
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.first = first
        self.best = best

    @classmethod
    def from_separation(
        cls,
        separation: Separation | Mapping[str, Separation],
        *,
        ax: Axes | None = None,
        **options: Any,
    ) -> ConvergenceDisplay:
        """Draw the history of an inference, or of several of the same kind.

        Parameters
        ----------
        separation : Separation, or dict of str to Separation
            Results of :meth:`BaseEnhancer.separate` for one utterance. Costs of
            different kinds of inference cannot be compared.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        ConvergenceDisplay
            The display.
        """
        named = (
            separation if isinstance(separation, Mapping) else {"inference": separation}
        )
        curves = {name: one.history for name, one in named.items()}
        empty = [name for name, curve in curves.items() if len(curve) == 0]
        if not curves or empty:
            raise ValueError(
                "`separation` must have a history, which only iterative methods have, "
                f"got none of {empty or 'nothing'}."
            )
        one = next(iter(named.values()))
        first = max(0, one.n_iter + 1 - len(one.history))
        return cls(curves, first=first).plot(ax=ax, **options)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, **options: Any
    ) -> ConvergenceDisplay:
        """Draw the losses of training.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with a `loss_curve_`, for example the speech model of an
            enhancer (``enhancer.vae_``). A `validation_loss_curve_` is drawn as well,
            with a mark at its minimum, whose weights are kept.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        ConvergenceDisplay
            The display.
        """
        losses = getattr(estimator, "loss_curve_", None)
        if losses is None:
            raise ValueError(
                "`estimator` must be fitted and have a `loss_curve_`, got "
                f"{estimator!r}."
            )
        first = max(0, estimator.n_iter_ + 1 - len(losses))
        curves, best = {"training": losses}, None
        validation = getattr(estimator, "validation_loss_curve_", [])
        if len(validation) > 0:
            curves["validation"] = validation
            best = int(np.argmin(validation)) + first
        display = cls(curves, xlabel="epoch", ylabel="loss", first=first, best=best)
        return display.plot(ax=ax, **options)

    def plot(
        self, *, ax: Axes | None = None, title: str | None = None
    ) -> ConvergenceDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        title : str, default=None
            Title. None means no title.

        Returns
        -------
        ConvergenceDisplay
            The display itself.
        """
        from matplotlib.ticker import MaxNLocator

        self.ax_ = new_axes() if ax is None else ax
        self.figure_: Figure = self.ax_.figure  # type: ignore[assignment]
        self.lines_: list[Line2D] = []
        for k, (name, values) in enumerate(self.curves.items()):
            # A line through a single value would be invisible.
            marker = "o" if len(values) == 1 else None
            self.lines_ += self.ax_.plot(
                self.first + np.arange(len(values)),
                values,
                line(k),
                color=color(k),
                marker=marker,
                label=name,
            )
        if self.best is not None:
            value = list(self.curves.values())[-1][self.best - self.first]
            self.ax_.plot(
                self.best, value, "o", color=self.lines_[-1].get_color(), label="kept"
            )
        self.ax_.set(xlabel=self.xlabel, ylabel=self.ylabel)
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        if title is not None:
            self.ax_.set_title(title)
        if len(self.curves) > 1:
            self.ax_.legend(frameon=False)
        return self
