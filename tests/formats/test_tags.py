"""Tags of recordings, written and read by mutagen, which knows these formats well."""

from __future__ import annotations

import io
import itertools
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from skvae.formats import ffmpeg, flac, id3, ogg, riff
from skvae.formats.splice import splice
from skvae.formats.tags import (
    Chapter,
    Picture,
    Tags,
    from_comments,
    pack_picture,
    to_comments,
)
from skvae.recording_files import DamagedFileWarning, RecordingReader
from skvae.recordings import enhance_file

mutagen = pytest.importorskip("mutagen")
from mutagen import aiff, oggopus, oggvorbis, wave  # noqa: E402
from mutagen import flac as mutagen_flac  # noqa: E402
from mutagen import id3 as mutagen_id3  # noqa: E402

RATE = 48000

#: A picture that is longer than a page of Ogg.
COVER = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 800

CLASSES = {
    "flac": mutagen_flac.FLAC,
    "ogg": oggvorbis.OggVorbis,
    "opus": oggopus.OggOpus,
    "wav": wave.WAVE,
    "aiff": aiff.AIFF,
}


def write_sound(path, seconds=3.0):
    time = np.arange(int(seconds * RATE)) / RATE
    kind = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * time), RATE, **kind)


def add_tags(path):
    """Write a title, an artist, a field of no standard, a cover and two chapters."""
    kind = path.suffix[1:]
    if kind in ("mp3", "wav", "aiff"):
        tags = mutagen_id3.ID3()
        tags.add(mutagen_id3.TIT2(encoding=1, text="Grüße, 世界"))
        tags.add(mutagen_id3.TPE1(encoding=3, text=["Ann", "Bob"]))
        tags.add(mutagen_id3.TXXX(encoding=3, desc="MOOD", text="calm"))
        tags.add(mutagen_id3.APIC(3, "image/jpeg", 3, "front", COVER))
        for k, (start, title) in enumerate([(0, "one"), (1500, "two")]):
            name = mutagen_id3.TIT2(encoding=3, text=title)
            tags.add(mutagen_id3.CHAP(f"c{k}", start, start + 1500, sub_frames=[name]))
        if kind == "mp3":
            tags.save(path)
            return
        file = CLASSES[kind](path)
        file.add_tags()
        for frame in tags.values():
            file.tags.add(frame)
        file.save()
        return
    file = CLASSES[kind](path)
    file["title"] = "Grüße, 世界"
    file["artist"] = ["Ann", "Bob"]
    file["mood"] = "calm"
    file["chapter001"], file["chapter001name"] = "00:00:00.000", "one"
    file["chapter002"], file["chapter002name"] = "00:00:01.500", "two"
    picture = Picture(3, "image/jpeg", "front", COVER)
    if kind == "flac":
        block = mutagen_flac.Picture(pack_picture(picture))
        file.add_picture(block)
    else:
        [comment] = to_comments(Tags(pictures=[picture]), with_pictures=True)
        file["metadata_block_picture"] = comment.partition(b"=")[2].decode()
    file.save()


def read_tags(path):
    """Title, artists, mood, cover, and starts and titles of chapters."""
    kind = path.suffix[1:]
    if kind in ("mp3", "wav", "aiff"):
        tags = mutagen_id3.ID3(path) if kind == "mp3" else CLASSES[kind](path).tags
        chapters = sorted(tags.getall("CHAP"), key=lambda chapter: chapter.start_time)
        return (
            tags["TIT2"].text,
            [text for text in tags["TPE1"].text],
            tags["TXXX:MOOD"].text,
            tags.getall("APIC")[0].data,
            [(c.start_time / 1000, str(c.sub_frames["TIT2"])) for c in chapters],
        )
    file = CLASSES[kind](path)
    if kind == "flac":
        [picture] = file.pictures
        cover = picture.data
    else:
        comment = f"metadata_block_picture={file['metadata_block_picture'][0]}"
        cover = from_comments([comment.encode()]).pictures[0].data
    chapters = from_comments(
        f"{name}={value}".encode() for name, value in file.tags
    ).chapters
    starts = [(chapter.start, chapter.title) for chapter in chapters]
    return file["title"], file["artist"], file["mood"], cover, starts


EXPECTED = (
    ["Grüße, 世界"],
    ["Ann", "Bob"],
    ["calm"],
    COVER,
    [(0.0, "one"), (1.5, "two")],
)


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "opus", "wav", "aiff"])
def test_tags_stay_in_every_format(tmp_path, kind):
    source, target, noise = (tmp_path / f"{name}.{kind}" for name in "abc")
    write_sound(source)
    n_samples = soundfile.info(source).frames
    add_tags(source)
    enhance_file("wiener", source, target, noise_target=noise, mix=0.5)
    for path in (target, noise):
        assert read_tags(path) == EXPECTED
        with RecordingReader(path) as recording:
            recording.check_end()
            assert recording.n_samples == n_samples
            assert np.std(recording.read(0, n_samples)) > 0.01


