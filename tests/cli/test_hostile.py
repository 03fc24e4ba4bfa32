"""Bad input of ``skvae enhance``: a message, the right status, no loss of data."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skvae import recordings
from skvae.cli import enhancers, enhancing, models
from skvae.cli.files import Job
from skvae.datasets import make_dataset
from skvae.metrics import si_sdr

RATE = 16000
WORDS = ("--model", "wiener")

#: A method for each kind of mask, and the default model.
MODELS = ["wiener", "log-mmse", "spectral-subtraction", "best"]


@pytest.fixture(autouse=True)
def classical_default(monkeypatch):
    """Use a fast method in tests that name none."""
    monkeypatch.setattr(models, "_DEFAULTS", ("log-mmse",))


def write(path, samples, rate=RATE, **kind):
    soundfile.write(path, np.asarray(samples, float), rate, **kind)
    return path


def noise(n_samples=8000, n_channels=1):
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal((n_samples, n_channels))


def tone(n_samples=8000, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * 1000 / rate * np.arange(n_samples))


def empty(folder):
    (folder / "a.wav").touch()


def header_only(folder):
    content = write(folder / "a.wav", noise()).read_bytes()
    (folder / "a.wav").write_bytes(content[:44])


def truncated_flac(folder):
    content = write(folder / "a.flac", noise(80_000)).read_bytes()
    (folder / "a.flac").write_bytes(content[: len(content) // 2])


def text(folder):
    (folder / "a.wav").write_text("Dear Sir or Madam,")


def picture(folder):
    (folder / "a.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def no_numbers(folder):
    write(folder / "a.wav", [0.1, np.nan, np.inf] * 99, subtype="FLOAT")


def far_too_loud(folder):
    write(folder / "a.wav", [1e30, -1e30] * 99, subtype="DOUBLE")


def silly_rate(folder):
    write(folder / "a.wav", noise(), 7)


def headerless(folder):
    (folder / "a.wav").write_bytes(bytes(999))


def loop(folder):
    (folder / "a.wav").symlink_to(folder / "b.wav")
    (folder / "b.wav").symlink_to(folder / "a.wav")


def link_to_nothing(folder):
    (folder / "a.wav").symlink_to(folder / "missing.wav")


# Description and message of files that fail; the others are enhanced.
BAD = [
    (empty, "the file is empty"),
    (header_only, "no samples in its 44 bytes"),
    (truncated_flac, "truncated or damaged. Download it again"),
    (text, "convert it to WAV or FLAC"),
    (picture, "convert it to WAV or FLAC"),
    (headerless, "convert it to WAV or FLAC"),
    (no_numbers, "sample 1 is NaN or inf"),
    (far_too_loud, "scale it"),
    (silly_rate, "sample rate of 7 Hz"),
    (loop, "symbolic link"),
    (link_to_nothing, "cannot be read: No such file"),
]


@pytest.mark.parametrize("model", ["wiener", "best"])
@pytest.mark.parametrize(
    ("make", "message"), BAD, ids=lambda x: getattr(x, "__name__", "")
)
def test_what_cannot_be_enhanced_is_told_and_the_others_are_done(
    tmp_path, skvae, make, message, model
):
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder)
    before = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()
    }
    write(folder / "good.wav", noise())
    words = ("enhance", folder, "-o", tmp_path / "out", "--model", model)
    status, out, err = skvae(*words)
    assert status == 1
    assert out == ""
    failures = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == len(list(folder.iterdir())) - 1
    assert all(message in line for line in failures)
    assert all(str(folder / "a.") in line for line in failures[:1])
    # A line per file, the summary, and the reasons.
    assert len(err.splitlines()) == 2 * len(failures) + 2
    assert "Traceback" not in err
    # No input is lost, and no incomplete output is left.
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.wav"]
    for name, content in before.items():
        assert (folder / name).read_bytes() == content


ODD = {
    "one sample": ([0.5], {}),
    "silence": (np.zeros(8000), {}),
    "full-scale square": (np.sign(np.sin(0.1 * np.arange(8000)) + 0.01), {}),
    "DC": (np.full(8000, 0.5), {}),
    "1 kHz": (tone(), {}),
    "8 bit": (noise(), {"subtype": "PCM_U8"}),
    "24 bit": (noise(), {"subtype": "PCM_24"}),
    "64 bit float": (noise(), {"subtype": "DOUBLE"}),
    "beyond full scale": (30 * noise(), {"subtype": "FLOAT"}),
    "192 kHz": (noise(19200), {"rate": 192_000}),
    "6 channels": (noise(8000, 6), {}),
    "wrong ending": (noise(), {"format": "FLAC"}),
    "hardly anything": (np.full(8000, 1e-30), {"subtype": "FLOAT"}),
    "a click": (np.eye(1, 8000, 4000)[0], {}),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_comes_back_whole_and_finite(tmp_path, skvae, name, model):
    samples, kind = ODD[name]
    source, target = tmp_path / "a.wav", tmp_path / "out.wav"
    write(source, samples, **kind)
    words = ("enhance", source, "-o", target, "--model", model)
    status, _, err = skvae(*words)
    assert status == 0, err
    before, after = soundfile.info(source), soundfile.info(target)
    for attribute in ("samplerate", "channels", "frames", "format", "subtype"):
        assert getattr(before, attribute) == getattr(after, attribute)
    given, made = (soundfile.read(path)[0] for path in (source, target))
    assert np.isfinite(made).all()
    # A mask attenuates: samples neither wrap around nor grow.
    assert np.abs(made).max() <= 1.5 * np.abs(given).max() + 0.01
    assert np.sum(made**2) <= 1.05 * np.sum(given**2) + 1e-3


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_loud_sound_is_not_wrapped_around(tmp_path, skvae, subtype):
    square = np.where(np.arange(16000) // 40 % 2, 1.0, -1.0)
    source, target = write(tmp_path / "a.wav", square, subtype=subtype), "out.wav"
    status, _, _ = skvae("enhance", source, "-o", tmp_path / target, "--mix", 0.5)
    assert status == 0
    made, _ = soundfile.read(tmp_path / target)
    assert np.mean(np.sign(made) == square) > 0.99


@pytest.mark.parametrize("model", ["wiener", "best", "vae-nmf"])
def test_the_level_of_speech_in_little_noise_is_kept(tmp_path, skvae, model):
    [noisy], [clean] = make_dataset(1, (3.0, 3.0), snr=30.0, random_state=0)
    # Narrow-band recordings and stereo ones, too.
    for k, (rate, samples) in enumerate(
        [(16000, noisy), (8000, noisy[::2]), (16000, np.stack([noisy, noisy], axis=1))]
    ):
        source, target = tmp_path / f"{k}.wav", tmp_path / f"{k}.out.wav"
        write(source, 0.3 * samples, rate)
        words = ("enhance", source, "-o", target, "--model", model, "--quiet")
        assert skvae(*words)[0] == 0
        levels = [np.std(soundfile.read(path)[0]) for path in (source, target)]
        assert abs(20 * np.log10(levels[1] / levels[0])) < 1
    assert np.std(clean) > 0


@pytest.mark.parametrize("model", ["best", "vae-nmf"])
@pytest.mark.parametrize("rate", [8000, 11025, 16000])
def test_a_narrow_band_is_enhanced_like_a_full_one(tmp_path, skvae, model, rate):
    """The last one is at the model's rate, and has nothing above 4 kHz."""
    noisy, clean = make_dataset(4, (2.0, 2.0), snr=5.0, random_state=3)
    gains = []
    for k, pair in enumerate(zip(noisy, clean, strict=True)):
        narrow = (soxr.resample(one, RATE, min(rate, 8000)) for one in pair)
        x, s = (0.3 * soxr.resample(one, min(rate, 8000), rate) for one in narrow)
        source, target = tmp_path / f"{k}.wav", tmp_path / f"{k}.out.wav"
        write(source, x, rate, subtype="FLOAT")
        words = ("enhance", source, "-o", target, "--model", model, "--quiet")
        assert skvae(*words)[0] == 0
        enhanced, _ = soundfile.read(target)
        gains.append(si_sdr(s, enhanced) - si_sdr(s, x))
    assert np.mean(gains) > 3


