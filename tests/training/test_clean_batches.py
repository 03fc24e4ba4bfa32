"""Streams of frames: all of them, once, at their level, in little memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skvae import STFT
from skvae.signal.spectrogram import Spectrogram
from skvae.training import clean_batches as frames
from skvae.training.clean_batches import (
    Utterance,
    draw_level,
    frames_in_order,
    shuffled_frames,
    shuffled_sequences,
)

LENGTHS = (400, 37, 1, 250, 133)
TINY = STFT(n_fft=8)


@pytest.fixture
def waveforms():
    rng = np.random.default_rng(0)
    return [(k + 1) * rng.standard_normal(n) for k, n in enumerate(LENGTHS)]


def utterances(waveforms, stft=TINY):
    return [Utterance(s) for s in stft.fit_transform(waveforms)]


def slow_power(waveform, level, stft=TINY):
    [spectrogram] = stft.fit_transform([waveform])
    V = np.abs(spectrogram.data.T) ** 2
    return V * (level / V.mean())


def rows(batches):
    return sorted(
        tuple(row)
        for batch in batches
        for row in (
            batch.power.tolist()
            if batch.lengths is None
            else [
                row
                for x, n in zip(batch.power, batch.lengths, strict=True)
                for row in x[:n].tolist()
            ]
        )
    )


@pytest.mark.parametrize("pool", [16, 100, 10_000])
@pytest.mark.parametrize("block", [7, 4096])
def test_every_frame_comes_once_at_its_level(waveforms, monkeypatch, pool, block):
    monkeypatch.setattr(frames, "POOL_FRAMES", pool)
    monkeypatch.setattr(frames, "BLOCK_FRAMES", block)
    wanted = np.concatenate([slow_power(x, 4.0) for x in waveforms])
    for batches in (
        shuffled_frames(utterances(waveforms), (4.0, 4.0), 16, rng()),
        shuffled_sequences(utterances(waveforms), (4.0, 4.0), 3, 10, rng()),
        frames_in_order(utterances(waveforms), 4.0),
        frames_in_order(utterances(waveforms), 4.0, 10),
    ):
        got = rows(batches)
        np.testing.assert_allclose(
            got, sorted(map(tuple, wanted.tolist())), rtol=1e-4, atol=1e-6
        )


def rng(seed=0):
    return np.random.default_rng(seed)


def test_batches_are_full_but_the_last(waveforms, monkeypatch):
    monkeypatch.setattr(frames, "POOL_FRAMES", 50)
    n_total = sum(u.n_frames for u in utterances(waveforms))
    sizes = [
        len(b.power)
        for b in shuffled_frames(utterances(waveforms), (0.0, 10.0), 16, rng())
    ]
    assert sizes == [16] * (n_total // 16) + [n_total % 16]


def test_frames_of_an_utterance_are_spread_over_the_epoch(waveforms):
    # Silent utterances among others: their frames are zero and can be told.
    X = [np.zeros(400) if k % 2 else np.ones(400) for k in range(10)]
    batches = list(shuffled_frames(utterances(X), (0.0, 10.0), 50, rng()))
    silent = [(batch.power.sum(1) == 0).double().mean().item() for batch in batches]
    assert max(silent) < 0.8
    assert min(silent) > 0.2


def test_levels_are_drawn_for_each_utterance_and_epoch(waveforms):
    draws = [draw_level((2.0, 10.0), generator) for generator in [rng()] * 5000]
    assert 2 < min(draws) < 2.1
    assert 9.9 < max(draws) <= 10
    assert np.mean(draws) == pytest.approx(6, abs=0.1)

    class Zero:
        def random(self):
            return 0.0

    assert draw_level((0.0, 10.0), Zero()) == 10.0

    source, generator = utterances([np.ones(400)]), rng()
    means = [
        torch.cat([b.power for b in shuffled_frames(source, (0.0, 10.0), 9, generator)])
        .mean()
        .item()
        for _ in range(3)
    ]
    assert len(set(means)) == 3


def test_the_same_seed_gives_the_same_stream(waveforms):
    for stream, arguments in (
        (shuffled_frames, ((0.0, 10.0), 16)),
        (shuffled_sequences, ((0.0, 10.0), 3, 10)),
    ):
        one, other, third = (
            [b.power for b in stream(utterances(waveforms), *arguments, rng(seed))]
            for seed in (0, 0, 1)
        )
        assert all(map(torch.equal, one, other))
        assert not all(
            a.shape == b.shape and torch.equal(a, b)
            for a, b in zip(one, third, strict=False)
        )


def test_sequences_are_neighbouring_frames_cut_elsewhere_each_time():
    ramp = np.cumsum(np.ones(4000)) ** 2
    V = slow_power(ramp, 5.0)
    firsts = []
    source, generator = utterances([ramp]), rng()
    for _ in range(4):
        for batch in shuffled_sequences(source, (5.0, 5.0), 3, 50, generator):
            for x, n in zip(batch.power, batch.lengths.tolist(), strict=True):
                assert not x[n:].any()
                distances = np.abs(V[:, 0] - x[0, 0].item())
                first = int(distances.argmin())
                np.testing.assert_allclose(x[:n], V[first : first + n], rtol=1e-3)
                firsts.append(first)
    assert len({first % 50 for first in firsts}) > 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gain", [1e-25, 1e-12, 1e6, 1e11])
def test_any_level_of_the_recording_gives_the_same_power(dtype, gain):
    x = rng().standard_normal(500).astype(dtype)
    reference, scaled = (
        np.concatenate(list(u.blocks(5.0)))
        for u in utterances([x, x * dtype(gain)], STFT(n_fft=64))
    )
    assert reference.dtype == np.float32
    np.testing.assert_allclose(scaled, reference, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 300])
def test_silence_is_zero_power(n_samples):
    [utterance] = utterances([np.zeros(n_samples, np.float32)])
    assert not np.concatenate(list(utterance.blocks(5.0))).any()


def test_a_spectrogram_of_numbers_is_read_like_one_of_a_waveform(waveforms):
    [spectrogram] = TINY.fit_transform(waveforms[:1])
    stored = Spectrogram(spectrogram.data, length=len(waveforms[0]), n_fft=8)
    for level in (1.0, 7.0):
        np.testing.assert_allclose(
            np.concatenate(list(Utterance(stored).blocks(level))),
            np.concatenate(list(Utterance(spectrogram).blocks(level))),
            rtol=1e-5,
        )
