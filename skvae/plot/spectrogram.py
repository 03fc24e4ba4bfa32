"""Pictures over time and frequency: powers, and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.base import Separation
from skvae.plot.style import MASK_COLOURS, POWER_COLOURS, SPREAD_COLOURS, new_axes
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.signal.utterances import is_spectrogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: Least power that has a level in dB.
_LEAST_POWER = float(np.finfo(np.float32).tiny) ** 2


class _TimeFrequencyDisplay:
    """Base of the pictures of a value in each bin of each frame."""

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
    figure_ : matplotlib Figure
        The picture.
    ax_ : matplotlib Axes
        Where it was drawn.
    image_ : matplotlib AxesImage
        The colours.

    See Also
    --------
    MaskDisplay : Pictures of masks.
    EnhancementDisplay : All that an enhancer did to an utterance.

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

    @classmethod
    def from_power(
        cls,
        power: np.ndarray,
        *,
        stft: STFT | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> SpectrogramDisplay:
        """Draw powers, such as the variances that a model gives.

        Parameters
        ----------
        power : ndarray of shape (n_frames, n_bins)
            What to draw: the layout of the models, frames first.
        stft : STFT, default=None
            The analysis that its bins and frames belong to; None means ``STFT()``.
        ax : matplotlib Axes, default=None
            Where; None means a new figure.
        **options : dict
            Passed to :meth:`plot`.

        Returns
        -------
        SpectrogramDisplay

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
        colorbar : bool, default=True
            Whether to draw beside it what the colours mean.

        Returns
        -------
        SpectrogramDisplay
            Itself.
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
            cmap=POWER_COLOURS,
        )
        return self


class MaskDisplay(_TimeFrequencyDisplay):
    """A mask over time and frequency, or how uncertain it is.

    Parameters
    ----------
    mask : ndarray of shape (n_bins, n_frames)
        Values in [0, 1].
    duration : float
        Seconds.
    sample_rate : int
        Samples per second.
    spread : bool, default=False
        Whether the values are posterior standard deviations. The largest of them has
        the brightest colour; in masks that is 1.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The picture.
    ax_ : matplotlib Axes
        Where it was drawn.
    image_ : matplotlib AxesImage
        The colours.

    See Also
    --------
    SpectrogramDisplay : Pictures of power.

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
            Of one utterance, from :meth:`BaseEnhancer.separate`.
        spread : bool, default=False
            Whether to draw its `mask_std` instead of its `mask`.
        sample_rate : int, default=16_000
            Samples per second of its waveforms; spectrograms bring their own.
        ax : matplotlib Axes, default=None
            Where; None means a new figure.
        **options : dict
            Passed to :meth:`plot`.

        Returns
        -------
        MaskDisplay
        """
        values = separation.mask_std if spread else separation.mask
        if values is None:
            raise ValueError(
                "`separation` must have a `mask_std` where `spread` is true, got one "
                "without: its method has no posterior."
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
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None means a new figure.
        title : str, default=None
            What stands above.
        colorbar : bool, default=True
            Whether to draw beside it what the colours mean.

        Returns
        -------
        MaskDisplay
            Itself.
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
            cmap=SPREAD_COLOURS if self.spread else MASK_COLOURS,
        )
        return self


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, _LEAST_POWER))