def test_a_recording_of_nothing_is_copied(tmp_path, skvae):
    write(tmp_path / "a.wav", [])
    out = tmp_path / "out.wav"
    assert skvae("enhance", tmp_path / "a.wav", "-o", out, *WORDS)[0] == 0
    assert out.read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_what_was_cut_off_is_done_and_told(tmp_path, skvae):
    content = write(tmp_path / "a.wav", noise()).read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:9001])
    out = tmp_path / "out.wav"
    status, _, err = skvae("enhance", tmp_path / "a.wav", "-o", out, *WORDS)
    assert status == 0
    assert "the file is truncated (its header promises more samples)" in err
    assert soundfile.info(out).frames == soundfile.info(tmp_path / "a.wav").frames


NAMES = [
    "two\nlines.wav",
    "Grüße, 世界 🎤.wav",
    "-o.wav",
    "--overwrite.wav",
    " .wav",
    "a'b\"c$(d).wav",
    "\x1b[31mred.wav",
    "ü" * 120 + ".wav",
]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="names that only POSIX has")
@pytest.mark.parametrize("jobs", [1, 2])
def test_names_of_any_kind_are_kept_and_told_on_a_line(tmp_path, skvae, jobs):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in NAMES:
        with open(folder / name, "wb") as file:
            soundfile.write(file, noise(), RATE, format="WAV")
    no_utf8 = os.fsencode(folder) + b"/\xff\xfe.wav"
    with open(no_utf8, "wb") as file:
        soundfile.write(file, noise(), RATE, format="WAV")
    words = ("enhance", folder, "-o", tmp_path / "out", "--jobs", jobs, *WORDS)
    status, _, err = skvae(*words)
    assert status == 0, err
    assert len(err.splitlines()) == len(NAMES) + 2
    assert "\x1b" not in err
    made = os.listdir(os.fsencode(tmp_path / "out"))
    assert sorted(made) == sorted(os.listdir(os.fsencode(folder)))


