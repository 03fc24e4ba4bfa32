"""
Uncertainty of the mask
=======================

Methods with a posterior estimate not only the mask but also its uncertainty.
``separate`` returns the posterior mean of the mask as ``mask`` and its standard
deviation as ``mask_std``. This example shows where the uncertainty is high, compares it
with the actual error, and uses it to rank recordings by quality without their clean
speech.
"""

# %%
# Mean and standard deviation
# ---------------------------

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.frozen import FrozenEstimator

from skvae import MCEM, STFT, SpeechVAE, Training, VAENMFEnhancer
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import si_sdr
from skvae.plot import MaskDisplay, SpectrogramDisplay

N_SAMPLES = 2 * 16_000
vae = SpeechVAE(
    n_latent=8,
    hidden_layer_sizes=64,
    training=Training(max_iter=12, batch_size=32, learning_rate=3e-3),
    random_state=0,
)
vae.fit([make_speech(3 * 16_000, random_state=seed) for seed in range(40)])

# %%
# MCEM draws latent variables from their posterior. Each draw yields a Wiener gain;
# ``mask`` is the mean of these gains and ``mask_std`` their standard deviation. This
# enhancer has no guide, because guides have no posterior, and does not smooth the mask
# over frames.

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
# The mask is near 0 or 1 almost everywhere. The uncertainty is high at the borders in
# between: at the beginning and end of words, and between formants. It is low where
# there is only noise.
#
# Calibration
# -----------
#
# Speech and noise are known here, so the ideal mask can be computed. If the standard
# deviations were correct, the root mean square error of all bins with the same
# ``mask_std`` would equal that value, and the points would lie on the dashed line.

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
ax.plot([0, max(spread)], [0, max(spread)], "k--", label="ideal")
ax.plot(spread, rms, "o-", color="#0072B2", label="a twelfth of the bins")
ax.set(
    xlabel="mask_std",
    ylabel="root mean square error of the mask",
)
legend = ax.legend(loc="lower right")

# %%
# The error increases with ``mask_std``, but it is larger: nearly three times for the
# most uncertain bins, and more for the others. One reason is that ``mask_std`` includes
# only the uncertainty of the latent variables. Errors in W, H and g, and voices that
# the decoder cannot generate, are not included. The ideal mask also varies from bin to
# bin even where the model is right. Therefore use ``mask_std`` to rank bins, not as an
# error bar.
#
# Ranking of recordings
# ---------------------
#
# A ranking is sufficient to sort recordings. The figure shows twelve utterances in four
# noises, at SNRs from -10 to 20 dB: the mean of ``mask_std``, weighted by power, and
# the quality of the result.

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
# Results with a higher mean of ``mask_std`` are worse. So ``mask_std`` finds recordings
# that need attention, without their clean speech.
