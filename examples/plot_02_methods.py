"""
Each method on the same noisy utterance
=======================================

Eight enhancers, from 1979 to the present, hear the same sentence in the same noise: a
machine that runs all the time, and gusts of wind. They differ in what they know
beforehand:

* ``SpectralSubtraction``, ``WienerFilter`` and ``LogMMSE`` know nothing of speech, but
  that noise changes more slowly;
* ``RPCA`` takes what repeats itself for noise, and what is sparse for speech;
* ``ISNMF`` and ``VAENMFEnhancer`` have learned what clean *speech* looks like, and
  learn the noise from the mixture itself;
* ``DNNMask`` and ``BiLSTMMask`` have learned from *mixtures* of speech and noise what
  to keep.
"""

# %%
# The data
# --------
#
# Every call of ``make_speech`` is another speaker. The speaker of the test sentence is
# in nobody's training data, nor is this noise.

import matplotlib.pyplot as plt
import pandas

from skvae import (
    ISNMF,
    MCEM,
    RPCA,
    BiLSTMMask,
    DNNMask,
    LogMMSE,
    SpectralSubtraction,
    SpeechVAE,
    VAENMFEnhancer,
    WienerFilter,
    evaluate,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.plot import AudioPlayer, MaskDisplay, SpectrogramDisplay

N_SAMPLES = 3 * 16_000
training_speech = [make_speech(N_SAMPLES, random_state=seed) for seed in range(24)]

clean = make_speech(N_SAMPLES, random_state=1003)
machine = make_noise(N_SAMPLES, "machine", random_state=1)
wind = make_noise(N_SAMPLES, "wind", random_state=2)
noisy = mix_at_snr(clean, machine + wind, snr=0.0)

# %%
# The methods
# -----------
#
# The networks are small and see a minute of speech for a few epochs: enough to show
# what they are like, far from what they can do. Mask networks without noise of their
# own mix the speech with synthetic noise of all kinds, anew each time.

speech_model = SpeechVAE(
    n_latent=8, hidden=64, max_iter=12, batch_size=32, learning_rate=3e-3
)
few_steps = {"batch_size": 2, "max_iter": 6, "averaging": 0.9, "random_state": 0}
methods = {
    "spectral subtraction": SpectralSubtraction(),
    "Wiener filter": WienerFilter(),
    "log-MMSE": LogMMSE(),
    "RPCA": RPCA(),
    "IS-NMF": ISNMF(random_state=0),
    "VAE-NMF": VAENMFEnhancer(speech_model, MCEM(30), random_state=0),
    "DNN mask": DNNMask(hidden=64, n_layers=2, learning_rate=3e-3, **few_steps),
    "BiLSTM mask": BiLSTMMask(hidden=48, n_layers=1, learning_rate=5e-3, **few_steps),
}
separations = {}
for name, method in methods.items():
    [separations[name]] = method.fit(training_speech).separate([noisy])

# %%
# The masks
# ---------

fig, axes = plt.subplots(
    5, 2, figsize=(10, 12), sharex=True, sharey=True, layout="constrained"
)
peak_db = 40
pictures = {"noisy": noisy, "clean": clean}
for ax, (name, waveform) in zip(axes[0], pictures.items(), strict=True):
    SpectrogramDisplay.from_waveform(
        waveform, ax=ax, title=name, peak_db=peak_db, colorbar=False
    )
for ax, (name, separation) in zip(axes[1:].flat, separations.items(), strict=True):
    mask = MaskDisplay.from_separation(separation, ax=ax, title=name, colorbar=False)
for ax in axes.flat:
    ax.label_outer()
colorbar = fig.colorbar(mask.image_, ax=axes[1:], label="gain", shrink=0.4)

# %%
# Compare the masks with the clean spectrogram above them.
#
# The first three agree on the whole: they share one estimate of the noise, and only
# their rules differ. Spectral subtraction lets single dots through everywhere, the
# Wiener filter fewer. A low harmonic of the machine stays bright through the sentence
# where the estimate of the noise is too low.
#
# RPCA keeps whatever sticks out of its frame, and most of that is noise. IS-NMF paints
# with whole spectra from its dictionary, and keeps the tones of the machine, which its
# sixteen spectra of vowels can explain as well. VAE-NMF is smoother: it is bright in
# the shape of vowels and hisses and dark between the words.
#
# The networks decide by what they saw in training. The LSTM has the whole sentence
# before it, the dense network eleven frames at a time.
#
# The sounds
# ----------

AudioPlayer(
    {
        "noisy": noisy,
        **{name: separation.enhanced for name, separation in separations.items()},
        "clean": clean,
    }
)

# %%
# The figures
# -----------
#
# A fitted enhancer can be scored on any number of pairs. Here it is one, so that the
# figures belong to what you have seen and heard.

table = pandas.concat(
    evaluate(method, [noisy], [clean], ["si_sdr", "estoi"])
    for method in [None, *methods.values()]
)
table.index = ["noisy", *methods]
table[["si_sdr", "estoi"]].round(2)

# %%
# Do not take this for a ranking: it is one sentence in one noise, and the networks had
# some seconds of training. In noise that hardly changes the simple methods are hard to
# beat; the ones with a model of speech win where noise changes as fast as speech. The
# README has a table for recordings, with means over 80 mixtures.
