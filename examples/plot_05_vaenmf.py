"""
VAE-NMF opened up
=================

The enhancer that learns noise while it listens: what it believes about speech and
noise, how it gets there, and how its four inferences differ.

The power of the mixture in frame n and bin f is exponentially distributed around

.. math:: g_n \\, \\sigma_f^2(z_n) + \\sum_k h_{nk} w_{kf}.

The first term is speech: a decoder, trained on clean speech, turns the latent variables
:math:`z_n` into variances, and :math:`g_n` is a gain. The second is noise: K spectra
:math:`w_k` and when they sound, :math:`h_k`. Training has fixed the decoder, the rest
is found anew for each utterance.
"""

# %%
# A mixture of which we know everything
# -------------------------------------
#
# The noise is of two kinds, so that one can see whether NMF finds them: the rush of a
# blower, and the high tones of insects.

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from sklearn.frozen import FrozenEstimator

from skvae import MCEM, MCMC, VEM, GradientVEM, SpeechVAE, VAENMFEnhancer
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.metrics import si_sdr
from skvae.plot import AudioPlayer, ConvergenceDisplay, MaskDisplay, SpectrogramDisplay
from skvae.signal.framing import at_level
from skvae.speech.fast_prior import speech_prior
from skvae.vaenmf.model import initial_noise

N_SAMPLES = 3 * 16_000
clean = make_speech(N_SAMPLES, random_state=1006)
blower = make_noise(N_SAMPLES, "pink", random_state=1)
insects = make_noise(N_SAMPLES, "insects", random_state=5)
noisy, noise = mix_at_snr(clean, blower + 0.7 * insects, snr=3.0, return_noise=True)

# %%
# The model of speech is small and trained for some seconds. It has never heard noise.

vae = SpeechVAE(
    n_latent=8,
    hidden=64,
    max_iter=12,
    batch_size=32,
    learning_rate=3e-3,
    random_state=0,
)
vae.fit([make_speech(N_SAMPLES, random_state=seed) for seed in range(40)])

# %%
# One inference, step by step
# ---------------------------
#
# ``VAENMFEnhancer`` does the following inside. The power of the mixture is brought to
# the level that the model was trained at, the noise starts from random numbers, and an
# inference alternates: given the noise it draws latent variables, given these it
# improves W, H and g. This one is MCEM, for one, five and thirty iterations.

[X] = vae.stft_.transform([noisy])
V = torch.tensor(at_level(np.abs(X.frames()) ** 2, vae.level_))
network = vae.networks()
results = {}
for n_iter in (1, 5, 30):
    generator = torch.Generator().manual_seed(0)
    start = initial_noise(V, 3, generator)
    results[n_iter] = MCEM(n_iter).infer(V, speech_prior(network), start, generator)

fig, axes = plt.subplots(
    3, 3, figsize=(11, 8), sharex=True, sharey=True, layout="constrained"
)
for column, (n_iter, found) in zip(axes.T, results.items(), strict=True):
    with torch.no_grad():
        speech_variance = found.noise.gain * network.decode(found.z).exp()
    variances = {
        f"speech after {n_iter}": speech_variance,
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
# After one iteration the noise is little more than a mean spectrum, and the encoder,
# which has never heard any noise, takes most of the mixture for speech. Then the two
# share it out. In the end the rush and the tones have gone from the first row to the
# second, although nobody told the model of blowers or insects: the decoder cannot make
# such sounds, so they must be noise.
#
# What was learned of the noise
# -----------------------------

found = results[30].noise
W, H = found.W.numpy(), found.H.numpy()
time = np.arange(len(V)) * X.hop_length / X.sample_rate
frequency = np.linspace(0, 8, V.shape[1])
order = np.argsort(W @ frequency)  # from low sounds to high ones
colours = ["#0072B2", "#E69F00", "#009E73"]
lines = ["-", "--", ":"]

fig, axes = plt.subplots(2, 1, figsize=(9, 6), layout="constrained")
for k, colour, line in zip(order, colours, lines, strict=True):
    axes[0].plot(
        frequency, 10 * np.log10(W[k]), line, color=colour, label=f"component {k}"
    )
    axes[1].plot(time, uniform_filter1d(H[:, k], 9), line, color=colour)
axes[0].set(xlabel="frequency (kHz)", ylabel="dB", title="W: what it sounds like")
axes[1].set(
    xlabel="time (s)", ylabel="power", title="H: when it sounds, smoothed", xlim=(0, 3)
)
legend = axes[0].legend(ncols=2)

# %%
# Every component has the slope of the blower, with the tones of the insects as peaks
# upon it. One of them lacks the lowest tone: in H it is loud when that insect is
# silent, and the others are loud when it sings. The parts can be heard too:

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
# Four inferences
# ---------------
#
# The estimator does all of this, and more: it lets log-MMSE say where to start, and
# smooths the mask. ``inference`` is an object with parameters of its own. What they do
# with the same model and the same mixture:

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
# All costs fall fast at first and then slowly. Each inference has a cost of its own, so
# that heights do not compare; nor is a lower cost a better enhancement, as the SI-SDR
# below shows.
#
# VEM asks the encoder again in each iteration. This encoder is small and knows nothing
# of noise, and takes the rush above 5 kHz for a long hiss. The others leave the encoder
# after the start. MCEM keeps most of the speech; GradientVEM and MCMC are dark where
# there is no speech, and also in some weak syllables towards the end.
#
# That is one mixture, and a model of some seconds of training. On recordings, with a
# model that has heard hours of speech, the four are closer to each other.
