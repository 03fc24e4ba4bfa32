"""Arguments of ``skvae train``."""

from __future__ import annotations

import argparse

from skvae.cli.options import add_allowed, add_device, add_volume, describe
from skvae.storage.names import recipe_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    """
    describe(
        parser,
        "Train the model of a recipe on recordings of clean speech, and of noise if "
        "the model learns from noise, and write it to a file that --model takes. A "
        "checkpoint next to the file holds the state after each epoch: after an "
        "interruption, the same command resumes, and gives the same model on a CPU.",
        [
            "  skvae train --recipe vae-nmf --clean speech/ -o mine.safetensors",
            "  skvae train --recipe bilstm-mask --clean speech/ --noise noise/ \\",
            "      --set training__max_iter=20 --set hidden_layer_sizes=64 \\",
            "      -o small.safetensors",
            "  skvae train --recipe mine.toml --clean speech/ -o mine.safetensors",
            "  skvae enhance noisy.wav -o enhanced.wav --model mine.safetensors",
            "  torchrun --nproc_per_node 2 -m skvae train --recipe dnvae-nmf \\",
            "      --clean speech/ --noise noise/ -o mine.safetensors",
        ],
    )
    parser.add_argument(
        "--recipe",
        required=True,
        metavar="NAME|FILE",
        help=f"a TOML file, or a recipe of the package: {', '.join(recipe_names())}",
    )
    add_allowed(parser, "the recipe")
    parser.add_argument(
        "--clean", required=True, metavar="DIR", help="recordings of clean speech"
    )
    parser.add_argument(
        "--noise",
        metavar="DIR",
        help="recordings of noise to mix with the speech (default: synthetic noise)",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="model file to write, which ends in .safetensors",
    )
    add_device(parser, "a GPU if there is one")
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="file from which an interrupted training resumes; removed at the end "
        "(default: that of -o, with .checkpoint added)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of all random numbers (default: that of the recipe, or 0)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="PARAM=VALUE",
        help="change a parameter of the recipe: vae__training__max_iter=20",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing model file"
    )
    add_volume(parser, "the estimator")
