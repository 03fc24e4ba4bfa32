"""WSJ0: read sentences of the Wall Street Journal, the speech of CHiME-3 and CHiME-4.

J. Garofolo, D. Graff, D. Paul, D. Pallett: CSR-I (WSJ0) complete, LDC93S6A.
"""

from __future__ import annotations

import os

from skvae.datasets.audio import AudioFile
from skvae.datasets.corpora.corpus import Corpus
from skvae.datasets.corpora.sphere import refuse_compressed
from skvae.datasets.corpora.trees import (
    by_stem,
    check_folder,
    find_folders,
    list_folder,
    refuse_incomplete,
)

NAME = "WSJ0"

#: Extensions of the close microphone's recordings, the preferred ones first. Converted
#: files come before those of the discs, which libsndfile cannot read.
ENDINGS = (".wav", ".flac", ".sph", ".wv1")

#: Part of the names of the far microphone's recordings, even if they are converted.
FAR = ".wv2."


def load_wsj0(
    path: str | os.PathLike[str],
    subset: str = "si_tr_s",
    *,
    index: str | os.PathLike[str] | None = None,
    sample_rate: int | None = 16_000,
) -> Corpus:
    """List the clean speech of WSJ0 from the close microphone.

    `path` contains a folder for the subset, either on one disc or in parts on several,
    and in it one folder for each speaker: ``wsj0/si_tr_s/011/011c0201.wv1`` or
    ``11-1.1/wsj0/si_tr_s/011/011c0201.wv1``. The discs may lie at different depths.
    Files may be converted to WAV or FLAC. A converted file is preferred, wherever it
    lies. The far microphone's files, ``011c0201.wv2``, are ignored.

    Parameters
    ----------
    path : str or path-like
        Folder of the corpus.
    subset : str, default="si_tr_s"
        Folder of the subset: "si_tr_s" for training, "si_dt_05" for development,
        "si_et_05" for testing, or another one.
    index : str or path-like, default=None
        File that lists the utterances to use, such as those in ``doc/indices`` of the
        discs. Each utterance has a line such as
        ``11_1_1:wsj0/si_tr_s/011/011c0201.wv1``. ``tr_s_wv1.ndx`` lists the 7138
        utterances of "SI-84", about 15 hours. None means all utterances of the subset,
        whose completeness cannot be checked.
    sample_rate : int or None, default=16_000
        Sample rate in Hz to resample to when files are read. None means the rate of the
        files, 16 kHz.

    Returns
    -------
    Corpus
        Clean speech.

    Raises
    ------
    OSError
        If the folder does not exist, if a speaker has no recordings, if a link is
        broken, or if utterances of the `index` are missing. The message lists them.
    ValueError
        If files are compressed with Shorten, as on the discs, and must be converted.

    See Also
    --------
    load_timit : Another corpus of read speech.
    load_chime : The same sentences in noise.
    load_folders : Your own recordings.

    Examples
    --------
    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> for speaker in ("011", "012"):
    ...     os.makedirs(os.path.join(root, "wsj0", "si_tr_s", speaker))
    ...     name = os.path.join(root, "wsj0", "si_tr_s", speaker, f"{speaker}c0201.wav")
    ...     open(name, "w").close()
    >>> load_wsj0(root)
    Corpus('WSJ0 si_tr_s': 2 utterances, 2 speakers)
    """
    root = check_folder(path, NAME)
    title = f"{NAME} {subset}"
    folders = list(find_folders(root, [subset]))
    if not folders:
        refuse_incomplete(NAME, root, [subset])
    files: dict[str, tuple[str, str]] = {}
    missing: list[str] = []
    empty: dict[str, str] = {}
    recorded: set[str] = set()
    for folder in folders:
        speakers = list_folder(folder)
        missing += _name_broken(folder, speakers.broken)
        for speaker_folder in sorted(os.path.join(folder, s) for s in speakers.folders):
            names = list_folder(speaker_folder)
            missing += _name_broken(speaker_folder, names.broken)
            speaker = os.path.basename(speaker_folder).lower()
            found = by_stem((n for n in names.files if FAR not in n.lower()), ENDINGS)
            if found:
                recorded.add(speaker)
            else:
                empty[speaker_folder] = speaker
            for stem in sorted(found):
                utterance = stem.lower()
                place = os.path.join(speaker_folder, found[stem])
                known = files.get(utterance)
                if known is None or _rank(place) < _rank(known[0]):
                    files[utterance] = (place, speaker)
    # The discs hold transcripts in folders of the same names.
    missing += [
        f"the recordings in {folder}"
        for folder, speaker in empty.items()
        if speaker not in recorded
    ]
    if index is not None:
        wanted = _read_index(index, subset)
        missing = [stem for stem in wanted if stem not in files]
        files = {stem: files[stem] for stem in wanted if stem in files}
    if missing or not files:
        refuse_incomplete(title, root, missing or ["all recordings"])
    refuse_compressed([place for place, _ in files.values()], NAME)
    return Corpus(
        title,
        [AudioFile(place, sample_rate=sample_rate) for place, _ in files.values()],
        None,
        list(files),
        [speaker for _, speaker in files.values()],
    )


def _rank(place: str) -> int:
    return ENDINGS.index(os.path.splitext(place)[1].lower())


def _name_broken(folder: str, links: list[str]) -> list[str]:
    return [f"{os.path.join(folder, link)} (a broken link)" for link in links]


def _read_index(path: str | os.PathLike[str], subset: str) -> list[str]:
    """Return the names of a subset's utterances in an index, in its order."""
    with open(path, encoding="latin-1") as file:
        lines = [line.strip() for line in file if not line.startswith(";")]
    places = [line.rpartition(":")[2].lower().split("/") for line in lines if line]
    stems = [
        parts[-1].partition(".")[0] for parts in places if subset.lower() in parts[:-1]
    ]
    if not stems:
        raise ValueError(
            f"`index` must list utterances of {subset}, such as "
            f"'11_1_1:wsj0/{subset}/011/011c0201.wv1', got none in "
            f"{os.fsdecode(path)!r}."
        )
    return list(dict.fromkeys(stems))
