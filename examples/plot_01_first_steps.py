"""
First steps: enhance, look, listen, measure
===========================================

An enhancer is a scikit-learn estimator. Its ``X`` is a list of waveforms, one array for
each utterance, of any lengths; what comes out is a list of the same lengths. This page
goes once through everything one does with an enhancer.
"""

# %%
# Two lists: noisy speech, and the clean speech that is in it. Here both are made of
# random numbers; with recordings of your own, lists of ``AudioFile("a.wav")`` take
# their place and are read when they are needed.

from skvae import LogMMSE, evaluate, summarize
from skvae.datasets import make_dataset
from skvae.plot import AudioPlayer, EnhancementDisplay, EvaluationDisplay

LENGTH = (2.5, 3.5)  # seconds
noisy, clean = make_dataset(12, LENGTH, snr=0, random_state=0)
louder, louder_clean = make_dataset(12, LENGTH, snr=10, random_state=1)
noisy, clean = noisy + louder, clean + louder_clean
print([len(waveform) for waveform in noisy[:5]])

# %%
# Enhance
# -------
#
# ``LogMMSE`` is the log-spectral amplitude estimator of Ephraim and Malah. It knows
# nothing of speech, so that `fit` has nothing to learn and only looks at its
# parameters.

enhancer = LogMMSE()
enhancer.fit(noisy)

# %%
enhanced = enhancer.transform(noisy)
print([len(waveform) for waveform in enhanced] == [len(waveform) for waveform in noisy])

# %%
# Look
# ----
#
# All methods of this package do the same thing in the end: they multiply each bin of
# the spectrogram by a number between 0 and 1, the *mask*. What is taken away is their
# estimate of the noise: ``separate`` gives both, and they sum to the input.

which = 16
display = EnhancementDisplay.from_estimator(enhancer, noisy[which])

# %%
# Look at the mask beside the noisy spectrogram. Where the harmonics of a vowel or the
# hiss of a consonant stand out, it is bright; the background in between is dark. Then
# look for speech in the picture of the *noise*: what you can see there was lost. And
# the other way round: the dashed line near 3.6 kHz is no speech but a chirp in the
# noise. It comes and goes as fast as speech does, and so it is still there in the
# result.
#
# Listen
# ------

[separation] = enhancer.separate([noisy[which]])
AudioPlayer(
    {
        "noisy": noisy[which],
        "enhanced": separation.enhanced,
        "what was taken away": separation.noise,
        "clean": clean[which],
    }
)

# %%
# Measure
# -------
#
# ``evaluate`` scores utterance by utterance and returns a table. ``info`` adds columns
# of your own: here, the signal-to-noise ratio, in dB, that each was mixed at.

info = {"snr": [0] * 12 + [10] * 12}
metrics = ["si_sdr", "estoi"]
before = evaluate(None, noisy, clean, metrics, info=info)  # None: the noisy speech
after = evaluate(enhancer, noisy, clean, metrics, info=info)
after.head()

# %%
# Means come with 95 % confidence intervals. They are wide, because utterances differ:

summarize(after, by="snr").round(2)

# %%
# Whether the enhancer helps is another question, and has a sharper answer: each
# utterance is compared with itself.

tables = {"noisy": before, "log-MMSE": after}
scores = EvaluationDisplay.from_tables(tables, by="snr")

# %%

differences = EvaluationDisplay.from_tables(tables, by="snr", kind="difference")

# %%
# The intervals are far from zero: on these utterances log-MMSE helps, by about as much
# at both SNRs. Yet the whiskers of the boxes reach down to the noisy speech: there are
# noises in which the method finds nothing to take away. The next page shows methods
# that do.
#
# On recordings of speech, start with ``load_pretrained("best")`` instead: a trained
# enhancer that comes with the package and is used in the same way.
