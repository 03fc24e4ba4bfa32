"""Store the outputs of every method on fixed mixtures, and compare two stores.

A change that should leave the numbers alone is checked on one machine::

    python tools/compare_outputs.py store before.npz    # at the old revision
    python tools/compare_outputs.py store after.npz     # at the new one
    python tools/compare_outputs.py compare before.npz after.npz

Networks are trained for a few steps, so training is compared as well. Bits depend on
the processor and on the number of threads: both stores must be made with one thread on
the same machine.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.frozen import FrozenEstimator

import skvae
from skvae import (
    ISNMF,
    MCEM,
    MCMC,
    RPCA,
    STFT,
    VEM,
    BiLSTMMask,
    DenoisingVAE,
    DNNMask,
    DnVAENMFEnhancer,
    GradientVEM,
    LogMMSE,
    NMFNoise,
    NoiseAwareVAE,
    SpectralSubtraction,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
    WienerFilter,
)
from skvae.base import BaseEnhancer
from skvae.datasets import Mixer, make_dataset, make_noise

NOISY, CLEAN = make_dataset(6, snr=(-5, 10), duration=(0.4, 1.1), random_state=0)
PROFILE = make_noise(8000, "pink", random_state=1)
SMALL = STFT(n_fft=256)


def narrow(waveform: np.ndarray) -> np.ndarray:
    """Remove what is above 4 kHz, as a telephone does."""
    spectrum = np.fft.rfft(waveform)
    spectrum[len(spectrum) // 2 :] = 0
    return np.fft.irfft(spectrum, len(waveform)).astype(waveform.dtype)


TEST = [NOISY[0], NOISY[1], narrow(NOISY[2]), np.zeros(3000, NOISY[0].dtype)]
PIECES = [NOISY[0], (NOISY[1] * 20000).clip(-32768, 32767).astype(np.int16)]

Arrays = Iterator[tuple[str, np.ndarray]]


def outputs(enhancer: BaseEnhancer, items: list[np.ndarray] = TEST) -> Arrays:
    """All that an enhancer finds: together, alone, in blocks, of two channels."""
    for k, found in enumerate(enhancer.separate(items)):
        yield f"separate{k}/mask", found.mask
        yield f"separate{k}/noise", found.noise
        yield f"separate{k}/history", np.array(found.history)
        if found.mask_std is not None:
            yield f"separate{k}/mask_std", found.mask_std
    for k, enhanced in enumerate(enhancer.transform(PIECES)):
        yield f"transform{k}", enhanced
    yield "alone", enhancer.transform([items[1]])[0]
    yield "score", np.array(enhancer.score(NOISY[:2], CLEAN[:2]))
    enhancer.set_params(block_seconds=0.3, attenuation_limit=20.0)
    stereo = np.stack([NOISY[0], NOISY[0][::-1]])
    yield "blocks", np.concatenate([*enhancer.enhance_blocks(stereo)], 1)
    long = np.repeat(NOISY[3], 3)
    yield (
        "blocks at 48 kHz",
        np.concatenate([*enhancer.enhance_blocks([long], 48000)], 1),
    )
    enhancer.set_params(block_seconds=60.0, attenuation_limit=None)


def batched(enhancer: BaseEnhancer) -> Arrays:
    """Masks of padded batches, which a CPU would not use."""
    cls = type(enhancer)
    kept = cls._batch_frames
    cls._batch_frames = lambda self: 10_000
    try:
        for k, found in enumerate(enhancer.separate([*NOISY[:3], TEST[2]])):
            yield f"batch{k}/mask", found.mask
            yield f"batch{k}/history", np.array(found.history)
    finally:
        cls._batch_frames = kept


def weights(estimator) -> Arrays:
    for name, array in estimator.state_.items():
        yield f"state/{name}", array
    yield "loss", np.array([*estimator.loss_curve_, *estimator.validation_loss_curve_])


def speech_model(model, *pairs) -> Arrays:
    yield from weights(model)
    for k, z in enumerate(model.transform(NOISY[:2])):
        yield f"latent{k}", z
        yield f"variance{k}", model.inverse_transform([z])[0]
    yield "elbo", np.array(model.score(*pairs))
    yield "sample", model.sample(20, random_state=0).data


def _training(**options) -> Training:
    return Training(max_iter=2, batch_size=2, **options)


def cases() -> dict[str, Callable[[], Arrays]]:
    """Name -> function that gives the arrays of a case."""
    found: dict[str, Callable[[], Arrays]] = {}

    def enhancer(name: str, make: Callable[[], BaseEnhancer], *fit, also_batched=False):
        def run() -> Arrays:
            fitted = make().fit(*(fit or (CLEAN,)))
            if hasattr(fitted, "state_"):
                yield from weights(fitted)
            yield from outputs(fitted)
            if also_batched:
                yield from batched(fitted)

        found[name] = run

    for cls in (SpectralSubtraction, WienerFilter, LogMMSE):
        enhancer(cls.__name__, cls)
        enhancer(f"{cls.__name__} profile", lambda cls=cls: cls(noise_profile=PROFILE))
        enhancer(
            f"{cls.__name__} first frames",
            lambda cls=cls: cls(noise_estimate="first-frames"),
        )
    enhancer("ISNMF", lambda: ISNMF(6, max_iter=10, n_adapt_iter=10, random_state=0))
    enhancer(
        "ISNMF profile",
        lambda: ISNMF(
            6, max_iter=10, n_adapt_iter=10, noise_profile=PROFILE, random_state=0
        ),
    )
    enhancer("RPCA", lambda: RPCA(max_iter=20))
    enhancer("RPCA binary", lambda: RPCA(max_iter=20, mask="binary"))
    for name, fit in (("pairs", (NOISY, CLEAN)), ("clean", (CLEAN,))):
        enhancer(
            f"DNNMask {name}",
            lambda: DNNMask((16, 16), training=_training(), random_state=0),
            *fit,
        )
        for target in ("perceptual", "psa", "msa"):
            enhancer(
                f"BiLSTMMask {target} {name}",
                lambda target=target: BiLSTMMask(
                    target, (8, 8), training=_training(), random_state=0
                ),
                *fit,
            )
    enhancer(
        "BiLSTMMask mixer",
        lambda: BiLSTMMask(
            hidden_layer_sizes=8,
            dropout=0.2,
            mixer=Mixer(snr=(-5.0, 5.0), augment=True),
            training=_training(n_combinations=1, averaging=0.0, precision="bfloat16"),
            random_state=1,
        ),
        CLEAN,
    )

    def vae(**options) -> SpeechVAE:
        training = Training(max_iter=3, batch_size=16)
        sizes = {"n_latent": 4, "hidden_layer_sizes": 16, **options}
        return SpeechVAE(**sizes, training=training, random_state=0).fit(CLEAN)

    models = {
        "log": {},
        "power": {"features": "power", "floor": 1e-6},
        "both": {"features": "both", "activation": "relu"},
        "two layers": {"hidden_layer_sizes": (16, 8), "dropout": 0.1},
        "bilstm": {"architecture": "bilstm"},
    }
    for name, options in models.items():
        found[f"SpeechVAE {name}"] = lambda options=options: speech_model(
            vae(**options), NOISY[:2], CLEAN[:2]
        )

    def dvae(**options) -> DenoisingVAE:
        return DenoisingVAE(
            4, (8, 8), training=_training(), random_state=0, **options
        ).fit(NOISY, CLEAN)

    variants = {
        "": {},
        " psa": {"target": "psa"},
        " single task": {"multitask": False},
        " from mask": {
            "encoder": BiLSTMMask(
                hidden_layer_sizes=(8, 8), training=_training(), random_state=0
            )
        },
    }
    for name, options in variants.items():
        found[f"DenoisingVAE{name}"] = lambda options=options: speech_model(
            dvae(**options), NOISY[:2], CLEAN[:2]
        )
    for scheme in ("two-step", "joint"):

        def noise_aware(scheme=scheme) -> NoiseAwareVAE:
            speech = SpeechVAE(4, 16, training=Training(max_iter=3, batch_size=16))
            if scheme == "two-step":
                speech = FrozenEstimator(vae())
            model = NoiseAwareVAE(speech, scheme, training=_training(), random_state=0)
            return model.fit(NOISY, CLEAN)

        found[f"NoiseAwareVAE {scheme}"] = lambda make=noise_aware: speech_model(
            make(), NOISY[:2], CLEAN[:2]
        )
        enhancer(
            f"VAENMF with NoiseAwareVAE {scheme}",
            lambda make=noise_aware: VAENMFEnhancer(
                FrozenEstimator(make()), VEM(4), noise=NMFNoise(3), random_state=0
            ),
        )

    inferences = {
        "VEM": VEM(4),
        "VEM tol": VEM(30, tol=1e-2),
        "VEM two draws": VEM(4, n_samples=2, encoder_input="power", guidance=0.0),
        "VEM heuristic s": VEM(4, covariance=False, reconstruction="s", gain=None),
        "VEM z": VEM(4, reconstruction="z"),
        "VEM published": VEM.as_published().set_params(max_iter=4),
        "gradient": GradientVEM(5),
        "gradient tol": GradientVEM(30, tol=1e-2),
        "gradient latent held": GradientVEM(5, hold="latent"),
        "gradient noise held": GradientVEM(5, hold="noise", n_samples=2),
        "gradient published": GradientVEM.as_published().set_params(max_iter=4),
        "MCEM": MCEM(4, n_burn_in=2, n_samples=3),
        "MCEM published": MCEM.as_published().set_params(max_iter=3),
        "MCMC": MCMC(3, 3),
        "MCMC masks": MCMC(3, 3, average="masks"),
        "MCMC exact": MCMC(3, 3, exact=True),
        "MCMC published": MCMC.as_published().set_params(n_burn_in=3, n_samples=3),
    }
    for name, inference in inferences.items():
        for guide in ("log-mmse", None):
            enhancer(
                f"VAENMF {name}{' unguided' if guide is None else ''}",
                lambda name=name, inference=inference, guide=guide: VAENMFEnhancer(
                    FrozenEstimator(vae()),
                    inference,
                    noise=NMFNoise(3, smoothing=1 if "published" in name else 3),
                    guide=guide,
                    random_state=0,
                ),
                also_batched=getattr(inference, "tol", 0) == 0,
            )
    for name in ("power", "both", "bilstm"):
        for inference in (VEM(3, reconstruction="z"), GradientVEM(3)):
            enhancer(
                f"VAENMF {type(inference).__name__} on {name}",
                lambda inference=inference, name=name: VAENMFEnhancer(
                    FrozenEstimator(vae(**models[name])),
                    inference,
                    noise=NMFNoise(3),
                    random_state=0,
                ),
                also_batched=True,
            )
    enhancer(
        "VAENMF profile",
        lambda: VAENMFEnhancer(
            FrozenEstimator(vae()),
            VEM(4),
            noise=NMFNoise(3, noise_profile=PROFILE),
            guide=None,
            mask_smoothing=1,
            random_state=0,
        ),
    )
    enhancer(
        "VAENMF mask guide",
        lambda: VAENMFEnhancer(
            SpeechVAE(4, 16, training=Training(max_iter=2)),
            GradientVEM(4, gain=None),
            noise=NMFNoise(3, exponent=1.0),
            guide=BiLSTMMask(hidden_layer_sizes=8, training=_training()),
            random_state=3,
        ),
        NOISY,
        CLEAN,
    )
    for prior in ("encoder", "standard", "fixed"):
        for start in ("mask", "random"):
            enhancer(
                f"DnVAENMF {prior} {start}",
                lambda prior=prior, start=start: DnVAENMFEnhancer(
                    FrozenEstimator(dvae()),
                    prior=prior,
                    start=start,
                    random_state=0,
                ),
                also_batched=True,
            )
    enhancer(
        "DnVAENMF published",
        lambda: DnVAENMFEnhancer(
            FrozenEstimator(dvae()),
            GradientVEM.as_published().set_params(max_iter=4),
            start="random",
            mask_weight=0.0,
            random_state=0,
        ),
    )
    enhancer(
        "DnVAENMF without mask",
        lambda: DnVAENMFEnhancer(
            FrozenEstimator(dvae(multitask=False)), random_state=0
        ),
        also_batched=True,
    )
    for name in ("best", "vae-nmf"):
        found[f"pretrained {name}"] = lambda name=name: outputs(
            skvae.load_pretrained(name)
        )
    return found


def store(path: str, wanted: str) -> None:
    arrays = {}
    warnings.simplefilter("ignore")
    for name, run in cases().items():
        if wanted not in name:
            continue
        print(name, file=sys.stderr, flush=True)
        try:
            for key, array in run():
                arrays[f"{name}: {key}"] = np.asarray(array)
        except Exception as error:
            print(f"  failed: {error!r}", file=sys.stderr)
            arrays[f"{name}: failed"] = np.array(repr(error))
    np.savez_compressed(path, **arrays)


def compare(before: str, after: str) -> int:
    """Print a row for each case; 1 if any differs."""
    with np.load(before) as old, np.load(after) as new:
        names = sorted({key.split(": ")[0] for key in [*old, *new]})
        n_different = 0
        for name in names:
            keys = sorted(k for k in {*old, *new} if k.split(": ")[0] == name)
            different, worst = [], 0.0
            for key in keys:
                if key not in old or key not in new:
                    different.append(f"{key} is missing in one")
                    continue
                a, b = old[key], new[key]
                same = a.dtype == b.dtype and a.shape == b.shape
                if not same or a.tobytes() != b.tobytes():
                    different.append(key.split(": ")[1])
                    if a.shape == b.shape and a.dtype.kind in "fiuc" and a.size:
                        worst = max(worst, float(np.abs(a - 1.0 * b).max()))
            n_different += bool(different)
            verdict = "equal" if not different else f"DIFFERENT by up to {worst:.3g}"
            print(f"{name:45} {len(keys):3} arrays  {verdict} {different[:6] or ''}")
        print(f"{len(names)} cases, {n_different} different")
    return int(n_different > 0)


def main() -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    storing = commands.add_parser("store", help="run every case and store its outputs")
    storing.add_argument("path")
    storing.add_argument("--only", default="", help="part of the names of the cases")
    comparing = commands.add_parser("compare", help="compare two stores bit for bit")
    comparing.add_argument("before")
    comparing.add_argument("after")
    options = parser.parse_args()
    if options.command == "store":
        store(options.path, options.only)
        return 0
    return compare(options.before, options.after)


if __name__ == "__main__":
    sys.exit(main())
