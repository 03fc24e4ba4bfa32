from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from helpers.instances import small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skvae import STFT, SpeechVAE, Training, VAENMFEnhancer, __version__
from skvae.datasets import make_dataset
from skvae.storage.model_files import (
    FORMAT,
    ModelCard,
    read_model,
    read_summary,
    write_model,
)
from skvae.storage.tensor_files import (
    read_header,
    read_tensors,
    stored_bytes,
    stored_order,
    write_tensors,
)

CARD = ModelCard(
    "small",
    "A small one",
    "synthetic speech",
    "CC BY 4.0",
    ("Ä. Nybody, “Speech”",),
    {"SI-SDR (dB)": 1.25, "speed": "fast"},
)


@pytest.fixture(scope="module")
def enhancer():
    _, clean = make_dataset(2, (0.15, 0.2), snr=0, random_state=0)
    return small(VAENMFEnhancer).set_params(random_state=0).fit(clean)


@pytest.fixture(scope="module")
def data(enhancer, tmp_path_factory):
    """Bytes of a valid file."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    write_model(enhancer, path, CARD)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def parts(data):
    """Description, metadata and arrays of a file."""
    file = io.BytesIO(data)
    header = read_header(file)
    description = json.loads(header.metadata["skvae"])
    return description, dict(header.metadata), dict(read_tensors(file, header))


def forged(description, arrays, **metadata):
    """Bytes of a file with the right checksum."""
    text = description if isinstance(description, str) else json.dumps(description)
    checksum = hashlib.sha256(text.encode())
    for name in stored_order(arrays):
        checksum.update(stored_bytes(arrays[name]))
    file = io.BytesIO()
    write_tensors(
        file, arrays, {"skvae": text, "sha256": checksum.hexdigest(), **metadata}
    )
    return file.getvalue()


def facts(enhancer):
    """Everything that results depend on, for comparison."""
    model = enhancer.vae_
    weights = {name: array.tobytes() for name, array in model.state_.items()}
    learned = model.level_, model.config_, model.seed_, enhancer.seed_
    return weights, learned, repr(enhancer), repr(enhancer.stft_)


def test_the_file_says_what_it_holds(data, path):
    path.write_bytes(data)
    summary = read_summary(path)
    assert summary.card == CARD
    assert summary.estimator == "VAENMFEnhancer"
    assert summary.sample_rate == 16000
    assert summary.version == __version__
    assert summary.n_bytes == len(data)


def test_equal_models_make_equal_files(enhancer, data, path):
    write_model(enhancer, path, CARD)
    assert path.read_bytes() == data
    write_model(read_model(path), path, CARD)
    assert path.read_bytes() == data


def test_the_package_safetensors_reads_it(data, path, enhancer):
    safetensors = pytest.importorskip("safetensors")
    path.write_bytes(data)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["skvae"])["format"] == FORMAT
        for name, weight in enhancer.vae_.state_.items():
            np.testing.assert_array_equal(
                file.get_tensor(f"vae_/state_/{name}"), weight
            )


def test_half_precision_halves_the_weights(enhancer, data, path):
    write_model(enhancer, path, CARD, dtype="float16")
    _, _, arrays = parts(data)
    n_bytes = sum(array.nbytes for array in arrays.values())
    assert abs(len(data) - path.stat().st_size - n_bytes / 2) < 1000


def test_there_is_no_pickle_in_it(data):
    # Every pickle ends like this, and one of an estimator would name its class.
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.dumps(SpeechVAE, protocol)[:20] not in data
    assert b"skvae.speech.vae" not in data
    assert b"sklearn" not in data


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (ModelCard(3), "`name` must be a string, got a int"),
        (CARD._replace(license=None), "`license` must be a string"),
        (CARD._replace(description="\ud800"), "surrogates not allowed"),
        (CARD._replace(attributions="A. Nybody"), "must be a list of strings, got a"),
        (CARD._replace(attributions=[1]), r"`attributions\[0\]` must be a string"),
        (CARD._replace(figures=[1]), "`figures` must map"),
        (CARD._replace(figures={"dB": np.nan}), "`figures` must be a number"),
        (CARD._replace(figures={"dB": [1]}), "`figures` must be a number"),
        (CARD._replace(figures={1: 1}), "`figures` must be a string"),
    ],
)
def test_a_card_is_words_and_numbers(enhancer, card, message, path):
    with pytest.raises(ValueError, match=message):
        write_model(enhancer, path, card)
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("model.pt", "float32", "must end in '.safetensors'"),
        ("model.safetensors", "bfloat16", "`dtype` must be one of"),
    ],
)
def test_wrong_options_write_nothing(enhancer, name, dtype, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_model(enhancer, tmp_path / name, CARD, dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_again_is_not_written(enhancer, data, path):
    path.write_bytes(data)
    spoilt = pickle.loads(pickle.dumps(enhancer))
    spoilt.set_params(noise__n_components=-1)
    with pytest.raises(ValueError, match="`n_components` must be"):
        write_model(spoilt, path, CARD)
    spoilt.set_params(noise__n_components=10**30)
    with pytest.raises(ValueError, match="has the number"):
        write_model(spoilt, path, CARD)
    assert path.read_bytes() == data
    assert len(list(path.parent.iterdir())) == 1


# Files that are no model files, or damaged.


def deep(description):
    """Nest the parameters deeply in JSON, beyond Python's recursion limit."""
    return json.dumps(description).replace('"seed_": ', '"seed_": ' + "[" * 10**5, 1)


