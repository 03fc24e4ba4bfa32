"""
First steps: enhancement, plots, sound and scores
=================================================

An enhancer is a scikit-learn estimator. Its ``X`` is a list of waveforms: one array of
any length for each utterance. The output is a list of waveforms with the same lengths.
This example enhances some utterances, plots and plays one of them, and computes scores.
"""

# %%
# ``make_dataset`` returns two lists: noisy speech, and the clean speech in it. Both are
# synthetic. For your own recordings, use lists of ``AudioFile("a.wav")``, which are
# read only when they are needed.

from skvae import LogMMSE, evaluate, summarize
from skvae.datasets import make_dataset
from skvae.plot import AudioPlayer, EnhancementDisplay, EvaluationDisplay

LENGTH = (2.5, 3.5)  # seconds
noisy, clean = make_dataset(12, LENGTH, snr=0, random_state=0)
louder, louder_clean = make_dataset(12, LENGTH, snr=10, random_state=1)
noisy, clean = noisy + louder, clean + louder_clean
print([len(waveform) for waveform in noisy[:5]])

# %%
# Enhancement
# -----------
#
# ``LogMMSE`` is the log-spectral amplitude estimator of Ephraim and Malah. It has no
# model of speech, so ``fit`` learns nothing and only checks the parameters.

enhancer = LogMMSE()
enhancer.fit(noisy)

# %%
enhanced = enhancer.transform(noisy)
print([len(waveform) for waveform in enhanced] == [len(waveform) for waveform in noisy])

# %%
# Spectrograms and mask
# ---------------------
#
# All methods of this package multiply each bin of the spectrogram by a number between 0
# and 1, the *mask*. The removed part is the estimate of the noise. ``separate`` returns
# the enhanced speech and the noise, which sum to the input.

which = 16
display = EnhancementDisplay.from_estimator(enhancer, noisy[which])

# %%
# The mask is bright at the harmonics of vowels and at consonants, and dark in the
# background. Speech that is visible in the spectrogram of the *noise* was lost.
#
# The dashed line near 3.6 kHz is not speech but a chirp in the noise. It changes as
# fast as speech, so the method does not remove it.
#
# Sound
# -----

[separation] = enhancer.separate([noisy[which]])
AudioPlayer(
    {
        "noisy": noisy[which],
        "enhanced": separation.enhanced,
        "removed noise": separation.noise,
        "clean": clean[which],
    }
)

# %%
# Scores
# ------
#
# ``evaluate`` scores each utterance and returns a table with one row per utterance.
# ``info`` adds columns to the table: here, the signal-to-noise ratio in dB.

info = {"snr": [0] * 12 + [10] * 12}
metrics = ["si_sdr", "estoi"]
before = evaluate(None, noisy, clean, metrics, info=info)  # None: the noisy speech
after = evaluate(enhancer, noisy, clean, metrics, info=info)
after.head()

# %%
# ``summarize`` computes means with 95 % confidence intervals. The intervals are wide
# because the utterances differ.

summarize(after, by="snr").round(2)

# %%
# To test whether the enhancer helps, compare each noisy utterance with its enhanced
# version. These paired differences have narrower intervals.

tables = {"noisy": before, "log-MMSE": after}
scores = EvaluationDisplay.from_tables(tables, by="snr")

# %%

differences = EvaluationDisplay.from_tables(tables, by="snr", kind="difference")

# %%
# The intervals are far from zero, so log-MMSE improves these utterances, by about the
# same amount at both SNRs. The whiskers of the boxes reach down to the noisy speech: in
# some noises the method removes nothing. The next example shows methods that do.
#
# For recordings of speech, start with ``load_pretrained("best")``, a trained enhancer
# that is part of the package. It is used in the same way.
