"""Arguments of ``skvae enhance``."""

from __future__ import annotations

import argparse

from skvae.cli.options import (
    STATUS,
    add_device,
    add_model,
    add_volume,
    add_workers,
    describe,
)
from skvae.formats.names import FORMAT_NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    """
    describe(
        parser,
        "Enhance recordings. Each output has the sample rate, the channels, the "
        "length, the format, the bit rate and the tags of its input, unless --format "
        "or --bitrate say otherwise; all channels are filtered alike. Formats that "
        "libsndfile does not read, such as M4A, MP4 and WebM, are read by ffmpeg, if "
        "that is installed, and become FLAC by default. A method without training "
        "works at the rate of the file. A trained model works at its own rate; above "
        "its band, steady noise is lowered by at most 20 dB. Trained models are made "
        "for speech: they remove music. Outputs appear only when they are complete, "
        "and existing outputs are kept, so that a second run completes the first. "
        "Recordings may be of any length; there is no streaming: a pipe is read to "
        "its end first.",
        [
            "  skvae enhance noisy.wav -o enhanced.wav",
            "  skvae enhance recordings/ more/*.flac -o enhanced/ --jobs 4",
            "  skvae enhance noisy.wav -o out/ --mix 0.8 --noise-output noise/",
            "  skvae enhance episodes/ -o enhanced/ --format mp3 --bitrate 128",
            "  skvae enhance talk.mp4 -o talk.mp3",
            "  ffmpeg -i talk.mp4 -f wav - | skvae enhance - -o - | play -",
            STATUS.format(done="enhanced"),
            "Files in folders whose names do not end like sound are listed and not "
            "counted.",
        ],
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="audio files, folders, patterns, or - for standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="folder for the outputs; a file name for a single input; - for standard "
        "output",
    )
    parser.add_argument(
        "--format",
        choices=FORMAT_NAMES,
        help="format of the outputs (default: that of the ending of a file that -o "
        "names, else that of each input)",
    )
    parser.add_argument(
        "--bitrate",
        type=float,
        metavar="KBPS",
        help="bit rate of MP3, Ogg Vorbis and Opus outputs in kbit/s (default: that of "
        "the input or a little more)",
    )
    add_model(parser)
    add_workers(parser, "enhance", "enhanced")
    add_device(parser, "a GPU if there is one, and one job")
    parser.add_argument(
        "--preset",
        choices=("auto", "gentle", "normal", "strong"),
        default="auto",
        help="strength: gentle lowers the noise by at most 12 dB and normal by at most "
        "24 dB, which keeps some of the room in the pauses; strong has no limit "
        "(default: auto, the limit of the model if it has one, else normal)",
    )
    parser.add_argument(
        "--attenuation-limit",
        type=float,
        metavar="DB",
        help="maximum attenuation in dB, in place of that of --preset",
    )
    parser.add_argument(
        "--mix",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the enhanced sound in the output, from 0 to 1; the rest is the "
        "input (default: 1)",
    )
    parser.add_argument(
        "--noise-profile",
        metavar="FILE",
        help="recording of the noise alone, for methods without training",
    )
    parser.add_argument(
        "--noise-output",
        metavar="OUT",
        help="folder or file for the removed noise: the input minus the output",
    )
    parser.add_argument(
        "--block-seconds",
        type=float,
        metavar="S",
        help="length of the blocks in which longer recordings are enhanced; it limits "
        "the memory (default: that of the model, usually 60)",
    )
    parser.add_argument(
        "--suffix",
        default="",
        metavar="S",
        help="text added to the names in a folder: _clean makes a_clean.wav of a.wav",
    )
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether to search the subfolders of folders, and those that links lead "
        "to (default: yes)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace existing outputs, and inputs that are their own output",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a report as JSON on standard output: for each file its input, "
        "output, status, seconds, real-time factor and messages; and the hash of the "
        "model",
    )
    add_volume(parser, "the settings")
