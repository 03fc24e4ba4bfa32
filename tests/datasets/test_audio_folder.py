import os
import random
import re

import pytest

from skvae.datasets import find_audio


def test_find_audio_sorts_numbers_as_people_do(tmp_path):
    names = ["a10.wav", "a2.WAV", "b/1.flac", "b/12.flac", "b/3.ogg", "A1.wav", "c.mp3"]
    for name in [*names, "notes.txt", ".hidden.wav", ".git/x.wav", "._a2.wav"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"never opened")
    found = [os.path.relpath(f.path, tmp_path) for f in find_audio(tmp_path)]
    expected = [
        "A1.wav",
        "a2.WAV",
        "a10.wav",
        "b/1.flac",
        "b/3.ogg",
        "b/12.flac",
        "c.mp3",
    ]
    assert found == [os.path.normpath(name) for name in expected]
    flat = find_audio(str(tmp_path), recursive=False, sample_rate=8000)
    assert [os.path.basename(f.path) for f in flat] == [
        "A1.wav",
        "a2.WAV",
        "a10.wav",
        "c.mp3",
    ]
    assert {f.sample_rate for f in flat} == {8000}


def by_lists(path):
    """Slow reference: a sort key of alternating texts and numbers."""
    parts = []
    for name in path.casefold().split(os.sep):
        texts = re.split("([0-9]+)", name)
        numbers = [*map(int, texts[1::2]), -1]
        parts += zip(texts[::2], numbers, strict=True)
    return parts, path


def test_find_audio_sorts_any_names_as_lists_of_texts_and_numbers_sort(
    tmp_path, monkeypatch
):
    rng = random.Random(0)
    names = {
        "".join(rng.choices("aAbB01290 _-.é²٣ß", k=rng.randrange(1, 9))) + ".wav"
        for _ in range(3000)
    }
    walked = [
        (os.path.join(tmp_path, folder), [n for n in names if n[0] != "."], [])
        for folder in ("", "take2", "take10", "Take 2", f"take2{os.sep}b", "2", "02")
    ]
    monkeypatch.setattr("skvae.datasets.audio_folder.walk", lambda folder: walked)
    found = [audio.path for audio in find_audio(tmp_path)]
    assert len(found) > 5000
    assert found == sorted(found, key=by_lists)


def test_find_audio_follows_links_and_lists_those_to_nothing(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/1.wav").touch()
    (tmp_path / "in").mkdir()
    for name, target in [("rain", "disk"), ("up", "."), ("2.wav", "gone.wav")]:
        (tmp_path / "in" / name).symlink_to(tmp_path / target)
    root = tmp_path / "in"
    found = [os.path.relpath(f.path, root) for f in find_audio(root)]
    # "up" links to the parent folder, which contains the listed folder.
    expected = ["2.wav", "rain/1.wav", "up/disk/1.wav"]
    assert found == [os.path.normpath(name) for name in expected]
    with pytest.raises(FileNotFoundError, match=r"2\.wav"):
        len(find_audio(root, recursive=False)[0])


def test_find_audio_says_what_it_found_instead(tmp_path):
    with pytest.raises(ValueError, match="nothing"):
        find_audio(tmp_path)
    for name in ("a.m4a", "b.m4a", "README"):
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=r"2 \.m4a, 1 without an extension.*\.flac"):
        find_audio(tmp_path)
    with pytest.raises(NotADirectoryError, match="AudioFile"):
        find_audio(tmp_path / "README")
    with pytest.raises(FileNotFoundError, match="check the folder"):
        find_audio(tmp_path / "missing")
