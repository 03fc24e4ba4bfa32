"""Streams of mixtures: what is cut, what is mixed with what, at which level."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

from skvae import STFT
from skvae.datasets import Mixer, make_noise
from skvae.signal.spectrogram import Spectrogram
from skvae.training import noisy_batches as module
from skvae.training.noisy_batches import (
    DynamicMixture,
    Mixtures,
    Pair,
    mixtures,
    mixtures_in_order,
    recombined,
    shuffled_mixtures,
)

TINY = STFT(n_fft=8, hop_length=2)
LENGTHS = (400, 37, 1, 250, 133)


def rng(seed=0):
    return np.random.default_rng(seed)


def waveforms(seed=0):
    generator = rng(seed)
    return [(k + 1) * generator.standard_normal(n) for k, n in enumerate(LENGTHS)]


def pairs(stft=TINY):
    clean, noise = waveforms(), waveforms(1)
    noisy = [s + n for s, n in zip(clean, noise, strict=True)]
    spectrograms = (stft.fit_transform(X) for X in (noisy, clean))
    return [Pair(x, s) for x, s in zip(*spectrograms, strict=True)]


class Counted:
    """An utterance that writes down how it is cut, and when among others."""

    def __init__(self, n_frames, order=None):
        self.n_frames = n_frames
        self.cuts = []
        self.order = [] if order is None else order

    def cut(self, first, last, rng):
        assert 0 <= first < last <= self.n_frames
        self.cuts.append((first, last))
        self.order.append(self)
        speech = np.ones((last - first, 2), complex)
        return speech, 2 * speech


# What is cut.


@pytest.mark.parametrize("n_frames", [1, 9, 10, 11, 25, 40, 99])
def test_cuts_cover_an_utterance_but_for_less_than_one_sequence(n_frames):
    source, generator = Counted(n_frames), rng()
    offsets = set()
    for _ in range(100):
        source.cuts.clear()
        for _ in shuffled_mixtures([source], 2, 10, generator):
            pass
        cuts = sorted(source.cuts)
        assert all(last - first == min(10, n_frames) for first, last in cuts)
        assert all(one[1] == other[0] for one, other in pairwise(cuts))
        n_left_out = n_frames - (cuts[-1][1] - cuts[0][0])
        assert n_left_out == (n_frames % 10 if n_frames >= 10 else 0)
        offsets.add(cuts[0][0])
    # Remainders are everywhere: all frames are seen, sooner or later.
    assert offsets == set(range(n_frames % 10 + 1 if n_frames >= 10 else 1))


def test_all_utterances_are_cut_in_a_random_order_the_short_ones_last():
    order, orders, generator = [], [], rng()
    sources = [Counted(n, order) for n in (80, 3, 35, 10, 7, 50)]
    for _ in range(3):
        batches = list(shuffled_mixtures(sources, 4, 10, generator))
        lengths = torch.cat([batch.lengths for batch in batches]).tolist()
        assert lengths[:17] == [10] * 17
        assert sorted(lengths[17:]) == [3, 7]
        assert [len(batch.lengths) for batch in batches] == [4, 4, 4, 4, 3]
        assert [batch.packing() is None for batch in batches] == [True] * 4 + [False]
        orders.append([*order])
        order.clear()
    assert orders[0] != orders[1] != orders[2]


def test_sequences_of_an_utterance_are_spread_over_the_epoch():
    order = []
    sources = [Counted(200, order) for _ in range(4)]
    list(shuffled_mixtures(sources, 8, 10, rng()))
    for half in order[:40], order[40:]:
        assert all(half.count(source) > 4 for source in sources)


# Pairs.


def test_a_pair_is_cut_into_what_was_recorded():
    stft = STFT(n_fft=64)
    clean, noise = waveforms()[0], waveforms(1)[0]
    [pair] = [
        Pair(x, s)
        for x, s in zip(
            stft.fit_transform([clean + noise]), stft.transform([clean]), strict=True
        )
    ]
    wanted = [stft.transform([x])[0].data.T for x in (clean, noise)]
    for first, last in ((0, pair.n_frames), (3, 9), (pair.n_frames - 1, pair.n_frames)):
        for got, whole in zip(pair.cut(first, last, rng()), wanted, strict=True):
            np.testing.assert_allclose(got, whole[first:last], atol=1e-10)


def test_spectrograms_of_numbers_are_read_like_those_of_waveforms_without_a_warning():
    stored = [
        Pair(
            *(x.replace(x.data.astype(np.complex64)) for x in (pair.noisy, pair.clean))
        )
        for pair in pairs()
    ]
    assert not stored[0].clean.frames().flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(shuffled_mixtures(stored, 3, 10, rng()))
    for got, wanted in zip(
        found, shuffled_mixtures(pairs(), 3, 10, rng()), strict=True
    ):
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


# Mixing as it goes.


class Listener:
    """A mixer that keeps what it is given, and adds a noise of ones."""

    def __init__(self, reach=1.0):
        self.reach = reach
        self.heard = []

    def speech_length(self, n_samples):
        return int(self.reach * n_samples)

    def mix(self, clean, rng=None, n_samples=None):
        samples = np.asarray(clean)
        assert len(samples) == len(clean)
        self.heard.append((samples, clean.sample_rate, n_samples))
        return samples[:n_samples] + 1, samples[:n_samples]


@pytest.mark.parametrize("reach", [1.0, 1.1, 3.0])
@pytest.mark.parametrize("center", [True, False])
def test_speech_is_never_padded_where_there_is_more_of_it(reach, center):
    stft = STFT(n_fft=16, hop_length=4, center=center, sample_rate=8000)
    x = 1 + np.arange(203.0)
    [clean] = stft.fit_transform([x])
    mixer = Listener(reach)
    source = DynamicMixture(clean, mixer)
    for first, last in ((0, 10), (10, 20), (source.n_frames - 10, source.n_frames)):
        speech, _ = source.cut(first, last, rng())
        np.testing.assert_array_equal(speech, clean.frames(first, last))
        samples, rate, n_samples = mixer.heard.pop()
        start, stop = clean.framing.samples_of(first, last)
        assert rate == 8000
        assert n_samples == stop - start
        # All that was asked for, and zeros only before the beginning and after the end.
        wanted = max(min(start + int(reach * n_samples), len(x)), stop) - start
        assert len(samples) == wanted
        inside = np.arange(start, start + wanted)
        exists = (inside >= 0) & (inside < len(x))
        np.testing.assert_array_equal(samples[exists], x[inside[exists]])
        assert not samples[~exists].any()


def test_noise_is_what_was_added():
    [clean] = TINY.fit_transform([rng().standard_normal(100)])
    speech, noise = DynamicMixture(clean, Listener()).cut(5, 25, rng())
    assert speech.shape == noise.shape == (20, 5)
    # Frames of ones: all power is at the lowest frequency, spread by the window.
    wanted = clean.framing.transform_frames(np.ones(46))
    np.testing.assert_allclose(noise, wanted, atol=1e-12)


def test_each_cut_is_mixed_at_its_ratio():
    stft = STFT(n_fft=512)
    [clean] = stft.fit_transform([rng().standard_normal(16000)])
    hiss = rng(1).standard_normal(30000)
    for snr in (-5.0, 10.0):
        source = DynamicMixture(clean, Mixer([hiss], snr=snr))
        for seed in range(3):
            speech, noise = source.cut(40, 100, rng(seed))
            ratio = np.sum(np.abs(speech) ** 2) / np.sum(np.abs(noise) ** 2)
            assert 10 * np.log10(ratio) == pytest.approx(snr, abs=1.0)


def test_a_noise_of_another_rate_is_refused():
    class Recording:
        sample_rate, dtype = 44_100, np.dtype(np.float32)

        def __len__(self):
            return 1000

        def __array__(self, dtype=None, copy=None):
            return np.ones(1000, np.float32)

    [clean] = TINY.fit_transform([np.ones(100)])
    with pytest.raises(ValueError, match="one sample rate, got 16000 Hz and 44100 Hz"):
        DynamicMixture(clean, Mixer([Recording()])).cut(0, 5, rng())


def test_synthetic_noise_is_made_at_the_rate_of_the_speech(monkeypatch):
    rates = []

    def noted(n_samples, kind, sample_rate, random_state):
        rates.append(sample_rate)
        return make_noise(n_samples, kind, sample_rate, random_state)

    monkeypatch.setattr("skvae.datasets.mixing.mixer.make_noise", noted)
    [clean] = STFT(n_fft=64, sample_rate=8000).fit_transform([np.ones(2000)])
    DynamicMixture(clean, Mixer()).cut(0, 20, rng())
    assert rates == [8000]


def dynamic(**parameters):
    return [
        DynamicMixture(spectrogram, Mixer(**parameters))
        for spectrogram in TINY.fit_transform(waveforms())
    ]


def test_epochs_differ_and_a_seed_repeats_them():
    generator = rng()
    first, second = (list(shuffled_mixtures(dynamic(), 3, 10, generator)) for _ in "ab")
    again = list(shuffled_mixtures(dynamic(), 3, 10, rng()))
    for one, same, other in zip(first, again, second, strict=True):
        assert torch.equal(one.noisy, same.noisy)
        assert torch.equal(one.lengths, same.lengths)
        assert one.noisy.shape != other.noisy.shape or not torch.equal(
            one.noisy, other.noisy
        )


def test_validation_mixtures_are_the_same_each_time_and_depend_on_the_seed():
    one, same, other = (
        list(mixtures_in_order(dynamic(), 10, seed)) for seed in (3, 3, 4)
    )
    assert len(one) == len(LENGTHS)
    for a, b in zip(one, same, strict=True):
        assert torch.equal(a.noisy, b.noisy)
    assert not torch.equal(one[0].noisy, other[0].noisy)
    # Nor on the other utterances.
    [first, *_] = mixtures_in_order(dynamic()[:1], 10, 3)
    assert torch.equal(first.noisy, one[0].noisy)


@pytest.mark.parametrize("block", [5, 30, 4096])
def test_validation_sees_every_frame_once_and_in_order(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK_FRAMES", block)
    for source in pairs():
        batches = list(mixtures_in_order([source], 10, 0))
        assert all(batch.noisy.shape[1] <= 10 for batch in batches)
        speech, noise = source.cut(0, source.n_frames, rng())
        got = [
            x[:n]
            for batch in batches
            for x, n in zip(batch.noisy, batch.lengths, strict=True)
        ]
        assert sum(map(len, got)) == source.n_frames
        for k, part in enumerate(got):
            frames = slice(10 * k, 10 * k + len(part))
            wanted = np.abs((speech + noise)[frames]) ** 2
            np.testing.assert_allclose(
                part, wanted / wanted.mean(), rtol=1e-3, atol=1e-4
            )


# What comes of speech and noise.


def complex_tensors(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(shape, generator=generator, dtype=torch.complex64) for _ in "sn"
    )


def test_powers_and_what_is_common_are_those_of_the_spectra():
    speech, noise = complex_tensors(3, 5, 4)
    lengths = torch.tensor([5, 2, 4])
    for k, n in enumerate(lengths):
        speech[k, n:], noise[k, n:] = 0, 0
    batch = mixtures(speech, noise, lengths)
    for k, n in enumerate(lengths):
        s, x = (z[k].numpy().astype(complex) for z in (speech, speech + noise))
        mean = np.mean(np.abs(x[:n]) ** 2)
        for got, wanted in (
            (batch.noisy, np.abs(x) ** 2),
            (batch.clean, np.abs(s) ** 2),
            (batch.cross, np.abs(x) * np.abs(s) * np.cos(np.angle(x) - np.angle(s))),
        ):
            np.testing.assert_allclose(got[k], wanted / mean, rtol=1e-3, atol=1e-5)
            assert not got[k, n:].any()


@pytest.mark.parametrize("gain", [1e-17, 1e-4, 100.0, 1e12])
def test_the_level_and_the_company_of_a_sequence_do_not_matter(gain):
    speech, noise = complex_tensors(3, 5, 4)
    lengths = torch.tensor([5, 5, 5])
    wanted = mixtures(speech, noise, lengths)
    speech[1] *= gain
    noise[1] *= gain
    together = mixtures(speech, noise, lengths)
    alone = mixtures(speech[1:2], noise[1:2], lengths[1:2])
    for one, other, single in zip(wanted[:3], together[:3], alone[:3], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(single[0], other[1], rtol=1e-6, atol=1e-7)


def test_silence_stays_silent_and_nothing_is_blown_up():
    speech, noise = complex_tensors(6, 5, 4)
    speech[0], noise[0] = 0, 0
    speech[1], noise[1] = (
        1e-21 * speech[1],
        1e-21 * noise[1],
    )  # beneath float32's powers
    noise[2] = -speech[2]  # a track that was muted
    noise[3] = -speech[3] * (1 - 1e-6)  # and one that nearly was
    speech[4] = 0
    noise[5] = 0
    batch = mixtures(speech, noise, torch.tensor([5] * 6))
    for part in batch[:3]:
        assert torch.isfinite(part).all()
        assert not part[0].any()
    assert batch.noisy.mean((1, 2))[4:].tolist() == pytest.approx([1, 1])
    assert batch.clean.max() < 1e8
    torch.testing.assert_close(batch.clean[5], batch.noisy[5])
    assert not batch.clean[4].any()


def test_a_batch_goes_to_a_device_but_its_lengths():
    speech, noise = complex_tensors(2, 5, 4)
    batch = mixtures(speech, noise, torch.tensor([5, 5]))
    moved = batch.to("meta")
    assert isinstance(moved, Mixtures)
    assert [part.device.type for part in moved] == ["meta"] * 3 + ["cpu"]


# Noises for other voices.


def ratios(speech, noise):
    return (
        noise.abs().square().sum((1, 2)) / speech.abs().square().sum((1, 2))
    ).tolist()


@pytest.mark.parametrize("n", [2, 3, 8])
def test_each_noise_meets_another_voice_and_the_ratios_are_the_same(n):
    speech, noise = complex_tensors(n, 5, 4)
    scale = torch.arange(1, n + 1)[:, None, None]
    speech, noise = speech * scale**2, noise * scale
    generator = rng()
    partners, orders = set(), set()
    for _ in range(60):
        other = recombined(speech, noise, generator)
        assert sorted(ratios(speech, other)) == pytest.approx(
            sorted(ratios(speech, noise)), rel=1e-4
        )
        # Which noise it is: the one that it is a multiple of.
        multiples = (other[:, None] / noise).flatten(2)
        is_multiple = multiples.std(-1) < 1e-3 * multiples.abs().mean(-1)
        assert (is_multiple.sum(0) == 1).all()
        assert (is_multiple.sum(1) == 1).all()
        assert not is_multiple.diagonal().any()
        partners.update(map(tuple, is_multiple.nonzero().tolist()))
        orders.add(tuple(np.argsort(ratios(speech, other))))
    assert len(partners) == n * (n - 1)
    assert len(orders) > 1


def test_silence_has_no_ratio():
    speech, noise = complex_tensors(4, 5, 4)
    for silent_speech, silent_noise in (
        (0, 1),
        (0, 0),
        ([0, 1, 2, 3], 2),
        (3, [0, 1, 2, 3]),
    ):
        s, n = speech.clone(), 1e4 * noise
        s[silent_speech] = 0
        n[silent_noise] = 0
        for seed in range(20):
            other = recombined(s, n, rng(seed))
            assert torch.isfinite(torch.view_as_real(other)).all()
            # As many noises as there were, none louder than the loudest ratio asks for.
            n_silent = (n.abs().amax((1, 2)) == 0).sum()
            assert (other.abs().amax((1, 2)) == 0).sum() == n_silent
            assert other.abs().max() < 1e6


def test_clean_speech_stays_as_frequent_and_takes_no_ratio_away():
    speech, noise = complex_tensors(6, 5, 4)
    noise *= torch.arange(1, 7)[:, None, None]
    noise[[1, 2]] = 0
    wanted = sorted(ratios(speech, noise))
    assert wanted[:2] == [0, 0] < wanted[2:3]
    without = set()
    for seed in range(40):
        other = recombined(speech, noise, rng(seed))
        assert sorted(ratios(speech, other)) == pytest.approx(wanted, rel=1e-4)
        without.add(tuple(k for k, r in enumerate(ratios(speech, other)) if r == 0))
    assert len(without) == 5


def test_batches_are_made_on_a_device():
    """The device that computes nothing shows that all is asked of it."""
    here = list(shuffled_mixtures(pairs(), 3, 10, rng(), 3))
    there = list(shuffled_mixtures(pairs(), 3, 10, rng(), 3, "meta"))
    assert len(here) == len(there) > 1
    for one, other in zip(here, there, strict=True):
        for name in ("noisy", "clean"):
            assert getattr(other, name).device.type == "meta"
            assert getattr(other, name).shape == getattr(one, name).shape


def test_combinations_are_more_batches_of_the_same_voices():
    plain = list(shuffled_mixtures(pairs(), 3, 10, rng(), 1))
    found = list(shuffled_mixtures(pairs(), 3, 10, rng(), 3))
    n_whole = sum(b.packing() is None and len(b.lengths) > 1 for b in plain)
    assert 1 < n_whole < len(plain)
    assert len(found) == len(plain) + 2 * n_whole
    one, other, third = found[:3]
    torch.testing.assert_close(one, plain[0])
    shares = []
    for batch in (one, other, third):
        # The shape of the speech's spectra is kept, the mixtures are others.
        shape = batch.clean / batch.clean.sum((1, 2), keepdim=True)
        torch.testing.assert_close(
            shape, one.clean / one.clean.sum((1, 2), keepdim=True), rtol=1e-3, atol=1e-6
        )
        noise = batch.noisy + batch.clean - 2 * batch.cross
        shares.append(sorted((noise.sum((1, 2)) / batch.clean.sum((1, 2))).tolist()))
    assert not torch.equal(one.noisy, other.noisy)
    assert not torch.equal(other.noisy, third.noisy)
    assert shares[1] == pytest.approx(shares[0], rel=1e-3)


def test_a_sequence_alone_meets_nobody():
    source = Counted(10)
    assert len(list(shuffled_mixtures([source], 3, 10, rng(), 4))) == 1


def test_spectra_keep_no_more_than_single_precision():
    [batch, *_] = shuffled_mixtures(pairs(), 3, 10, rng())
    assert {part.dtype for part in batch[:3]} == {torch.float32}
    assert isinstance(pairs()[0].clean, Spectrogram)
