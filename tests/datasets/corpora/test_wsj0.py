from __future__ import annotations

import os

import pytest

from skvae.datasets import load_wsj0

COMPRESSED = (
    b"NIST_1A\n   1024\nsample_coding -s25 pcm,embedded-shorten-v1.1\nend_head\n"
)


def make(root, names, content=b""):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


NAMES = [
    f"{speaker}/{speaker}c02{number:02d}"
    for speaker in ("011", "01b")
    for number in (1, 2)
]


def test_speakers_are_folders(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES])
    corpus = load_wsj0(tmp_path)
    assert corpus.utterances.tolist() == [name.split("/")[1] for name in NAMES]
    assert corpus.speakers.tolist() == ["011", "011", "01b", "01b"]
    assert corpus.noisy is None
    assert corpus.clean[0].path == str(tmp_path / "wsj0/si_tr_s/011/011c0201.wav")


@pytest.mark.parametrize(
    "ending", [".wv1", ".wav", ".flac", ".sph", ".wv1.wav", ".WV1"]
)
@pytest.mark.parametrize("subset", ["si_tr_s", "si_dt_05", "si_et_05"])
def test_subsets_and_endings(tmp_path, subset, ending):
    # The second microphone and transcripts are ignored.
    for suffix in (ending, ".wv2", ".ptx"):
        make(tmp_path, [f"wsj0/{subset}/{name}{suffix}" for name in NAMES])
    corpus = load_wsj0(tmp_path, subset)
    assert len(corpus) == 4
    assert all(audio.path.endswith(ending) for audio in corpus.clean)


def test_a_subset_in_parts_on_discs(tmp_path):
    make(tmp_path, [f"11-1.1/wsj0/si_tr_s/{name}.wav" for name in NAMES[:2]])
    make(tmp_path, [f"11-2.1/wsj0/si_tr_s/{name}.wav" for name in NAMES[2:]])
    assert len(load_wsj0(tmp_path)) == 4
    assert len(load_wsj0(tmp_path / "11-2.1" / "wsj0" / "si_tr_s")) == 2


def test_compressed_discs_say_what_to_do_and_converted_files_are_taken(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wv1" for name in NAMES], COMPRESSED)
    with pytest.raises(ValueError, match=r"WSJ0 is compressed .*shorten.*sph2pipe"):
        load_wsj0(tmp_path)
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES])
    corpus = load_wsj0(tmp_path)
    assert [os.path.splitext(audio.path)[1] for audio in corpus.clean] == 4 * [".wav"]


def test_an_index_chooses_and_tells_what_is_missing(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES])
    index = tmp_path / "tr_s_wv1.ndx"
    lines = [f"11_1_1:wsj0/si_tr_s/{name}.wv1" for name in (NAMES[3], NAMES[0])]
    others = ["; a comment", "", "11_6_1:wsj0/si_dt_05/050/050c0101.wv1"]
    index.write_text("\n".join([*others, *lines, lines[0]]))
    corpus = load_wsj0(tmp_path, index=index)
    assert corpus.utterances.tolist() == ["01bc0202", "011c0201"]
    index.write_text("\n".join([*lines, "11_1_1: wsj0/si_tr_s/01Z/01ZC0209.WV1"]))
    with pytest.raises(FileNotFoundError, match="1 missing: 01zc0209"):
        load_wsj0(tmp_path, index=index)
    index.write_text("\n".join(others))
    with pytest.raises(ValueError, match=r"`index` must list utterances of si_tr_s"):
        load_wsj0(tmp_path, index=index)


def test_missing_subsets_and_empty_speakers_are_refused(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES])
    with pytest.raises(FileNotFoundError, match="1 missing: si_et_05"):
        load_wsj0(tmp_path, "si_et_05")
    (tmp_path / "wsj0/si_tr_s/099").mkdir()
    with pytest.raises(FileNotFoundError, match=r"the recordings in .*099"):
        load_wsj0(tmp_path)


def test_what_is_left_compressed_is_noticed_in_any_speaker_and_within_one(tmp_path):
    for name in NAMES[:3]:
        make(tmp_path, [f"wsj0/si_tr_s/{name}.wav"])
    make(tmp_path, [f"wsj0/si_tr_s/{NAMES[3]}.wv1"], COMPRESSED)
    with pytest.raises(ValueError, match=r"shorten.*01bc0202\.wv1"):
        load_wsj0(tmp_path)
    # Files converted in place keep the old extension.
    for name in NAMES[:3]:
        place = tmp_path / f"wsj0/si_tr_s/{name}"
        place.with_suffix(".wav").rename(place.with_suffix(".wv1"))
    with pytest.raises(ValueError, match=r"shorten.*01bc0202\.wv1"):
        load_wsj0(tmp_path)


def test_discs_may_lie_at_different_depths(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES[:2]])
    make(tmp_path, [f"11-1.1/a/wsj0/si_tr_s/{name}.wav" for name in NAMES[1:]])
    corpus = load_wsj0(tmp_path)
    assert corpus.utterances.tolist() == [name.split("/")[1] for name in NAMES]
    assert corpus.clean[1].path == str(tmp_path / f"wsj0/si_tr_s/{NAMES[1]}.wav")
    assert corpus.speakers.tolist() == ["011", "011", "01b", "01b"]


def test_converted_files_are_taken_wherever_they_lie(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wv1" for name in NAMES], COMPRESSED)
    make(tmp_path, [f"x/converted/wsj0/si_tr_s/{name}.wav" for name in NAMES])
    assert all("converted" in audio.path for audio in load_wsj0(tmp_path).clean)


def test_transcripts_in_folders_of_the_same_names_are_passed_over(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES])
    make(tmp_path, [f"wsj0/transcrp/dots/si_tr_s/{name}.dot" for name in NAMES])
    assert len(load_wsj0(tmp_path)) == 4
    make(tmp_path, ["wsj0/transcrp/dots/si_tr_s/099/099c0201.dot"])
    with pytest.raises(FileNotFoundError, match=r"1 missing: the recordings in .*099"):
        load_wsj0(tmp_path)


@pytest.mark.parametrize("ending", [".wv2.wav", ".WV2.flac"])
def test_the_far_microphone_is_not_taken_for_the_close_one(tmp_path, ending):
    make(tmp_path, [f"wsj0/si_tr_s/{name}{ending}" for name in NAMES])
    with pytest.raises(FileNotFoundError, match="2 missing: the recordings in"):
        load_wsj0(tmp_path)
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wv1.wav" for name in NAMES])
    assert all(".wv1." in audio.path for audio in load_wsj0(tmp_path).clean)


def test_links_to_nothing_are_missing(tmp_path):
    make(tmp_path, [f"wsj0/si_tr_s/{name}.wav" for name in NAMES])
    (tmp_path / "wsj0/si_tr_s/012").symlink_to(tmp_path / "gone")
    path = tmp_path / f"wsj0/si_tr_s/{NAMES[0]}.wav"
    path.unlink()
    path.symlink_to(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError, match=r"2 missing: .*012 .*011c0201\.wav"):
        load_wsj0(tmp_path)
