"""Many recordings through an enhancer: in turn, in padded batches, or by workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from joblib import effective_n_jobs

from skvae.enhancement import Enhancement, check_estimate
from skvae.signal.blocks import BlockSpectra
from skvae.signal.spectrogram import Spectrogram
from skvae.utils.progress import Progress
from skvae.utils.workers import run_tasks

if TYPE_CHECKING:
    from skvae.base import BaseEnhancer

Result = TypeVar("Result")


def batches(
    enhancements: Sequence[Enhancement], max_frames: int
) -> Iterator[list[int]]:
    """Yield the places of recordings that are enhanced together.

    Recordings of several blocks, which hand on a state, stay alone. Others are padded
    to the length of the longest in their batch, which is at most twice their own.

    Parameters
    ----------
    enhancements : sequence of Enhancement
        All recordings.
    max_frames : int
        Maximum number of frames in a batch, padding included.

    Yields
    ------
    list of int
        Places in `enhancements`; each place comes once.
    """
    n_frames = [one.n_frames for one in enhancements]
    batch: list[int] = []
    for k in sorted(range(len(n_frames)), key=lambda k: -n_frames[k]):
        if not enhancements[k].is_one_block:
            yield [k]
            continue
        longest = n_frames[batch[0]] if batch else n_frames[k]
        too_many = (len(batch) + 1) * longest > max_frames
        if batch and (too_many or 2 * n_frames[k] < longest):
            yield batch
            batch = []
        batch.append(k)
    if batch:
        yield batch


def estimate_together(enhancements: Sequence[Enhancement]) -> Sequence[Enhancement]:
    """Find the masks of several recordings of one block each at once.

    Parameters
    ----------
    enhancements : sequence of Enhancement
        All by one enhancer. A single one is returned as it is.

    Returns
    -------
    sequence of Enhancement
        The same recordings, their masks found.
    """
    if len(enhancements) == 1:
        return enhancements
    enhancer = enhancements[0].enhancer
    spectra = [BlockSpectra(one.channels, 0, one.n_frames) for one in enhancements]
    powers = [enhancer._filled(block.power(enhancer.stft_.n_fft)) for block in spectra]
    rngs = [np.random.default_rng(enhancer.seed_) for _ in enhancements]
    estimates = enhancer._estimate_masks(powers, rngs)
    together = []
    for one, block, V, found in zip(
        enhancements, spectra, powers, estimates, strict=True
    ):
        estimate = one._limited(check_estimate(found, V.shape), V.dtype)
        together.append(Enhancement(enhancer, one.channels, (block, estimate)))
    return together


def collect(
    enhancer: BaseEnhancer,
    method: Callable[..., Result],
    utterances: list[Spectrogram],
    *others: Sequence[Any],
    label: str,
) -> list[Result]:
    """Call a method of Enhancement for each utterance; return all results.

    Parameters
    ----------
    enhancer : BaseEnhancer
        Fitted.
    method : callable
        Method of :class:`Enhancement`.
    utterances : list of Spectrogram
        Noisy speech.
    *others : sequence
        Further arguments of the method, one for each utterance.
    label : str
        Text of the progress report.

    Returns
    -------
    list
        Results in the order of the utterances.
    """
    results: dict[int, Result] = {}
    in_turn = len(utterances) == 1 or effective_n_jobs(enhancer.n_jobs) == 1
    with Progress(len(utterances), label, enabled=bool(enhancer.verbose)) as progress:
        if in_turn or enhancer._batch_frames() > 0:
            for k, enhancement in _enhancements(enhancer, utterances):
                results[k] = method(enhancement, *(other[k] for other in others))
                progress.advance()
        else:
            arguments = zip(utterances, *others, strict=True)
            tasks = [(method, *arguments_of_one) for arguments_of_one in arguments]
            found = run_tasks(_run_task, tasks, enhancer.n_jobs, shared=(enhancer,))
            for k, result in enumerate(found):
                results[k] = result
                progress.advance()
    return [results[k] for k in range(len(utterances))]


def _enhancements(
    enhancer: BaseEnhancer, utterances: list[Spectrogram]
) -> Iterator[tuple[int, Enhancement]]:
    """Yield the index of each utterance and its Enhancement, in any order."""
    enhancements = [Enhancement(enhancer, [spectrogram]) for spectrogram in utterances]
    max_frames = enhancer._batch_frames()
    if max_frames == 0:
        yield from enumerate(enhancements)
        return
    for batch in batches(enhancements, max_frames):
        together = estimate_together([enhancements[k] for k in batch])
        yield from zip(batch, together, strict=True)


def _run_task(
    enhancer: BaseEnhancer,
    method: Callable[..., Result],
    utterance: Spectrogram,
    *others: Any,
) -> Result:
    return method(Enhancement(enhancer, [utterance]), *others)
