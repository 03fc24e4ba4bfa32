"""Pictures of what goes in and what comes out, in scikit-learn's Display pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.base import BaseEnhancer, Separation
from skvae.spectrogram import Spectrogram
from skvae.stft import STFT
from skvae.utils.utterances import is_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Perceptually uniform, readable in grey and by the colour-blind.
_POWER_COLOURS, _MASK_COLOURS = "magma", "cividis"


class SpectrogramDisplay:
    """Power of a spectrogram in decibels over time and frequency.

    Parameters
    ----------
    power_db : ndarray of shape (n_bins, n_frames)
        Power in dB.
    duration : float
        Seconds.
    sample_rate : int
        Samples per second.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    image_ : matplotlib AxesImage
        The picture.

    Examples
    --------
    >>> from skvae.datasets import make_speech
    >>> from skvae.plot import SpectrogramDisplay
    >>> display = SpectrogramDisplay.from_waveform(make_speech(random_state=0))
    >>> display.ax_.get_ylabel()
    'frequency (kHz)'
    """

    def __init__(self, power_db: np.ndarray, duration: float, sample_rate: int):
        self.power_db = power_db
        self.duration = duration
        self.sample_rate = sample_rate

    @classmethod
    def from_spectrogram(
        cls, spectrogram: Spectrogram, *, ax: Axes | None = None, **options: Any
    ) -> SpectrogramDisplay:
        """Draw a spectrogram.

        Parameters
        ----------
        spectrogram : Spectrogram
            What to draw.
        ax : matplotlib Axes, default=None
            Where; None means a new figure.
        **options : dict
            Passed to :meth:`plot`.

        Returns
        -------
        SpectrogramDisplay
        """
        duration = spectrogram.length / spectrogram.sample_rate
        tiny = np.finfo(np.float32).tiny
        power_db = 20 * np.log10(np.maximum(np.abs(spectrogram.data), tiny))
        display = cls(power_db, duration, spectrogram.sample_rate)
        return display.plot(ax=ax, **options)

    @classmethod
    def from_waveform(
        cls,
        waveform: Any,
        *,
        stft: STFT | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> SpectrogramDisplay:
        """Draw the spectrogram of a waveform.

        Parameters
        ----------
        waveform : waveform
            What to draw.
        stft : STFT, default=None
            Its analysis; None means ``STFT()``.
        ax : matplotlib Axes, default=None
            Where; None means a new figure.
        **options : dict
            Passed to :meth:`plot`.

        Returns
        -------
        SpectrogramDisplay
        """
        [spectrogram] = (STFT() if stft is None else stft).fit_transform([waveform])
        return cls.from_spectrogram(spectrogram, ax=ax, **options)

    def plot(
        self,
        *,
        ax: Axes | None = None,
        title: str | None = None,
        dynamic_range: float = 70.0,
        peak_db: float | None = None,
    ) -> SpectrogramDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None means a new figure.
        title : str, default=None
            What stands above.
        dynamic_range : float, default=70.0
            Decibels from the darkest colour to the brightest.
        peak_db : float, default=None
            The brightest; None means the loudest bin. Share it to compare pictures.

        Returns
        -------
        SpectrogramDisplay
            Itself.
        """
        peak_db = float(self.power_db.max()) if peak_db is None else peak_db
        self.ax_ = _new_axes() if ax is None else ax
        self.image_ = _draw_image(
            self.ax_,
            self.power_db,
            self.duration,
            self.sample_rate,
            vmin=peak_db - dynamic_range,
            vmax=peak_db,
            cmap=_POWER_COLOURS,
        )
        if title is not None:
            self.ax_.set_title(title)
        return self


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
        cls, estimator: BaseEnhancer, utterance: Any
    ) -> EnhancementDisplay:
        """Enhance an utterance and draw it.

        Parameters
        ----------
        estimator : BaseEnhancer
            Fitted.
        utterance : waveform or Spectrogram
            Noisy speech.

        Returns
        -------
        EnhancementDisplay
        """
        [separation] = estimator.separate([utterance])
        return cls(separation, estimator.stft_).plot()

    @classmethod
    def from_separation(
        cls, separation: Separation, *, sample_rate: int = 16000
    ) -> EnhancementDisplay:
        """Draw what was separated already.

        Parameters
        ----------
        separation : Separation
            Of one utterance.
        sample_rate : int, default=16000
            Samples per second of its waveforms.

        Returns
        -------
        EnhancementDisplay
        """
        return cls(separation, STFT(sample_rate=sample_rate)).plot()

    def plot(self) -> EnhancementDisplay:
        """Draw it in a new figure.

        Returns
        -------
        EnhancementDisplay
            Itself.
        """
        import matplotlib.pyplot as plt

        self.figure_, axes = plt.subplot_mosaic(
            [["noisy", "enhanced"], ["noise", "mask"], ["waveforms", "waveforms"]],
            figsize=(10, 8),
            height_ratios=[3, 3, 2],
            layout="constrained",
        )
        self.axes_ = dict(axes)
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
            display = SpectrogramDisplay.from_spectrogram(
                spectrogram, ax=axes[name], title=name, peak_db=peak_db
            )
        self.figure_.colorbar(
            display.image_, ax=[axes["noisy"], axes["noise"]], label="power (dB)"
        )
        image = _draw_image(
            axes["mask"],
            self.separation.mask,
            enhanced.length / enhanced.sample_rate,
            enhanced.sample_rate,
            vmin=0,
            vmax=1,
            cmap=_MASK_COLOURS,
        )
        axes["mask"].set_title("mask")
        self.figure_.colorbar(image, ax=[axes["enhanced"], axes["mask"]], label="gain")
        self._draw_waveforms(axes["waveforms"], noisy, enhanced)
        return self

    @staticmethod
    def _draw_waveforms(ax: Axes, noisy: Spectrogram, enhanced: Spectrogram) -> None:
        time = np.arange(noisy.length) / noisy.sample_rate
        ax.plot(time, noisy.samples(), color="0.7", linewidth=0.5, label="noisy")
        ax.plot(time, enhanced.samples(), color="C0", linewidth=0.5, label="enhanced")
        ax.set(xlabel="time (s)", ylabel="amplitude", title="waveforms")
        ax.margins(x=0)
        legend = ax.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False
        )
        for line in legend.get_lines():
            line.set_linewidth(2)


def _new_axes() -> Axes:
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(layout="constrained")
    return ax


def _draw_image(
    ax: Axes, values: np.ndarray, duration: float, sample_rate: int, **options: Any
) -> Any:
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=(0.0, duration, 0.0, sample_rate / 2000),
        interpolation="nearest",
        **options,
    )
    ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
    return image