def test_a_name_that_looks_like_an_option_is_named_after_two_dashes(
    tmp_path, skvae, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write("-v.wav", noise())
    assert skvae("enhance", *WORDS, "-o", "out", "--", "-v.wav")[0] == 0
    assert (tmp_path / "out/-v.wav").exists()


def test_linked_folders_are_enhanced_but_not_what_was_written_there(tmp_path, skvae):
    (tmp_path / "in").mkdir()
    (tmp_path / "disk").mkdir()
    write(tmp_path / "disk/a.wav", noise())
    (tmp_path / "in/linked").symlink_to(tmp_path / "disk")
    for _ in range(2):
        words = ("enhance", tmp_path / "in", "-o", tmp_path / "disk/out", *WORDS)
        status, _, err = skvae(*words)
        assert status == 0, err
        files = [path for path in (tmp_path / "disk/out").rglob("*") if path.is_file()]
        assert files == [tmp_path / "disk/out/linked/a.wav"]


def test_a_file_is_not_enhanced_twice_in_its_own_place(tmp_path, skvae):
    (tmp_path / "in/a").mkdir(parents=True)
    source = write(tmp_path / "in/a/1.wav", noise())
    (tmp_path / "in/b").symlink_to(tmp_path / "in/a")
    before = source.read_bytes()
    words = ("enhance", tmp_path / "in", "-o", tmp_path / "in", *WORDS)
    for option in (("--overwrite",), ("--suffix", "_clean")):
        status, _, err = skvae(*words, *option)
        assert status == 1
        assert "choose another folder" in err or "would both write" in err
    assert [path.name for path in (tmp_path / "in/a").iterdir()] == ["1.wav"]
    assert source.read_bytes() == before


def test_loops_of_folders_are_not_followed(tmp_path, skvae):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/up").symlink_to(folder)
    write(folder / "sub/a.wav", noise())
    assert skvae("enhance", folder, "-o", tmp_path / "out", *WORDS)[0] == 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files == [tmp_path / "out/sub/a.wav"]


@pytest.mark.parametrize("name", ["loop.wav", "nothing.wav"])
def test_links_that_lead_nowhere_are_told(tmp_path, skvae, name):
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "nothing.wav").symlink_to(tmp_path / "missing.wav")
    status, _, err = skvae("enhance", tmp_path / name, "-o", tmp_path / "out")
    assert status == 1
    assert "(a broken link)" in err


