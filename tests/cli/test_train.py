"""``skvae train``."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from skvae import SpeechVAE, Training, load_pretrained
from skvae.cli import train
from skvae.datasets import find_audio, make_noise, make_speech
from skvae.storage.model_files import read_summary
from skvae.storage.names import recipe_names
from skvae.storage.recipe_files import read_recipe

#: A few epochs of tiny networks, at half the rate of the recordings.
TINY = """
name = "tiny"
description = "Too small to be of use"
training_data = "synthetic speech"
license = "CC0"
attributions = ["Speech by nobody"]
dtype = "float16"

[estimator]
class = "VAENMFEnhancer"
noise = { class = "NMFNoise", n_components = 2 }

[estimator.stft]
class = "STFT"
n_fft = 128
sample_rate = 8000

[estimator.vae]
class = "SpeechVAE"
n_latent = 2
hidden_layer_sizes = 8
training = { max_iter = 3 }

[estimator.guide]
class = "BiLSTMMask"
hidden_layer_sizes = 4
n_mels = 4

[estimator.guide.training]
batch_size = 2
sequence_length = 20
max_iter = 12
n_iter_no_change = 12

[estimator.guide.mixer]
class = "Mixer"
augment = true
"""


@pytest.fixture
def sounds(tmp_path):
    """Folders clean/ and noise/, and a recipe."""
    for folder, waveforms in {
        "clean": [make_speech(4000, random_state=k) for k in range(5)],
        "noise": [make_noise(5000, random_state=k) for k in range(2)],
    }.items():
        (tmp_path / folder).mkdir()
        for k, waveform in enumerate(waveforms):
            soundfile.write(tmp_path / folder / f"{k}.wav", waveform, 16000)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


@pytest.fixture
def fitted(monkeypatch):
    """Estimators at the time when they are saved."""
    saved = []
    save = train.save_pretrained

    def remember(estimator, path, **card):
        saved.append(estimator)
        save(estimator, path, **card)

    monkeypatch.setattr(train, "save_pretrained", remember)
    return saved


def words(folder, output, *others):
    return (
        *("train", "--recipe", folder / "tiny.toml", "--clean", folder / "clean"),
        *("--noise", folder / "noise", "--device", "cpu"),
        *("-o", folder / output, *others),
    )


def left(folder):
    return {path.name for path in folder.iterdir()} - {"clean", "noise", "tiny.toml"}


QUICK = ("--set", "guide__training__max_iter=2", "--set", "vae__training__max_iter=2")


def test_a_model_is_trained_written_and_used(sounds, skvae):
    status, out, err = skvae(*words(sounds, "new/m.safetensors", *QUICK))
    assert (status, out) == (0, "")
    assert left(sounds) == {"new"}
    assert left(sounds / "new") == {"m.safetensors"}
    lines = err.splitlines()
    assert lines[0].startswith("training tiny on 5 recordings of ")
    assert "and 2 noises of" in lines[0]
    parts = [line.split(":")[0] for line in lines[1:-1]]
    assert parts == [
        *("SpeechVAE, epoch 1/2", "SpeechVAE, epoch 2/2"),
        *("BiLSTMMask, epoch 1/2", "BiLSTMMask, epoch 2/2"),
    ]
    assert "loss" in lines[1]
    assert "validation" in lines[1]
    assert lines[1].endswith("left")
    assert "MB, in" in lines[-1]
    # The card and the data type of the weights are those of the recipe.
    summary = read_summary(sounds / "new/m.safetensors")
    assert summary.card == read_recipe(sounds / "tiny.toml").card
    assert summary.sample_rate == 8000
    state = load_pretrained(sounds / "new/m.safetensors").vae_.state_
    assert all(
        np.array_equal(array, array.astype(np.float16)) for array in state.values()
    )
    model = ("--model", sounds / "new/m.safetensors")
    assert skvae("enhance", sounds / "clean", "-o", sounds / "out", *model)[0] == 0
    assert len(left(sounds / "out")) == 5


def test_it_is_what_fit_makes_in_python(sounds, skvae, fitted):
    status, _, _ = skvae(*words(sounds, "m.safetensors", *QUICK, "--seed", "7"))
    assert status == 0
    changes = dict.fromkeys(("guide__training__max_iter", "vae__training__max_iter"), 2)
    recipe = read_recipe(sounds / "tiny.toml", changes)
    noise = find_audio(sounds / "noise", sample_rate=8000)
    enhancer = recipe.estimator.set_params(
        random_state=7,
        vae__random_state=7,
        guide__random_state=7,
        guide__mixer__noise=noise,
    )
    enhancer.fit(find_audio(sounds / "clean", sample_rate=8000))
    for part in ("vae_", "guide_"):
        expected = getattr(enhancer, part)
        got = getattr(fitted[0], part)
        assert got.loss_curve_ == expected.loss_curve_
        for name, array in expected.state_.items():
            np.testing.assert_array_equal(got.state_[name], array)


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_file(sounds, skvae):
    whole = skvae(*words(sounds, "whole.safetensors"))
    assert whole[0] == 0
    killed = words(sounds, "killed.safetensors")
    command = [sys.executable, "-m", "skvae", *map(str, killed)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("BiLSTMMask, epoch 2/"):
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    name = "killed.safetensors.checkpoint"
    assert {f"{name}.vae", f"{name}.guide"} <= left(sounds)
    assert "killed.safetensors" not in left(sounds)

    status, _, err = skvae(*killed)
    assert status == 0
    assert "resuming from" in err
    # The finished part is not trained again; the other one resumes.
    told = [line.split(":")[0] for line in err.splitlines() if "epoch" in line]
    assert told[0] == "SpeechVAE, epoch 3/3"
    assert told[1].startswith("BiLSTMMask, epoch ")
    assert 2 <= int(told[1].split()[-1].split("/")[0]) < 12
    assert "SpeechVAE" not in "".join(told[1:])
    assert told[-1] == "BiLSTMMask, epoch 12/12"
    one, other = (
        (sounds / f"{name}.safetensors").read_bytes() for name in ("whole", "killed")
    )
    assert one == other
    assert left(sounds) == {"whole.safetensors", "killed.safetensors"}


class Interrupted:
    """Simulates control-C in the second epoch."""

    def __init__(self, tell):
        self.tell = tell
        self.n_epochs = 0

    def __call__(self, teller, *arguments, **others):
        self.tell(teller, *arguments, **others)
        self.n_epochs += 1
        if self.n_epochs == 2:
            raise KeyboardInterrupt


def test_an_interruption_leaves_a_checkpoint_where_it_was_asked_for(
    sounds, skvae, monkeypatch
):
    tell = train._EpochTeller.on_fit_task_end
    interrupted = Interrupted(tell)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return interrupted(self, estimator, context, fitted_estimator=fitted_estimator)

    monkeypatch.setattr(train._EpochTeller, "on_fit_task_end", on_fit_task_end)
    checkpoint = ("--checkpoint", sounds / "so-far")
    status, _, err = skvae(*words(sounds, "m.safetensors", *QUICK, *checkpoint))
    assert status == 130
    assert "the same command resumes from" in err
    assert "Traceback" not in err
    assert left(sounds) == {"so-far.vae"}
    monkeypatch.setattr(train._EpochTeller, "on_fit_task_end", tell)

    # The checkpoint of another training is refused and kept.
    other = words(sounds, "m.safetensors", *QUICK, *checkpoint, "--seed", "1")
    status, _, err = skvae(*other)
    assert status == 1
    assert "is the checkpoint of another training" in err
    assert left(sounds) == {"so-far.vae"}
    assert skvae(*words(sounds, "m.safetensors", *QUICK, *checkpoint))[0] == 0
    assert left(sounds) == {"m.safetensors"}


def test_a_folder_is_the_same_wherever_it_is_named_from(sounds, skvae, monkeypatch):
    names = words(sounds, "m.safetensors", *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(train, "save_pretrained", fail)
        assert skvae(*names)[0] == 1
    assert left(sounds)  # training is complete, but nothing is written
    monkeypatch.chdir(sounds)
    relative = ["clean" if word == sounds / "clean" else word for word in names]
    status, _, err = skvae(*relative)
    assert status == 0
    assert err.count("SpeechVAE, epoch") == 1


def fail(*arguments, **others):
    raise OSError("no space left")


def test_seeds_come_from_the_command_the_recipe_or_are_zero(sounds, skvae, fitted):
    recipe = sounds / "tiny.toml"
    recipe.write_text(
        TINY.replace("n_mels = 4", "n_mels = 4\nrandom_state = 3")
        .replace("max_iter = 12", "max_iter = 1")
        .replace("max_iter = 3", "max_iter = 1")
    )
    for seed in ([], ["--seed", 5]):
        assert skvae(*words(sounds, "m.safetensors", "--overwrite", *seed))[0] == 0
    seeds = [
        (model.random_state, model.vae.random_state, model.guide.random_state)
        for model in fitted
    ]
    assert seeds == [(0, 0, 3), (5, 5, 5)]


def test_noise_goes_into_the_mixers_that_have_none(sounds, skvae, fitted):
    assert skvae(*words(sounds, "m.safetensors", *QUICK, "--quiet")) == (0, "", "")
    noise = fitted[0].guide.mixer.noise
    assert [audio.path for audio in noise] == [
        str(sounds / "noise" / name) for name in ("0.wav", "1.wav")
    ]
    assert {audio.sample_rate for audio in noise} == {8000}
    without = [*words(sounds, "synthetic.safetensors", *QUICK)]
    del without[without.index("--noise") : without.index("--noise") + 2]
    status, _, err = skvae(*without)
    assert status == 0
    assert "in synthetic noise" in err
    assert fitted[1].guide.mixer.noise is None


def test_what_learns_from_no_noise_takes_none(sounds, skvae):
    recipe = sounds / "tiny.toml"
    recipe.write_text(TINY.replace("augment = true", 'noise = "synthetic"'))
    status, _, err = skvae(*words(sounds, "m.safetensors"))
    assert status == 2
    assert "does not learn from recordings of noise" in err
    assert left(sounds) == set()


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_trains(sounds, skvae, recipe):
    # As in the recipe, except for the settings that take time.
    names = read_recipe(recipe).estimator.get_params()
    # Synthetic noise takes longer to make than a small network to train.
    mixes = any(name.endswith("mixer__noise") for name in names)
    may_choose = recipe != "vae-nmf"  # the recipe itself says "synthetic"
    noise = ("--noise", sounds / "noise") if mixes and may_choose else ()
    settings = {}
    for part in ("", "vae__", "guide__", "guide__vae__"):
        for place in (part, f"{part}encoder__"):
            settings |= {
                f"{place}training__max_iter": 1,
                f"{place}hidden_layer_sizes": 8,
            }
    status, _, err = skvae(
        *("train", "--recipe", recipe, "--clean", sounds / "clean", "--device", "cpu"),
        *("-o", sounds / "m.safetensors", *noise),
        *(
            word
            for name, value in settings.items()
            if name.replace("__max_iter", "") in names
            for word in ("--set", f"{name}={value}")
        ),
    )
    assert status == 0, err
    assert read_summary(sounds / "m.safetensors").card.name == recipe


def test_a_method_without_a_network_trains_too(sounds, skvae):
    (sounds / "tiny.toml").write_text(
        'name = "dictionary"\n[estimator]\nclass = "ISNMF"\nmax_iter = 20\n'
        '[estimator.stft]\nclass = "STFT"\nn_fft = 128'
    )
    without = [*words(sounds, "m.safetensors", "-v")]
    del without[without.index("--noise") : without.index("--noise") + 2]
    status, _, err = skvae(*without)
    assert status == 0
    assert "ISNMF(" in err
    assert "fitting ISNMF: 20/20" in err
    assert left(sounds) == {"m.safetensors"}


def test_a_model_that_is_there_is_replaced_only_when_asked(sounds, skvae):
    (sounds / "m.safetensors").write_text("mine")
    status, _, err = skvae(*words(sounds, "m.safetensors", *QUICK))
    assert status == 1
    assert "--overwrite" in err
    assert (sounds / "m.safetensors").read_text() == "mine"
    assert skvae(*words(sounds, "m.safetensors", *QUICK, "--overwrite"))[0] == 0
    assert load_pretrained(sounds / "m.safetensors").noise.n_components == 2


def test_what_fails_says_why_and_verbose_where(sounds, skvae):
    (sounds / "clean/9.wav").write_text("no sound")
    status, _, err = skvae(*words(sounds, "m.safetensors"))
    assert status == 1
    assert "9.wav" in err
    assert "Traceback" not in err
    status, _, err = skvae(*words(sounds, "m.safetensors", "-v"))
    assert status == 1
    assert "Traceback" in err
    assert left(sounds) == set()


@pytest.mark.parametrize(
    ("others", "status", "message"),
    [
        (["-o", "m.pt"], 2, "must end in .safetensors"),
        (["-o", "clean.safetensors"], 2, "is a folder"),
        (["-o", "tiny.toml/m.safetensors"], 1, "-o tiny.toml"),
        (["--device", "abacus"], 2, "--device"),
        (["--seed", "-1"], 2, "--seed"),
        (["--checkpoint", "gone/so-far"], 2, "--checkpoint gone/so-far"),
        (["--set", "vae__n_latent"], 2, "must have the form PARAM=VALUE"),
        (["--set", "=3"], 2, "must have the form PARAM=VALUE"),
        (["--set", "vae__n_latent="], 2, "must have the form PARAM=VALUE"),
        (["--set", "vae__n_latent=[1"], 2, "must be TOML"),
        (["--set", "vae__n_latent=1\nx = 2"], 2, "must be TOML"),
        (["--set", "vae__widths=1"], 2, "`estimator.vae.widths` is no parameter"),
        (["--set", "vae__n_latent=big"], 2, "`n_latent` must be an integer"),
        (["--clean", "gone"], 1, "gone"),
        (["--noise", "gone"], 1, "gone"),
        (["--quiet", "-v"], 2, "not allowed with"),
        (["--allow-class", "os:system"], 2, "--recipe: os:system must be a class"),
    ],
)
def test_mistakes_are_found_before_the_work(
    sounds, skvae, monkeypatch, others, status, message
):
    monkeypatch.chdir(sounds)
    (sounds / "clean.safetensors").mkdir()
    got, _, err = skvae(*words(sounds, "m.safetensors", *others))
    assert got == status
    assert message in err
    assert "Traceback" not in err
    assert left(sounds) == {"clean.safetensors"}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (["--recipe", "magic"], "choose from band-split-mask, best, bilstm-mask"),
        (["--recipe", "speach-vae"], "did you mean 'speech-vae'?"),
        (
            ["--recipe", "speech-vae", "--set", "training__max_itr=2"],
            "did you mean 'max_iter'?",
        ),
        (["speech-vae"], "--recipe"),
        (["--recipe", "gone.toml"], "gone.toml: there is no such recipe"),
        (["--recipe", "broken.toml"], "is no TOML file"),
        ([], "required: --recipe"),
    ],
)
def test_recipes_that_are_none_are_told(sounds, skvae, monkeypatch, recipe, message):
    monkeypatch.chdir(sounds)
    (sounds / "broken.toml").write_text("[estimator")
    others = words(sounds, "m.safetensors")[3:]
    status, _, err = skvae("train", *recipe, *others)
    assert status == 2
    assert message in err


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("x=3", 3),
        ("x = 3.5", 3.5),
        ("x=true", True),
        ("x=mcem", "mcem"),
        ("x=log-mmse", "log-mmse"),
        ("x=none", "none"),
        ('x="a b"', "a b"),
        ("x=[1, 2]", [1, 2]),
        ("x={low=-5, high=3}", {"low": -5, "high": 3}),
        ("x=-3", -3),
    ],
)
def test_settings_are_toml_or_bare_words(setting, value):
    assert train._parse_setting(setting) == ("x", value)


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


class Epoch:
    """An epoch as callbacks see it."""

    task_name = "epoch"
    loss_curve_ = (3.0, 2.0)
    validation_loss_curve_ = ()

    def __init__(self, n_iter=0):
        self.n_iter_ = n_iter


@pytest.mark.parametrize(
    "epochs",
    [
        # Seconds since the previous epoch, its number, and the printed remainder.
        [(20, 1, "33 min"), (20, 2, "33 min"), (980, 51, "16 min"), (980, 100, None)],
        # After an interruption, the last finished epoch is printed first.
        [(1, 50, None), (20, 51, "16 min"), (980, 100, None)],
    ],
)
def test_time_left_comes_from_the_epochs_of_this_run(monkeypatch, epochs):
    clock, terminal = Clock(), Terminal()
    monkeypatch.setattr(train, "time", clock)
    monkeypatch.setattr(sys, "stderr", terminal)
    vae = SpeechVAE(training=Training(100))
    teller = train._EpochTeller()
    teller.setup(vae, None)
    for seconds, n_done, left in epochs:
        clock.now += seconds
        teller.on_fit_task_end(vae, Epoch(), fitted_estimator=Epoch(n_done))
        line = terminal.text.split("\r\x1b[K")[-1]
        told = "" if left is None else f", at most {left} left"
        assert line == f"SpeechVAE, epoch {n_done}/100: loss 2{told}"
    teller.teardown(vae, None)
    assert terminal.text.count("\n") == 1


def test_help_shows_how_and_names_every_recipe(skvae):
    status, out, _ = skvae("train", "--help")
    assert status == 0
    assert "skvae train --recipe vae-nmf --clean speech/ -o mine.safetensors" in out
    for recipe in recipe_names():  # lines may break after a hyphen
        assert recipe in "".join(out.split())
