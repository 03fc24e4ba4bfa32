from __future__ import annotations

import io
import json
import struct
import tracemalloc

import numpy as np
import pytest

from skvae.storage.tensor_files import (
    MAX_HEADER_BYTES,
    parse_json,
    read_header,
    read_tensors,
    write_tensors,
)

TENSORS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([1.5, -2.0], np.float16),
    "double": np.array(0.1),
}


def packed(header, data=b""):
    """File with any header and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def contents(data):
    file = io.BytesIO(data)
    header = read_header(file)
    return header.metadata, dict(read_tensors(file, header))


def written(tensors=TENSORS, metadata=None):
    file = io.BytesIO()
    write_tensors(file, tensors, metadata or {})
    return file.getvalue()


def test_what_is_written_is_read():
    metadata, tensors = contents(written(metadata={"a": 'ß"\n', "b": ""}))
    assert metadata == {"a": 'ß"\n', "b": ""}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(tensor, TENSORS[name])


def test_arrays_of_any_order_in_memory_are_written_in_rows():
    array = np.asfortranarray(TENSORS["weight"])[:, ::2]
    _, tensors = contents(written({"a": array, "b": array.astype(">f4")}))
    np.testing.assert_array_equal(tensors["a"], array)
    np.testing.assert_array_equal(tensors["b"], array)


def test_the_package_safetensors_reads_what_is_written_here(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    path = tmp_path / "a.safetensors"
    path.write_bytes(written(metadata={"a": "ß"}))
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"a": "ß"}
        assert set(file.keys()) == set(TENSORS)
        for name, tensor in TENSORS.items():
            np.testing.assert_array_equal(file.get_tensor(name), tensor)


def test_what_the_package_safetensors_writes_is_read_here():
    pytest.importorskip("safetensors")
    from safetensors.numpy import save

    metadata, tensors = contents(save(dict(TENSORS), {"a": "ß"}))
    assert metadata == {"a": "ß"}
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], tensor)


def test_the_arrays_are_aligned():
    data = written()
    file = io.BytesIO(data)
    header = read_header(file)
    for stored in header.entries.values():
        assert (header.offset + stored.start) % stored.dtype.itemsize == 0


def test_equal_contents_make_equal_files():
    backwards = dict(reversed(TENSORS.items()))
    assert written() == written(backwards)


def test_other_dtypes_are_not_written():
    with pytest.raises(ValueError, match="or float16, got one of int"):
        written({"a": np.arange(3)})


def test_more_names_than_are_read_are_not_written():
    with pytest.raises(ValueError, match=f"must fit {MAX_HEADER_BYTES} bytes"):
        written({}, {"a": "x" * MAX_HEADER_BYTES})


LONG = 2**62

FOREIGN = {
    "nothing": (b"", "it is empty"),
    "a byte": (b"{", "no safetensors file"),
    "a length and nothing else": (struct.pack("<Q", 2), "no safetensors file"),
    "text": (b"This is a text, and a long one.", "no safetensors file"),
    "no object": (packed(b"[1]"), "no safetensors file"),
    "a header longer than the file": (
        struct.pack("<Q", LONG) + b"{}",
        "its header should end at byte",
    ),
    "a header that is too long to read": (
        packed(b"{" + b" " * MAX_HEADER_BYTES + b"}"),
        "more than the",
    ),
    "half a header": (packed(b'{"a": {'), "cannot be read"),
    "two objects": (packed(b"{}{}"), "cannot be read"),
    "not UTF-8": (packed(b'{"\xff": 1}'), "cannot be read"),
    "UTF-16": (packed(b"{\x00}\x00"), "cannot be read"),
    "a key twice": (packed(b'{"a": 1, "a": 1}'), "has the key 'a' twice"),
    "metadata twice": (
        packed(b'{"__metadata__": {}, "__metadata__": {}}'),
        "has the key '__metadata__' twice",
    ),
    "a string twice": (
        packed(b'{"__metadata__": {"a": "1", "a": "2"}}'),
        "has the key 'a' twice",
    ),
    "NaN": (packed(b'{"a": NaN}'), "has the number 'NaN'"),
    "infinity": (packed(b'{"a": 1e999}'), "has the number '1e999'"),
    "a huge integer": (packed(b'{"a": ' + b"9" * 5000 + b"}"), "has the number"),
    "deep lists": (packed(b'{"a": ' + b"[" * 99 + b"]" * 99 + b"}"), "too deep"),
    "very deep lists": (packed(b'{"a": ' + b"[" * 10**6), "too deep|cannot be read"),
    "very deep objects": (packed(b'{"a":' * 10**5), "too deep|cannot be read"),
    "metadata of no strings": (packed({"__metadata__": {"a": 1}}), "to strings"),
    "metadata of no names": (packed({"__metadata__": "a"}), "to strings"),
    "no entry": (packed({"a": 1}), "must have a dtype, a shape"),
    "half an entry": (packed({"a": {"dtype": "F32"}}), "must have a dtype, a shape"),
    "more than an entry": (
        packed({"a": {**entry(), "code": "x"}}, bytes(4)),
        "must have a dtype, a shape",
    ),
    "an unknown dtype": (packed({"a": entry("BF16")}, bytes(4)), "got 'BF16'"),
    "a dtype that is no name": (packed({"a": entry(["F32"])}, bytes(4)), "of dtype"),
    "a negative size": (packed({"a": entry(shape=[-1])}, bytes(4)), "at least 0"),
    "a size that is true": (packed({"a": entry(shape=[True])}, bytes(4)), "least 0"),
    "a size with a fraction": (packed({"a": entry(shape=[1.0])}, bytes(4)), "least 0"),
    "no list of sizes": (packed({"a": {**entry(), "shape": 1}}, bytes(4)), "least 0"),
    "many sizes": (packed({"a": entry(shape=[1] * 99)}, bytes(4)), "up to 8 sizes"),
    "three offsets": (packed({"a": entry(offsets=[0, 4, 4])}, bytes(4)), "two offsets"),
    "a shape that the bytes do not fit": (
        packed({"a": entry(shape=[2])}, bytes(4)),
        "takes 8 bytes, but has 4",
    ),
    "a huge shape": (
        packed({"a": entry(shape=[LONG, LONG])}, bytes(4)),
        "but has 4",
    ),
    "huge offsets": (
        packed({"a": entry(shape=[LONG // 4], offsets=[0, LONG])}, bytes(4)),
        "the end is missing",
    ),
    "offsets that run backwards": (
        packed({"a": entry(offsets=[4, 0])}, bytes(4)),
        "but has -4",
    ),
    "arrays that overlap": (
        packed({"a": entry(), "b": entry()}, bytes(4)),
        "but the one before ends at 4",
    ),
    "a gap before": (packed({"a": entry(offsets=[4, 8])}, bytes(8)), "ends at 0"),
    "a gap between": (
        packed({"a": entry(), "b": entry(offsets=[8, 12])}, bytes(12)),
        "but the one before ends at 4",
    ),
    "the end missing": (written()[:-1], "the end is missing"),
    "more than there should be": (written() + b"\0", "there is more"),
}


@pytest.mark.parametrize(("data", "message"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_whole_file_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        contents(data)


def test_every_beginning_of_a_file_is_refused():
    data = written(metadata={"a": "1"})
    for n in range(len(data)):
        with pytest.raises(ValueError, match=r"it is empty|missing|cannot be read"):
            contents(data[:n])


def test_an_array_without_numbers_lies_between_others():
    tensors = {"a": np.ones(1), "b": np.ones((0, 3)), "c": np.ones(2)}
    _, read = contents(written(tensors))
    assert {name: tensor.shape for name, tensor in read.items()} == {
        name: tensor.shape for name, tensor in tensors.items()
    }


def test_a_file_that_shrinks_while_it_is_read_is_an_error():
    file = io.BytesIO(written())
    header = read_header(file)
    file.truncate(len(file.getvalue()) - 1)
    with pytest.raises(ValueError, match="became shorter"):
        dict(read_tensors(file, header))


def test_json_within_the_limits_is_read():
    nested = json.loads("[" * 30 + "]" * 30)
    parsed = {"a": nested, "b": [1, -(10**17), 1.5, "ß", None, True], "c": {}}
    assert parse_json(json.dumps(parsed)) == parsed


def test_a_lie_about_sizes_takes_no_memory():
    gigabyte = 2**30
    lies = [
        struct.pack("<Q", gigabyte) + b"{}",
        packed({"a": entry(shape=[gigabyte], offsets=[0, 4 * gigabyte])}, bytes(4)),
    ]
    for data in lies:
        tracemalloc.start()
        with pytest.raises(ValueError, match="the end is missing"):
            contents(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < gigabyte / 1000
