from __future__ import annotations

import os

import pytest

from skvae.datasets.corpora import trees


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("inside", ["", "data", "data/TIMIT", "a/b/c"])
@pytest.mark.parametrize("name", ["TRAIN", "train", "Train"])
def test_a_folder_is_found_in_any_case_and_some_folders_down(tmp_path, inside, name):
    folder = tmp_path / inside / name
    folder.mkdir(parents=True)
    assert list(trees.find_folders(str(tmp_path), ["train"])) == [str(folder)]
    assert list(trees.find_folders(str(folder), ["TRAIN"])) == [str(folder)]


def test_the_highest_comes_first_and_only_so_far_down(tmp_path):
    touch(tmp_path, "a/train/1", "b/train/1", "a/deep/train/1", "x/y/z/test/1")
    found = list(trees.find_folders(str(tmp_path), ["train"]))
    names = ("a/train", "b/train", "a/deep/train")
    assert found == [str(tmp_path / name) for name in names]
    assert list(trees.find_folders(str(tmp_path), ["test"], depth=3)) == []
    assert len(list(trees.find_folders(str(tmp_path), ["test"]))) == 1


def test_hidden_things_and_files_are_no_folders(tmp_path):
    touch(tmp_path, ".train/1.wav", "train", "._1.wav", "2.wav")
    assert list(trees.find_folders(str(tmp_path), ["train", ".train"])) == []
    assert trees.list_files(str(tmp_path)) == ["2.wav", "train"]


def test_linked_folders_are_found(tmp_path):
    touch(tmp_path, "disk/wsj0/si_tr_s/011/a.wav")
    (tmp_path / "corpora").mkdir()
    os.symlink(tmp_path / "disk" / "wsj0", tmp_path / "corpora" / "wsj0")
    (tmp_path / "corpora/again").symlink_to(tmp_path / "corpora")
    (tmp_path / "corpora/twice").symlink_to(tmp_path / "disk/wsj0")
    found = list(trees.find_folders(str(tmp_path / "corpora"), ["si_tr_s"]))
    assert found == [str(tmp_path / "corpora/twice/si_tr_s")]


def test_links_that_lead_nowhere_are_no_files(tmp_path):
    touch(tmp_path, "1.wav")
    for name, target in [("2.wav", "1.wav"), ("3.wav", "gone"), ("4.wav", "4.wav")]:
        (tmp_path / name).symlink_to(tmp_path / target)
    assert trees.list_files(str(tmp_path)) == ["1.wav", "2.wav"]
    assert trees.list_folders(str(tmp_path)) == []
    assert sorted(trees.list_folder(str(tmp_path)).broken) == ["3.wav", "4.wav"]


def test_links_are_walked_and_loops_end(tmp_path):
    touch(tmp_path, "disk/cat/1.wav", "in/a/2.wav", "in/b/.git/3.wav", "other/4.wav")
    for name, target in [
        *[("in/cat", "disk/cat"), ("in/b/cat", "disk/cat"), ("disk/cat/up", "disk")],
        *[("in/a/b", "in/b"), ("in/b/a", "in/a"), ("in/a/top", "in")],
        *[("in/b/gone", "gone"), ("in/self", "in/self")],
    ]:
        (tmp_path / name).symlink_to(tmp_path / target)
    root = tmp_path / "in"
    walked = {
        os.path.relpath(folder, root): (files, broken)
        for folder, files, broken in trees.walk(str(root))
    }
    cat = (["1.wav"], [])
    assert walked == {
        ".": ([], ["self"]),
        "a": (["2.wav"], []),
        "a/b": ([], ["gone"]),
        "a/b/cat": cat,
        "a/b/cat/up": ([], []),
        "b": ([], ["gone"]),
        "b/a": (["2.wav"], []),
        "b/cat": cat,
        "b/cat/up": ([], []),
        "cat": cat,
        "cat/up": ([], []),
    }


def test_what_is_no_folder_is_refused_by_name(tmp_path):
    touch(tmp_path, "file")
    with pytest.raises(NotADirectoryError, match=r"TIMIT .*'.*file' is a file"):
        trees.check_folder(tmp_path / "file", "TIMIT")
    with pytest.raises(FileNotFoundError, match=r"TIMIT .* '.*gone' does not exist"):
        trees.check_folder(tmp_path / "gone", "TIMIT")


def test_a_long_list_is_cut_and_counted():
    with pytest.raises(FileNotFoundError) as error:
        trees.refuse_incomplete("X", "/x", [f"{k}.wav" for k in range(1000)], "Do.")
    assert str(error.value) == (
        "X in '/x' is incomplete, 1000 missing: 0.wav, 1.wav, 2.wav, 3.wav, 4.wav and "
        "995 more. Do."
    )


def test_the_first_ending_is_preferred_in_any_case():
    names = ["a.WV1", "a.Wav", "b.wv1", "c.txt", "d.WAV.wav", "d.WAV"]
    chosen = trees.by_stem(names, [".wav", ".wv1"])
    assert chosen == {"a": "a.Wav", "b": "b.wv1", "d": "d.WAV"}
