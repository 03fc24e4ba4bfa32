"""Checkpoints come back as they went, whole or not at all."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
import torch

from skvae.training.checkpoint import Checkpoint

FACTS = {"losses": [0.1, 1 / 3, math.inf], "epoch": 7, "name": "ü"}
TENSORS = {
    "weights": {"layers.0.weight": torch.randn(3, 4), "a/b": torch.tensor(1e-45)},
    "moments": {"step": torch.tensor(2.0), "double": torch.rand(2).double()},
    "counts": {"n": torch.tensor(2**40), "none": torch.zeros(0, 3)},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training.npz"


def save(path, facts=FACTS, **parameters):
    checkpoint = Checkpoint(path, "this one", **parameters)
    checkpoint.save(facts, TENSORS)
    return checkpoint


def test_nothing_comes_of_a_file_that_is_not_there(path):
    assert Checkpoint(path, "this one").load() is None


def test_all_comes_back_bit_for_bit(path):
    facts, tensors = save(path).load()
    assert facts == FACTS
    assert {group: set(named) for group, named in tensors.items()} == {
        group: set(named) for group, named in TENSORS.items()
    }
    for group, named in TENSORS.items():
        for name, tensor in named.items():
            assert tensors[group][name].dtype == tensor.dtype
            assert torch.equal(tensors[group][name], tensor)


def test_an_empty_group_is_empty_again(path):
    checkpoint = Checkpoint(path, "this one")
    checkpoint.save({}, {"best": {}})
    _, tensors = checkpoint.load()
    assert tensors["best"] == {}


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_generators_of_numpy_go_on_where_they_stood(path, kind):
    rng = np.random.Generator(getattr(np.random, kind)(0))
    rng.integers(10, dtype=np.uint32)  # half of what it has drawn is kept for later
    checkpoint = save(path, generators={"order": rng})
    wanted = rng.integers(2**32, size=1000, dtype=np.uint32)
    checkpoint.load()
    assert np.array_equal(rng.integers(2**32, size=1000, dtype=np.uint32), wanted)
    other = np.random.Generator(getattr(np.random, kind)(1))
    Checkpoint(path, "this one", {"order": other}).load()
    assert np.array_equal(other.integers(2**32, size=1000, dtype=np.uint32), wanted)


def test_generators_of_pytorch_go_on_where_they_stood(path):
    generator = torch.Generator().manual_seed(0)
    torch.randn(3, generator=generator)
    save(path, generators={"z": generator})
    wanted = torch.randn(1001, generator=generator)
    other = torch.Generator()
    Checkpoint(path, "this one", {"z": other}).load()
    assert torch.equal(torch.randn(1001, generator=other), wanted)


def test_global_generators_are_left_alone(path):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    generators = {"z": torch.Generator(), "order": np.random.default_rng()}
    save(path, generators=generators).load()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_another_fingerprint_is_refused_and_generators_stay(path):
    save(path, generators={"order": np.random.default_rng(0)})
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="another training: its fingerprint is 'this"):
        Checkpoint(path, "that one", {"order": rng}).load()
    assert rng.random() == np.random.default_rng(1).random()


def test_other_generators_are_refused(path):
    save(path, generators={"order": np.random.default_rng(0)})
    for generators, message in (
        ({}, r"must be \['order'\] .*, got \[\]"),
        ({"z": torch.Generator()}, r"must be \['order'\] .*, got \['z'\]"),
        ({"order": torch.Generator()}, "'order' has another type or device"),
        ({"order": np.random.Generator(np.random.SFC64())}, "'order' has another"),
    ):
        with pytest.raises(ValueError, match=message):
            Checkpoint(path, "this one", generators).load()
    save(path, generators={"order": torch.Generator()})
    with pytest.raises(ValueError, match="'order' has another type"):
        Checkpoint(path, "this one", {"order": np.random.default_rng(0)}).load()
    with pytest.raises(ValueError, match=r"`generators` must be .* 'order' is 0"):
        Checkpoint(path, "this one", {"order": 0})


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="`path` must be in an existing folder"):
        Checkpoint(tmp_path / "nowhere" / "training.npz", "this one").load()
    with pytest.raises(IsADirectoryError if os.name == "posix" else OSError):
        Checkpoint(tmp_path, "this one").load()


def assert_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no checkpoint of this version, or dam"):
        Checkpoint(path, "this one").load()


def test_truncated_files_are_refused(path):
    save(path)
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        assert_refused(path, content[:length])


def test_damaged_bytes_are_refused_or_do_not_matter(path):
    save(path)
    content = path.read_bytes()
    n_refused = 0
    rng = np.random.default_rng(0)
    for position in rng.permutation(len(content))[:300]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            facts, tensors = Checkpoint(path, "this one").load()
        except ValueError:
            n_refused += 1
        else:  # dates, attributes and the like
            assert facts == FACTS
            assert torch.equal(
                tensors["moments"]["double"], TENSORS["moments"]["double"]
            )
    assert n_refused > 100


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was run')",)


def test_foreign_files_are_refused_and_no_pickle_is_run(path, tmp_path):
    source = tmp_path / "foreign"

    def written(write, *arguments, **arrays):
        with source.open("wb") as file:
            write(file, *arguments, **arrays)
        return source.read_bytes()

    for content in (
        b"",
        b"a line of text\n",
        written(np.save, np.ones(3)),
        written(np.savez, x=np.ones(3)),
        written(np.savez, facts=np.array("{}")),
        written(np.savez, facts=np.array([Bomb()], dtype=object)),
        written(np.savez, facts=np.frombuffer(b'{"format": "another"}', np.uint8)),
        written(lambda file: torch.save({"weights": torch.ones(2)}, file)),
    ):
        assert_refused(path, content)
    # Nor in the arrays of one that says what it is.
    save(path)
    with np.load(path) as arrays:
        parts = dict(arrays)
    parts["weights/x"] = np.array([Bomb()], dtype=object)
    assert_refused(path, written(np.savez, **parts))


def test_a_file_needs_no_pickle_and_its_header_can_be_read(path):
    save(path)
    with np.load(path, allow_pickle=False) as arrays:
        header = json.loads(arrays["facts"].tobytes())
        assert {name for name in arrays.files if name.startswith("weights")} == {
            "weights/layers.0.weight",
            "weights/a/b",
        }
    assert header["format"] == "skvae training 1"
    assert header["fingerprint"] == "this one"


class Killed(BaseException):
    """As abrupt as an exception can be."""


def killed(*arguments, **parameters):
    raise Killed


def half_written(file, **arrays):
    file.write(b"PK\x03\x04 and so on")
    raise Killed


@pytest.mark.parametrize(
    ("place", "death"),
    [("numpy.savez", half_written), ("os.fsync", killed), ("os.replace", killed)],
)
def test_a_kill_while_writing_leaves_the_file_of_before(
    path, monkeypatch, place, death
):
    checkpoint = save(path, {"epoch": 1})
    content = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(place, death)
        with pytest.raises(Killed):
            checkpoint.save({"epoch": 2}, TENSORS)
    assert path.read_bytes() == content
    assert checkpoint.load()[0] == {"epoch": 1}
    checkpoint.save({"epoch": 3}, TENSORS)
    assert checkpoint.load()[0] == {"epoch": 3}
    assert os.listdir(path.parent) == [path.name]


def test_what_is_on_the_disk_is_written_before_it_takes_the_place(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        calls.append(("fsync", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def noted_replace(source, target):
        calls.append(("replace", os.path.getsize(source)))
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr("os.fsync", noted_fsync)
    monkeypatch.setattr("os.replace", noted_replace)
    save(path)
    size = path.stat().st_size
    assert calls[:2] == [("fsync", size), ("replace", size)]
    # The folder, which holds the name, comes last.
    assert [name for name, _ in calls[2:]] == ["fsync"] * (os.name == "posix")
