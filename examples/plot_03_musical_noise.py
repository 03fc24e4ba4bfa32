"""
Musical noise: cause and remedies
=================================

Simple methods add an artifact to the output that sounds like twittering birds: *musical
noise*. This example produces it, explains its cause, and reduces it in four ways. Use
headphones to hear the differences.
"""

# sphinx_gallery_thumbnail_number = 3

# %%
# Spectral subtraction
# --------------------
#
# The input is speech in stationary pink noise. The method is the simplest form of
# spectral subtraction: it subtracts the mean power of the noise once and sets negative
# results to zero.

import matplotlib.pyplot as plt
import numpy as np

from skvae import LogMMSE, SpectralSubtraction, WienerFilter
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.plot import AudioPlayer, SpectrogramDisplay

RATE = 16_000
pause = np.zeros(2 * RATE, dtype=np.float32)  # two seconds of noise alone
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
# The first two seconds contain no speech. In the noisy spectrogram (left), the noise
# fills them evenly. After subtraction (right), isolated bright dots remain. Each dot is
# a tone that lasts some hundredths of a second.

AudioPlayer({"noisy": noisy, "noise subtracted once": ringing})

# %%
# Cause
# -----
#
# The power of noise in a bin is random and has an exponential distribution. Bins whose
# power exceeds the mean remain after the subtraction. Their share is :math:`e^{-1}`,
# which is more than a third.

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
ax.text(2, 0.25, "remains as isolated tones", color="#B04A00")
ax.set(xlabel="power, relative to its mean", ylabel="density", xlim=(0, 6))
legend = ax.legend()

print(f"{np.mean(relative > 1):.0%} of the bins are louder than the mean")

# %%
# Remedies
# --------
#
# 1. *Over-subtraction.* With ``over_subtraction=3``, only :math:`e^{-3}`, or 5 %, of
#    the bins remain.
# 2. *Spectral floor.* A small amount of noise in all bins masks the tones.
# 3. *Attenuation limit.* All enhancers have the parameter ``attenuation_limit``, the
#    maximum attenuation in dB.
# 4. *Smoothing over time.* The Wiener filter and log-MMSE include the SNR of the
#    previous frame in their estimate ("decision-directed"), so a bin that is loud in a
#    single frame is attenuated.

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
# The plots show the second before the first word. Three-fold subtraction leaves fewer
# tones, but they stand out before a silent background. The floor and the limit restore
# some of the background noise. The Wiener filter leaves the least noise, in short
# dashes because of the smoothing over time.

AudioPlayer({"noisy": noisy, **cured})

# %%
# Measurement
# -----------
#
# SI-SDR does not detect musical noise: it rates a twitter like a hiss of the same
# power. A better measure is the *kurtosis* of the power of a bin over time, which is
# high if the bin is loud for short moments only. The table shows the logarithm of the
# ratio of the kurtosis after and before enhancement. A value of 0 means that the
# residual noise fluctuates like the original noise; a high value means that it consists
# of short tones.


def kurtosis(power):
    """Fourth moment of the power over the squared second moment, averaged over bins."""
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
# Three-fold subtraction and log-MMSE leave about the same amount of noise, but the
# noise of log-MMSE fluctuates much less, because of the smoothing over time. The floor
# and the limit make the noise smoother but leave more of it. SI-SDR is highest for the
# output with the most musical noise, so always listen to the output as well.
