"""``skvae enhance``."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile

from skvae import LogMMSE, WienerFilter
from skvae.cli import enhancers, enhancing, files, main, models
from skvae.cli.files import Job
from skvae.formats import mpeg
from skvae.metrics import si_sdr
from skvae.signal.music import MusicDetector
from skvae.storage import names, pretrained
from skvae.utils.files import ignores_case

W = ["--model", "wiener"]
MODELS = ["spectral-subtraction", "wiener", "log-mmse", "is-nmf", "rpca"]


@pytest.fixture(autouse=True)
def classical_default(monkeypatch):
    """Use a fast method in tests that name none."""
    monkeypatch.setattr(models, "_DEFAULTS", ("log-mmse",))


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_brings_a_file_closer_to_the_clean_one(corpus, skvae, model):
    out = corpus / "out.wav"
    status, _, _ = skvae(
        "enhance", corpus / "noisy/one.wav", "-o", out, "--model", model
    )
    assert status == 0
    clean, noisy, enhanced = (
        soundfile.read(path)[0]
        for path in (corpus / "clean/one.wav", corpus / "noisy/one.wav", out)
    )
    assert si_sdr(clean, enhanced) > si_sdr(clean, noisy) + 1


def test_folders_keep_their_structure_and_files_their_format(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--model", "log-mmse")
    status, out, err = skvae(*words)
    assert status == 0
    assert out == ""
    assert files_below(corpus / "out") == ["one.wav", "sub/three.wav", "two.flac"]
    for name in files_below(corpus / "out"):
        before, after = (soundfile.info(corpus / d / name) for d in ("noisy", "out"))
        for part in ("samplerate", "channels", "frames", "format", "subtype"):
            assert getattr(before, part) == getattr(after, part)
    lines = err.splitlines()
    assert len(lines) == 4
    assert "times real time" in lines[0]
    assert lines[-1].startswith("enhanced 3 files with log-mmse: ")


def test_several_inputs_go_into_one_folder(corpus, skvae):
    skvae(
        "enhance",
        corpus / "noisy/one.wav",
        corpus / "noisy/sub",
        "-o",
        corpus / "out",
        "--quiet",
    )
    assert files_below(corpus / "out") == ["one.wav", "three.wav"]


def test_a_second_run_does_only_what_is_missing(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out")
    skvae(*words)
    (corpus / "out/one.wav").unlink()
    kept = corpus / "out/two.flac"
    os.utime(kept, (0, 0))
    status, _, err = skvae(*words)
    assert status == 0
    assert (corpus / "out/one.wav").exists()
    assert kept.stat().st_mtime == 0
    assert "enhanced 1 file " in err
    assert "2 already there, perhaps from another model" in err
    skvae(*words, "--overwrite", "--quiet")
    assert kept.stat().st_mtime > 0


def test_an_output_folder_inside_the_input_folder_is_no_input(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "noisy/enhanced", "--quiet")
    assert skvae(*words)[0] == 0
    assert skvae(*words, "--overwrite")[0] == 0
    assert not (corpus / "noisy/enhanced/enhanced").exists()


@pytest.mark.slow
def test_two_jobs_give_what_one_gives(corpus, skvae):
    for jobs in (1, 2):
        skvae(
            *("enhance", corpus / "noisy", "-o", corpus / f"out{jobs}"),
            *("--jobs", jobs, "--quiet"),
        )
    for name in files_below(corpus / "out1"):
        assert (corpus / "out1" / name).read_bytes() == (
            corpus / "out2" / name
        ).read_bytes()


@pytest.mark.slow
def test_what_learns_is_fitted_once_for_all_rates_and_workers(
    corpus, capfd, monkeypatch
):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # to come back
    for name, rate in (("a.wav", 8000), ("b.wav", 44100)):
        soundfile.write(corpus / "noisy" / name, np.ones(rate // 4) * 0.1, rate)
    words = ["enhance", corpus / "noisy", "-o", corpus / "out", "--model", "is-nmf"]
    assert main([*map(str, words), "--jobs", "2"]) == 0
    # Those of the workers, too.
    assert capfd.readouterr().err.count("synthetic") == 1


def test_an_input_named_twice_is_one(corpus, skvae):
    path = corpus / "noisy/one.wav"
    assert skvae("enhance", path, path, "-o", corpus / "out", "--quiet")[0] == 0


def test_a_bad_file_is_reported_and_the_others_are_done(corpus, skvae):
    (corpus / "noisy/bad.wav").write_bytes(b"no audio")
    soundfile.write(corpus / "noisy/nan.wav", [np.nan] * 99, 16000, subtype="FLOAT")
    (corpus / "noisy/empty.flac").touch()
    status, _, err = skvae("enhance", corpus / "noisy", "-o", corpus / "out")
    assert status == 1
    assert files_below(corpus / "out") == ["one.wav", "sub/three.wav", "two.flac"]
    failures = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 3
    assert any("nan.wav" in line and "NaN or inf" in line for line in failures)
    assert "Traceback" not in err
    assert "3 failed" in err


def test_nothing_is_left_of_a_file_that_failed(corpus, skvae):
    soundfile.write(corpus / "nan.wav", [0.0] * 99 + [np.nan], 16000, subtype="FLOAT")
    skvae("enhance", corpus / "nan.wav", "-o", corpus / "out")
    assert list((corpus / "out").iterdir()) == []


def test_the_attenuation_limit_leaves_some_noise(corpus, skvae):
    noisy = 0.1 * np.random.default_rng(0).standard_normal(32000)
    soundfile.write(corpus / "noise.wav", noisy, 16000)
    levels = []
    for limit in (["--attenuation-limit", 6], []):
        out = corpus / f"out{len(levels)}.wav"
        skvae("enhance", corpus / "noise.wav", "-o", out, "--quiet", *limit)
        levels.append(np.std(soundfile.read(out)[0][8000:]) / 0.1)
    assert 0.49 < levels[0] < 0.7
    assert levels[1] < 0.4


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ([], 24),
        (["--preset", "gentle"], 12),
        (["--preset", "strong"], None),
        (["--preset", "gentle", "--attenuation-limit", 6], 6),
        (["--model", "own"], 9),
        (["--model", "own", "--preset", "normal"], 24),
        (["--model", "own", "--jobs", 2], 9),
    ],
)
def test_a_preset_is_a_limit_unless_one_is_given(corpus, skvae, options, limit):
    samples, rate = soundfile.read(corpus / "noisy/one.wav", dtype="float32")
    soundfile.write(corpus / "in.wav", samples, rate, subtype="FLOAT")
    own = corpus / "own.safetensors"
    pretrained.save_pretrained(LogMMSE(attenuation_limit=9).fit([samples]), own)
    options = [own if word == "own" else word for word in options]
    status, _, _ = skvae(
        "enhance", corpus / "in.wav", "-o", corpus / "out.wav", *options
    )
    assert status == 0
    [wanted] = LogMMSE(attenuation_limit=limit).fit([samples]).transform([samples])
    enhanced = soundfile.read(corpus / "out.wav", dtype="float32")[0]
    np.testing.assert_allclose(enhanced, wanted, atol=1e-6)


def test_other_verbs_take_a_model_without_a_preset():
    settings = enhancers.choose_model("wiener", [])
    assert enhancers.make_enhancer(settings, 16000).attenuation_limit is None
    settings = settings._replace(preset="auto")
    assert enhancers.make_enhancer(settings, 16000).attenuation_limit == 24


def test_a_warning_about_music_names_the_file_once(corpus, skvae, monkeypatch):
    monkeypatch.setattr(
        MusicDetector, "is_erased", property(lambda self: self._power > 0)
    )
    status, _, err = skvae(
        "enhance", corpus / "noisy/one.wav", corpus / "noisy/two.flac", "-o",
        corpus / "out", *W, "--block-seconds", 0.2,
    )  # fmt: skip
    assert status == 0
    told = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert len(told) == 2
    for name, line in zip(("one.wav", "two.flac"), told, strict=True):
        assert line.count(name) == 1 and "sounds like music" in line


def test_a_noise_profile_is_used(corpus, skvae):
    rng = np.random.default_rng(0)
    words = ("enhance", corpus / "noisy/one.wav", "--quiet", "--model", "wiener")
    levels = []
    for scale in (0.01, 0.3):
        noise = scale * rng.standard_normal(44100)
        path = corpus / f"profile{scale}.wav"
        soundfile.write(path, noise, 44100)
        profile = ("--noise-profile", path, "--overwrite")
        assert skvae(*words, "-o", corpus / "out.wav", *profile)[0] == 0
        levels.append(np.std(soundfile.read(corpus / "out.wav")[0]))
    assert levels[1] < 0.8 * levels[0]


def test_the_default_is_best_where_the_package_has_it(corpus, skvae, monkeypatch):
    folder = corpus / "packaged"
    folder.mkdir()
    monkeypatch.setattr(names, "WEIGHTS", folder)
    monkeypatch.setattr(models, "_DEFAULTS", ("best", "log-mmse"))
    enhancers.make_enhancer.cache_clear()  # of the packaged model
    words = ("enhance", corpus / "noisy/one.wav", "--overwrite")
    assert "with log-mmse: " in skvae(*words, "-o", corpus / "log-mmse.wav")[2]
    pretrained.save_pretrained(
        WienerFilter().fit([np.ones(9)]), folder / "best.safetensors"
    )
    assert "with best: " in skvae(*words, "-o", corpus / "best.wav")[2]
    skvae(*words, "-o", corpus / "wiener.wav", "--model", "wiener")
    best, other, wiener = (
        (corpus / f"{name}.wav").read_bytes() for name in ("best", "log-mmse", "wiener")
    )
    assert best == wiener != other
    enhancers.make_enhancer.cache_clear()


def test_patterns_that_no_shell_expanded_are_expanded(corpus, skvae):
    words = ("--model", "wiener", "--quiet", "-o", corpus / "out")
    assert skvae("enhance", corpus / "noisy/*.*", *words)[0] == 0
    assert files_below(corpus / "out") == ["one.wav", "two.flac"]
    assert skvae("enhance", corpus / "noisy/**/t*.*", *words)[0] == 0
    assert files_below(corpus / "out") == ["one.wav", "three.wav", "two.flac"]
    status, _, err = skvae("enhance", corpus / "noisy/*.mp3", *words)
    assert status == 1
    assert "no file matches this pattern" in err


def test_a_name_with_signs_of_patterns_is_a_name_where_there_is_such_a_file(
    corpus, skvae
):
    (corpus / "noisy/one.wav").rename(corpus / "noisy/take [1].wav")
    words = ("--model", "wiener", "--quiet", "-o", corpus / "out")
    assert skvae("enhance", corpus / "noisy/take [1].wav", *words)[0] == 0
    assert files_below(corpus / "out") == ["take [1].wav"]


def test_without_recursion_a_folder_stands_for_its_own_files(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--model", "wiener")
    assert skvae(*words, "--quiet", "--no-recursive")[0] == 0
    assert files_below(corpus / "out") == ["one.wav", "two.flac"]
    assert skvae(*words, "--quiet", "--recursive")[0] == 0
    assert files_below(corpus / "out") == ["one.wav", "sub/three.wav", "two.flac"]


def test_a_suffix_goes_before_the_ending_and_outputs_are_no_inputs(corpus, skvae):
    noisy = corpus / "noisy"
    words = ("enhance", noisy, "-o", noisy, "--suffix", "_clean", "--model", "wiener")
    expected = ["one.wav", "one_clean.wav", "sub/three.wav", "sub/three_clean.wav"]
    for _ in range(2):
        assert skvae(*words, "--quiet")[0] == 0
        assert files_below(noisy) == [*expected, "two.flac", "two_clean.flac"]
    # As a shell expands them.
    files = [noisy / "one.wav", noisy / "one_clean.wav"]
    assert skvae("enhance", *files, *words[2:], "--quiet")[0] == 0
    assert len(files_below(noisy)) == 6


def test_what_is_taken_away_and_what_is_left_sum_to_the_input(corpus, skvae):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--model", "wiener")
    noise = ("--noise-output", corpus / "noise", "--mix", 0.8, "--quiet")
    assert skvae(*words, *noise)[0] == 0
    assert files_below(corpus / "noise") == files_below(corpus / "out")
    for name in files_below(corpus / "noisy"):
        noisy, enhanced, taken = (
            soundfile.read(corpus / folder / name, dtype="int16")[0]
            for folder in ("noisy", "out", "noise")
        )
        np.testing.assert_array_equal(enhanced + taken, noisy)
        assert taken.any()


def test_a_file_counts_as_done_only_with_its_noise(corpus, skvae):
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "out")
    words = (*words, "--model", "wiener")
    skvae(*words)
    kept = corpus / "out/one.wav"
    os.utime(kept, (0, 0))
    _, _, err = skvae(*words, "--noise-output", corpus / "noise")
    assert "enhanced 1 file " in err
    assert kept.stat().st_mtime == 0
    assert (corpus / "noise/one.wav").exists()
    _, _, err = skvae(*words, "--noise-output", corpus / "noise")
    assert "enhanced 0 files " in err


def test_a_mix_of_nothing_is_the_input(corpus, skvae):
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "out.wav", "--mix", 0)
    assert skvae(*words, "--quiet", "--model", "wiener")[0] == 0
    given, made = (
        soundfile.read(corpus / name, dtype="int16")[0]
        for name in ("noisy/one.wav", "out.wav")
    )
    np.testing.assert_array_equal(given, made)


def test_blocks_are_as_long_as_asked_for(corpus, skvae, monkeypatch):
    lengths = []
    estimate = WienerFilter._estimate_mask

    def noted(self, V, rng, state):
        lengths.append(len(V))
        return estimate(self, V, rng, state)

    monkeypatch.setattr(WienerFilter, "_estimate_mask", noted)
    words = ("enhance", corpus / "noisy/one.wav", "--quiet", "--model", "wiener")
    assert skvae(*words, "-o", corpus / "a.wav", "--block-seconds", 0.2)[0] == 0
    assert len(lengths) > 4
    assert skvae(*words, "-o", corpus / "b.wav")[0] == 0
    given = [soundfile.read(corpus / name)[0] for name in ("a.wav", "b.wav")]
    np.testing.assert_allclose(*given, atol=1.01 / 32768)


def test_an_input_is_replaced_only_if_that_is_asked_for(corpus, skvae):
    noisy = corpus / "noisy"
    before = (noisy / "one.wav").read_bytes()
    words = ("enhance", noisy, "-o", noisy, "--quiet", "--model", "wiener")
    status, _, err = skvae(*words)
    assert status == 1
    assert "choose another folder with -o, or replace it with --overwrite" in err
    assert (noisy / "one.wav").read_bytes() == before
    assert skvae(*words, "--overwrite")[0] == 0
    assert files_below(noisy) == ["one.wav", "sub/three.wav", "two.flac"]
    assert (noisy / "one.wav").read_bytes() != before
    # Never by the output of another input.
    status, _, err = skvae(
        *("enhance", corpus / "clean/one.wav", noisy / "one.wav", "-o", noisy),
        "--overwrite",
    )
    assert status == 1
    assert "choose another folder with -o." in err


def test_what_appears_while_a_file_is_enhanced_is_not_replaced(
    corpus, skvae, monkeypatch
):
    target = corpus / "out/one.wav"

    def enhance_slowly(*arguments, **options):
        target.write_bytes(b"of another program")
        return 1.0

    monkeypatch.setattr(enhancing, "enhance_file", enhance_slowly)
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "out")
    status, _, err = skvae(*words, "--model", "wiener")
    assert status == 0
    assert "done by another run" in err
    assert target.read_bytes() == b"of another program"
    assert files_below(corpus / "out") == ["one.wav"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
@pytest.mark.parametrize("option", ["-o", "--noise-output"])
def test_a_pipe_is_not_replaced(corpus, skvae, option):
    pipe = corpus / "pipe.wav"
    os.mkfifo(pipe)
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "out.wav")
    for more in ((), ("--overwrite",)):
        status, _, err = skvae(*words, option, pipe, "--model", "wiener", *more)
        assert status == 2
        assert f"{option} {pipe}: it is a device, a pipe or a socket" in err
    assert pipe.is_fifo()
    assert not (corpus / "out.wav").exists()


def test_a_name_with_a_slash_at_its_end_is_a_folder(corpus, skvae):
    words = ("enhance", corpus / "noisy/one.wav", "--model", "wiener", "--quiet")
    assert skvae(*words, "-o", f"{corpus}/new.wav/")[0] == 0
    assert files_below(corpus / "new.wav") == ["one.wav"]


def test_an_output_that_ends_like_the_only_input_is_a_file(corpus, skvae):
    (corpus / "noisy/one.wav").rename(corpus / "one.sound")
    words = ("enhance", corpus / "one.sound", "--model", "wiener", "--quiet")
    assert skvae(*words, "-o", corpus / "out.sound")[0] == 0
    assert soundfile.info(corpus / "out.sound").format == "WAV"


def test_names_that_differ_by_case_only_are_refused_where_they_are_one_file(
    corpus, skvae, monkeypatch
):
    other = corpus / "other/ONE.wav"
    other.parent.mkdir()
    other.write_bytes((corpus / "noisy/one.wav").read_bytes())
    words = ("enhance", corpus / "noisy/one.wav", other, "-o", corpus / "out")
    with monkeypatch.context() as patch:
        patch.setattr(files, "ignores_case", lambda folder: True)
        status, _, err = skvae(*words, "--model", "wiener", "--quiet")
        assert status == 1
        assert "does not distinguish the case of letters" in err
        assert not (corpus / "out").exists()
    if not ignores_case(corpus):
        assert skvae(*words, "--model", "wiener", "--quiet")[0] == 0
        assert files_below(corpus / "out") == ["ONE.wav", "one.wav"]


@pytest.fixture
def interrupted(corpus, skvae, monkeypatch):
    """Command in place, and a way to interrupt it while it works on the nth file."""
    words = ("enhance", corpus / "noisy", "-o", corpus / "noisy", *W, "--overwrite")

    def run(n, when):
        calls = []

        def enhance(*arguments, **options):
            calls.append(arguments)
            if len(calls) == n and when == "before":
                raise KeyboardInterrupt
            return enhance_file(*arguments, **options)

        def replace(*paths):
            if len(calls) == n and when == "after":
                raise KeyboardInterrupt
            os_replace(*paths)

        enhance_file, os_replace = enhancing.enhance_file, os.replace
        with monkeypatch.context() as patch:
            patch.setattr(enhancing, "enhance_file", enhance)
            patch.setattr(os, "replace", replace)
            status, _, err = skvae(*words)
        assert status == 130
        assert "run the same command again to resume" in err

    return words, run


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_file_is_enhanced_twice_in_place(corpus, skvae, interrupted, when):
    """Whether the run ends before a file is done, or just before it is replaced."""
    words, interrupt = interrupted
    expected = corpus / "out"
    assert skvae("enhance", corpus / "noisy", "-o", expected, *W)[0] == 0
    interrupt(3, when)
    status, _, err = skvae(*words)
    assert status == 0
    assert "enhanced 1 file " in err
    assert "2 done in place by the interrupted run" in err
    for name in ("one.wav", "two.flac", "sub/three.wav"):
        made, wanted = (corpus / folder / name for folder in ("noisy", "out"))
        assert made.read_bytes() == wanted.read_bytes()
    names = {path.name for path in (corpus / "noisy").rglob(".*")}
    assert names == set()
    # A new run that is not interrupted is a new run.
    assert "enhanced 3 files " in skvae(*words)[2]


def test_an_interrupted_run_in_place_is_completed_with_its_own_options(
    corpus, skvae, interrupted
):
    words, interrupt = interrupted
    interrupt(2, "before")
    before = {path: path.read_bytes() for path in (corpus / "noisy").rglob("*.*")}
    status, _, err = skvae(*words, "--mix", "0.5")
    assert status == 1
    assert "an interrupted run with other options" in err
    assert ".skvae-in-place" in err
    for path, content in before.items():
        assert path.read_bytes() == content


def test_in_place_files_that_failed_are_tried_again_without_the_others(corpus, skvae):
    bad = corpus / "noisy/zzz.wav"
    bad.write_bytes(b"no audio")
    words = ("enhance", corpus / "noisy", "-o", corpus / "noisy", *W, "--overwrite")
    assert skvae(*words)[0] == 1
    soundfile.write(bad, np.ones(800) / 9, 16000)
    status, _, err = skvae(*words)
    assert status == 0
    assert "enhanced 1 file " in err
    assert "3 done in place" in err


@pytest.mark.slow
def test_workers_share_a_journal(corpus, skvae):
    (corpus / "noisy/zzz.wav").write_bytes(b"no audio")
    words = ("enhance", corpus / "noisy", "-o", corpus / "noisy", *W, "--overwrite")
    assert skvae(*words, "--jobs", 2)[0] == 1
    assert "3 done in place" in skvae(*words)[2]


@pytest.mark.parametrize("kind", ["flac", "mp3"])
def test_a_folder_is_converted(corpus, skvae, kind):
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", *W, "--quiet")
    assert skvae(*words, "--format", kind, "--noise-output", corpus / "noise")[0] == 0
    names = [f"one.{kind}", f"sub/three.{kind}", f"two.{kind}"]
    assert files_below(corpus / "out") == files_below(corpus / "noise") == names
    for name in names:
        assert soundfile.info(corpus / "out" / name).format == kind.upper()


def test_the_ending_of_a_file_that_is_named_chooses_its_format(corpus, skvae):
    words = ("enhance", corpus / "noisy/one.wav", *W, "--quiet")
    assert skvae(*words, "-o", corpus / "out.opus", "--bitrate", 24)[0] == 0
    assert soundfile.info(corpus / "out.opus").subtype == "OPUS"
    assert skvae(*words, "-o", corpus / "out.wave")[0] == 0
    assert soundfile.info(corpus / "out.wave").format == "WAV"
    noise = ("--noise-output", corpus / "noise.opus")
    status, _, err = skvae(*words, "-o", corpus / "more.wav", *noise)
    assert status == 2
    assert "--noise-output" in err


def test_a_bit_rate_is_for_the_files_that_have_one(corpus, skvae):
    source = corpus / "noisy/four.mp3"
    soundfile.write(source, soundfile.read(corpus / "noisy/one.wav")[0], 16000)
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", *W, "--quiet")
    assert skvae(*words, "--bitrate", 128)[0] == 0
    assert mpeg.examine(corpus / "out/four.mp3").bitrate == 128
    assert len(files_below(corpus / "out")) == 4


def test_two_files_that_would_become_one_are_refused(corpus, skvae):
    samples = soundfile.read(corpus / "noisy/one.wav")[0]
    soundfile.write(corpus / "noisy/one.mp3", samples, 16000)
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", *W)
    status, _, err = skvae(*words, "--format", "flac")
    assert status == 1
    assert "would both write" in err
    assert not (corpus / "out").exists()


def test_files_of_a_folder_that_are_not_read_are_listed(corpus, skvae):
    for name in ("cover.JPG", "sub/notes.txt", "sub/other.txt", "README"):
        (corpus / "noisy" / name).touch()
    words = ("enhance", corpus / "noisy", "-o", corpus / "noisy/out", *W)
    for _ in range(2):
        status, _, err = skvae(*words)
        assert status == 0
        [line] = [line for line in err.splitlines() if line.startswith("not read")]
        assert "2 .txt, 1 .jpg, 1 without an ending" in line.replace(
            "1 without an ending, 1 .jpg", "1 .jpg, 1 without an ending"
        )
    assert skvae(*words, "--quiet")[2] == ""


def test_a_file_that_another_run_has_done_meanwhile_is_left_to_it(corpus, skvae):
    job = Job("one", corpus / "noisy/one.wav", corpus / "out.wav")
    job.target.write_bytes(b"of the other run")
    outcome = enhancing._enhance_one(job, enhancers.Settings("wiener"), 1.0, False)
    assert outcome.skipped
    assert outcome.error is None
    assert job.target.read_bytes() == b"of the other run"


def test_verbose_tells_where_an_error_came_from_and_quiet_tells_nothing(corpus, skvae):
    (corpus / "noisy/bad.wav").write_bytes(b"no audio")
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--model", "wiener")
    status, out, err = skvae(*words, "-v")
    assert (status, out) == (1, "")
    assert "Traceback" in err
    status, out, err = skvae(*words, "--overwrite", "--quiet")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("failed: ")


def test_a_terminal_sees_files_a_real_time_factor_and_the_time_left(
    corpus, skvae, monkeypatch
):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    words = ("enhance", corpus / "noisy", "-o", corpus / "out", "--model", "wiener")
    assert main([str(word) for word in words]) == 0
    shown = terminal.getvalue()
    assert re.search(r"enhanced at \d+ times real time: 2/3, \d+ s, \d+ s left", shown)
    terminal.truncate(0)
    words = ("enhance", corpus / "noisy/one.wav", "-o", corpus / "o.wav")
    options = ("--model", "wiener", "--block-seconds", 0.2)
    assert main([str(word) for word in (*words, *options)]) == 0
    assert "percent enhanced: 100/100" in terminal.getvalue()


def run_process(corpus, *words, **options):
    return subprocess.run(
        [sys.executable, "-m", "skvae", "enhance", *words, "--model", "wiener"],
        cwd=corpus,
        capture_output=True,
        check=False,
        **options,
    )


@pytest.mark.slow
def test_pipes_take_wav_and_give_wav(corpus):
    noisy = (corpus / "noisy/one.wav").read_bytes()
    done = run_process(corpus, "-", "-o", "-", input=noisy)
    assert done.returncode == 0
    assert b"standard input: 1." in done.stderr
    run_process(corpus, "noisy/one.wav", "-o", "out.wav")
    assert done.stdout == (corpus / "out.wav").read_bytes()


@pytest.mark.parametrize("kind", ["flac", "mp3"])
def test_standard_input_is_converted(corpus, skvae, monkeypatch, kind):
    content = (corpus / "noisy/one.wav").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert skvae("enhance", "-", "-o", corpus / f"out.{kind}", *W)[0] == 0
    assert soundfile.info(corpus / f"out.{kind}").format == kind.upper()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["-", "noisy/one.wav", "-o", "out"], 2, "stands for one file"),
        (["noisy", "-o", "-"], 2, "stands for one file"),
        (["-", "-o", "noisy"], 2, "name a file"),
        (["-", "-o", "o.wav", "--format", "mp3"], 2, "does not end in .mp3"),
        (["-", "-o", "out.wav", "--noise-output", "noisy"], 2, "name a file"),
    ],
)
def test_pipes_that_lead_nowhere(corpus, skvae, monkeypatch, words, status, message):
    monkeypatch.chdir(corpus)
    content = io.BytesIO((corpus / "noisy/one.wav").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    given, _, err = skvae("enhance", *words)
    assert given == status
    assert message in err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["missing.wav", "-o", "out"], 1, "there is no such file or folder"),
        (["noisy", "-o", "out.wav"], 2, "name a folder"),
        (["noisy/one.wav", "noisy/two.flac", "-o", "o.wav"], 2, "name a folder"),
        (["noisy/one.wav", "-o", "noisy"], 1, "would be overwritten"),
        (["noisy/one.wav", "clean/one.wav", "-o", "out"], 1, "would both write"),
        (["noisy", "-o", "out", "--model", "magic"], 2, "choose from spectral-sub"),
        (["noisy", "-o", "out", "--model", "bst"], 2, "did you mean 'best'?"),
        (["noisy", "-o", "out", "--jobs", "0"], 2, "--jobs must not be 0"),
        (["noisy", "-o", "out", "--attenuation-limit", "-3"], 2, "from 0 to 1000 dB"),
        (["noisy", "-o", "out", "--attenuation-limit", "inf"], 2, "to 1000 dB"),
        (["noisy", "-o", "out", "--mix", "1.5"], 2, "--mix must be from 0 to 1"),
        (["noisy", "-o", "out", "--mix", "nan"], 2, "--mix must be from 0 to 1"),
        (["noisy", "-o", "out", "--block-seconds", "0"], 2, "more than 0"),
        (["noisy", "-o", "out", "--block-seconds", "1e300"], 2, "at most 1000000"),
        (["noisy", "-o", "out", "--suffix", "/../x"], 2, "part of a file name"),
        (["noisy", "-o", "out", "--device", "cuda", *W], 2, "computes on the CPU"),
        (["noisy", "-o", "out", "--device", "cuda", "--jobs", "2"], 2, "exclude each"),
        (["noisy", "-o", "out", "--quiet", "-v"], 2, "not allowed with"),
        (["noisy", "-o", "out", "--noise-output", "out"], 1, "would both write"),
        (["noisy", "-o", "out", "--noise-output", "noisy"], 1, "is an input"),
        (["noisy", "-o", "out", "--noise-profile", "no.wav"], 2, "--noise-profile"),
        (["noisy/one.wav", "-o", "out.aiff"], 2, "the output would end in .wav: use"),
        (["noisy/one.wav", "-o", "out.m4a"], 2, "the output would end in .wav: use"),
        (["noisy/one.wav", "-o", "o.wav", "--format", "mp3"], 2, "would end in .mp3"),
        (["noisy", "-o", "out", "--format", "m4a"], 2, "invalid choice"),
        (["noisy", "-o", "out", "--bitrate", "0"], 2, "more than 0 kbit/s"),
        (["noisy", "-o", "o", "--bitrate", "9", "--format", "wav"], 2, "has none"),
        (["noisy", "-o", "a.txt"], 2, "is a file"),
        (["empty", "-o", "out"], 1, "empty"),
        (["noisy"], 2, "-o/--output"),
    ],
)
def test_mistakes_get_a_sentence_and_a_status(
    corpus, skvae, monkeypatch, words, status, message
):
    monkeypatch.chdir(corpus)
    (corpus / "empty").mkdir()
    (corpus / "a.txt").write_text("")
    given, _, err = skvae("enhance", *words)
    assert given == status
    assert message in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_classical_method_loads_neither_torch_nor_librosa(corpus):
    script = (
        "import sys; from skvae.cli import main; "
        "status = main(['enhance', 'noisy/one.wav', '-o', 'out.wav', "
        "'--model', 'wiener']); "
        "heavy = {'torch', 'librosa', 'matplotlib', 'numba'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=corpus, check=True)
