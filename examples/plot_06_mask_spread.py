"""
How sure is the mask? The posterior spread
==========================================

A method with a posterior does not only say which share of a bin is speech, but also how
sure it is. ``separate`` gives the mask's posterior mean as ``mask``, and its standard
deviation as ``mask_std``. This page looks at where the doubts are, asks whether they
are justified, and uses them to tell good recordings from bad ones without knowing the
clean speech.
"""

# %%
# Means and standard deviations
# -----------------------------

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.frozen import FrozenEstimator

from skvae import MCEM, STFT, SpeechVAE, VAENMFEnhancer
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import si_sdr
from skvae.plot import MaskDisplay, SpectrogramDisplay

N_SAMPLES = 2 * 16_000
vae = SpeechVAE(
    n_latent=8,
    hidden=64,
    max_iter=12,
    batch_size=32,
    learning_rate=3e-3,
    random_state=0,
)
vae.fit([make_speech(3 * 16_000, random_state=seed) for seed in range(40)])

# %%
# MCEM draws latent variables from their posterior. Each draw gives another Wiener gain;
# ``mask`` is their mean and ``mask_std`` their standard deviation. A guide has no
# posterior, so this enhancer has none, and its mask is not smoothed over frames.

enhancer = VAENMFEnhancer(
    FrozenEstimator(vae),
    MCEM(15, n_burn_in=10),
    guide=None,
    mask_smoothing=1,
    random_state=0,
)
clean = make_speech(N_SAMPLES, random_state=1004)
noise = make_noise(N_SAMPLES, "crackle", random_state=1)
noisy, noise = mix_at_snr(clean, noise, snr=0.0, return_noise=True)
[separation] = enhancer.fit([clean]).separate([noisy])

fig, axes = plt.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
displays = [
    SpectrogramDisplay.from_waveform(noisy, ax=axes[0], title="noisy"),
    MaskDisplay.from_separation(separation, ax=axes[1], title="mask"),
    MaskDisplay.from_separation(separation, spread=True, ax=axes[2], title="mask_std"),
]
for ax in axes:
    ax.label_outer()

# %%
# The mask is dark or bright nearly everywhere; the doubts are at the borders in
# between: where a word begins and ends, and between the formants. Where the mask is
# zero and there is nothing but noise, the model is sure of itself.
#
# Are the doubts justified?
# -------------------------
#
# Here we know speech and noise, and so the share that the mask should have found. If
# the standard deviations were right, the root mean square error of all bins with the
# same ``mask_std`` would be as large as that: the points below would lie on the line.

speech_power, noise_power = (
    np.abs(spectrogram.data) ** 2
    for spectrogram in STFT().fit_transform([clean, noise])
)
ideal = speech_power / (speech_power + noise_power)
error = separation.mask - ideal
edges = np.quantile(separation.mask_std, np.linspace(0, 1, 13))
group = np.digitize(separation.mask_std, edges[1:-1])
spread = [separation.mask_std[group == k].mean() for k in range(12)]
rms = [np.sqrt(np.mean(error[group == k] ** 2)) for k in range(12)]

fig, ax = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
ax.plot([0, max(spread)], [0, max(spread)], "k--", label="as it should be")
ax.plot(spread, rms, "o-", color="#0072B2", label="a twelfth of all bins each")
ax.set(
    xlabel="mask_std",
    ylabel="root mean square error of the mask",
)
legend = ax.legend(loc="lower right")

# %%
# The points rise: where the method doubts, it errs more. But they lie far above the
# line: it errs many times more than it admits. It has reason to. The spread only knows
# the latent variables; that W, H and g may be wrong too, or that the decoder cannot
# make this voice, is not in it. So read ``mask_std`` as an order, not as a margin of
# error.
#
# What it is good for
# -------------------
#
# An order is enough to sort recordings. Twelve of them, in four noises at SNRs from -10
# to 20 dB: how uncertain is the mask, on average over the energy of the recording, and
# how good is the result?

kinds, snrs = ["engine", "wind", "pink", "impacts"], np.linspace(-10, 20, 12)
doubts, scores = [], []
for k, snr in enumerate(snrs):
    clean = make_speech(N_SAMPLES, random_state=3000 + k)
    noise = make_noise(N_SAMPLES, kinds[k % 4], random_state=k)
    [spectrogram] = STFT().fit_transform([mix_at_snr(clean, noise, snr)])
    [separation] = enhancer.separate([spectrogram])
    power = np.abs(spectrogram.data) ** 2
    doubts.append(np.average(separation.mask_std, weights=power))
    scores.append(si_sdr(clean, separation.enhanced.to_waveform()))

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
points = ax.scatter(doubts, scores, c=snrs, cmap="cividis", edgecolor="black")
fig.colorbar(points, label="SNR of the mixture (dB)")
ax.set(xlabel="mean mask_std", ylabel="SI-SDR of the result (dB)", xscale="log")
print(f"rank correlation {spearmanr(doubts, scores).statistic:.2f}")

# %%
# The more doubt, the worse the result: nobody had to know the clean speech to see which
# recordings need a closer look.
