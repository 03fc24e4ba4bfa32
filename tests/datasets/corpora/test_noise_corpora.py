from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile

from skvae.datasets import (
    DEMAND_ENVIRONMENTS,
    Mixer,
    load_demand,
    load_noises,
    load_rouen,
)

SCENES = [
    *("avion", "bus", "busystreet", "cafe", "car", "hall", "hallgare", "kidgame"),
    *("market", "metro-paris", "metro-rouen", "poolhall", "quietstreet", "restaurant"),
    *("ruepietonne", "shop", "train-ter", "train-tgv", "tubestation"),
]


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def demand(root, pattern="{}", environments=tuple(DEMAND_ENVIRONMENTS)):
    for environment in environments:
        folder = pattern.format(environment)
        touch(root, *(f"{folder}/ch{k:02d}.wav" for k in range(1, 17)))
    return root


def rouen(root, counts=(12, 3)):
    names = [
        f"{scene}{k}"
        for number, scene in enumerate(SCENES)
        for k in range(1, counts[number % 2] + 1)
    ]
    touch(root, *(f"data_rouen/{name}.wav" for name in names))
    lines = [f"{name}.wav\t {k}\n" for k, name in enumerate(names, 1)]
    (root / "relation_wav_examples.txt").write_text("".join(lines))
    return root


@pytest.mark.parametrize("pattern", ["{}", "{}_16k", "{}_48k", "{0}_48k/{0}", "wav/{}"])
def test_all_environments_of_demand(tmp_path, pattern):
    noises = load_demand(demand(tmp_path, pattern))
    assert list(noises) == list(DEMAND_ENVIRONMENTS)
    assert len(noises) == 18
    [audio] = noises["TBUS"]
    assert audio.path == str(tmp_path / pattern.format("TBUS") / "ch01.wav")


def test_channels_and_environments_of_demand_are_chosen(tmp_path):
    demand(tmp_path)
    noises = load_demand(tmp_path, ["TMETRO", "DLIVING"], channels=[16, 2])
    assert list(noises) == ["TMETRO", "DLIVING"]
    names = [os.path.basename(audio.path) for audio in noises["DLIVING"]]
    assert names == ["ch16.wav", "ch02.wav"]


def test_missing_environments_and_channels_of_demand_are_listed(tmp_path):
    # The archives at 16 kHz lack SCAFE, which exists at 48 kHz only.
    demand(tmp_path, environments=[e for e in DEMAND_ENVIRONMENTS if e != "SCAFE"])
    (tmp_path / "NPARK" / "ch01.wav").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"2 missing: NPARK/ch01\.wav, SCAFE\. Select"
    ):
        load_demand(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"1 missing: SCAFE\.$"):
        load_demand(tmp_path, ["TBUS", "SCAFE"])
    assert len(load_demand(tmp_path, ["NPARK"], channels=range(2, 17))["NPARK"]) == 15


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("environments", "TBUS"),
        ("environments", ["TBUS", "BUS"]),
        ("environments", []),
        ("channels", [0]),
        ("channels", [17]),
        ("channels", 1),
        ("channels", []),
    ],
)
def test_what_demand_does_not_have_is_refused(tmp_path, parameter, value):
    with pytest.raises(ValueError, match=f"`{parameter}` must be a list of some of"):
        load_demand(demand(tmp_path), **{parameter: value})


def test_48_kHz_is_resampled_and_mixes_with_speech(tmp_path):
    demand(tmp_path, environments=["TBUS"])
    noise = 0.1 * np.random.default_rng(0).standard_normal(48000)
    soundfile.write(tmp_path / "TBUS/ch01.wav", noise, 48000)
    noises = load_demand(tmp_path, ["TBUS"])
    assert len(noises["TBUS"][0]) == 16000
    noisy, clean = Mixer(noises["TBUS"], snr=0).mix(np.ones(100), rng=0)
    assert np.sum((noisy - clean) ** 2) == pytest.approx(100)


@pytest.mark.parametrize("start", ["", "data_rouen"])
def test_scenes_of_rouen_are_in_the_names(tmp_path, start):
    noises = load_rouen(rouen(tmp_path) / start)
    assert list(noises) == SCENES
    assert [len(noises[name]) for name in ("bus", "busystreet")] == [3, 12]
    assert [len(noises[name]) for name in ("hall", "hallgare")] == [3, 12]
    names = [os.path.basename(audio.path) for audio in noises["avion"]]
    assert names == [f"avion{k}.wav" for k in range(1, 13)]


def test_what_the_list_of_rouen_names_must_be_there(tmp_path):
    rouen(tmp_path)
    (tmp_path / "data_rouen/avion7.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 missing: avion7\.wav"):
        load_rouen(tmp_path)
    assert list(load_rouen(tmp_path, ["bus"])) == ["bus"]
    for path in (tmp_path / "data_rouen").glob("shop*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"4 missing: avion7\.wav, shop1\.wav"):
        load_rouen(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing: shop, shop1"):
        load_rouen(tmp_path, ["shop"])


def test_without_the_list_of_rouen_the_scenes_are_counted(tmp_path):
    rouen(tmp_path)
    (tmp_path / "relation_wav_examples.txt").unlink()
    assert len(load_rouen(tmp_path)) == 19
    for path in (tmp_path / "data_rouen").glob("shop*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of the 19 scenes \(there are: av"):
        load_rouen(tmp_path)
    with pytest.raises(ValueError, match="`scenes` must be a list"):
        load_rouen(tmp_path, "bus")


def test_noises_in_folders_of_their_kinds(tmp_path):
    touch(tmp_path, "rain/1.wav", "rain/2.flac", "wind/1.wav", "readme.txt")
    noises = load_noises(tmp_path)
    assert {name: len(files) for name, files in noises.items()} == {
        "rain": 2,
        "wind": 1,
    }
    with pytest.raises(FileNotFoundError):
        load_noises(tmp_path / "gone")


def test_linked_noises_are_found_and_those_that_are_gone_are_named(tmp_path):
    touch(tmp_path, "disk/1.wav", "noise/bus/1.wav")
    (tmp_path / "noise/rain").symlink_to(tmp_path / "disk")
    assert sorted(load_noises(tmp_path / "noise")) == ["bus", "rain"]
    (tmp_path / "noise/wind").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"1 missing: .*wind .a broken link"):
        load_noises(tmp_path / "noise")


def test_channels_of_demand_that_are_links_to_nothing_are_missing(tmp_path):
    path = demand(tmp_path) / "TBUS/ch01.wav"
    path.unlink()
    path.symlink_to(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError, match=r"1 missing: TBUS/ch01\.wav"):
        load_demand(tmp_path)
