"""Base of the enhancers that combine a speech model, a noise model and an inference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from skvae.base import BaseEnhancer
from skvae.enhancement import MaskEstimate
from skvae.signal.bandwidth import Band
from skvae.signal.framing import at_level
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.speech.base import SpeechModel
from skvae.speech.prior import SpeechPrior
from skvae.training.parts import Data, agreed_stft, fitted_part
from skvae.utils.device import as_tensor, check_device, torch_generator
from skvae.utils.learned import Part
from skvae.utils.threads import one_thread
from skvae.vaenmf.inference import Inference, Posterior
from skvae.vaenmf.inferences import check_combination, make_inference
from skvae.vaenmf.noise import FittedNoise, Noise, NoiseModel
from skvae.vaenmf.padding import frames_inside

#: Frames that a GPU processes at once, four minutes at 16 kHz. Beyond this size launch
#: overhead is negligible; the thirty arrays of an inference take 1 GB.
BATCH_FRAMES = 16384


class GenerativeEnhancer(BaseEnhancer):
    """Base of enhancers whose speech and noise together explain the mixture.

    Subclasses have the parameters `vae`, `inference`, `noise` and `device`, and differ
    by three hooks: :meth:`_speech_prior`, :meth:`_start_noise`, :meth:`_final_mask`.
    """

    _block_overlap = 1.0
    _takes_device = True

    _learned = {"vae_": Part("speech_prior"), "noise_": FittedNoise()}

    vae: Any
    inference: Any
    noise: Any
    device: str
    vae_: Any
    noise_: NoiseModel

    @abstractmethod
    def _default_part(self, name: str) -> Any:
        """Return what None stands for as `vae`, `inference` or `noise`."""

    def _make_part(self, name: str, value: Any) -> Any:
        if name not in ("vae", "inference", "noise"):
            return value
        if value is None:
            return self._default_part(name)
        return make_inference(value) if name == "inference" else value

    def _make_inference(self) -> Inference:
        return self._make_part("inference", self.inference)

    def _check_parameters(self) -> None:
        check_device(self.device, self.n_jobs)
        inference = self._make_part("inference", self.inference)
        inference.check()
        noise = self._make_part("noise", self.noise)
        if not isinstance(noise, NoiseModel):
            raise ValueError(
                f"`noise` must be None or a noise model such as NMFNoise(), got "
                f"{noise!r}."
            )
        noise.check()
        speech = unfrozen(self._make_part("vae", self.vae))
        if not isinstance(speech, SpeechModel):
            raise ValueError(
                f"`vae` must be a speech model such as SpeechVAE(), got {self.vae!r}."
            )
        check_combination(type(speech), noise, inference)

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        chosen = super()._choose_stft(spectrogram)
        is_default = spectrogram is None and self.stft is None
        return agreed_stft("vae", self.vae, chosen, is_default=is_default)

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        self.vae_ = self._fitted_part("vae", noisy, clean, rng)
        self._fit_guide(noisy, clean, rng)
        noise = clone(self._make_part("noise", self.noise))
        profile = self._noise_profile(noise.noise_profile)
        if profile is not None:
            profile = Band(profile).filled
        device = check_device(self.device, self.n_jobs)
        self.noise_ = noise.fit_profile(profile, device, rng)

    def _fitted_part(
        self,
        name: str,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> Any:
        part = self._make_part(name, getattr(self, name))
        data = Data(noisy, clean)
        return fitted_part(name, part, data, device=self.device, rng=rng)

    def _fit_guide(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        """Fit the guide of an enhancer that has one."""

    def _ask_guide(
        self, V: np.ndarray, rng: np.random.Generator, state: Any, device: str
    ) -> MaskEstimate | None:
        """Return the estimate of the guide, if there is one."""
        return None

    def _speech_prior(
        self, V: Tensor, lengths: Tensor | None, edge: int, device: str
    ) -> SpeechPrior:
        """Return the speech model of mixtures of full bands."""
        return self.vae_.speech_prior(V, lengths=lengths, edge=edge, device=device)

    def _start_noise(
        self,
        V: Tensor,
        prior: SpeechPrior,
        generator: torch.Generator,
        frames: Tensor | None,
        state: Any,
    ) -> Noise:
        """Return the noise that the inference starts from."""
        noise = self._noise_model()
        return noise.start(V, generator, frames=frames, state=state)

    def _noise_model(self) -> NoiseModel:
        """Return the noise model: its parameters of now, and what `fit` learned."""
        return self._make_part("noise", self.noise).learned_from(self.noise_)

    def _final_mask(self, gain: Tensor, mask: Tensor | None) -> Tensor:
        """Combine the Wiener gain (..., N, F) with the mask of the speech model."""
        return gain

    def _follow_guide(self, mask: np.ndarray, guide: MaskEstimate | None) -> np.ndarray:
        """Combine a mask (N, F) with the estimate of the guide."""
        return mask

    def _batch_frames(self) -> int:
        """Return the frames of a batch; 0 where batches do not pay.

        With a tolerance, utterances are processed one by one, so that each stops on its
        own.
        """
        device = check_device(self.device, self.n_jobs)
        stops = getattr(self._make_inference(), "tol", 0) > 0
        return BATCH_FRAMES if device.startswith("cuda") and not stops else 0

    def _estimate_mask(
        self,
        V: np.ndarray,
        rng: np.random.Generator,
        state: Any,
        device: str | None = None,
    ) -> MaskEstimate:
        device = self.device if device is None else device
        noise_state, guide_state = (None, None) if state is None else state
        guide = self._ask_guide(V, rng, guide_state, device)
        band = Band(V)
        V = band.filled
        guided = None if guide is None else self._in_unit(V * guide.mask**2, V)
        posterior, mask = self._infer(
            self._in_unit(V),
            rng,
            device,
            edge=band.edge,
            guided=guided,
            state=noise_state,
        )
        std = posterior.mask_std
        next_state = (
            posterior.noise.state(band.n_bins),
            None if guide is None else guide.state,
        )
        return self._make_estimate(
            band.widen(mask.cpu().numpy()),
            None if std is None else band.widen(std.cpu().numpy()),
            posterior.history,
            guide,
            next_state,
        )

    def _estimate_masks(
        self, powers: list[np.ndarray], rngs: list[np.random.Generator]
    ) -> list[MaskEstimate]:
        # Recordings of a narrower band, each with an edge of its own, stay alone.
        are_full = [Band(V).is_full for V in powers]
        full = [k for k, is_full in enumerate(are_full) if is_full]
        found: list[MaskEstimate] = []
        if full:
            found = self._estimate_full_bands(
                [powers[k] for k in full], [rngs[k] for k in full]
            )
        left = iter(found)
        return [
            next(left) if is_full else self._estimate_mask(V, rng, None)
            for is_full, V, rng in zip(are_full, powers, rngs, strict=True)
        ]

    def _estimate_full_bands(
        self, powers: Sequence[np.ndarray], rngs: Sequence[np.random.Generator]
    ) -> list[MaskEstimate]:
        guides = [
            self._ask_guide(V, rng, None, self.device)
            for V, rng in zip(powers, rngs, strict=True)
        ]
        padded = pad_sequence([self._in_unit(V) for V in powers], batch_first=True)
        heard = [
            self._in_unit(V * guide.mask**2, V)
            for V, guide in zip(powers, guides, strict=True)
            if guide is not None
        ]
        guided = pad_sequence(heard, batch_first=True) if heard else None
        lengths = torch.tensor([len(V) for V in powers])
        # One generator serves all: other numbers than each one's own, as good as those.
        posterior, mask = self._infer(
            padded, rngs[0], self.device, lengths=lengths, guided=guided
        )
        found = zip(
            _unpadded(mask, lengths),
            _unpadded(posterior.mask_std, lengths),
            posterior.history or [[]] * len(powers),
            guides,
            strict=True,
        )
        return [self._make_estimate(*parts) for parts in found]

    def _make_estimate(
        self,
        mask: np.ndarray,
        gain_std: np.ndarray | None,
        history: Sequence[float],
        guide: MaskEstimate | None,
        state: Any = None,
    ) -> MaskEstimate:
        return MaskEstimate(
            self._follow_guide(mask, guide),
            gain_std,
            n_iter=len(history),
            history=history,
            state=state,
        )

    def _in_unit(self, V: np.ndarray, of: np.ndarray | None = None) -> Tensor:
        """Scale power to the unit of the speech model, so that levels do not matter.

        The scale is that of another recording if `of` is given.
        """
        return as_tensor(at_level(V, self.vae_.level_, of)).float()

    def _infer(
        self,
        V: Tensor,
        rng: np.random.Generator,
        device: str,
        *,
        lengths: Tensor | None = None,
        edge: int | None = None,
        guided: Tensor | None = None,
        state: Any = None,
    ) -> tuple[Posterior, Tensor]:
        """Separate one utterance, or a padded batch of them.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of full bands, in the unit of the speech model.
        rng : Generator
            Source of random numbers.
        device : str
            PyTorch device to compute on.
        lengths : Tensor of int, shape (B,), default=None
            Numbers of frames of padded utterances.
        edge : int, default=None
            Number of bins, from the lowest on, that count; None means all.
        guided : Tensor of shape (N, F) or (B, N, F), default=None
            Power that the latent variables start from.
        state : object, default=None
            State of the noise after the block before.

        Returns
        -------
        posterior : Posterior
            Result for the bins below the edge.
        mask : Tensor of shape (..., N, edge)
            Mask of the enhanced speech.
        """
        device = check_device(device, self.n_jobs)
        generator = torch_generator(rng, device)
        edge = V.shape[-1] if edge is None else edge
        with one_thread(), torch.no_grad():
            V = V.to(device)
            frames = None if lengths is None else frames_inside(lengths, V)
            prior = self._speech_prior(V, lengths, edge, device)
            V = V[..., :edge].contiguous()
            # An encoder of noisy speech reads the mixture itself.
            if guided is not None and not self.vae_.reads_mixtures:
                start = guided[..., :edge].contiguous().to(device)
                prior = prior.replace(guided=start)
            noise = self._start_noise(V, prior, generator, frames, state)
            found = self._make_inference().infer(V, prior, noise, generator)
            return found, self._final_mask(found.mask, prior.mask)


def unfrozen(part: Any) -> Any:
    """Return the estimator inside a ``FrozenEstimator``, or the part itself."""
    return part.estimator if isinstance(part, FrozenEstimator) else part


def _unpadded(padded: Tensor | None, lengths: Tensor) -> list[Any]:
    """Cut a padded batch into arrays of the utterances, or Nones."""
    if padded is None:
        return [None] * len(lengths)
    pairs = zip(padded.cpu().numpy(), lengths.tolist(), strict=True)
    return [array[:n] for array, n in pairs]
