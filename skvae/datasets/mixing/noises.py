"""Noises made from random numbers: no recording is needed.

Some are textbook noises, others families of what is heard around people. Each call
draws anew what a noise of that family sounds like: pitch, resonances, rhythm.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import fft as scipy_fft

from skvae.datasets.audio import check_rate
from skvae.datasets.mixing.augmentation import energy, equaliser
from skvae.datasets.mixing.speech import check_length, make_speech, sawtooth
from skvae.utils.random import RandomState, check_generator

#: Level of synthetic noise in dB relative to full scale, root mean square.
NOISE_LEVEL = -26.0

# Noises have nothing below this frequency in Hz: recordings have not, either.
_LOWEST = 20.0

# Smallest block that coloured noise is cut from: shorter ones would have no bass.
_SMALLEST_BLOCK = 1024


def make_noise(
    n_samples: int = 48_000,
    kind: str = "white",
    sample_rate: int = 16_000,
    random_state: RandomState = None,
) -> np.ndarray:
    """Make noise of a given kind.

    Parameters
    ----------
    n_samples : int, default=48_000
        Length.
    kind : str, default="white"
        Steady: "white", "pink" (-3 dB an octave), "brown" (-6 dB an octave) or
        "coloured" (any colour). Of voices: "babble" (six), "crowd" (up to 40 at a time,
        with children, in a room) or "animals" (calls). Of machines: "hum" (mains),
        "machine" (a motor and its blower) or "engine" (cylinders that fire, revved up
        and down). Of many events: "clicks" (short knocks over a faint hiss), "impacts"
        (things that are struck and ring), "crackle" (applause, rain, fire) or "water"
        (bubbles in a jet). Or "wind" (gusts of rumble), "insects" (high tones in
        chirps) or "bands" (bands of noise that swell and fade). :data:`NOISE_KINDS`
        holds these names.
    sample_rate : int, default=16_000
        Rate in Hz.
    random_state : int, Generator, RandomState or None
        Where the random numbers come from.

    Returns
    -------
    ndarray of shape (n_samples,)
        The noise in float32. Its root mean square is -26 dB relative to full scale;
        its peaks are not limited.

    Raises
    ------
    ValueError
        If `kind` is unknown, or `n_samples` or `sample_rate` no positive whole number.

    See Also
    --------
    make_speech : The other part of a mixture.
    Mixer : Mixes them.

    Notes
    -----
    What is in Hz is made lower where the sample rate is too low for it. The first
    "crowd" of a sample rate takes longer: it makes the voices.

    Examples
    --------
    >>> import numpy as np
    >>> noise = make_noise(16000, "wind", random_state=0)
    >>> round(float(10 * np.log10(np.mean(noise**2))), 3)
    -26.0
    """
    n_samples, rate = check_length(n_samples), check_rate(sample_rate)
    if not isinstance(kind, str) or kind not in _NOISES:
        raise ValueError(f"kind must be one of {NOISE_KINDS}, got {kind!r}.")
    noise = _NOISES[kind](n_samples, rate, check_generator(random_state))
    rms = math.sqrt(np.square(noise, dtype=np.float64).mean())
    return (noise * (10 ** (NOISE_LEVEL / 20) / rms)).astype(np.float32)


def _coloured(
    n_samples: int, rate: int, rng: np.random.Generator, slope: float
) -> np.ndarray:
    """Gaussian noise whose power falls like frequency ** -slope, of power one."""
    size = 2 ** math.ceil(math.log2(max(n_samples, _SMALLEST_BLOCK)))
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    gain = np.zeros(len(frequency))
    gain[1:] = np.maximum(frequency[1:], _LOWEST) ** (-slope / 2)
    gain[(frequency < _LOWEST) & (frequency < rate / 4)] = 0.0
    gain /= np.sqrt(np.mean(gain**2))
    return np.fft.irfft(spectrum * gain.astype(np.float32), size)[:n_samples]


def _drift(
    n_samples: int, rate: int, rng: np.random.Generator, seconds: float
) -> np.ndarray:
    """Join standard normal values, one every `seconds`, into a slow curve."""
    n_knots = math.ceil(n_samples / (seconds * rate)) + 2
    knots = (np.arange(n_knots) + rng.random() - 1.0) * seconds * rate
    return np.interp(np.arange(n_samples), knots, rng.standard_normal(n_knots))


def _harmonics(
    frequency: np.ndarray, rate: int, rng: np.random.Generator, amplitudes: np.ndarray
) -> np.ndarray:
    """Sum of harmonics of a gliding tone, those above the Nyquist frequency left out.

    Each harmonic is the one before, turned by the tone: no sine but the first.
    """
    turn = np.exp(2j * np.pi * np.cumsum(frequency) / rate).astype(np.complex64)
    amplitudes = amplitudes * np.exp(2j * np.pi * rng.random(len(amplitudes)))
    harmonic, total = turn.copy(), np.zeros(len(turn), dtype=np.float32)
    for k, amplitude in enumerate(amplitudes, start=1):
        if k * frequency.max() >= rate / 2:
            break
        total += (np.complex64(amplitude) * harmonic).real
        harmonic *= turn
    return total


def _white(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(n_samples, dtype=np.float32)


def _pink(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _coloured(n_samples, rate, rng, slope=1.0)


def _brown(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    return _coloured(n_samples, rate, rng, slope=2.0)


def _babble(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    n_voices = 6
    loudness = 10 ** (rng.uniform(-6.0, 0.0, n_voices) / 20)
    voices = sum(g * make_speech(n_samples, rate, rng) for g in loudness)
    return np.asarray(voices)


def _hum(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    mains = rng.choice([50.0, 60.0])
    frequency = mains * (1.0 + 0.001 * _drift(n_samples, rate, rng, 1.0))
    order = np.arange(1, 25)
    # A transformer hums at twice the mains' frequency: even harmonics are stronger.
    amplitudes = rng.uniform(0.2, 1.0, 24) / order * np.where(order % 2, 0.5, 1.0)
    hum = _harmonics(frequency, rate, rng, amplitudes)
    return hum + 0.02 * _pink(n_samples, rate, rng)


def _machine(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    speed = rng.uniform(25.0, 120.0) * 2 ** (0.02 * _drift(n_samples, rate, rng, 0.5))
    motor = _harmonics(speed, rate, rng, rng.exponential(1.0, 30) / np.arange(1, 31))
    beat = 1.0 + 0.5 * _harmonics(speed / 2, rate, rng, np.ones(1))
    blower = _coloured(n_samples, rate, rng, slope=rng.uniform(0.5, 1.5))
    return motor + rng.uniform(0.3, 1.0) * beat * blower


def _wind(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    gusts = np.exp(0.8 * _drift(n_samples, rate, rng, 0.4))
    return gusts * _coloured(n_samples, rate, rng, slope=rng.uniform(2.0, 3.0))


def _clicks(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    knock_seconds, knocks_per_second = 0.06, 6.0
    knock = np.arange(math.ceil(knock_seconds * rate)) / rate
    decay = np.exp(-knock / rng.uniform(0.004, 0.015))
    tone = np.sin(2 * np.pi * rng.uniform(0.02, 0.2) * rate * knock)
    knock = decay * (tone + 0.5 * rng.standard_normal(len(knock)))
    hits = np.zeros(n_samples + len(knock))
    n_hits = 1 + rng.poisson(knocks_per_second * n_samples / rate)
    where = rng.integers(n_samples, size=n_hits)
    np.add.at(hits, where, rng.normal(0.0, 1.0, n_hits))
    size = 2 ** math.ceil(math.log2(len(hits)))
    sounds = np.fft.irfft(np.fft.rfft(hits, size) * np.fft.rfft(knock, size), size)
    return sounds[:n_samples] + 0.01 * _white(n_samples, rate, rng)


def _coloured_at_random(
    n_samples: int, rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Steady noise of any colour: a tilt, and what rooms and bodies add to it."""
    size = _fast_size(n_samples)
    frequency = _frequencies(size, rate)
    gain = _tilt(frequency, rng.uniform(0.0, 2.0)) * equaliser(
        len(frequency), rng.uniform(2.0, 12.0), rng
    )
    return _inverse(_gaussian_spectrum(size, rng) * gain, n_samples)