def with_description(**changes):
    def change(data):
        description, _, arrays = parts(data)
        return forged({**description, **changes}, arrays)

    return change


def with_card(**changes):
    def change(data):
        description, _, arrays = parts(data)
        return forged(
            {**description, "card": {**description["card"], **changes}}, arrays
        )

    return change


def with_array(make):
    """Change the first array."""

    def change(data):
        description, _, arrays = parts(data)
        name = next(iter(arrays))
        return forged(description, {**arrays, name: make(arrays[name])})

    return change


def without_key(data):
    description, _, arrays = parts(data)
    del description["card"]
    return forged(description, arrays)


def in_bfloat16(data):
    [length] = struct.unpack("<Q", data[:8])
    text = data[8 : 8 + length].replace(b'"F32"', b'"BF16"')
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def with_one_weight_changed(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def somebody_elses(data):
    file = io.BytesIO()
    write_tensors(file, {"lm_head": np.ones(3)}, {"format": "pt"})
    return file.getvalue()


BAD = {
    "empty": (lambda data: b"", "it is empty"),
    "text": (lambda data: b"skvae is a package.\n" * 9, "no safetensors file"),
    "a pickle": (lambda data: pickle.dumps([1, 2, 3]), "no safetensors file"),
    "sound": (lambda data: b"RIFF\x24\x08\0\0WAVEfmt ", "no safetensors file"),
    "header only": (
        lambda data: data[: 8 + struct.unpack("<Q", data[:8])[0]],
        "end is",
    ),
    "truncated": (lambda data: data[:-1], "the end is missing"),
    "halved": (lambda data: data[: len(data) // 2], "the end is missing"),
    "header cut": (lambda data: data[:100], "the end is missing"),
    "too long": (lambda data: data + b"\0", "there is more"),
    "header longer than the file": (
        lambda data: struct.pack("<Q", 2**63) + data[8:],
        "its header should end at",
    ),
    "foreign": (somebody_elses, "a safetensors file, but not one of skvae"),
    "bfloat16": (in_bfloat16, "must be of dtype F64, F32, F16, got 'BF16'"),
    "damaged": (with_one_weight_changed, "its checksum is wrong"),
    "no checksum": (
        lambda data: forged(*parts(data)[::2], sha256=""),
        "its checksum is wrong",
    ),
    "NaN": (with_array(lambda a: np.full_like(a, np.nan)), "contains NaN or inf"),
    "inf": (with_array(lambda a: np.full_like(a, -np.inf)), "contains NaN or inf"),
    "wrong shape": (with_array(lambda a: a.ravel()[:1]), "of shape"),
    "wrong dtype": (with_array(lambda a: a.astype(float)), "dtype float32, got"),
    "newer format": (
        with_description(format=FORMAT + 1, version="9.9"),
        "skvae 9.9 wrote it, in the format 2; this is skvae .*, which reads the format",
    ),
    "format of words": (with_description(format="new" * 99), "wrote it, in the format"),
    "no version": (with_description(version=None), "which version of skvae wrote it"),
    "no object": (
        lambda data: forged("[]", parts(data)[2]),
        "its JSON must be an object",
    ),
    "no JSON": (lambda data: forged("{", parts(data)[2]), "its JSON cannot be read"),
    "deep": (lambda data: forged(deep(parts(data)[0]), parts(data)[2]), "JSON"),
    "a key twice": (
        lambda data: forged(
            json.dumps(parts(data)[0]).replace("{", '{"format": 1, ', 1),
            parts(data)[2],
        ),
        "has the key 'format' twice",
    ),
    "a key missing": (without_key, "its description lacks 'card'"),
    "a key too many": (with_description(code="x"), "its description has 'code'"),
    "no card": (with_description(card=[]), "its card must be an object"),
    "empty card": (with_description(card={}), "its card lacks"),
    "card of numbers": (with_card(license=1), "`license` must be a string"),
    "card of half characters": (with_card(license="\udcff"), "surrogates not allowed"),
    "card with more": (with_card(evil=1), "its card has 'evil'"),
    "no estimator": (with_description(estimator=None), "must be the attributes"),
    "class of another": (
        with_description(estimator={"class": "Popen"}),
        "must be the attributes",
    ),
    "other rate": (with_description(sample_rate=8000), "its sample rate is 8000 Hz"),
    "long names": (
        with_description(estimator={"x" * 10**6: 1}),
        "must be the attributes",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_what_is_no_model_is_refused_with_advice(change, message, data, path):
    path.write_bytes(change(data))
    begin = time.process_time()
    with pytest.raises(ValueError, match=message) as caught:
        read_model(path)
    assert time.process_time() - begin < 5
    text = str(caught.value)
    assert text.startswith(f"{path} cannot be loaded: ")
    assert "Get the file again, or save the model again with save_pretrained" in text
    assert len(text) < 1000


def test_a_summary_refuses_what_it_reads(data, path):
    # It reads neither the arrays nor most of the estimator.
    for name in ("empty", "foreign", "truncated", "newer format", "card of numbers"):
        path.write_bytes(BAD[name][0](data))
        with pytest.raises(ValueError, match="cannot be loaded"):
            read_summary(path)
    for change in (with_description(sample_rate="x"), with_description(estimator=[])):
        path.write_bytes(change(data))
        with pytest.raises(ValueError, match="cannot be loaded"):
            read_summary(path)


@pytest.mark.parametrize("read", [read_model, read_summary])
def test_what_is_no_file_is_refused(read, tmp_path):
    with pytest.raises(ValueError, match="is a folder: name a file"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.safetensors")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="is no regular file"):
            read(tmp_path / "pipe")


def test_memory_is_in_proportion_to_the_file(path):
    _, clean = make_dataset(2, (0.15, 0.2), snr=0, random_state=0)
    vae = SpeechVAE(8, 512, training=Training(1), stft=STFT(256)).fit(clean)
    write_model(vae, path, ModelCard("large"))
    read_model(path)  # modules are loaded now
    tracemalloc.start()
    read_model(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * path.stat().st_size


def test_lies_about_sizes_take_no_memory(data, path):
    description, _, arrays = parts(data)
    text = json.dumps(description)
    for size in (10**4, 10**7, 10**15):
        lie = text.replace('"hidden_layer_sizes": 8', f'"hidden_layer_sizes": {size}')
        lie = lie.replace('"hidden": [8]', f'"hidden": [{size}]')
        assert lie.count(str(size)) == 3
        path.write_bytes(forged(lie, arrays))
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"of shape|must be an integer"):
            read_model(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10**7


def test_arguments_of_a_file_never_reach_a_shell_or_the_disk(data, path, tmp_path):
    description, _, arrays = parts(data)
    canary = tmp_path / "canary"
    for name in ("checkpoint", "mixer", "noise_profile", "__reduce__", "window"):
        description["estimator"]["parameters"][name] = f"touch {canary}"
        path.write_bytes(forged(description, arrays))
        with pytest.raises(ValueError, match="no parameter"):
            read_model(path)
        del description["estimator"]["parameters"][name]
    assert not canary.exists()


def test_unreadable_files_are_errors_of_the_system(data, unprivileged):
    path = unprivileged / "a.safetensors"
    path.write_bytes(data)
    path.chmod(0)
    with pytest.raises(PermissionError):
        read_model(path)


def test_a_full_disk_leaves_the_file_as_it_was(enhancer, data, path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path.write_bytes(data)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(data) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_model(enhancer, path, CARD._replace(name="other"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == data
    assert len(list(path.parent.iterdir())) == 1


def read_or_refuse(data, path):
    """Load a file: an enhancer, or None after an error of the right kind."""
    path.write_bytes(data)
    begin = time.process_time()
    try:
        return read_model(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
        return None
    finally:
        assert time.process_time() - begin < 5


FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(st.data())
def test_no_flipped_byte_makes_another_model(data, enhancer, path, draw):
    place = draw.draw(st.integers(0, len(data) - 1))
    byte = draw.draw(st.integers(0, 255))
    found = read_or_refuse(data[:place] + bytes([byte]) + data[place + 1 :], path)
    assert found is None or facts(found) == facts(enhancer)


@FUZZ
@given(st.data())
def test_nothing_cut_out_or_put_in_makes_another_model(data, enhancer, path, draw):
    start = draw.draw(st.integers(0, len(data)))
    stop = draw.draw(st.integers(start, len(data)))
    rubbish = draw.draw(st.binary(max_size=20))
    found = read_or_refuse(data[:start] + rubbish + data[stop:], path)
    assert found is None or facts(found) == facts(enhancer)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "hann", "best", "SpeechVAE", "STFT", "vem", "MCEM", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("class", "parameters", "attributes", "tuple", "array", "fitted"),
                    *("frozen", "config", "weights", "n_fft", "stft_", "seed_", "x"),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


def places(node, above=()):
    """Paths to all items of a description."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


@FUZZ
@given(st.data())
def test_no_change_of_the_description_does_harm(data, path, draw):
    description, _, arrays = parts(data)
    way = draw.draw(st.sampled_from(list(places(description))))
    node = description
    for key in way[:-1]:
        node = node[key]
    if draw.draw(st.booleans()):
        node[way[-1]] = draw.draw(JSON)
    else:
        del node[way[-1]]
    found = read_or_refuse(forged(description, arrays), path)
    if found is not None:  # complete, and of the only class with these attributes
        assert isinstance(found, VAENMFEnhancer)
        facts(found)
        write_model(found, path, CARD)


def test_reading_imports_nothing_that_a_file_names(data, path):
    path.write_bytes(data.replace(b"VAENMFEnhancer", b"this.antigravy"))
    code = (
        "import sys\n"
        "from skvae.storage.model_files import read_model\n"
        "before = set(sys.modules)\n"
        "try:\n"
        "    read_model(sys.argv[1])\n"
        "except ValueError:\n"
        "    print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_copy_elsewhere_is_as_good(data, path, tmp_path):
    path.write_bytes(data)
    other = tmp_path / "näme with space.safetensors"
    shutil.copy(path, other)
    assert facts(read_model(other)) == facts(read_model(str(path)))
