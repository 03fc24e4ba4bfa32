import copy
import pickle
import random

import joblib
import numpy as np
import pytest
import soundfile
from helpers.mixtures import decibels, find
from scipy import stats
from sklearn.base import BaseEstimator, clone

from skvae.datasets import (
    AudioFile,
    Augmentation,
    Mixer,
    find_audio,
    make_noise,
    mix_at_snr,
)
from skvae.datasets.mixing.noises import DEFAULT_KINDS
from skvae.training.audio_cache import AudioCache


def test_integers_of_16_bits_are_mixed_as_float32(clean, noise):
    integers = np.int16(clean * 3000)
    noisy, kept = Mixer([np.int16(1000 * noise)], snr=3.0).mix(integers, rng=0)
    assert noisy.dtype == kept.dtype == np.float32
    np.testing.assert_array_equal(kept, integers / np.float32(32768))
    assert decibels(kept, noisy - kept) == pytest.approx(3, abs=1e-3)


def test_rates_must_agree(tmp_path, clean, folder):
    path = tmp_path / "speech.wav"
    soundfile.write(path, clean, 8000)
    speech = AudioFile(path)
    noises = find_audio(folder / ".", recursive=False)[:1]
    with pytest.raises(ValueError, match=r"got 8000 Hz and 16000 Hz.*sample_rate="):
        mix_at_snr(speech, noises[0], 0)
    with pytest.raises(ValueError, match="got 8000 Hz and 16000 Hz"):
        Mixer(noises).mix(speech, rng=0)
    upsampled = AudioFile(path, sample_rate=16000)
    assert mix_at_snr(upsampled, noises[0], 0, rng=0).shape == (8000,)
    assert Mixer(noises).mix(upsampled, rng=0)[0].shape == (8000,)
    assert Mixer().mix(speech, rng=0)[0].shape == (4000,)


def test_the_pair_is_speech_and_speech_with_noise(clean, noise):
    noisy, kept = Mixer([noise], snr=2.0).mix(clean, rng=0)
    assert np.array_equal(kept, clean)
    assert decibels(kept, noisy - kept) == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize(
    "snr, possible",
    [
        (3, lambda r: np.allclose(r, 3, atol=1e-2)),
        (
            (-5, 10),
            lambda r: min(r) < -3 and max(r) > 8 and min(r) > -5.01 and max(r) < 10.01,
        ),
        ([0, 20.0], lambda r: set(np.round(r)) == {0, 20}),
        (
            [(-5.0, 0.0), (20.0, 25.0), 40],
            lambda r: (
                set(np.digitize(r, [-5.01, 0.01, 19.99, 25.01, 39.9, 40.1]))
                == {1, 3, 5}
            ),
        ),
        (stats.uniform(5, 1), lambda r: 4.99 < min(r) < 5.2 < 5.8 < max(r) < 6.01),
        (stats.randint(2, 4), lambda r: set(np.round(r)) == {2, 3}),
    ],
    ids=["number", "range", "list", "ranges", "distribution", "discrete"],
)
def test_ratios_are_drawn_as_asked(clean, noise, snr, possible):
    mixer = Mixer([noise], snr=snr)
    noisy, kept = mixer.pairs([clean[1800:2200]] * 60, random_state=0)
    ratios = [decibels(s, x - s) for x, s in zip(noisy, kept, strict=True)]
    assert possible(ratios)


@pytest.mark.parametrize("augment", [False, True])
def test_some_mixtures_have_no_noise(clean, noise, augment):
    mixer = Mixer([noise], noiseless=0.25, level=-6.0, augment=augment)
    noisy, kept = mixer.pairs([clean] * 200, random_state=0)
    same = [np.array_equal(x, s) for x, s in zip(noisy, kept, strict=True)]
    assert 0.15 < np.mean(same) < 0.35
    never = Mixer([noise], level=-6.0, augment=augment)
    for x, s in zip(*never.pairs([clean] * 20, random_state=0), strict=True):
        assert not np.array_equal(x, s)