@pytest.mark.parametrize(
    ("before", "after"),
    itertools.permutations(["mp3", "flac", "ogg", "opus", "wav"], 2),
)
def test_tags_are_translated_between_formats(tmp_path, before, after):
    source, target = tmp_path / f"a.{before}", tmp_path / f"b.{after}"
    write_sound(source)
    add_tags(source)
    enhance_file("spectral-subtraction", source, target)
    assert read_tags(target) == EXPECTED
    with RecordingReader(target) as recording:
        recording.check_end()
        assert len(recording.read(0, 3 * RATE)) == 3 * RATE


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_chunks_of_broadcasters_and_recorders_stay(tmp_path, kind, subtype):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    # An odd number of bytes of sound.
    soundfile.write(source, np.full(4001, 0.1), RATE, format=kind, subtype=subtype)
    bext = chunk(b"bext", b"Interview".ljust(602, b"\0") + b"A=PCM,F=48000 \r\n")
    mark = struct.pack("<IIII4sIII", 1, 7, 2000, 0, b"data", 0, 0, 2000)[4:]
    cue = chunk(b"cue ", struct.pack("<I", 1) + mark)
    label = chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 7) + b"here\0"))
    xml = chunk(b"iXML", b"<BWFXML><SCENE>1</SCENE></BWFXML>")
    with open(source, "r+b") as file:
        riff.write_kept(file, [bext], [cue, label, xml])
    with RecordingReader(source) as recording:
        assert recording.n_samples == 4001
    enhance_file("wiener", source, target)
    with open(target, "rb") as file:
        assert riff.read_kept(file) == ([bext], [cue, label, xml])
        found = riff.read_chunks(file)
    assert found.n_behind == 0
    names = [chunk.name for chunk in found.chunks]
    assert names.index(b"bext") < names.index(b"data") < names.index(b"iXML")
    content = target.read_bytes()
    assert found.chunks[-1].end == len(content)
    if content[:4] == b"RF64":
        assert struct.unpack_from("<Q", content, 20)[0] == len(content) - 8
    else:
        assert struct.unpack_from("<I", content, 4)[0] == len(content) - 8
    assert soundfile.info(target).frames == 4001


def test_texts_of_wav_files_are_translated(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.wav", "w", RATE, 1) as file:
        file.title, file.artist = "Talk", "Ann"
        file.write(np.full(RATE, 0.1))
    enhance_file("wiener", tmp_path / "a.wav", tmp_path / "b.mp3")
    tags = mutagen_id3.ID3(tmp_path / "b.mp3")
    assert (tags["TIT2"].text, tags["TPE1"].text) == (["Talk"], ["Ann"])
    enhance_file("wiener", tmp_path / "b.mp3", tmp_path / "c.wav")
    with soundfile.SoundFile(tmp_path / "c.wav") as file:
        assert (file.title, file.artist) == ("Talk", "Ann")


def test_old_tags_at_the_end_of_mp3_files_stay(tmp_path):
    source, target = tmp_path / "a.mp3", tmp_path / "b.mp3"
    write_sound(source)
    add_tags(source)
    item = struct.pack("<II", 4, 0) + b"Title\0" + b"Talk"
    size = len(item) + 32
    header, footer = (
        b"APETAGEX" + struct.pack("<IIII8x", 2000, size, 1, 1 << 31 | is_header << 29)
        for is_header in (1, 0)
    )
    old = b"TAG" + b"Talk".ljust(124, b"\0") + b"\xff"
    with open(source, "ab") as file:
        file.write(header + item + footer + old)
    enhance_file("wiener", source, target)
    assert target.read_bytes().endswith(header + item + footer + old)
    with open(source, "rb") as before, open(target, "rb") as after:
        assert id3.read_mp3(before) == id3.read_mp3(after)
    assert soundfile.info(target).frames == soundfile.info(source).frames


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "wav"])
def test_damaged_tags_are_told_and_the_recording_is_enhanced(
    tmp_path, kind, monkeypatch
):
    source, target = tmp_path / f"a.{kind}", tmp_path / "b.aiff"
    write_sound(source)
    add_tags(source)
    target = tmp_path / ("b.flac" if kind != "flac" else "b.mp3")
    with monkeypatch.context() as patch:
        patch.setattr(id3, "parse", lambda tag: tag[10**9])
        patch.setattr("skvae.formats.copying.from_comments", lambda *x: int("x"))
        with pytest.warns(DamagedFileWarning, match="tags were not copied"):
            enhance_file("wiener", source, target)
    assert soundfile.info(target).frames == soundfile.info(source).frames


