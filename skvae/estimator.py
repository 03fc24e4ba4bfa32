"""Base of enhancers and speech models: utterances, parameters and iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.callback import CallbackSupportMixin

from skvae.signal.framing import power
from skvae.signal.opening import check_lengths, open_spectrograms
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.signal.utterances import ListTransformer, is_spectrogram
from skvae.utils.learned import Instance, Learned, Scalar
from skvae.utils.parameters import NamedParts, Range, check_ranges, check_real
from skvae.utils.progress import Progress
from skvae.utils.waveforms import check_sample_rate


class Verbosity:
    """Range of `verbose`: False, True, or a number that is not negative."""

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless a value is in the range."""
        if not isinstance(value, bool):
            check_real(name, value, low=0)


class JobCount:
    """Range of `n_jobs`: None, or an integer other than 0, as in scikit-learn."""

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless a value is in the range."""
        check_real(name, value, integer=True, optional=True)
        if value == 0:
            raise ValueError(f"`{name}` must not be 0.")


class SpeechEstimator(CallbackSupportMixin, NamedParts, ListTransformer, BaseEstimator):
    """Base of enhancers and speech models."""

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {"verbose": Verbosity()}

    #: Attributes that `fit` sets and model files contain; see
    #: ``skvae.utils.learned``.
    _learned: ClassVar[Mapping[str, Learned | None]] = {
        "stft_": Instance(STFT),
        "seed_": Scalar(low=0, integer=True),
    }

    stft: STFT | None
    stft_: STFT
    verbose: int

    def _check_parameters(self) -> None:
        """Raise a ValueError for parameters that exclude each other.

        Ranges of single parameters are declared in ``_parameter_ranges``. All methods
        check both, not only `fit`.
        """

    def _check(self) -> None:
        """Check all parameters, which `set_params` may have changed after `fit`."""
        check_ranges(self)
        self._check_parameters()

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        """Choose the analysis for `fit`: that of X if X holds spectrograms."""
        if spectrogram is None:
            return STFT() if self.stft is None else clone(self.stft)
        brought = STFT(
            spectrogram.n_fft,
            spectrogram.hop_length,
            window=spectrogram.window,
            center=spectrogram.center,
            sample_rate=spectrogram.sample_rate,
        )
        if self.stft is not None:
            framing = self.stft.framing()
            open_spectrograms([spectrogram], framing, self.stft.sample_rate)
        return brought

    def _open(
        self, items: Sequence[Any], *, of: str = "utterance"
    ) -> list[Spectrogram]:
        """Spectrograms of utterances, by the fitted analysis."""
        sample_rate = check_sample_rate(self.stft_.sample_rate)
        return open_spectrograms(items, self.stft_.framing(), sample_rate, of=of)

    def _open_clean(
        self, clean: Sequence[Any], utterances: list[Spectrogram]
    ) -> list[Spectrogram]:
        """Spectrograms of clean speech, with the lengths of the utterances."""
        opened = self._open(clean, of="clean speech of utterance")
        check_lengths(utterances, opened)
        return opened

    def _noise_profile(self, noise: Any) -> np.ndarray | None:
        """Power of a recording of noise alone, shape (N, F). None without one."""
        if noise is None:
            return None
        if isinstance(noise, list | tuple) and len(noise) == 1:
            noise = noise[0]
        if is_spectrogram(noise):
            [spectrogram] = self._open([noise], of="`noise_profile`, utterance")
        else:
            spectrogram = Spectrogram.from_waveform(
                noise,
                self.stft_.framing(),
                self.stft_.sample_rate,
                name="`noise_profile`",
            )
        return power(spectrogram.frames())

    @contextmanager
    def _iterations(
        self, n_iter: int, task: str = "iteration"
    ) -> Iterator[Callable[..., bool]]:
        """Report the iterations of `fit` to callbacks and, if `verbose`, to the user.

        Parameters
        ----------
        n_iter : int
            Maximum number of iterations.
        task : str
            Name of an iteration in callbacks.

        Yields
        ------
        callable
            Function to call after each iteration. It returns whether a callback stops
            the training. It takes a line to show (optional), and a function that
            returns the attributes of the estimator if `fit` stopped now (optional).
        """
        context = self._init_callback_context(max_subtasks=n_iter)
        context.call_on_fit_task_begin(estimator=self)
        label = f"fitting {type(self).__name__}"
        with Progress(n_iter, label, enabled=bool(self.verbose)) as progress:

            def advance(
                line: str | None = None,
                attributes: Callable[[], dict[str, Any]] | None = None,
            ) -> bool:
                progress.advance(line)
                iteration = context.subcontext(task_name=task)
                iteration.call_on_fit_task_begin(estimator=self)
                return bool(
                    iteration.call_on_fit_task_end(
                        estimator=self, reconstruction_attributes=attributes
                    )
                )

            yield advance
        context.call_on_fit_task_end(estimator=self)