def test_level_changes_both_and_keeps_the_ratio(clean, noise):
    mixer = Mixer([noise], snr=4.0, level=(-20.0, -10.0))
    noisy, kept = mixer.pairs([clean] * 40, random_state=0)
    gains = [decibels(s, clean) for s in kept]
    assert -20.001 < min(gains) < -18 < -12 < max(gains) < -9.999
    for x, s in zip(noisy, kept, strict=True):
        assert x.dtype == s.dtype == np.float32
        assert decibels(s, x - s) == pytest.approx(4, abs=1e-3)
        np.testing.assert_allclose(
            s / np.abs(s).max(), clean / np.abs(clean).max(), atol=1e-6
        )


def test_every_noise_is_chosen(clean):
    noises = [np.full(5000, 1.0), np.full(5000, -1.0), np.full(50, 1e-3)]
    noises[2][::2] *= -1
    noisy, kept = Mixer(noises, snr=0).pairs([clean] * 50, random_state=0)
    kinds = {tuple(np.sign(x - s)[:2]) for x, s in zip(noisy, kept, strict=True)}
    assert kinds == {(1, 1), (-1, -1), (1, -1), (-1, 1)}


@pytest.mark.parametrize("by_folder", [False, True])
def test_folders_of_noise_may_be_equally_likely(tmp_path, clean, by_folder):
    files = []
    for k, folder in enumerate(["rain", "rain", "rain", "dog"]):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / f"{k}.wav"
        tone = 0.1 * np.sin(2 * np.pi * (0.05 + 0.1 * k) * np.arange(8000))
        soundfile.write(path, tone, 16000)
        files.append(AudioFile(path))
    tone = 0.1 * np.sin(2 * np.pi * 0.45 * np.arange(8000))
    cache = AudioCache(1e9)
    for noises in ([*files, tone], [*map(cache.wrap, files), tone]):
        mixer = Mixer(noises, snr=-60.0, by_folder=by_folder)
        noisy, _ = mixer.pairs([clean] * 300, random_state=0)
        peaks = [np.abs(np.fft.rfft(x)).argmax() / len(x) for x in noisy]
        counts = [np.isclose(peaks, 0.05 + 0.1 * k, atol=0.01).sum() for k in range(5)]
        assert sum(counts) == 300
        wanted = [100 / 3, 100 / 3, 100 / 3, 100, 100] if by_folder else [60] * 5
        assert np.abs(np.subtract(counts, wanted)).max() < 28


def test_synthetic_noise_is_new_each_time(clean):
    noisy, kept = Mixer(snr=0).pairs([clean] * 20, random_state=0)
    noises = [x - s for x, s in zip(noisy, kept, strict=True)]
    overlap = np.corrcoef(noises) - np.eye(20)
    assert np.abs(overlap).max() < 0.99
    assert len({item.tobytes() for item in noises}) == 20


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("kind", ["synthetic", "arrays", "files", "folder"])
def test_pairs_do_not_depend_on_the_other_utterances(
    kind, augment, clean, noise, folder
):
    source = {
        "synthetic": None,
        "arrays": [noise, noise[:300], noise[::-1]],
        "files": find_audio(folder),
        "folder": folder,
    }[kind]
    mixer = Mixer(source, level=[-3, 0], augment=augment)
    speech = [clean[: 500 + 100 * i] for i in range(6)]
    noisy, kept = mixer.pairs(speech, random_state=5)
    others = [np.ones(50), *speech[1:4], np.zeros(10), speech[5]]
    again, kept_again = mixer.pairs(others, random_state=5)
    for i in (1, 2, 3, 5):
        assert np.array_equal(noisy[i], again[i])
        assert np.array_equal(kept[i], kept_again[i])
    assert not np.array_equal(noisy[1], mixer.pairs(speech, random_state=6)[0][1])


@pytest.mark.parametrize("state", [3, "generator", "legacy"])
def test_seeds_repeat(state, clean, noise):
    def make():
        if state == "generator":
            return np.random.default_rng(3)
        return np.random.RandomState(3) if state == "legacy" else 3

    def same(first, second):
        return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    mixer = Mixer([noise], random_state=make())
    assert same(mixer.mix(clean), Mixer([noise], random_state=make()).mix(clean))
    mixer = Mixer([noise])
    assert same(mixer.mix(clean, make()), mixer.mix(clean, make()))
    pairs = mixer.pairs([clean], make())
    assert same(pairs[0], mixer.pairs([clean], make())[0])
    assert same(pairs[0], Mixer([noise], random_state=make()).pairs([clean])[0])
    assert not same(mixer.mix(clean), mixer.mix(clean))