@pytest.mark.parametrize("version", [2, 3, 4])
def test_all_versions_of_id3_are_read(tmp_path, version):
    path = tmp_path / "a.mp3"
    write_sound(path)
    tags = mutagen_id3.ID3()
    tags.add(mutagen_id3.TIT2(encoding=1, text="Ünï"))
    tags.add(mutagen_id3.TYER(encoding=0, text="2024"))
    tags.add(mutagen_id3.COMM(encoding=1, lang="eng", desc="x", text="Comment"))
    tags.add(mutagen_id3.APIC(1, "image/png", 3, "Frönt", b"\x89PNG\xff\x00\0\0"))
    tags.save(path, v2_version=max(version, 3))
    content = path.read_bytes()
    if version == 2:
        frames = b""
        for name, data in [
            (b"TT2", b"\1" + "Ünï".encode("utf-16")),
            (b"TYE", b"\0" + b"2024"),
            (b"COM", b"\1eng" + "x\0".encode("utf-16") + "Comment".encode("utf-16")),
            (b"PIC", b"\1PNG\3" + "Frönt\0".encode("utf-16") + b"\x89PNG\xff\x00\0\0"),
        ]:
            frames += name + len(data).to_bytes(3) + data
        content = b"ID3\2\0\0\0\0" + bytes([len(frames) >> 7, len(frames) & 127])
        content += frames
    found = id3.parse(content)
    assert dict(found.fields) == {
        "TITLE": "Ünï",
        "DATE": "2024",
        "COMMENT": "Comment",
    }
    expected = Picture(3, "image/png", "Frönt", b"\x89PNG\xff\x00\0\0")
    assert found.pictures == [expected]


def test_pages_of_ogg_are_numbered_and_sealed(tmp_path):
    path = tmp_path / "a.ogg"
    write_sound(path)
    for block in (b"x" * 200_000, b"short", b"y" * (255 * 300 - 8)):
        with open(path, "r+b") as file:
            ogg.write_comments(file, "VORBIS", block)
            assert ogg.read_comments(file, "VORBIS").startswith(block)
            file.seek(0)
            numbers = []
            end = 0
            for page in ogg.read_pages(file):
                numbers.append(page.number)
                begin, end = end, file.tell()
                file.seek(begin)
                content = file.read(end - begin)
                assert ogg._seal(content) == content
                file.seek(end)
            assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("n_removed", [0, 5, 3_000_000])
@pytest.mark.parametrize("n_added", [0, 7, 3_000_000])
def test_what_follows_is_moved(n_removed, n_added):
    content = np.random.default_rng(0).bytes(7_000_000)
    file = io.BytesIO(content)
    splice(file, 1000, n_removed, b"+" * n_added)
    expected = content[:1000] + b"+" * n_added + content[1000 + n_removed :]
    assert file.getvalue() == expected


def test_blocks_of_flac_that_describe_its_samples_are_not_copied(tmp_path):
    path = tmp_path / "a.flac"
    write_sound(path)
    with open(path, "r+b") as file:
        _, before, _ = flac.read_blocks(file)
        flac.write_blocks(file, [flac.Block(2, b"appl data")])
        _, after, _ = flac.read_blocks(file)
    assert after[0] == before[0]
    assert [block.kind for block in flac.kept_blocks(after)] == [2]


def test_chapters_without_ends_end_where_the_next_one_begins():
    tags = Tags(chapters=[Chapter(0, "one"), Chapter(2.5, "two")])
    assert id3.parse(id3.build(tags)).chapters == [
        Chapter(0, "one", 2.5),
        Chapter(2.5, "two", 2.5),
    ]


@pytest.mark.skipif(not ffmpeg.is_installed(), reason="needs the program ffmpeg")
def test_tags_that_ffmpeg_reads_are_kept(tmp_path):
    write_sound(tmp_path / "a.mp3")
    add_tags(tmp_path / "a.mp3")
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.mp3", "-map", "0:a"]
    command += ["-c:a", "aac", "-map_metadata", "0", tmp_path / "a.m4a"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("without this encoder")
    enhance_file("wiener", tmp_path / "a.m4a", tmp_path / "b.flac")
    file = CLASSES["flac"](tmp_path / "b.flac")
    assert file["title"] == ["Grüße, 世界"]
    assert file["chapter002name"] == ["two"]
    assert "major_brand" not in file
