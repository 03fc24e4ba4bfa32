"""The package's own checks: every enhancer passes, and every check can fail."""

from __future__ import annotations

import copy

import joblib
import numpy as np
import pytest
from helpers.instances import SMALL_STFT, public_enhancers, small
from sklearn.base import clone

from skvae import BaseEnhancer, MaskEstimate, Separation, WienerFilter
from skvae.evaluation.estimator_checks import (
    CHECKS,
    check_blocks_agree_with_the_whole,
    check_enhancer,
    check_jobs_change_nothing,
)
from skvae.signal.spectrogram import Spectrogram


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", public_enhancers(), ids=lambda cls: cls.__name__)
def test_every_public_enhancer_passes(cls, check):
    check(small(cls))


def test_processes_change_nothing():
    check_jobs_change_nothing(small(WienerFilter), backend="loky")


class Toy(BaseEnhancer):
    """A gain that depends on the level of speech: a minimal enhancer that passes."""

    def __init__(
        self,
        stft=None,
        attenuation_limit=None,
        block_seconds=60.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, noisy, clean, rng):
        powers = [np.mean(np.abs(s.frames()) ** 2) for s in clean]
        self.level_ = float(max(powers)) / 100 + 1e-12

    def _estimate_mask(self, V, rng, state):
        return MaskEstimate(V / (V + V.dtype.type(self.level_)))


class StacksEqualLengths(Toy):
    def transform(self, X):
        enhanced = super().transform(X)
        equal = len({len(x) for x in enhanced}) == 1
        return np.stack(enhanced) if equal else enhanced


class AlwaysLists(Toy):
    def transform(self, X):
        return list(super().transform(X))


class RemembersOldWidth(Toy):
    def fit(self, X, y=None):
        width = getattr(self, "n_features_in_", None)
        super().fit(X, y)
        if width is not None:
            self.n_features_in_ = width
        return self


class AlwaysWaveforms(Toy):
    def transform(self, X):
        return [
            s.to_waveform() if isinstance(s, Spectrogram) else s
            for s in super().transform(X)
        ]


class QuieterSpectrograms(Toy):
    def transform(self, X):
        return [
            s.replace(0.99 * s.data) if isinstance(s, Spectrogram) else s
            for s in super().transform(X)
        ]


class LosesASample(Toy):
    def transform(self, X):
        enhanced = super().transform(X)
        return [x[: max(1, len(x) - 1)] for x in enhanced]


class AlwaysDouble(Toy):
    def transform(self, X):
        enhanced = super().transform(X)
        if isinstance(enhanced, np.ndarray):
            return enhanced.astype(float)
        return [x.astype(float) for x in enhanced]


class DividesByZero(Toy):
    def _estimate_mask(self, V, rng, state):
        with np.errstate(invalid="ignore"):
            return MaskEstimate(V / (V + 0 * V))


class TrainsOnLogarithms(Toy):
    def _fit(self, noisy, clean, rng):
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.log(np.abs(s.frames())) for s in clean]
            self.level_ = float(np.mean([np.mean(x - x.max()) for x in logs]))


class MaskAboveOne(Toy):
    def _estimate_mask(self, V, rng, state):
        return MaskEstimate(2 * super()._estimate_mask(V, rng, state).mask)


class LosesTheNoise(Toy):
    def separate(self, X):
        return [Separation(s.enhanced, s.enhanced, s.mask) for s in super().separate(X)]


class KnowsTheBatch(Toy):
    def transform(self, X):
        return [x * x.dtype.type(1 + 1e-4 * len(X)) for x in super().transform(X)]


class OneGeneratorForAll(Toy):
    def fit(self, X, y=None):
        super().fit(X, y)
        self._rng = np.random.default_rng(self.seed_)
        return self

    def _estimate_mask(self, V, rng, state):
        return MaskEstimate(self._rng.random(V.shape, dtype=V.dtype))


class KnowsItsJobs(Toy):
    def transform(self, X):
        return [x / (self.n_jobs or 1) for x in super().transform(X)]


class SeedsItself(Toy):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.seed_ = int(np.random.default_rng().integers(2**31))
        return self


class ScoresALoss(Toy):
    def score(self, X, y):
        return -super().score(X, y)


class GlobalGenerator(Toy):
    def _fit(self, noisy, clean, rng):
        super()._fit(noisy, clean, rng)
        np.random.random()  # noqa: NPY002


class GlobalTorchGenerator(Toy):
    def _fit(self, noisy, clean, rng):
        import torch

        super()._fit(noisy, clean, rng)
        torch.rand(1)


class WorksInPlace(Toy):
    def transform(self, X):
        enhanced = super().transform(X)
        for x, y in zip(X, enhanced, strict=True):
            if isinstance(x, np.ndarray):
                x[:] = y
        return enhanced


class RemembersTheLast(Toy):
    def transform(self, X):
        enhanced = super().transform(X)
        self.n_enhanced_ = len(enhanced)
        return enhanced


class PicklesHalf(Toy):
    def __getstate__(self):
        return {**super().__getstate__(), "level_": 1.0}