def _bands(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Bands of noise, each of which swells and fades at a rate of its own."""
    size = _fast_size(n_samples)
    frequency = _frequencies(size, rate)
    spectrum = _gaussian_spectrum(size, rng)
    noise = _level(rng, -40.0, -10.0) * _unit(_inverse(spectrum, n_samples))
    for _ in range(rng.integers(1, 4)):
        centre = _log_uniform(rng, 100.0, _in_band(8000.0, rate))
        width = centre * _log_uniform(rng, 0.03, 0.5)
        shape = np.exp(-(((frequency - centre) / width) ** 2))
        band = _unit(_inverse(spectrum * shape, n_samples))
        swelling = rng.uniform(0.5, 2.0) * _drift(
            n_samples, rate, rng, 1.0 / _log_uniform(rng, 1.0, 30.0)
        )
        noise += _level(rng, -10.0, 0.0) * band * np.exp(swelling.astype(np.float32))
    return noise


def _engine(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Cylinders that fire in turn, and noise in their rhythm, in a resonating body."""
    firing = _log_uniform(rng, 15.0, _in_band(250.0, rate))
    # From a steady motor to one that is revved up over an octave.
    revving = _log_uniform(rng, 0.005, 0.4) * _drift(
        n_samples, rate, rng, rng.uniform(0.2, 2.0)
    )
    speed = firing * np.exp2(np.clip(revving, -1.0, 1.0))
    strokes = rng.random() + np.cumsum(speed / rate)

    which = np.arange(math.ceil(strokes[0]), math.floor(strokes[-1]) + 1)
    cylinder = rng.lognormal(0.0, rng.uniform(0.05, 0.5), rng.integers(1, 9))
    strength = cylinder[which % len(cylinder)]
    strength = strength * rng.lognormal(0.0, rng.uniform(0.0, 0.3), len(which))
    pulses = _impulses(
        np.interp(which, strokes, np.arange(n_samples)), strength, n_samples
    )
    rhythm = 0.5 + 0.5 * _sine(strokes)
    air = rng.standard_normal(n_samples, dtype=np.float32)
    air *= 1.0 - rng.uniform(0.0, 1.0) * rhythm**2
    source = _unit(pulses) + _level(rng, -20.0, 5.0) * _unit(air)

    size = _fast_size(n_samples)
    frequency = _frequencies(size, rate)
    body = _body(frequency, rate, rng, n_resonances=int(rng.integers(2, 6)))
    body /= 1.0 + frequency / np.float32(_log_uniform(rng, 200.0, 4000.0))
    return _inverse(np.fft.rfft(source, size) * body, n_samples)


def _insects(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """High tones in trills and chirps: crickets, cicadas, and the night around them."""
    time = np.arange(n_samples) / rate
    night = _unit(_coloured_at_random(n_samples, rate, rng))
    sound = _level(rng, -40.0, -10.0) * night
    edge = 0.01  # seconds in which a chirp begins and ends
    unsteady = _drift(n_samples, rate, rng, 0.1)
    for _ in range(rng.integers(1, 4)):
        tone = rng.uniform(0.25, 1.0) * _in_band(7500.0, rate)
        song = _sine(tone * time + rng.uniform(-2.0, 2.0) * unsteady)
        trill = 0.5 + 0.5 * _sine(_log_uniform(rng, 10.0, 100.0) * time + rng.random())
        song *= trill ** int(rng.integers(1, 5))
        period = _log_uniform(rng, 0.15, 3.0)
        begun = _fraction(time / period + rng.random())
        left = np.float32(rng.uniform(0.2, 1.2)) - begun  # beyond 1 it hardly pauses
        song *= np.clip(np.minimum(begun, left) * np.float32(period / edge), 0.0, 1.0)
        sound += _level(rng, -15.0, 0.0) * song
    return sound


def _animals(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Calls of gliding pitch through a throat: from a roar to a whistle."""
    size = _fast_size(n_samples)
    frequency = _frequencies(size, rate)
    spectrum = np.zeros(len(frequency), dtype=np.complex64)
    for _ in range(rng.integers(1, 3)):
        pitch = _log_uniform(rng, 80.0, _in_band(2500.0, rate))
        seconds = _log_uniform(rng, 0.05, 0.8)
        melody = 5.0 * rng.standard_normal(3)  # semitones: begin, middle and end
        roughness, tremor = rng.uniform(0.0, 0.9), rng.uniform(15.0, 70.0)
        breath = _level(rng, -40.0, -5.0)
        is_whistle = rng.random() < 0.3
        n_calls = 1 + rng.poisson(
            rng.uniform(0.1, 0.6) * min(1.0 / seconds, 5.0) * n_samples / rate
        )
        voice = np.zeros(n_samples, dtype=np.float32)
        for _ in range(n_calls):
            n_call = max(2, round(seconds * rng.uniform(0.6, 1.4) * rate))
            way = np.linspace(0.0, 1.0, n_call)
            tune = melody + 1.5 * rng.standard_normal(3)
            semitones = np.interp(way, [0.0, 0.5, 1.0], tune)
            hertz = np.minimum(pitch * np.exp2(semitones / 12), 0.4 * rate)
            call = (
                _sine(np.cumsum(hertz / rate))
                if is_whistle
                else sawtooth(hertz, rate, rng)
            )
            call += breath * rng.standard_normal(n_call, dtype=np.float32)
            shaking = 0.5 + 0.5 * _sine(tremor * seconds * way)
            call *= (1.0 - roughness * shaking) * np.sin(np.pi * way.astype(np.float32))
            start = int(rng.integers(1 - n_call, n_samples))
            _add(voice, _level(rng, -12.0, 0.0) * call, start)
        throat = _body(frequency, rate, rng, n_resonances=3)
        spectrum += np.fft.rfft(voice, size) * throat
    calls = _unit(_inverse(spectrum, n_samples))
    around = _unit(_coloured_at_random(n_samples, rate, rng))
    return calls + _level(rng, -40.0, -15.0) * around


def _impacts(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Things that are struck, and ring in their modes: dishes, tools, doors."""
    n_things, n_modes = int(rng.integers(1, 4)), 5
    time = np.arange(math.ceil(0.3 * rate), dtype=np.float32) / np.float32(rate)
    shape = (n_things, n_modes, 1)
    hertz = _log_uniform(rng, 100.0, _in_band(6000.0, rate), shape)
    decay = _log_uniform(rng, 0.003, 0.1, (n_things, 1, 1)) * rng.uniform(0.3, 1, shape)
    phase = (hertz * time + rng.random(shape)).astype(np.float32)
    modes = _sine(phase) * np.exp(-time / decay.astype(np.float32))
    rings = np.sum(rng.exponential(1.0, shape) * modes, axis=1)
    blow = np.exp(-time / np.float32(0.002)) * rng.standard_normal(len(time))
    rings += _level(rng, -10.0, 10.0) * blow
    ringing = _fall(rings, n_samples, rate, rng, _log_uniform(rng, 1.0, 15.0), 0.7)
    return ringing + _level(rng, -50.0, -25.0) * _white(n_samples, rate, rng)


def _crackle(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Many small bursts: applause, rain on something, fire, gravel."""
    n_sounds = 2
    time = np.arange(math.ceil(0.05 * rate), dtype=np.float32) / np.float32(rate)
    decay = _log_uniform(rng, 0.0005, 0.015, (n_sounds, 1)).astype(np.float32)
    bursts = np.exp(-time / decay) * rng.standard_normal(
        (n_sounds, len(time)), dtype=np.float32
    )
    hertz = _log_uniform(rng, 300.0, _in_band(6000.0, rate), (n_sounds, 1))
    bursts *= _sine((hertz * time).astype(np.float32))
    density = _log_uniform(rng, 20.0, 3000.0)
    crackling = _fall(bursts, n_samples, rate, rng, density, rng.uniform(0.3, 1.5))
    return crackling + _level(rng, -50.0, -25.0) * _white(n_samples, rate, rng)


def _water(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Bubbles, which are short tones of rising pitch, in the hiss of a jet."""
    n_sizes = 3
    time = np.arange(math.ceil(0.06 * rate), dtype=np.float32) / np.float32(rate)
    shape = (n_sizes, 1)
    hertz = _log_uniform(rng, 300.0, _in_band(4000.0, rate), shape).astype(np.float32)
    # The smaller a bubble, the higher its tone and the shorter.
    decay = rng.uniform(2.0, 8.0, shape).astype(np.float32) / hertz
    rise = rng.uniform(0.0, 0.1, shape).astype(np.float32)
    bubbles = _sine(hertz * time * (1 + rise * time / decay)) * np.exp(-time / decay)
    density = _log_uniform(rng, 30.0, 1500.0)
    bubbling = _fall(bubbles, n_samples, rate, rng, density, 0.7)
    jet = _unit(_coloured_at_random(n_samples, rate, rng))
    return bubbling + _level(rng, -20.0, 5.0) * jet


def _crowd(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Phrases of many voices, adults' and children's, near and far, in a room."""
    voices = _voices(rate)
    n_voices, n_longest = voices.shape
    talking = _log_uniform(rng, 3.0, 40.0)  # so many at a time
    n_phrase = max(1, n_longest // 2)
    n_phrases = 1 + rng.poisson(talking * (1 + n_samples / n_phrase))
    starts = rng.integers(1 - n_phrase, n_samples, n_phrases)
    # Nothing tells one child from another, or speech backwards from speech, in a crowd.
    rows = rng.integers(n_voices, size=n_phrases)
    firsts = rng.integers(n_longest - n_phrase + 1, size=n_phrases)
    directions = rng.choice([-1, 1], n_phrases)
    loudness = rng.lognormal(0.0, rng.uniform(0.2, 1.0), n_phrases).astype(np.float32)
    crowd = np.zeros(n_samples, dtype=np.float32)
    for start, row, first, direction, loud in zip(
        starts, rows, firsts, directions, loudness, strict=True
    ):
        phrase = voices[row, first : first + n_phrase][::direction]
        _add(crowd, loud * phrase, int(start))

    seconds = _log_uniform(rng, 0.1, 0.8)  # in which the room's echo falls by 60 dB
    n_echo = math.ceil(seconds * rate)
    size = _fast_size(n_samples + n_echo)
    echo = rng.standard_normal(n_echo, dtype=np.float32)
    echo *= np.float32(10.0) ** (-3.0 * np.arange(n_echo, dtype=np.float32) / n_echo)
    echo *= np.float32(_level(rng, -20.0, 5.0) / math.sqrt(energy(echo)))
    echo[0] += 1.0
    room = np.fft.rfft(echo, size)
    crowd = _unit(_inverse(np.fft.rfft(crowd, size) * room, n_samples))
    return crowd + _level(rng, -50.0, -25.0) * _white(n_samples, rate, rng)


@lru_cache(maxsize=4)
def _voices(rate: int) -> np.ndarray:
    """Voices to make crowds of, those of children among them, always the same.

    They take longer to make than a crowd may. Speech that is played faster than it was
    made has a higher pitch and a shorter vocal tract.
    """
    n_voices, seconds = 24, 3.0
    voices = [
        make_speech(math.ceil(seconds * rate), max(1, round(rate / faster)), seed)
        for seed, faster in enumerate(np.linspace(0.9, 1.8, n_voices))
    ]
    return np.stack(voices)


def _fall(
    sounds: np.ndarray,
    n_samples: int,
    rate: int,
    rng: np.random.Generator,
    per_second: float,
    spread: float,
) -> np.ndarray:
    """Let sounds (n_sounds, n_sound) fall at random, so many a second.

    The spread is that of the logarithm of their strength.
    """
    n_sounds, n_sound = sounds.shape
    # What fell before the beginning rings on.
    n_falls = rng.poisson(
        per_second * (n_samples + n_sound) / rate / n_sounds, n_sounds
    )
    size = _fast_size(n_samples + n_sound)
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex64)
    for sound, n in zip(sounds, n_falls + 1, strict=True):
        where = rng.uniform(0.0, n_samples + n_sound - 1, n)
        strength = rng.choice([-1.0, 1.0], n) * rng.lognormal(0.0, spread, n)
        falls = np.fft.rfft(_impulses(where, strength, n_samples + n_sound), size)
        spectrum += falls * np.fft.rfft(sound, size)
    return _unit(_inverse(spectrum, n_samples + n_sound)[n_sound:])


def _impulses(where: np.ndarray, strength: np.ndarray, n_samples: int) -> np.ndarray:
    """Impulses between the samples: each is shared by the two beside it."""
    before = where.astype(np.intp)
    after = strength * (where - before)
    pulses = np.bincount(before, strength - after, n_samples + 1)
    pulses += np.bincount(before + 1, after, n_samples + 1)
    return pulses[:n_samples].astype(np.float32)


def _add(total: np.ndarray, sound: np.ndarray, start: int) -> None:
    """Add a sound where it begins, which may be before the total does."""
    first = max(0, -start)
    end = min(len(sound), len(total) - start)
    total[start + first : start + end] += sound[first:end]


def _body(
    frequency: np.ndarray, rate: int, rng: np.random.Generator, n_resonances: int
) -> np.ndarray:
    """Gain of something that resonates and is not even otherwise."""
    gain = 0.1 * equaliser(len(frequency), 6.0, rng)
    for _ in range(n_resonances):
        centre = _log_uniform(rng, 80.0, _in_band(5000.0, rate))
        width = np.float32(centre * _log_uniform(rng, 0.03, 0.3))
        gain += np.float32(_level(rng, -20.0, 0.0)) / (
            1 + ((frequency - np.float32(centre)) / width) ** 2
        )
    return gain * _tilt(frequency, 0.0)


def _tilt(frequency: np.ndarray, slope: float) -> np.ndarray:
    """Gain by which power falls like frequency ** -slope, without what is too low."""
    # Above the lowest frequency by a half, this is the power law to within a tenth.
    rumble = (frequency / np.float32(_LOWEST)) ** 2
    return np.sqrt(rumble / (1 + rumble)) * (1 + rumble) ** np.float32(-slope / 4)


def _gaussian_spectrum(size: int, rng: np.random.Generator) -> np.ndarray:
    """Spectrum of white noise."""
    parts = rng.standard_normal((size // 2 + 1, 2), dtype=np.float32)
    return parts.view(np.complex64)[:, 0]


def _inverse(spectrum: np.ndarray, n_samples: int) -> np.ndarray:
    """Beginning of what has this spectrum, whose length is even."""
    return np.fft.irfft(spectrum)[:n_samples]


def _fast_size(n_samples: int) -> int:
    """Even length, not below `n_samples`, of a fast transform that holds the bass."""
    half = max(math.ceil(n_samples / 2), _SMALLEST_BLOCK // 2)
    return 2 * scipy_fft.next_fast_len(half, real=True)


def _frequencies(size: int, rate: int) -> np.ndarray:
    return np.fft.rfftfreq(size, 1 / rate).astype(np.float32)


def _sine(cycles: np.ndarray) -> np.ndarray:
    """Sine of so many cycles, in float32."""
    return np.sin(np.float32(2 * np.pi) * _fraction(cycles))


def _fraction(cycles: np.ndarray) -> np.ndarray:
    """What is left of so many cycles without the whole ones, in float32."""
    return (cycles - np.floor(cycles)).astype(np.float32)


def _unit(sound: np.ndarray) -> np.ndarray:
    """Bring a sound to a power of one, if there is one."""
    power = energy(sound) / len(sound)
    return sound / np.float32(math.sqrt(power)) if power > 0.0 else sound


def _level(rng: np.random.Generator, low: float, high: float) -> np.float32:
    """Gain of so many dB, anything in between."""
    return np.float32(10.0 ** (rng.uniform(low, high) / 20))


def _log_uniform(
    rng: np.random.Generator,
    low: float,
    high: float,
    size: tuple[int, ...] | None = None,
) -> Any:
    """Draw between two positive numbers, every ratio equally likely."""
    return np.exp(rng.uniform(math.log(min(low, high)), math.log(high), size))


def _in_band(frequency: float, rate: int) -> float:
    """Keep the frequency below half the sample rate."""
    return min(frequency, 0.45 * rate)


_NOISES = {
    "white": _white,
    "pink": _pink,
    "brown": _brown,
    "babble": _babble,
    "hum": _hum,
    "machine": _machine,
    "wind": _wind,
    "clicks": _clicks,
    "coloured": _coloured_at_random,
    "bands": _bands,
    "engine": _engine,
    "insects": _insects,
    "animals": _animals,
    "impacts": _impacts,
    "crackle": _crackle,
    "water": _water,
    "crowd": _crowd,
}

#: The kinds of noise that :func:`make_noise` knows.
NOISE_KINDS = tuple(_NOISES)
