"""
Musical noise, and how to cure it
=================================

Simple methods leave a twitter behind that was not there before: *musical noise*. This
page makes it, shows where it comes from, and takes it away again in four ways. Use
headphones.
"""

# sphinx_gallery_thumbnail_number = 3

# %%
# Make it
# -------
#
# Speech in steady pink noise, and the oldest method in its oldest form: the mean power
# of the noise is subtracted once, and what is negative becomes zero.

import matplotlib.pyplot as plt
import numpy as np

from skvae import LogMMSE, SpectralSubtraction, WienerFilter
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.plot import AudioPlayer, SpectrogramDisplay

RATE = 16_000
pause = np.zeros(2 * RATE, dtype=np.float32)  # two seconds of nothing but noise
clean = np.concatenate([pause, make_speech(2 * RATE, random_state=8)])
noise = make_noise(len(clean), "pink", random_state=0)
noisy, noise = mix_at_snr(clean, noise, snr=5.0, return_noise=True)

naive = SpectralSubtraction(over_subtraction=1.0, floor=0.0)
[ringing] = naive.fit([noisy]).transform([noisy])

fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, (title, waveform) in zip(
    axes, {"noisy": noisy, "noise subtracted once": ringing}.items(), strict=True
):
    picture = SpectrogramDisplay.from_waveform(
        waveform, ax=ax, title=title, peak_db=30, dynamic_range=60, colorbar=False
    )
    ax.label_outer()
colorbar = fig.colorbar(picture.image_, ax=axes, label="power (dB)")

# %%
# In the first two seconds there is no speech. On the left it is filled evenly; on the
# right it is torn into bright dots with black between them. Each dot is a tone that
# lasts some hundredths of a second:

AudioPlayer({"noisy": noisy, "noise subtracted once": ringing})

# %%
# Where it comes from
# -------------------
#
# The power of noise in a bin is random: it is distributed exponentially around its
# mean. Whatever exceeds the mean survives the subtraction, and that happens in
# :math:`e^{-1}`, more than a third, of all bins.

stft = naive.stft_
pause_frames = slice(4, len(pause) // stft.framing().hop_length - 4)


def power_in_pause(waveform):
    """Power of each bin above 100 Hz in the frames without speech."""
    [spectrogram] = stft.transform([waveform])
    return np.abs(spectrogram.data[7:, pause_frames]) ** 2


power = power_in_pause(noisy)
relative = power / power.mean(axis=1, keepdims=True)

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
levels = np.linspace(0, 6, 61)
ax.hist(relative.ravel(), levels, density=True, color="#56B4E9", label="noise")
ax.plot(levels, np.exp(-levels), "k--", label="exponential distribution")
louder = levels[levels >= 1]
ax.fill_between(louder, np.exp(-louder), color="#D55E00", alpha=0.6)
ax.text(2, 0.25, "survives, as isolated tones", color="#B04A00")
ax.set(xlabel="power, relative to its mean", ylabel="density", xlim=(0, 6))
legend = ax.legend()

print(f"{np.mean(relative > 1):.0%} of the bins are louder than the mean")

# %%
# Cure it
# -------
#
# 1. *Subtract more than there is.* With ``over_subtraction=3`` a twentieth of the bins
#    survive, :math:`e^{-3}`.
# 2. *Leave a floor.* A little of the noise, left everywhere, covers the tones.
# 3. *Do less.* ``attenuation_limit``, which every enhancer of this package has, lowers
#    nothing by more than so many dB.
# 4. *Smooth over time.* The Wiener filter and log-MMSE ask for the SNR of the last
#    frame too ("decision-directed"): a bin that is loud once is not believed.

cures = {
    "once": naive,
    "three times": SpectralSubtraction(over_subtraction=3, floor=0),
    "three times, floor": SpectralSubtraction(over_subtraction=3, floor=0.03),
    "three times, at most 10 dB": SpectralSubtraction(
        over_subtraction=3, floor=0, attenuation_limit=10
    ),
    "Wiener filter": WienerFilter(),
    "log-MMSE": LogMMSE(),
}
cured = {name: cure.fit([noisy]).transform([noisy])[0] for name, cure in cures.items()}

fig, axes = plt.subplots(
    2, 3, figsize=(11, 6), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, waveform) in zip(axes.flat, cured.items(), strict=True):
    picture = SpectrogramDisplay.from_waveform(
        waveform, ax=ax, title=name, peak_db=30, dynamic_range=60, colorbar=False
    )
    ax.label_outer()
    ax.set_xlim(1, 3)
colorbar = fig.colorbar(picture.image_, ax=axes, label="power (dB)")

# %%
# Look at the second before the first word. Subtracting three times leaves fewer tones,
# but each of them stands alone before a black background; the floor and the limit fill
# the background up again. The Wiener filter lets the least through, in short dashes:
# smoothed over time. Listen to the same:

AudioPlayer({"noisy": noisy, **cured})

# %%
# Measure it
# ----------
#
# SI-SDR does not hear musical noise: a twitter is as good to it as a hiss of the same
# power. A measure that does is the *kurtosis* of the power of a bin over time, which is
# high where the bin is loud for a moment and quiet else. It is taken relative to that
# of the noise before, as a logarithm: at zero what is left comes and goes as the noise
# did, and the higher it is, the more it consists of short tones.


def kurtosis(power):
    """Fourth moment of the power of a bin over the squared second, mean of the bins."""
    centred = power - power.mean(axis=1, keepdims=True)
    return np.mean((centred**4).mean(axis=1) / (centred**2).mean(axis=1) ** 2)


print(f"{'':28}{'SI-SDR':>8}{'noise left':>13}{'log kurtosis ratio':>20}")
for name, waveform in cured.items():
    left = power_in_pause(waveform)
    si_sdr = cures[name].score([noisy], [clean])
    level = 10 * np.log10(left.mean() / power.mean())
    ratio = np.log(kurtosis(left) / kurtosis(power))
    print(f"{name:28}{si_sdr:5.1f} dB{level:10.1f} dB{ratio:20.2f}")

# %%
# Read the rows by what they leave. Subtracted three times and log-MMSE leave equally
# little noise, but that of log-MMSE comes and goes far less: this is what smoothing
# over time is good for. The floor and the limit buy smoother noise with more of it. And
# SI-SDR likes best what twitters most, so listen before you believe it.
