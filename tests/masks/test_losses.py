"""The losses of masks against loops over complex spectra, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skvae.masks.losses import (
    TARGETS,
    compressed_error,
    ideal_ratio_mask,
    magnitude_error,
    mask_error,
    perceptual_error,
    phase_sensitive_error,
    ratio_error,
    spectral_si_sdr,
)
from skvae.training.layers import frame_mean
from skvae.training.noisy_batches import Mixtures, mixtures


def spectra(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def batch_of(speech, noise, lengths=None):
    speech, noise = (torch.from_numpy(np.complex64(x)) for x in (speech, noise))
    if lengths is None:
        lengths = [speech.shape[1]] * len(speech)
    return mixtures(speech, noise, torch.tensor(lengths))


def example(lengths=(6, 6, 6)):
    """Speech, noise, mask, as complex arrays and as a batch."""
    speech, noise = spectra(3, 6, 4), 2 * spectra(3, 6, 4, seed=1)
    speech[1] *= 30  # another level
    speech[0, 2, 1] = 0.0
    noise[0, 3] = 0.0  # a frame without noise
    noise[2, 1] = -speech[2, 1]  # a frame in which nothing is heard
    for k, n in enumerate(lengths):
        speech[k, n:], noise[k, n:] = 0, 0
    mask = np.random.default_rng(2).random((3, 6, 4))
    return speech, noise, mask, batch_of(speech, noise, lengths)


def unit(speech, noise):
    """Each sequence at a mean power of one, in double precision."""
    power = np.mean(np.abs(speech + noise) ** 2, axis=(1, 2), keepdims=True)
    return speech / np.sqrt(power), noise / np.sqrt(power)


def slow_mean(bin_error):
    """Mean over the bins of an error of complex x, s, n and of a mask."""

    def mean(speech, noise, mask):
        speech, noise = unit(speech, noise)
        B, N, F = speech.shape
        errors = np.zeros((B, N))
        for b in range(B):
            for t in range(N):
                for f in range(F):
                    s, n = speech[b, t, f], noise[b, t, f]
                    errors[b, t] += bin_error(mask[b, t, f], s + n, s, n) / F
        return errors

    return mean


def cosine(x, s):
    # Silence has no angle.
    return math.cos(np.angle(x) - np.angle(s)) if abs(x) * abs(s) > 0 else 0.0


def slow_irm(m, x, s, n):
    if abs(s) == abs(n) == 0:
        return m**2
    return (m - math.sqrt(abs(s) ** 2 / (abs(s) ** 2 + abs(n) ** 2))) ** 2


def slow_wiener(m, x, s, n):
    if abs(s) == abs(n) == 0:
        return m**2
    return (m - abs(s) ** 2 / (abs(s) ** 2 + abs(n) ** 2)) ** 2


def slow_msa(m, x, s, n):
    return (m * abs(x) - abs(s)) ** 2


def slow_psa(m, x, s, n):
    return (m * abs(x) - abs(s) * cosine(x, s)) ** 2


def slow_compressed(m, x, s, n):
    a, b = (m * abs(x) + 1e-3) ** 0.3, (abs(s) + 1e-3) ** 0.3
    return 3 * (a - b * cosine(x, s)) ** 2 + 7 * (a - b) ** 2


@pytest.mark.parametrize(
    ("error", "slow"),
    [
        (ratio_error, slow_irm),
        (lambda mask, batch: ratio_error(mask, batch, 1.0), slow_wiener),
        (magnitude_error, slow_msa),
        (phase_sensitive_error, slow_psa),
        (compressed_error, slow_compressed),
    ],
    ids=["irm", "wiener", "msa", "psa", "compressed"],
)
def test_errors_are_those_of_magnitudes_and_angles(error, slow):
    speech, noise, mask, batch = example()
    got = error(torch.from_numpy(mask).float(), batch)
    assert got.shape == (3, 6)
    wanted = slow_mean(slow)(speech, noise, mask)
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)


def slow_si_sdr(speech, noise, mask):
    """By projecting the masked spectra on those of the speech, as vectors of reals."""
    values = []
    for s, n, m in zip(speech, noise, mask, strict=True):
        estimate = m * (s + n)
        s, estimate = (
            np.concatenate([x.real.ravel(), x.imag.ravel()]) for x in (s, estimate)
        )
        target = (estimate @ s) / (s @ s) * s
        values.append(
            10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2))
        )
    return np.array(values)


def test_the_ratio_is_that_of_the_projection_on_the_speech():
    speech, noise, mask, batch = example()
    mask = torch.from_numpy(mask).float()
    wanted = slow_si_sdr(speech, noise, mask.numpy())
    assert wanted.max() - wanted.min() > 10
    np.testing.assert_allclose(spectral_si_sdr(mask, batch), wanted, atol=2e-3)
    np.testing.assert_allclose(
        spectral_si_sdr(mask / 9, batch), spectral_si_sdr(mask, batch), atol=1e-3
    )


def test_the_ratio_ends_at_50_db_and_silence_has_none():
    speech = spectra(3, 6, 4)
    speech[2] = 0
    noise = spectra(3, 6, 4, seed=1)
    noise[0] = 0
    noise[1] *= 1e-4
    one = torch.ones(3, 6, 4)
    ratios = spectral_si_sdr(one, batch_of(speech, noise))
    assert ratios[:2].tolist() == pytest.approx([50, 50], abs=0.1)
    assert ratios[2] == 0
    assert spectral_si_sdr(0 * one, batch_of(speech, noise)).abs().max() < 1


def slow_loss(speech, noise, mask, lengths, target):
    """Mean over real frames, computed sequence by sequence without padding."""
    slow = {"msa": slow_msa, "psa": slow_psa, "perceptual": slow_compressed}[target]
    total, n_frames = 0.0, sum(lengths)
    for k, n in enumerate(lengths):
        part = (slice(k, k + 1), slice(n))
        errors = slow_mean(slow)(speech[part], noise[part], mask[part])
        total += errors.sum()
        if target == "perceptual":
            # 1 dB weighs as much as an error of 0.05, in each frame.
            ratio = slow_si_sdr(speech[part], noise[part], mask[part])[0]
            total -= 0.05 * ratio * n
    return total / n_frames, n_frames


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lengths", [(6, 6, 6), (6, 4, 5), (1, 6, 6)])
def test_the_loss_is_the_mean_over_real_frames(target, lengths):
    speech, noise, mask, batch = example(lengths)
    got, n_frames = mask_error(torch.from_numpy(mask).float(), batch, target)
    wanted, n_wanted = slow_loss(speech, noise, mask, lengths, target)
    assert n_frames == n_wanted
    assert got.item() == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def irm_error(mask, batch):
    return frame_mean(ratio_error(mask, batch), batch.lengths)


LOSSES = {
    "irm": irm_error,
    **{
        target: lambda mask, batch, target=target: mask_error(mask, batch, target)
        for target in TARGETS
    },
}
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@EVERY_LOSS
def test_masks_of_padding_change_neither_loss_nor_gradient(loss):
    _, _, mask, batch = example((6, 2, 4))
    found = []
    for filler in (0.0, 0.7, 1.0):
        padded = torch.from_numpy(mask).float()
        for k, n in enumerate((6, 2, 4)):
            padded[k, n:] = filler
        padded.requires_grad_()
        value, _ = loss(padded, batch)
        value.backward()
        for k, n in enumerate((6, 2, 4)):
            assert not padded.grad[k, n:].any()
        found.append((value.detach(), padded.grad))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=0)


@EVERY_LOSS
def test_longer_padding_changes_nothing(loss):
    speech, noise, mask, batch = example((6, 2, 4))
    wide = [np.concatenate([x, 0 * x], axis=1) for x in (speech, noise, mask)]
    longer = batch_of(wide[0], wide[1], (6, 2, 4))
    one, other = (
        loss(torch.from_numpy(m).float(), b)
        for m, b in ((mask, batch), (wide[2], longer))
    )
    assert one[1] == other[1]
    torch.testing.assert_close(one[0], other[0])


HARD_CASES = {
    "silent frames": ((0, slice(3)), (0, slice(3))),
    "a silent sequence": (0, 0),
    "all silent": (slice(None), slice(None)),
    "no speech": (slice(None), None),
    "no noise": (None, slice(None)),
}


@EVERY_LOSS
@pytest.mark.parametrize("silent", HARD_CASES.values(), ids=HARD_CASES.keys())
@pytest.mark.parametrize("gain", [1e-18, 1.0, 1e12])
def test_gradients_are_finite_in_silence_and_without_noise(loss, silent, gain):
    speech, noise = gain * spectra(2, 5, 4), gain * spectra(2, 5, 4, seed=1)
    for x, where in zip((speech, noise), silent, strict=True):
        if where is not None:
            x[where] = 0
    _check_gradients(loss, batch_of(speech, noise))


@EVERY_LOSS
def test_gradients_are_finite_for_padding_one_frame_and_speech_that_noise_cancels(loss):
    speech, noise = spectra(2, 5, 4), spectra(2, 5, 4, seed=1)
    _check_gradients(loss, batch_of(speech[:, :1], noise[:, :1]))
    _check_gradients(loss, batch_of(speech, 1e-9 * noise))
    _check_gradients(loss, batch_of(speech, 1e9 * noise))
    for share in (1.0, 1 - 1e-7):
        _check_gradients(loss, batch_of(speech, -share * speech))
    speech[1, 2:], noise[1, 2:] = 0, 0
    _check_gradients(loss, batch_of(speech, noise, (5, 2)))


def _check_gradients(loss, batch):
    for start in (-200.0, 0.0, 200.0):  # masks of exactly zero and one among them
        activation = torch.full(batch.noisy.shape, start, requires_grad=True)
        value, _ = loss(activation.sigmoid(), batch)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(activation.grad).all()
        mask = activation.detach().sigmoid().requires_grad_()
        loss(mask, batch)[0].backward()
        assert torch.isfinite(mask.grad).all()


def least(loss, batch, n_steps=400):
    """The best of all masks, one weight for each bin."""
    activation = torch.zeros(batch.noisy.shape, requires_grad=True)
    adam = torch.optim.Adam([activation], lr=0.1)
    for _ in range(n_steps):
        adam.zero_grad()
        loss(activation.sigmoid(), batch)[0].backward()
        adam.step()
    return activation.detach().sigmoid()


def test_the_best_masks_are_the_ideal_ones():
    speech, noise = spectra(2, 5, 4), spectra(2, 5, 4, seed=1)
    noisy, batch = speech + noise, batch_of(speech, noise)
    irm = np.sqrt(np.abs(speech) ** 2 / (np.abs(speech) ** 2 + np.abs(noise) ** 2))
    msa = np.abs(speech) / np.abs(noisy)
    psa = msa * np.cos(np.angle(noisy) - np.angle(speech))
    for loss, wanted in ((irm_error, irm), (LOSSES["msa"], msa), (LOSSES["psa"], psa)):
        # What cannot be reached is approached as far as it goes.
        np.testing.assert_allclose(least(loss, batch), wanted.clip(0, 1), atol=0.03)
    np.testing.assert_allclose(ideal_ratio_mask(batch), irm, atol=1e-4)
    np.testing.assert_allclose(ideal_ratio_mask(batch, 1.0), irm**2, atol=1e-4)
    ratio = spectral_si_sdr(least(LOSSES["perceptual"], batch), batch).mean()
    assert ratio > spectral_si_sdr(torch.from_numpy(irm).float(), batch).mean()


def test_the_ideal_mask_of_silence_and_of_clean_speech():
    speech, noise = spectra(2, 5, 4), np.zeros((2, 5, 4))
    speech[1] = 0
    mask = ideal_ratio_mask(batch_of(speech, noise))
    torch.testing.assert_close(mask[0], torch.ones(5, 4))
    assert not mask[1].any()


@pytest.mark.parametrize("gain", [1e-6, 100.0])
@EVERY_LOSS
def test_losses_ignore_the_level(loss, gain):
    speech, noise, mask, batch = example()
    mask = torch.from_numpy(mask).float()
    louder = batch_of(gain * speech, gain * noise)
    torch.testing.assert_close(
        loss(mask, louder)[0], loss(mask, batch)[0], rtol=1e-3, atol=1e-5
    )


def test_sequences_count_by_their_frames():
    speech, noise, mask, _ = example()
    batches = [batch_of(speech[:, :n], noise[:, :n], [n] * 3) for n in (6, 2)]
    mask = torch.from_numpy(mask).float()
    together = batch_of(
        np.concatenate([speech, np.where(np.arange(6)[:, None] < 2, speech, 0)]),
        np.concatenate([noise, np.where(np.arange(6)[:, None] < 2, noise, 0)]),
        [6] * 3 + [2] * 3,
    )
    parts = [
        perceptual_error(mask[:, :n], batch)
        for n, batch in zip((6, 2), batches, strict=True)
    ]
    got, n_frames = perceptual_error(torch.cat([mask, mask]), together)
    assert n_frames == sum(n for _, n in parts) == 24
    wanted = sum(value * n for value, n in parts) / n_frames
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_batch_is_left_as_it_was():
    _, _, mask, batch = example()
    before = [x.clone() for x in batch]
    for loss in LOSSES.values():
        loss(torch.from_numpy(mask).float(), batch)
    for x, y in zip(batch, before, strict=True):
        assert torch.equal(x, y)
    assert isinstance(batch, Mixtures)