def test_a_generator_moves_on(clean, noise):
    rng = np.random.default_rng(0)
    mixer = Mixer([noise], snr=0)
    assert not np.array_equal(mixer.mix(clean, rng)[0], mixer.mix(clean, rng)[0])


def test_the_global_generators_are_never_touched(clean, folder):
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    python_state = random.getstate()
    for source in (None, folder, [clean]):
        for snr in ((0, 5), [1, 2], stats.norm(0, 1)):
            Mixer(source, snr=snr).pairs([clean[:100]])
            Mixer(source, snr=snr, synthetic=0.5, augment=True).pairs([clean[:100]])
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state


@pytest.mark.parametrize(
    "params, message",
    [
        ({"noise": []}, "at least one waveform, got an empty list"),
        ({"noise": np.ones(10)}, "`noise` must be None, the path .* got ndarray"),
        (
            {"noise": AudioFile("a.wav")},
            "AudioFile: pass a single waveform as",
        ),
        ({"noise": 3}, "got int"),
        ({"noise": [3.0]}, "got numbers: pass a single waveform"),
        ({"snr": (5, -5)}, r"`snr` must be .* low <= high.* got \(5, -5\)"),
        ({"snr": (1, 2, 3)}, "`snr` must be"),
        ({"snr": (-np.inf, 3)}, "`snr` must be"),
        ({"snr": []}, "`snr` must be"),
        ({"snr": ["a"]}, "`snr` must be"),
        ({"snr": [(0, 5), (5, 0)]}, r"`snr` must be .* low <= high.* got \(5, 0\)"),
        ({"snr": [(0, 5), "a"]}, "`snr` must be"),
        ({"snr": None}, "`snr` must be"),
        ({"snr": np.nan}, "`snr` must be"),
        ({"snr": stats.norm(np.nan)}, "`snr` must be"),
        ({"level": (3, 1)}, "`level` must be"),
        ({"level": "low"}, "`level` must be"),
        ({"level": np.inf}, "`level` must be between .* got inf"),
        ({"level": 1000.0}, "`level` must be between .* got 1000.0"),
        ({"synthetic": 1.5}, r"`synthetic` must be a number in \[0, 1\], got 1.5"),
        ({"synthetic": None}, "`synthetic` must be"),
        ({"noiseless": -0.1}, r"`noiseless` must be a number in \[0, 1\], got -0.1"),
        ({"by_folder": "yes"}, "`by_folder` must be one of True, False, got 'yes'"),
        ({"kinds": "white"}, "`kinds` must be None or a sequence .* got 'white'"),
        ({"kinds": []}, "`kinds` must be None or a sequence of kinds of noise"),
        ({"kinds": ["hum", "song"]}, r"`kinds\[1\]` must be one of 'white', .* 'song'"),
        ({"augment": "much"}, "`augment` must be True, False or an .* got 'much'"),
        ({"augment": None}, "`augment` must be .* got None"),
        ({"augment": Augmentation(sums=3)}, "`sums` must be .* got 3"),
        ({"random_state": "today"}, "`random_state` must be"),
    ],
)
def test_wrong_parameters_are_named_when_mixing(clean, params, message):
    mixer = Mixer(**params)  # no check yet
    with pytest.raises(ValueError, match=message):
        mixer.mix(clean)
    with pytest.raises(ValueError, match=message):
        mixer.pairs([clean])