def test_a_folder_without_audio_is_told_what_is_in_it(tmp_path, skvae):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").touch()
    status, _, err = skvae("enhance", tmp_path / "in", "-o", tmp_path / "out")
    assert status == 1
    assert "1 .txt" in err
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_outside_of_the_output_folder(tmp_path, skvae):
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "in/sub/a.wav", noise())
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    status, _, err = skvae("enhance", tmp_path / "in", "-o", tmp_path / "out")
    assert status == 1
    assert "leads out of -o" in err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_in_the_place_of_an_output_is_replaced_not_followed(tmp_path, skvae):
    source = write(tmp_path / "a.wav", noise())
    kept = tmp_path / "kept.wav"
    kept.write_bytes(b"kept")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.wav").symlink_to(kept)
    words = ("enhance", source, "-o", tmp_path / "out", "--overwrite", *WORDS)
    assert skvae(*words)[0] == 0
    assert kept.read_bytes() == b"kept"
    assert not (tmp_path / "out/a.wav").is_symlink()


def test_paths_with_dots_stay_below_the_output_folder(tmp_path, skvae, monkeypatch):
    (tmp_path / "x/y").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "x/y")
    write(tmp_path / "a.wav", noise())
    assert skvae("enhance", "../../a.wav", "-o", "out", *WORDS)[0] == 0
    assert (tmp_path / "x/y/out/a.wav").exists()


def test_a_folder_in_the_place_of_an_output_is_told(tmp_path, skvae):
    source = write(tmp_path / "a.wav", noise())
    (tmp_path / "out/a.wav").mkdir(parents=True)
    status, _, err = skvae("enhance", source, "-o", tmp_path / "out", *WORDS)
    assert status == 1
    assert "cannot be written: Is a directory" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


