"""
Inside VAE-NMF
==============

VAE-NMF learns the noise from the noisy recording itself. This example shows its
estimates of speech and noise during the inference, and compares the four inferences.

The power of the mixture in frame n and bin f is exponentially distributed with mean

.. math:: g_n \\, \\sigma_f^2(z_n) + \\sum_k h_{nk} w_{kf}.

The first term is the speech: a decoder, trained on clean speech, maps the latent
variables :math:`z_n` to variances, and :math:`g_n` is a gain. The second term is the
noise: K spectra :math:`w_k` with activations :math:`h_k`. The decoder is fixed after
training. Everything else is estimated for each utterance.
"""

# %%
# Mixture
# -------
#
# The noise has two parts, to see whether NMF finds them: the broadband noise of a
# blower and the high tones of insects.

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from sklearn.frozen import FrozenEstimator

from skvae import (
    MCEM,
    MCMC,
    VEM,
    GradientVEM,
    NMFNoise,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import si_sdr
from skvae.plot import AudioPlayer, ConvergenceDisplay, MaskDisplay, SpectrogramDisplay

N_SAMPLES = 3 * 16_000
clean = make_speech(N_SAMPLES, random_state=1006)
blower = make_noise(N_SAMPLES, "pink", random_state=1)
insects = make_noise(N_SAMPLES, "insects", random_state=5)
noisy, noise = mix_at_snr(clean, blower + 0.7 * insects, snr=3.0, return_noise=True)

# %%
# The speech model is small and trained for some seconds, on clean speech only.

vae = SpeechVAE(
    n_latent=8,
    hidden_layer_sizes=64,
    training=Training(max_iter=12, batch_size=32, learning_rate=3e-3),
    random_state=0,
)
vae.fit([make_speech(N_SAMPLES, random_state=seed) for seed in range(40)])

# %%
# Inference step by step
# ----------------------
#
# ``VAENMFEnhancer`` performs the following steps. It scales the power of the mixture to
# the level of the training data. The noise model starts from random numbers. Then the
# inference alternates two steps: it draws latent variables given the noise, and it
# updates W, H and g given the latent variables. The plots show MCEM after one, five and
# thirty iterations.

[X] = vae.stft_.transform([noisy])
power = np.abs(X.frames()) ** 2
V = torch.tensor(power * (vae.level_ / power.mean()))
prior = vae.speech_prior(V)
results = {}
for max_iter in (1, 5, 30):
    generator = torch.Generator().manual_seed(0)
    start = NMFNoise(3).start(V, generator)
    with torch.no_grad():
        results[max_iter] = MCEM(max_iter).infer(V, prior, start, generator)

fig, axes = plt.subplots(
    3, 3, figsize=(11, 8), sharex=True, sharey=True, layout="constrained"
)
for column, (max_iter, found) in zip(axes.T, results.items(), strict=True):
    with torch.no_grad():
        speech_variance = found.gain * prior.variance(found.z)
    variances = {
        f"speech after {max_iter}": speech_variance,
        "noise, H W": found.noise.power(),
        "their sum": speech_variance + found.noise.power(),
    }
    for ax, (title, variance) in zip(column, variances.items(), strict=True):
        picture = SpectrogramDisplay.from_power(
            variance.numpy(),
            ax=ax,
            title=title,
            peak_db=25,
            dynamic_range=60,
            colorbar=False,
        )
        ax.label_outer()
colorbar = fig.colorbar(picture.image_, ax=axes, label="variance (dB)")

# %%
# After one iteration, the noise estimate is little more than a mean spectrum. The
# encoder, which was trained without noise, interprets most of the mixture as speech. In
# the following iterations, the blower and the tones move from the speech estimate to
# the noise estimate. The decoder cannot generate such sounds, so they must be noise. No
# training on blowers or insects is required.
#
# Learned noise
# -------------

found = results[30].noise
W, H = found.W.numpy(), found.H.numpy()
time = np.arange(len(V)) * X.hop_length / X.sample_rate
frequency = np.linspace(0, 8, V.shape[1])
order = np.argsort(W @ frequency)  # from low sounds to high ones
colors = ["#0072B2", "#E69F00", "#009E73"]
lines = ["-", "--", ":"]

fig, axes = plt.subplots(2, 1, figsize=(9, 6), layout="constrained")
for k, color, line in zip(order, colors, lines, strict=True):
    axes[0].plot(
        frequency, 10 * np.log10(W[k]), line, color=color, label=f"component {k}"
    )
    axes[1].plot(time, uniform_filter1d(H[:, k], 9), line, color=color)
axes[0].set(xlabel="frequency (kHz)", ylabel="dB", title="W: spectra")
axes[1].set(
    xlabel="time (s)", ylabel="power", title="H: activations, smoothed", xlim=(0, 3)
)
legend = axes[0].legend(ncols=2)

# %%
# All components have the spectral slope of the blower, with peaks at the tones of the
# insects. One component lacks the lowest tone. According to H, it is active when that
# insect is silent, and the others are active when it sings. The player contains the
# separated parts.

mask = results[30].mask.numpy().T
speech_part = X.replace(X.data * mask)
noise_part = X.replace(X.data * (1 - mask))
AudioPlayer(
    {
        "noisy": noisy,
        "speech": speech_part,
        "noise": noise_part,
        "clean": clean,
        "true noise": noise,
    }
)

# %%
# Comparison of the inferences
# ----------------------------
#
# The estimator also initializes the inference with a guide, here log-MMSE, and smooths
# the mask. Its parameter ``inference`` is an object with parameters of its own. The
# figure compares the four inferences with the same speech model and mixture.

inferences = {
    "VEM": VEM(),
    "GradientVEM": GradientVEM(50),
    "MCEM": MCEM(30),
    "MCMC": MCMC(60, 30),
}
separations, scores = {}, {}
for name, inference in inferences.items():
    enhancer = VAENMFEnhancer(FrozenEstimator(vae), inference, random_state=0)
    enhancer.fit([clean])  # the model is frozen: nothing is learned from it
    [separations[name]] = enhancer.separate([noisy])
    scores[name] = si_sdr(clean, separations[name].enhanced)

fig, axes = plt.subplots(2, 4, figsize=(13, 6), layout="constrained")
for column, (name, separation) in zip(axes.T, separations.items(), strict=True):
    display = ConvergenceDisplay.from_separation(separation, ax=column[0], title=name)
    title = f"SI-SDR {scores[name]:.1f} dB"
    mask = MaskDisplay.from_separation(
        separation, ax=column[1], title=title, colorbar=False
    )
for ax in axes[:, 1:].flat:
    ax.set_ylabel("")
colorbar = fig.colorbar(mask.image_, ax=axes[1], label="gain")

# %%
# All costs fall fast at first and then slowly. Each inference has a different cost
# function, so their values are not comparable. A lower cost does not imply a better
# result, as the SI-SDR above the masks shows.
#
# VEM uses the encoder in every iteration. This encoder is small and was trained without
# noise, so it interprets the noise above 5 kHz as a long fricative. The other
# inferences use the encoder only for the initial value. MCEM preserves most of the
# speech. GradientVEM and MCMC suppress the noise best, but also some weak syllables
# near the end.
#
# These results are from a single mixture and a model that was trained for some seconds.
# On recordings, with a model trained on hours of speech, the four inferences are closer
# to each other.
