"""Result of an enhancer for one utterance in one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.base import BaseEnhancer
from skvae.enhancement import Separation
from skvae.plot.spectrogram import MaskDisplay, SpectrogramDisplay
from skvae.plot.style import NEUTRAL_COLOR, color
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.signal.utterances import is_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

#: Size of a new figure in inches.
_SIZE = (10, 8)


class EnhancementDisplay:
    """Noisy and enhanced speech, mask and noise of one utterance.

    Parameters
    ----------
    separation : Separation
        Result of :meth:`BaseEnhancer.separate` for one utterance.
    stft : STFT
        STFT for its waveforms.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure of the plot.
    axes_ : dict of str to matplotlib Axes
        Axes of the parts "noisy", "enhanced", "mask", "noise" and "waveforms".

    See Also
    --------
    SpectrogramDisplay, MaskDisplay : The single parts.

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
        """Enhance an utterance and draw the result.

        Parameters
        ----------
        estimator : BaseEnhancer
            Fitted enhancer.
        utterance : waveform or Spectrogram
            Noisy speech.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        EnhancementDisplay
            The display.
        """
        if not hasattr(estimator, "separate"):
            raise ValueError(
                "`estimator` must be an enhancer with a method `separate`, got "
                f"{type(estimator).__name__}: pass the enhancer of a pipeline or a "
                "search."
            )
        [separation] = estimator.separate([utterance])
        return cls(separation, estimator.stft_).plot(**options)

    @classmethod
    def from_separation(
        cls, separation: Separation, *, sample_rate: int = 16000, **options: Any
    ) -> EnhancementDisplay:
        """Draw the result of a separation.

        Parameters
        ----------
        separation : Separation
            Result of :meth:`BaseEnhancer.separate` for one utterance.
        sample_rate : int, default=16000
            Sample rate of its waveforms in Hz.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        EnhancementDisplay
            The display.
        """
        return cls(separation, STFT(sample_rate=sample_rate)).plot(**options)

    def plot(
        self,
        *,
        figure: Figure | SubFigure | None = None,
        title: str | None = None,
        dynamic_range: float = 70.0,
    ) -> EnhancementDisplay:
        """Draw all parts.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, default=None
            Figure to draw on. None means a new figure.
        title : str, default=None
            Title. None means no title.
        dynamic_range : float, default=70.0
            Range in dB from the darkest to the brightest color.

        Returns
        -------
        EnhancementDisplay
            The display itself.
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
            # Place the unit above the bar: next to it is another plot.
            bar.ax.set_title(unit, fontsize="medium")
        # Adjacent spectrograms share their labels.
        for name in ("noisy", "enhanced"):
            axes[name].set_xlabel("")
        for name in ("enhanced", "mask"):
            axes[name].set_ylabel("")
        _draw_waveforms(axes["waveforms"], noisy, enhanced)
        return self


def _draw_waveforms(ax: Axes, noisy: Spectrogram, enhanced: Spectrogram) -> None:
    time = np.arange(noisy.length) / noisy.sample_rate
    ax.plot(time, noisy.samples(), color=NEUTRAL_COLOR, linewidth=0.5, label="noisy")
    ax.plot(time, enhanced.samples(), color=color(0), linewidth=0.5, label="enhanced")
    ax.set(xlabel="time (s)", ylabel="amplitude", title="waveforms")
    ax.margins(x=0)
    legend = ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    for line in legend.get_lines():
        line.set_linewidth(2)