def test_a_folder_without_audio_and_a_file_are_errors(tmp_path, clean, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no audio"):
        Mixer(str(tmp_path / "empty")).mix(clean)
    with pytest.raises(NotADirectoryError, match="AudioFile"):
        Mixer(folder / "noise0.wav").mix(clean)
    with pytest.raises(FileNotFoundError):
        Mixer(tmp_path / "missing").mix(clean)


def test_a_single_waveform_for_pairs_is_an_error(clean, folder):
    for single in (clean, AudioFile(folder / "noise0.wav"), "speech.wav"):
        with pytest.raises(ValueError, match="as a list of one"):
            Mixer().pairs(single)
    assert len(Mixer().pairs(np.stack([clean, clean]), 0)[0]) == 2
    assert Mixer().pairs([]) == ([], [])


def test_a_folder_serves_like_the_list_of_its_files(folder, clean):
    expected = Mixer(find_audio(folder)).mix(clean, rng=0)[0]
    for source in (folder, str(folder)):
        assert np.array_equal(Mixer(source).mix(clean, rng=0)[0], expected)


def test_another_folder_is_listed_anew(folder, clean, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    soundfile.write(other / "only.wav", 0.1 * np.ones(9000), 16000)
    mixer = Mixer(folder, snr=0)
    mixer.mix(clean, rng=0)
    noisy, kept = mixer.set_params(noise=other).mix(clean, rng=0)
    assert np.ptp(noisy - kept) < 1e-5


def test_clones_share_the_noise_and_copy_the_rest(noise):
    state = np.random.default_rng(0)
    mixer = Mixer([noise], snr=[1, 2], level=(0, 1), random_state=state)
    mixer.set_params(augment=Augmentation(sums=1.0), synthetic=0.25)
    copied = clone(mixer)
    assert copied.noise is mixer.noise
    assert copied.augment is not mixer.augment
    assert (copied.augment.sums, copied.synthetic) == (1.0, 0.25)
    assert copied.noise[0] is noise
    assert (copied.snr, copied.level) == ([1, 2], (0, 1))
    assert copied.snr is not mixer.snr
    assert copied.random_state is not state

    class Enhancer(BaseEstimator):
        def __init__(self, mixer=None):
            self.mixer = mixer

    assert clone(Enhancer(mixer)).mixer.noise is mixer.noise
    assert clone(Enhancer(mixer)).set_params(mixer__snr=3.0).mixer.snr == 3.0
    searched = clone(Enhancer(mixer)).set_params(mixer__augment__sums=0.5)
    assert (searched.mixer.augment.sums, mixer.augment.sums) == (0.5, 1.0)


def test_a_mixer_of_many_files_is_small(folder):
    files = [AudioFile(folder / "noise0.wav", i, i + 4000) for i in range(1000)]
    mixer = Mixer(files)
    assert len(pickle.dumps(mixer)) < 200_000
    copied = copy.deepcopy(mixer)
    cloned = clone(mixer)
    assert copied.noise == cloned.noise == files
    restored = pickle.loads(pickle.dumps(mixer))
    first = restored.mix(np.ones(2000), rng=0)[0]
    assert np.array_equal(first, mixer.mix(np.ones(2000), rng=0)[0])


def test_mixing_changes_neither_pickle_nor_hash(folder, clean):
    mixer = Mixer(str(folder), random_state=0)
    before = pickle.dumps(mixer), joblib.hash(mixer)
    mixer.mix(clean)
    assert (pickle.dumps(mixer), joblib.hash(mixer)) == before
    assert mixer.get_params().keys() == {
        *(
            "noise",
            "snr",
            "level",
            "synthetic",
            "by_folder",
            "kinds",
            "noiseless",
            "augment",
        ),
        *("rooms", "channel", "random_state"),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("snr", [-20.0, 0.0, 15.0])
@pytest.mark.parametrize("synthetic", [0.0, 0.5])
def test_augmented_mixtures_have_exactly_the_ratio(clean, noise, dtype, snr, synthetic):
    mixer = Mixer(
        [noise, noise[:700], np.int16(3000 * noise)],
        snr=snr,
        synthetic=synthetic,
        augment=Augmentation(sums=0.5, gains=0.5),
    )
    for seed in range(20):
        noisy, kept = mixer.mix(clean.astype(dtype), rng=seed)
        assert noisy.shape == kept.shape == clean.shape
        assert noisy.dtype == kept.dtype == dtype
        precision = 1e-3 if dtype == np.float64 else 1e-3 * 10 ** max(0, snr / 20)
        assert decibels(kept, noisy - kept) == pytest.approx(snr, abs=precision)
        assert decibels(kept, clean) == pytest.approx(0, abs=1)  # level is kept


def test_the_augmented_mixture_is_the_clean_speech_and_changed_noise(clean):
    tone = np.sin(2 * np.pi * 0.1 * np.arange(20000))
    mixer = Mixer([tone], snr=0, augment=Augmentation(gains=0))
    frequencies = set()
    for seed in range(40):
        noisy, kept = mixer.mix(clean, rng=seed)
        assert not np.array_equal(kept, clean)
        power = np.abs(np.fft.rfft((noisy - kept) * np.hanning(4000))) ** 2
        assert np.sort(power)[-20:].sum() > 0.99 * power.sum()  # only tones
        frequencies.add(power.argmax() / 400)
    assert frequencies == {0.7, 0.85, 1.0, 1.2, 1.4}


def test_by_default_it_is_one_noise_at_one_ratio(clean, noise):
    noises = [noise, noise[:500], np.int16(1000 * noise)]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        snr = rng.uniform(-5.0, 10.0)
        expected = mix_at_snr(clean, noises[rng.integers(3)], snr, rng)
        noisy, kept = Mixer(noises).mix(clean, rng=seed)
        assert np.array_equal(noisy, expected)
        assert kept is clean


def test_false_and_an_augmentation_that_does_nothing_are_alike(clean, noise):
    augment = Augmentation(
        speech_speed=[1.0],
        noise_speed=[1.0],
        sums=0,
        gains=0,
        speech_equalization=0,
        noise_equalization=0,
    )
    noisy, kept = Mixer([noise], snr=0, augment=augment).mix(clean, rng=0)
    assert np.array_equal(kept, clean)
    assert find((noisy - kept)[1000:1050].astype(float), noise) is not None


@pytest.mark.parametrize("synthetic", [0.0, 0.3, 1.0])
def test_the_share_of_synthetic_noise(synthetic):
    speech = np.ones(100)
    mixer = Mixer([np.full(200, 0.5)], snr=0, synthetic=synthetic)
    noisy, kept = mixer.pairs([speech] * 200, random_state=0)
    made = np.mean([np.ptp(x - s) > 1e-6 for x, s in zip(noisy, kept, strict=True)])
    assert abs(made - synthetic) < (0.1 if 0 < synthetic < 1 else 1e-9)


def test_synthetic_noise_is_of_the_kinds_asked_for(clean, monkeypatch):
    asked = set()
    monkeypatch.setattr(
        "skvae.datasets.mixing.mixer.make_noise",
        lambda n, kind, rate, rng: asked.add(kind) or rng.standard_normal(n),
    )
    Mixer(kinds=("hits", "hum")).pairs([clean] * 30, random_state=0)
    assert asked == {"hits", "hum"}
    asked.clear()
    Mixer().pairs([clean] * 300, random_state=0)
    assert asked == set(DEFAULT_KINDS)


def test_synthetic_noise_has_the_rate_that_a_waveform_tells(monkeypatch, tmp_path):
    asked = []

    def note(n_samples, kind, sample_rate, rng):
        asked.append((kind, sample_rate))
        return make_noise(n_samples, kind, sample_rate, rng)

    monkeypatch.setattr("skvae.datasets.mixing.mixer.make_noise", note)
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.sin(np.arange(3000)), 8000)
    told, untold = AudioFile(path), np.ones(500)
    for speech, noises in ((told, [untold]), (untold, [told]), (told, None)):
        for augment in (False, True):
            mixer = Mixer(noises, synthetic=1.0, augment=augment)
            mixer.pairs([speech] * 30, random_state=0)
            assert {rate for _, rate in asked} == {8000}
    assert {kind for kind, _ in asked} == set(DEFAULT_KINDS)
    asked.clear()
    Mixer([untold], synthetic=1.0).mix(untold, rng=0)
    assert [rate for _, rate in asked] == [16000]


def test_a_part_of_the_speech_may_be_asked_for(noise):
    speech = np.arange(1.0, 21.0)
    starts = set()
    for seed in range(200):
        noisy, kept = Mixer([noise], snr=0).mix(speech, seed, n_samples=10)
        assert len(noisy) == 10
        assert np.array_equal(np.diff(kept), np.ones(9))
        starts.add(int(kept[0]))
    assert starts == set(range(1, 12))
    assert Mixer([noise]).speech_length(10) == 10


@pytest.mark.parametrize("n_samples", [0, 21, -1, 2.5, True])
def test_a_part_longer_than_the_speech_is_an_error(noise, n_samples):
    for augment in (False, True):
        with pytest.raises(ValueError, match=r"`n_samples` must be an integer in \[1"):
            Mixer([noise], augment=augment).mix(np.ones(20), 0, n_samples)


def test_speech_is_accelerated_where_there_is_enough_of_it(noise):
    mixer = Mixer([noise], snr=60, augment=Augmentation(speech_equalization=0))
    speech = np.sin(2 * np.pi * 0.1 * np.arange(mixer.speech_length(2000)))
    assert len(speech) == 2200

    def frequencies(speech, n_samples):
        found = set()
        for seed in range(40):
            _, kept = mixer.mix(speech, seed, n_samples)
            power = np.abs(np.fft.rfft(kept * np.hanning(len(kept))))
            found.add(round(10 * power.argmax() / len(kept), 1))
        return found

    assert frequencies(speech, 2000) == {0.9, 1.0, 1.1}
    assert frequencies(speech, None) == {0.9, 1.0}


def test_only_the_part_of_the_speech_that_is_needed_is_read(folder, monkeypatch):
    asked = []
    read = soundfile.SoundFile.read

    def count(self, frames, **options):
        asked.append(frames)
        return read(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", count)
    speech = find_audio(folder)[0]
    noisy, _ = Mixer([np.ones(900)]).mix(speech, 0, n_samples=400)
    assert asked == [400]
    noisy, _ = Mixer([np.ones(900)], augment=True).mix(speech, 0, n_samples=400)
    assert asked[1:] == [440]
    assert len(noisy) == 400


def test_a_silent_stretch_is_avoided_at_any_speed(clean):
    noise = np.zeros(20000)
    noise[12000:] = np.random.default_rng(0).standard_normal(8000)
    mixer = Mixer([noise], snr=0, augment=Augmentation(sums=0))
    missed = 0
    for seed in range(100):
        noisy, kept = mixer.mix(clean[1000:1100], rng=seed)
        missed += np.array_equal(noisy, kept)
    assert missed <= 3  # 0.6 ** 10 is 0.6 %


@pytest.mark.parametrize("augment", [True, Augmentation(sums=1, gains=1)])
def test_augmented_silence_gives_no_nan(augment, clean, noise):
    silence = np.zeros(4000, dtype=np.float32)
    for seed in range(10):
        with np.errstate(all="raise", under="ignore"):
            noisy, kept = Mixer([noise], augment=augment).mix(silence, seed)
            assert not kept.any()
            assert 0.05 < np.sqrt(np.mean(noisy**2)) < 20  # level is kept
            noisy, kept = Mixer([np.zeros(900)], augment=augment).mix(clean, seed)
            assert np.array_equal(noisy, kept)
            assert kept.any()


@pytest.mark.parametrize("n_samples", [1, 2, 3, 101])
def test_any_length_can_be_augmented(n_samples, noise):
    for seed in range(10):
        for noises in (None, [noise], [noise[:1]], [noise[:50]]):
            noisy, kept = Mixer(noises, snr=0, synthetic=0.2, augment=True).mix(
                np.full(n_samples, 0.5), seed
            )
            assert noisy.shape == kept.shape == (n_samples,)
            assert np.isfinite(noisy).all()
            assert kept.any()


@pytest.mark.parametrize("scale", [1e-30, 9e11])
def test_extreme_levels_can_be_augmented(scale, clean, noise):
    mixer = Mixer(
        [np.float32(scale) / 5 * noise.astype(np.float32)], snr=3.0, augment=True
    )
    loud = np.float32(scale) * clean / np.abs(clean).max()
    for speech in (clean, loud):
        noisy, kept = mixer.mix(speech, rng=1)
        assert decibels(kept, noisy - kept) == pytest.approx(3, abs=1e-2)


def test_true_means_the_defaults(clean, noise):
    first, _ = Mixer([noise], augment=True).mix(clean, rng=3)
    second, _ = Mixer([noise], augment=Augmentation()).mix(clean, rng=3)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("synthetic", [0.0, 0.5])
def test_a_seed_decides_what_is_augmented(synthetic, clean, noise):
    mixer = Mixer([noise, noise[:600]], synthetic=synthetic, augment=True)
    first = mixer.mix(clean, rng=0)
    again = mixer.mix(clean, rng=np.random.default_rng(0))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], mixer.mix(clean, rng=1)[0])
