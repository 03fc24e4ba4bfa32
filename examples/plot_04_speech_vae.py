"""
What a speech VAE has learned
=============================

``SpeechVAE`` is the model of speech inside VAE-NMF: an encoder that reads the spectrum
of a frame, a few latent variables, and a decoder that turns them into the *variance* of
each frequency bin. It is an estimator of its own, so that one can look into it: what it
keeps of a sentence, what it dreams of, and what its latent variables stand for.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Train it
# --------
#
# Two minutes of speech of 40 speakers. ``score`` is the evidence lower bound (ELBO) of
# a frame, so that higher is better, and ``loss_curve_`` is its negative.

import matplotlib.pyplot as plt
import numpy as np

from skvae import ISTFT, SpeechVAE
from skvae.datasets import NOISE_KINDS, make_noise, make_speech
from skvae.plot import AudioPlayer, ConvergenceDisplay, SpectrogramDisplay

N_SAMPLES = 3 * 16_000
speech = [make_speech(N_SAMPLES, random_state=seed) for seed in range(40)]
vae = SpeechVAE(
    n_latent=8,
    hidden=64,
    max_iter=15,
    batch_size=32,
    learning_rate=3e-3,
    random_state=0,
)
vae.fit(speech)
losses = ConvergenceDisplay.from_estimator(vae)

# %%
# The validation loss is that of speakers who were left out of training. It falls with
# the training loss and ends only a little above it: most of what was learned is true of
# speech, and not of these speakers alone.
#
# What it keeps
# -------------
#
# ``transform`` gives the posterior means of the latent variables, eight numbers a
# frame, ``inverse_transform`` the variances that the decoder makes of them.

sentence = make_speech(N_SAMPLES, random_state=1000)
[z] = vae.transform([sentence])
[variance] = vae.inverse_transform([z])

fig, axes = plt.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
SpectrogramDisplay.from_waveform(sentence, ax=axes[0], title="a new speaker")
SpectrogramDisplay.from_power(variance, ax=axes[1], title="what 8 numbers a frame keep")
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
axes[2].set(title="the numbers", ylabel="latent variable", xlabel="time (s)")
colorbar = fig.colorbar(image, ax=axes[2], label="posterior mean")
for ax in axes[:2]:
    ax.set_xlabel("")

# %%
# The decoder gives back which syllable it is, where its formants lie and how loud it
# is: the smooth shape of the spectrum. What is lost is the pitch, the fine comb of
# harmonics. That is no accident: for a mask it matters where speech is, and eight
# numbers do not suffice for where each harmonic is.
#
# Two scales differ, by the way: the model brings every sentence to one level, so that
# it does not matter how loud it was recorded.
#
# What it dreams of
# -----------------
#
# ``sample`` draws latent variables from their prior and spectra from the decoder. Each
# frame is drawn by itself.

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
# Every column on the right could come from speech, a vowel or a hiss, but their order
# is random. The model knows what speech sounds like at any one moment, and nothing of
# how it goes on. With ``architecture="bilstm"`` it would see the frames around as well.

AudioPlayer({"speech": sentence, "drawn from the model": dreamed})

# %%
# What the latent variables stand for
# -----------------------------------
#
# One of them is moved from -3 to 3 while the others stay at zero, where the prior has
# its mean. The most active ones first: those whose posterior mean varies most over
# speech.

activity = np.concatenate(vae.transform(speech)).std(axis=0)
most_active = np.argsort(activity)[::-1]
steps = np.linspace(-3, 3, 7)
colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(steps)))
frequency = np.linspace(0, 8, vae.stft_.framing().n_bins)

fig, axes = plt.subplots(
    2, 2, figsize=(10, 6), sharex=True, sharey=True, layout="constrained"
)
for ax, k in zip(axes.flat, most_active, strict=False):
    z = np.zeros((len(steps), vae.n_latent))
    z[:, k] = steps
    [variances] = vae.inverse_transform([z])
    for step, variance, colour in zip(steps, variances, colours, strict=True):
        ax.plot(frequency, 10 * np.log10(variance), color=colour, label=f"{step:+.0f}")
    ax.set(title=f"latent variable {k}", xlabel="frequency (kHz)", ylabel="dB")
    ax.label_outer()
legend = axes[0, 1].legend(title="value", loc="upper left", bbox_to_anchor=(1, 1))

# %%
# Read a panel from dark to bright. One variable is loudness: it takes a vowel down to
# silence. Another leads from a hiss, the broad hump at 6 kHz, to a vowel with its humps
# below 4 kHz, which are the formants. Nobody told the model of vowels and consonants:
# it found that these are the ways in which spectra of speech differ.
#
# What is not speech
# ------------------
#
# The score is a bound of a likelihood, so that the model can tell what it does not
# know. Here is the loss, its negative, of a new speaker and of one noise of each kind.

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
# Speech comes first, and what is made of voices ("babble", "crowd") is among the next.
# This is what VAE-NMF lives on: what the model finds unlikely, it has to leave to the
# noise.
