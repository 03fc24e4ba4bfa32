from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from skvae.datasets import load_chime, load_chime_backgrounds, make_noise, make_speech

AUDIO = "data/audio/16kHz"
SPEAKERS = {"tr05": ["011", "01b"], "dt05": ["F01", "M03"], "et05": ["F05", "M05"]}


def make(root, subset, write=None, image=True, environments=("BUS", "CAF")):
    """Create annotations and audio in the layout of the challenge."""
    entries = []
    for environment in environments:
        for speaker in SPEAKERS[subset]:
            name = f"{speaker}_{speaker}C0201"
            entries.append(
                {
                    "speaker": speaker,
                    "wsj_name": f"{speaker}C0201",
                    "environment": environment,
                    "noise_wavfile": "BGD_150203_010_BUS",
                    "noise_start": 1.5,
                    "noise_end": 4.5,
                }
            )
            folder = f"{subset}_{environment.lower()}_simu"
            original = f"{subset}_org" if subset == "tr05" else f"{subset}_bth"
            ending = "ORG.wav" if subset == "tr05" else "BTH.CH0.wav"
            files = [f"isolated/{original}/{name}_{ending}"]
            for channel in range(1, 7):
                stem = f"{folder}/{name}_{environment}.CH{channel}"
                files.append(f"isolated/{stem}.wav")
                if image:
                    files.append(f"isolated_ext/{stem}.Clean.wav")
                    files.append(f"isolated_ext/{stem}.Noise.wav")
            for file in files:
                path = root / AUDIO / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch() if write is None else write(path)
    path = root / "data" / "annotations" / f"{subset}_simu.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))
    return root


@pytest.mark.parametrize("subset", ["tr05", "dt05", "et05"])
@pytest.mark.parametrize("start", ["", "data"])
@pytest.mark.parametrize("channel", [1, 5])
def test_noisy_speech_and_its_image_at_one_microphone(tmp_path, subset, start, channel):
    make(tmp_path, subset)
    corpus = load_chime(tmp_path / start, subset, channel=channel)
    first, second = SPEAKERS[subset]
    assert corpus.speakers.tolist() == [first, second, first, second]
    assert corpus.noises.tolist() == ["BUS", "BUS", "CAF", "CAF"]
    assert corpus.utterances[2] == f"{first}_{first}C0201_CAF"
    assert np.isnan(corpus.snrs).all()
    stem = f"{subset}_caf_simu/{first}_{first}C0201_CAF.CH{channel}"
    root = tmp_path / AUDIO
    assert corpus.noisy[2].path == str(root / "isolated" / f"{stem}.wav")
    assert corpus.clean[2].path == str(root / "isolated_ext" / f"{stem}.Clean.wav")


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ("tr05", "tr05_org/011_011C0201_ORG.wav"),
        ("et05", "et05_bth/F05_F05C0201_BTH.CH0.wav"),
    ],
)
def test_the_original_stands_for_the_speech_in_all_environments(
    tmp_path, subset, expected
):
    make(tmp_path, subset, image=False)
    corpus = load_chime(tmp_path, subset, reference="original")
    path = str(tmp_path / AUDIO / "isolated" / expected)
    assert corpus.clean[0].path == corpus.clean[2].path == path


def test_ratios_are_measured_against_the_images(tmp_path):
    rng = np.random.default_rng(0)
    speech = make_speech(8000, random_state=0)
    noise = make_noise(8000, "pink", random_state=0)
    snrs = {}

    def write(path):
        snr = snrs.setdefault(path.name.split(".")[0], rng.uniform(-5, 10))
        gain = np.sqrt(np.sum(speech**2) / np.sum(noise**2)) * 10 ** (-snr / 20)
        is_noisy = "_simu" in path.parent.name and "Clean" not in path.name
        waveform = speech + gain * noise if is_noisy else speech
        soundfile.write(path, 0.3 * waveform, 16000, subtype="FLOAT")

    corpus = load_chime(make(tmp_path, "et05", write), "et05").measure_snrs()
    expected = [snrs[name] for name in corpus.utterances]
    np.testing.assert_allclose(corpus.snrs, expected, atol=1e-3)


def test_missing_recordings_are_listed_and_counted(tmp_path):
    make(tmp_path, "et05")
    folder = tmp_path / AUDIO / "isolated" / "et05_bus_simu"
    for path in folder.glob("*.CH5.wav"):
        path.unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"2 missing: isolated/et05_bus_simu/F05_.*_BUS\.CH5\.wav",
    ):
        load_chime(tmp_path, "et05")
    assert len(load_chime(tmp_path, "et05", channel=4)) == 4


def test_missing_images_say_where_they_come_from(tmp_path):
    make(tmp_path, "et05", image=False)
    with pytest.raises(FileNotFoundError, match=r"4 missing: .*reference='original'"):
        load_chime(tmp_path, "et05")
    # A booth recording of two mixtures is reported once.
    booth = tmp_path / AUDIO / "isolated/et05_bth"
    (booth / "F05_F05C0201_BTH.CH0.wav").unlink()
    with pytest.raises(FileNotFoundError, match="1 missing: isolated/et05_bth/F05"):
        load_chime(tmp_path, "et05", reference="original")


def test_missing_annotations_are_named(tmp_path):
    make(tmp_path, "et05")
    with pytest.raises(FileNotFoundError, match=r"annotations/dt05_simu\.json"):
        load_chime(tmp_path, "dt05")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="1 missing: annotations"):
        load_chime(tmp_path / "empty")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '[{"speaker": "F01"}]', "[3]"])
def test_annotations_that_cannot_be_used_are_refused(tmp_path, text):
    make(tmp_path, "et05")
    (tmp_path / "data/annotations/et05_simu.json").write_text(text)
    with pytest.raises(ValueError, match=r"et05_simu\.json'"):
        load_chime(tmp_path, "et05")


def test_parameters_are_checked(tmp_path):
    make(tmp_path, "et05")
    for wrong in ({"channel": 0}, {"channel": 7}, {"reference": "clean"}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
            load_chime(tmp_path, **wrong)
    with pytest.raises(ValueError, match="`subset` must be"):
        load_chime(tmp_path, "et05_simu")


def test_backgrounds_are_listed_by_environment(tmp_path):
    make(tmp_path, "tr05")
    folder = tmp_path / AUDIO / "backgrounds"
    folder.mkdir()
    for session, environment in (("010", "BUS"), ("020", "BUS"), ("010", "STR")):
        for channel in (1, 5):
            name = f"BGD_150203_{session}_{environment}.CH{channel}.wav"
            (folder / name).touch()
    noises = load_chime_backgrounds(tmp_path, channel=1)
    assert {name: len(files) for name, files in noises.items()} == {"BUS": 2, "STR": 1}
    assert noises["STR"][0].path.endswith("BGD_150203_010_STR.CH1.wav")
    with pytest.raises(FileNotFoundError, match=r"backgrounds/\*\.CH3\.wav"):
        load_chime_backgrounds(tmp_path, channel=3)
