"""
Inside a speech VAE
===================

``SpeechVAE`` is the speech model of VAE-NMF. Its encoder maps the spectrum of a frame
to a few latent variables, and its decoder maps them to the *variance* of each frequency
bin. It is an estimator of its own. This example shows what it preserves of a sentence,
what it generates, and what its latent variables represent.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Training
# --------
#
# The training data are two minutes of speech of 40 speakers. ``score`` is the evidence
# lower bound (ELBO) per frame; higher is better. ``loss_curve_`` is its negative.

import matplotlib.pyplot as plt
import numpy as np

from skvae import ISTFT, SpeechVAE, Training
from skvae.datasets import NOISE_KINDS, make_noise, make_speech
from skvae.plot import AudioPlayer, ConvergenceDisplay, SpectrogramDisplay

N_SAMPLES = 3 * 16_000
speech = [make_speech(N_SAMPLES, random_state=seed) for seed in range(40)]
vae = SpeechVAE(
    n_latent=8,
    hidden_layer_sizes=64,
    training=Training(max_iter=15, batch_size=32, learning_rate=3e-3),
    random_state=0,
)
vae.fit(speech)
losses = ConvergenceDisplay.from_estimator(vae)

# %%
# The validation loss is computed on speakers that are not in the training data. It
# falls with the training loss and ends only slightly above it. So most of what the
# model learned is true of speech in general, not only of these speakers.
#
# Reconstruction
# --------------
#
# ``transform`` returns the posterior means of the latent variables: eight numbers per
# frame. ``inverse_transform`` returns the variances that the decoder computes from
# them.

sentence = make_speech(N_SAMPLES, random_state=1000)
[z] = vae.transform([sentence])
[variance] = vae.inverse_transform([z])

fig, axes = plt.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
SpectrogramDisplay.from_waveform(sentence, ax=axes[0], title="a new speaker")
SpectrogramDisplay.from_power(variance, ax=axes[1], title="8 numbers per frame")
image = axes[2].imshow(
    z.T,
    origin="lower",
    aspect="auto",
    extent=(0, 3, -0.5, 7.5),
    cmap="RdBu_r",
    vmin=-3,
    vmax=3,
    interpolation="nearest",
)
axes[2].set(title="latent means", ylabel="latent variable", xlabel="time (s)")
colorbar = fig.colorbar(image, ax=axes[2], label="posterior mean")
for ax in axes[:2]:
    ax.set_xlabel("")

# %%
# The decoder preserves the smooth shape of the spectrum: the syllables, their formants
# and their loudness. It loses the pitch, which is the fine comb of harmonics. Eight
# numbers are too few for the position of each harmonic. For a mask, it matters more
# where there is speech at all.
#
# The two color scales differ because the model normalizes the level of every sentence.
#
# Samples
# -------
#
# ``sample`` draws latent variables from their prior and spectra from the decoder. All
# frames are independent.

dream = vae.sample(188, random_state=0)
[dreamed] = ISTFT().transform([dream])
dreamed *= sentence.std() / dreamed.std()  # as loud as the sentence

fig, axes = plt.subplots(1, 2, figsize=(10, 3.5), sharey=True, layout="constrained")
SpectrogramDisplay.from_waveform(sentence, ax=axes[0], title="speech", colorbar=False)
SpectrogramDisplay.from_spectrogram(
    dream, ax=axes[1], title="drawn from the model", colorbar=False
)
axes[1].label_outer()

# %%
# Each column on the right could be a frame of speech, such as a vowel or a fricative,
# but their order is random. This model describes single frames and no dynamics. With
# ``architecture="bilstm"`` it would use the neighboring frames as well.

AudioPlayer({"speech": sentence, "drawn from the model": dreamed})

# %%
# Latent variables
# ----------------
#
# Each panel varies one latent variable from -3 to 3. The others are zero, the mean of
# the prior. The panels show the four most active variables: those whose posterior means
# vary most over speech.

activity = np.concatenate(vae.transform(speech)).std(axis=0)
most_active = np.argsort(activity)[::-1]
steps = np.linspace(-3, 3, 7)
colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(steps)))
frequency = np.linspace(0, 8, vae.stft_.framing().n_bins)

fig, axes = plt.subplots(
    2, 2, figsize=(10, 6), sharex=True, sharey=True, layout="constrained"
)
for ax, k in zip(axes.flat, most_active, strict=False):
    z = np.zeros((len(steps), vae.n_latent))
    z[:, k] = steps
    [variances] = vae.inverse_transform([z])
    for step, variance, color in zip(steps, variances, colors, strict=True):
        ax.plot(frequency, 10 * np.log10(variance), color=color, label=f"{step:+.0f}")
    ax.set(title=f"latent variable {k}", xlabel="frequency (kHz)", ylabel="dB")
    ax.label_outer()
legend = axes[0, 1].legend(title="value", loc="upper left", bbox_to_anchor=(1, 1))

# %%
# The curves go from dark to bright. One variable represents loudness: it leads from a
# vowel to silence. Another leads from a fricative, with a broad maximum at 6 kHz, to a
# vowel with formants below 4 kHz. The model found these dimensions without labels of
# vowels and consonants.
#
# Speech and noise
# ----------------
#
# The score is a bound on the likelihood, so it shows how well the model explains a
# sound. The figure shows the loss, which is the negative score, of a new speaker and of
# one noise of each kind.

sounds = {"speech": make_speech(N_SAMPLES, random_state=1001)}
sounds |= {kind: make_noise(N_SAMPLES, kind, random_state=0) for kind in NOISE_KINDS}
losses = {name: -vae.score([sound]) for name, sound in sounds.items()}
names = sorted(losses, key=losses.get, reverse=True)

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
for name in names:
    style = ("D", "#D55E00") if name == "speech" else ("o", "#0072B2")
    ax.semilogx(losses[name], name, style[0], color=style[1])
ax.grid(color="0.9")
label = ax.set_xlabel("loss of a frame (less is more like speech)")

# %%
# Speech has the lowest loss, and sounds made of voices ("babble", "crowd") are among
# the next. VAE-NMF relies on this property: sounds that are unlikely under the speech
# model are assigned to the noise.
