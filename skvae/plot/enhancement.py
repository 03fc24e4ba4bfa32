"""What an enhancer did to one utterance, in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.base import BaseEnhancer, Separation
from skvae.plot.spectrogram import MaskDisplay, SpectrogramDisplay
from skvae.plot.style import NEUTRAL_COLOUR, colour
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.signal.utterances import is_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

#: Inches of a picture of its own.
_SIZE = (10, 8)


class EnhancementDisplay:
    """What an enhancer did to one utterance: before, after, the mask and the noise.

    Parameters
    ----------
    separation : Separation
        Of one utterance, from :meth:`BaseEnhancer.separate`.
    stft : STFT
        Analysis of its waveforms.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The picture.
    axes_ : dict of str to matplotlib Axes
        Its parts: "noisy", "enhanced", "mask", "noise", "waveforms".

    See Also
    --------
    SpectrogramDisplay, MaskDisplay : Its parts, each by itself.

    Examples
    --------
    >>> from skvae import LogMMSE
    >>> from skvae.datasets import make_dataset
    >>> from skvae.plot import EnhancementDisplay
    >>> noisy, clean = make_dataset(1, random_state=0)
    >>> display = EnhancementDisplay.from_estimator(LogMMSE().fit(noisy), noisy[0])
    >>> sorted(display.axes_)
    ['enhanced', 'mask', 'noise', 'noisy', 'waveforms']
    """

    def __init__(self, separation: Separation, stft: STFT):
        self.separation = separation
        self.stft = stft

    @classmethod
    def from_estimator(
        cls, estimator: BaseEnhancer, utterance: Any, **options: Any
    ) -> EnhancementDisplay:
        """Enhance an utterance and draw it.

        Parameters
        ----------
        estimator : BaseEnhancer
            Fitted.
        utterance : waveform or Spectrogram
            Noisy speech.
        **options : dict
            Passed to :meth:`plot`.

        Returns
        -------
        EnhancementDisplay
        """
        if not hasattr(estimator, "separate"):
            raise ValueError(
                "`estimator` must be an enhancer, which has a `separate`, got "
                f"{type(estimator).__name__}: take the enhancer out of a pipeline or "
                "a search."
            )
        [separation] = estimator.separate([utterance])
        return cls(separation, estimator.stft_).plot(**options)

    @classmethod
    def from_separation(
        cls, separation: Separation, *, sample_rate: int = 16000, **options: Any
    ) -> EnhancementDisplay:
        """Draw what was separated already.

        Parameters
        ----------
        separation : Separation
            Of one utterance.
        sample_rate : int, default=16000
            Samples per second of its waveforms.
        **options : dict
            Passed to :meth:`plot`.

        Returns
        -------
        EnhancementDisplay
        """
        return cls(separation, STFT(sample_rate=sample_rate)).plot(**options)

    def plot(
        self,
        *,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        dynamic_range: float = 70.0,
    ) -> EnhancementDisplay:
        """Draw it.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, default=None
            Where; None means a new figure.
        title : str, default=None
            What stands above.
        dynamic_range : float, default=70.0
            Decibels from the darkest colour to the brightest.

        Returns
        -------
        EnhancementDisplay
            Itself.
        """
        import matplotlib.pyplot as plt

        if figure is None:
            figure = plt.figure(figsize=_SIZE, layout="constrained")
        self.figure_ = figure
        axes = self.axes_ = figure.subplot_mosaic(
            [["noisy", "enhanced"], ["noise", "mask"], ["waveforms", "waveforms"]],
            height_ratios=[3, 3, 2],
        )
        if title is not None:
            figure.suptitle(title)
        enhanced, noise = (
            item if is_spectrogram(item) else self.stft.fit_transform([item])[0]
            for item in (self.separation.enhanced, self.separation.noise)
        )
        noisy = enhanced.replace(enhanced.data + noise.data)
        peak_db = 20 * np.log10(max(float(np.abs(noisy.data).max()), 1e-30))
        for name, spectrogram in (
            ("noisy", noisy),
            ("enhanced", enhanced),
            ("noise", noise),
        ):
            power = SpectrogramDisplay.from_spectrogram(
                spectrogram,
                ax=axes[name],
                title=name,
                peak_db=peak_db,
                dynamic_range=dynamic_range,
                colorbar=False,
            )
        mask = MaskDisplay.from_separation(
            self.separation,
            ax=axes["mask"],
            title="mask",
            sample_rate=enhanced.sample_rate,
            colorbar=False,
        )
        for image, names, unit in (
            (power.image_, ["noisy", "noise"], "dB"),
            (mask.image_, ["enhanced", "mask"], "gain"),
        ):
            bar = figure.colorbar(image, ax=[axes[name] for name in names])
            # Above the bar, for beside it is the next picture.
            bar.ax.set_title(unit, fontsize="medium")
        # One label serves the spectrograms above each other, and beside each other.
        for name in ("noisy", "enhanced"):
            axes[name].set_xlabel("")
        for name in ("enhanced", "mask"):
            axes[name].set_ylabel("")
        _draw_waveforms(axes["waveforms"], noisy, enhanced)
        return self


def _draw_waveforms(ax: Axes, noisy: Spectrogram, enhanced: Spectrogram) -> None:
    time = np.arange(noisy.length) / noisy.sample_rate
    ax.plot(time, noisy.samples(), color=NEUTRAL_COLOUR, linewidth=0.5, label="noisy")
    ax.plot(time, enhanced.samples(), color=colour(0), linewidth=0.5, label="enhanced")
    ax.set(xlabel="time (s)", ylabel="amplitude", title="waveforms")
    ax.margins(x=0)
    legend = ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    for line in legend.get_lines():
        line.set_linewidth(2)