def test_what_may_not_be_read_or_written_is_told(unprivileged, skvae):
    source = write(unprivileged / "a.wav", noise())
    out = unprivileged / "out"
    out.mkdir()
    source.chmod(0)
    words = ("enhance", source, "-o", out, *WORDS)
    status, _, err = skvae(*words)
    assert status == 1
    assert "it cannot be read: Permission denied" in err
    source.chmod(stat.S_IRUSR)
    out.chmod(stat.S_IRUSR | stat.S_IXUSR)
    status, _, err = skvae(*words)
    assert status == 1
    assert "cannot be written: Permission denied" in err
    assert list(out.iterdir()) == []
    out.chmod(stat.S_IRWXU)
    assert skvae(*words)[0] == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_to_is_told(
    tmp_path, skvae, monkeypatch, number
):
    # Root may write everywhere, so the error is simulated.
    def refuse(path, overwrite=True):
        raise OSError(number, os.strerror(number), f"{path}.part")

    monkeypatch.setattr(enhancing, "written_whole", refuse)
    source = write(tmp_path / "a.wav", noise())
    status, _, err = skvae("enhance", source, "-o", tmp_path / "out.wav", *WORDS)
    assert status == 1
    assert f"out.wav cannot be written: {os.strerror(number)}" in err


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("mounting is not permitted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, skvae, small_disk):
    write(tmp_path / "in.wav", noise(1_000_000))
    status, _, err = skvae("enhance", tmp_path / "in.wav", "-o", small_disk, *WORDS)
    assert status == 1
    assert "No space left on device. Free some space" in err
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_disk_that_takes_no_more_is_told_whatever_libsndfile_says(
    tmp_path, skvae, suffix
):
    resource = pytest.importorskip("resource")
    source = write(tmp_path / f"in.{suffix}", noise(400_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that comes with it, so that writing fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        status, _, err = skvae("enhance", source, "-o", tmp_path / "out", *WORDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert f"out/in.{suffix} cannot be written: File too large" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_whatever_goes_wrong_with_a_file_the_others_are_done(
    tmp_path, skvae, monkeypatch
):
    enhance_file = recordings.enhance_file

    def fail(enhancer, source, *rest, **options):
        if source.name == "a.wav":
            raise KeyError("something nobody thought of")
        if source.name == "b.wav":
            raise MemoryError
        return enhance_file(enhancer, source, *rest, **options)

    monkeypatch.setattr(enhancing, "enhance_file", fail)
    (tmp_path / "in").mkdir()
    for name in "abc":
        write(tmp_path / f"in/{name}.wav", noise())
    status, _, err = skvae("enhance", tmp_path / "in", "-o", tmp_path / "out", *WORDS)
    assert status == 1
    assert "KeyError: 'something nobody thought of' (-v shows where)" in err
    assert "shorter --block-seconds need less" in err
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.wav"]


class Contents(list):
    """Contents of files, with a short representation in failures."""

    def __repr__(self):
        return f"<{len(self)} files>"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Small files of several formats, as bytes."""
    folder = tmp_path_factory.mktemp("originals")
    made = Contents()
    for suffix, kind in [
        ("wav", {"subtype": "PCM_16"}),
        ("wav", {"subtype": "FLOAT"}),
        ("wav", {"subtype": "IMA_ADPCM"}),
        ("flac", {}),
        ("ogg", {}),
        ("aiff", {}),
        ("caf", {}),
        ("au", {"subtype": "ULAW"}),
        ("mp3", {}),
    ]:
        path = write(folder / f"a.{suffix}", noise(3000), 8000, **kind)
        made.append(path.read_bytes())
    return made


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8
)


DAMAGES = st.tuples(
    st.integers(0, 8),  # which original
    CHANGES,  # of the header
    CHANGES,  # anywhere
    st.one_of(st.just(1.0), st.floats(0, 1)),  # share that is kept
    st.binary(max_size=64),  # what follows
)

FUZZ = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settings(FUZZ, max_examples=150)
@given(damage=DAMAGES)
def test_damaged_files_are_enhanced_or_refused(originals, tmp_path, damage):
    check_damaged(originals, tmp_path, damage, "spectral-subtraction")


@pytest.mark.slow
@settings(FUZZ, max_examples=100)
@given(damage=DAMAGES)
def test_damaged_files_are_enhanced_by_the_best_model_or_refused(
    originals, tmp_path, damage
):
    check_damaged(originals, tmp_path, damage, "best")


def check_damaged(originals, tmp_path, damage, model):
    """A damaged file gives a complete and finite output, or a message."""
    which, header, anywhere, kept, behind = damage
    damaged = bytearray(originals[which])
    for place, value in header:
        damaged[int(place * 64)] = value
    for place, value in anywhere:
        damaged[int(place * len(damaged))] = value
    source, target = tmp_path / "in", tmp_path / "out"
    damaged = bytes(damaged[: round(kept * len(damaged))]) + behind
    source.write_bytes(damaged)
    target.unlink(missing_ok=True)
    job = Job("in", source, target)
    outcome = enhancing._enhance_one(job, enhancers.Settings(model), 1.0, False)
    assert source.read_bytes() == damaged
    assert {path.name for path in tmp_path.iterdir()} <= {source.name, target.name}
    if outcome.error is None:
        samples, _ = soundfile.read(target, always_2d=True)
        assert np.isfinite(samples).all()
    else:
        assert not target.exists()
        # A foreseen error, in one line.
        assert "(-v shows where)" not in outcome.error, outcome.trace
        assert "\n" not in outcome.error


@pytest.mark.slow
def test_a_classical_method_still_loads_no_torch_to_refuse(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no audio")
    script = (
        "import sys; from skvae.cli import main; "
        "main(['enhance', 'a.wav', '-o', 'out', '--model', 'wiener']); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