class Unlimited(Toy):
    def separate(self, X):
        free = copy.copy(self)
        free.attenuation_limit = None
        return BaseEnhancer.separate(free, X)


class ForgetsBetweenBlocks(Toy):
    def _estimate_mask(self, V, rng, state):
        return MaskEstimate(V / (V + V.mean() + V.dtype.type(1e-12)))


class SilentSecondBlocks(Toy):
    _block_overlap = 0.01

    def _estimate_mask(self, V, rng, state):
        mask = super()._estimate_mask(V, rng, state).mask
        return MaskEstimate(0 * mask if state else mask, state=not state)


class ChannelByChannel(Toy):
    def enhance_blocks(self, channels, sample_rate=None):
        yield np.concatenate(
            [p for x in channels for p in BaseEnhancer.enhance_blocks(self, [x])]
        )


class TakesNaN(Toy):
    def transform(self, X):
        return super().transform([np.nan_to_num(np.asarray(x, float)) for x in X])


class TakesNothing(Toy):
    def transform(self, X):
        return super().transform(X) if len(X) else []


class CropsPairs(Toy):
    def fit(self, X, y=None):
        if y is not None:
            n_samples = min(len(x) for x in (*X, *y))
            X, y = [x[:n_samples] for x in X], [x[:n_samples] for x in y]
        return super().fit(X, y)


class IgnoresTheRate(Toy):
    def transform(self, X):
        return super().transform(
            [x if isinstance(x, Spectrogram) else np.asarray(x) for x in X]
        )


class WantsArrays(Toy):
    def transform(self, X):
        return super().transform([x if hasattr(x, "ndim") else [0.0] for x in X])


class HasSetOutput(Toy):
    def set_output(self, *, transform=None):
        return self


BROKEN = {
    "check_list_gives_list": [StacksEqualLengths],
    "check_array_gives_array": [AlwaysLists],
    "check_kind_may_change": [RemembersOldWidth],
    "check_spectrograms_give_spectrograms": [AlwaysWaveforms],
    "check_spectrograms_equal_waveforms": [QuieterSpectrograms],
    "check_lengths_are_kept": [LosesASample],
    "check_dtypes_are_kept": [AlwaysDouble],
    "check_output_is_finite": [DividesByZero],
    "check_fit_survives_hostile_recordings": [TrainsOnLogarithms],
    "check_mask_is_a_share": [MaskAboveOne],
    "check_parts_sum_to_the_input": [LosesTheNoise],
    "check_company_changes_nothing": [KnowsTheBatch, OneGeneratorForAll],
    "check_jobs_change_nothing": [KnowsItsJobs],
    "check_fit_repeats": [SeedsItself],
    "check_score_falls_with_noise": [ScoresALoss],
    "check_global_generators_are_untouched": [GlobalGenerator, GlobalTorchGenerator],
    "check_inputs_are_untouched": [WorksInPlace],
    "check_transform_sets_nothing": [RemembersTheLast],
    "check_pickle_and_clone": [PicklesHalf],
    "check_attenuation_limit": [Unlimited],
    "check_blocks_agree_with_the_whole": [ForgetsBetweenBlocks, SilentSecondBlocks],
    "check_channels_keep_their_places": [ChannelByChannel],
    "check_errors_name_the_utterance": [TakesNaN],
    "check_errors_name_the_collection": [TakesNothing],
    "check_errors_name_the_pair": [CropsPairs],
    "check_errors_name_the_sample_rate": [IgnoresTheRate],
    "check_recordings_read_themselves": [WantsArrays],
    "check_tables_are_refused": [HasSetOutput],
}
CHECK_BY_NAME = {check.__name__: check for check in CHECKS}


def test_every_check_has_an_enhancer_that_fails_it():
    assert set(BROKEN) == set(CHECK_BY_NAME)


def test_the_unbroken_enhancer_passes():
    check_enhancer(Toy(SMALL_STFT))


@pytest.mark.parametrize(
    ("name", "cls"), [(name, cls) for name, all_ in BROKEN.items() for cls in all_]
)
def test_every_check_can_fail(name, cls):
    import torch  # noqa: F401  (its generator is watched once it is loaded)

    with pytest.raises((AssertionError, ValueError)) as failure:
        CHECK_BY_NAME[name](cls(SMALL_STFT))
    assert len(str(failure.value)) > 20


@pytest.mark.parametrize("cls", [LosesASample, DividesByZero, KnowsTheBatch])
def test_check_enhancer_runs_the_checks(cls):
    with pytest.raises((AssertionError, ValueError)):
        check_enhancer(cls(SMALL_STFT))


def test_overlapping_blocks_may_differ_a_little():
    class Overlapping(ForgetsBetweenBlocks):
        _block_overlap = 0.1

    check_blocks_agree_with_the_whole(Overlapping(SMALL_STFT))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_checks_leave_the_estimator_as_it_is(check):
    estimator = Toy(clone(SMALL_STFT))
    before = joblib.hash(vars(estimator))
    check(estimator)
    assert joblib.hash(vars(estimator)) == before
