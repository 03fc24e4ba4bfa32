"""Figures over time and frequency: power and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.enhancement import Separation
from skvae.plot.style import MASK_COLORS, POWER_COLORS, SPREAD_COLORS, new_axes
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.signal.utterances import is_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: Minimum power, which keeps levels in dB finite.
_LEAST_POWER = float(np.finfo(np.float32).tiny) ** 2


class _TimeFrequencyDisplay:
    """Base of figures with a value in each bin of each frame."""

    duration: float
    sample_rate: int
    figure_: Figure
    ax_: Axes
    image_: AxesImage

    def _draw(
        self,
        values: np.ndarray,
        ax: Axes | None,
        title: str | None,
        colorbar: bool,
        label: str,
        **options: Any,
    ) -> None:
        self.ax_ = new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self.image_ = self.ax_.imshow(
            values,
            origin="lower",
            aspect="auto",
            extent=(0.0, self.duration, 0.0, self.sample_rate / 2000),
            interpolation="nearest",
            **options,
        )
        self.ax_.set(xlabel="time (s)", ylabel="frequency (kHz)")
        if title is not None:
            self.ax_.set_title(title)
        if colorbar:
            self.figure_.colorbar(self.image_, ax=self.ax_, label=label)


class SpectrogramDisplay(_TimeFrequencyDisplay):
    """Power of a spectrogram in dB over time and frequency.

    Parameters
    ----------
    power_db : ndarray of shape (n_bins, n_frames)
        Power in dB.
    duration : float
        Duration in seconds.
    sample_rate : int
        Sample rate in Hz.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure of the plot.
    ax_ : matplotlib Axes
        Axes of the plot.
    image_ : matplotlib AxesImage
        Image of the values.

    See Also
    --------
    MaskDisplay : Figure of a mask.
    EnhancementDisplay : All results of an enhancer for one utterance.

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
            Spectrogram to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        SpectrogramDisplay
            The display.
        """
        duration = spectrogram.length / spectrogram.sample_rate
        power_db = _decibels(np.abs(spectrogram.data, dtype=np.float64) ** 2)
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
            Waveform to draw.
        stft : STFT, default=None
            STFT of the waveform. None means ``STFT()``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        SpectrogramDisplay
            The display.
        """
        [spectrogram] = (STFT() if stft is None else stft).fit_transform([waveform])
        return cls.from_spectrogram(spectrogram, ax=ax, **options)

    @classmethod
    def from_power(
        cls,
        power: np.ndarray,
        *,
        stft: STFT | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> SpectrogramDisplay:
        """Draw powers, such as the variances of a model.

        Parameters
        ----------
        power : ndarray of shape (n_frames, n_bins)
            Powers with frames first, as in the models.
        stft : STFT, default=None
            STFT whose bins and frames these are. None means ``STFT()``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        SpectrogramDisplay
            The display.

        Examples
        --------
        >>> import numpy as np
        >>> from skvae.plot import SpectrogramDisplay
        >>> display = SpectrogramDisplay.from_power(np.ones((100, 513)))
        >>> display.duration  # 100 frames, 256 samples apart
        1.6
        """
        stft = STFT() if stft is None else stft
        framing = stft.framing()
        values = np.asarray(power, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != framing.n_bins:
            raise ValueError(
                f"`power` must have shape (n_frames, {framing.n_bins}), as with "
                f"{stft}, got {values.shape}."
            )
        duration = len(values) * framing.hop_length / stft.sample_rate
        display = cls(_decibels(values).T, duration, stft.sample_rate)
        return display.plot(ax=ax, **options)

    def plot(
        self,
        *,
        ax: Axes | None = None,
        title: str | None = None,
        dynamic_range: float = 70.0,
        peak_db: float | None = None,
        colorbar: bool = True,
    ) -> SpectrogramDisplay:
        """Draw the power.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        title : str, default=None
            Title. None means no title.
        dynamic_range : float, default=70.0
            Range in dB from the darkest to the brightest color.
        peak_db : float, default=None
            Level of the brightest color in dB. None means the loudest bin. Use one
            value for all figures that are compared.
        colorbar : bool, default=True
            Whether to draw a color bar.

        Returns
        -------
        SpectrogramDisplay
            The display itself.
        """
        peak_db = float(self.power_db.max()) if peak_db is None else peak_db
        self._draw(
            self.power_db,
            ax,
            title,
            colorbar,
            "power (dB)",
            vmin=peak_db - dynamic_range,
            vmax=peak_db,
            cmap=POWER_COLORS,
        )
        return self


class MaskDisplay(_TimeFrequencyDisplay):
    """Mask over time and frequency, or its standard deviation.

    Parameters
    ----------
    mask : ndarray of shape (n_bins, n_frames)
        Values in [0, 1].
    duration : float
        Duration in seconds.
    sample_rate : int
        Sample rate in Hz.
    spread : bool, default=False
        Whether the values are posterior standard deviations. The brightest color then
        stands for the largest value, and for 1 otherwise.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure of the plot.
    ax_ : matplotlib Axes
        Axes of the plot.
    image_ : matplotlib AxesImage
        Image of the values.

    See Also
    --------
    SpectrogramDisplay : Figure of power.

    Examples
    --------
    >>> from skvae import LogMMSE
    >>> from skvae.datasets import make_dataset
    >>> from skvae.plot import MaskDisplay
    >>> noisy, clean = make_dataset(1, random_state=0)
    >>> [separation] = LogMMSE().fit(noisy).separate(noisy)
    >>> display = MaskDisplay.from_separation(separation, title="log-MMSE")
    >>> display.image_.get_clim()
    (0.0, 1.0)
    """

    def __init__(
        self,
        mask: np.ndarray,
        duration: float,
        sample_rate: int,
        *,
        spread: bool = False,
    ):
        self.mask = mask
        self.duration = duration
        self.sample_rate = sample_rate
        self.spread = spread

    @classmethod
    def from_separation(
        cls,
        separation: Separation,
        *,
        spread: bool = False,
        sample_rate: int = 16_000,
        ax: Axes | None = None,
        **options: Any,
    ) -> MaskDisplay:
        """Draw the mask of an utterance.

        Parameters
        ----------
        separation : Separation
            Result of :meth:`BaseEnhancer.separate` for one utterance.
        spread : bool, default=False
            Whether to draw its `mask_std` instead of its `mask`.
        sample_rate : int, default=16_000
            Sample rate of its waveforms in Hz. Spectrograms have their own.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        MaskDisplay
            The display.
        """
        values = separation.mask_std if spread else separation.mask
        if values is None:
            raise ValueError(
                "`separation` must have a `mask_std` if `spread` is true, got None: "
                "its method has no posterior."
            )
        enhanced = separation.enhanced
        if is_spectrogram(enhanced):
            n_samples, sample_rate = enhanced.length, enhanced.sample_rate
        else:
            n_samples = len(enhanced)
        display = cls(values, n_samples / sample_rate, sample_rate, spread=spread)
        return display.plot(ax=ax, **options)

    def plot(
        self,
        *,
        ax: Axes | None = None,
        title: str | None = None,
        colorbar: bool = True,
    ) -> MaskDisplay:
        """Draw the mask.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        title : str, default=None
            Title. None means no title.
        colorbar : bool, default=True
            Whether to draw a color bar.

        Returns
        -------
        MaskDisplay
            The display itself.
        """
        highest = float(self.mask.max()) if self.spread else 1.0
        self._draw(
            self.mask,
            ax,
            title,
            colorbar,
            "standard deviation" if self.spread else "gain",
            vmin=0.0,
            vmax=highest if highest > 0 else 1.0,
            cmap=SPREAD_COLORS if self.spread else MASK_COLORS,
        )
        return self


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, _LEAST_POWER))
