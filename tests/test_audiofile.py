"""Reading and writing sound files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from streamdenoise import AudioFormatError, OutputError, denoise_file
from streamdenoise.audio.file import (
    AudioInfo,
    AudioReader,
    AudioWriter,
    OutputFormat,
    output_format,
)
from streamdenoise.names import shown
from tests.clitools import noise, wav_bytes, write_noise
from tests.fakes import IdentityModel

LOSSLESS = [
    ("wav", "WAV", "PCM_U8"),
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "PCM_24"),
    ("wav", "WAV", "PCM_32"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAV", "DOUBLE"),
    ("wav", "WAVEX", "PCM_24"),
    ("flac", "FLAC", "PCM_16"),
    ("flac", "FLAC", "PCM_24"),
    ("aiff", "AIFF", "PCM_16"),
    ("caf", "CAF", "PCM_16"),
    ("w64", "W64", "PCM_24"),
    ("rf64", "RF64", "PCM_16"),
    ("au", "AU", "PCM_16"),
]
LOSSY = [
    ("ogg", "OGG", "VORBIS", 44100),
    ("opus", "OGG", "OPUS", 48000),
    ("opus", "OGG", "OPUS", 16000),
    ("mp3", "MP3", "MPEG_LAYER_III", 44100),
    ("mp3", "MP3", "MPEG_LAYER_III", 16000),
    ("wav", "WAV", "ULAW", 8000),
    ("wav", "WAV", "IMA_ADPCM", 16000),
]


def copy(source: Path, target: Path, block: int = 1000, **extra) -> OutputFormat:
    with AudioReader(source, block) as reader:
        output = output_format(reader.info, target, explicit=True)
        rate, channels = reader.info.sample_rate, reader.info.channels
        with AudioWriter(output, rate, channels, tags=reader.tags(), **extra) as writer:
            for part in reader:
                writer.write(part)
    return output


@pytest.mark.parametrize(("ext", "container", "subtype"), LOSSLESS)
def test_copy_has_the_same_bits_and_the_same_form(tmp_path, ext, container, subtype):
    """A lossless file goes through reading and writing without a change."""
    if not sf.check_format(container, subtype):
        pytest.skip(f"this libsndfile does not write {container} with {subtype}")
    source, target = tmp_path / f"a.{ext}", tmp_path / f"b.{ext}"
    write_noise(source, 2345, 44100, format=container, subtype=subtype, channels=2)
    copy(source, target)
    a, b = sf.info(source), sf.info(target)
    assert (a.samplerate, a.channels, a.frames) == (b.samplerate, b.channels, b.frames)
    assert (a.format, a.subtype) == (b.format, b.subtype)
    # PCM_32 has more bits than the engine's float32.
    slack = 2**-24 if subtype == "PCM_32" else 0.0
    assert np.abs(sf.read(source)[0] - sf.read(target)[0]).max() <= slack


def test_alac_becomes_pcm_and_says_so(tmp_path):
    """What libsndfile cannot write safely is written as plain samples, bit by bit."""
    if not sf.check_format("CAF", "ALAC_24"):
        pytest.skip("this libsndfile does not write ALAC")
    source, target = tmp_path / "a.caf", tmp_path / "b.caf"
    write_noise(source, 2345, 44100, format="CAF", subtype="ALAC_24", channels=2)
    output = copy(source, target)
    assert (output.format, output.subtype) == ("CAF", "PCM_24")
    assert "ALAC_24 cannot be written" in output.note
    assert np.array_equal(sf.read(source)[0], sf.read(target)[0])


@pytest.mark.parametrize(("ext", "container", "subtype", "rate"), LOSSY)
def test_lossy_files_keep_form_and_length(tmp_path, ext, container, subtype, rate):
    """The result of a lossy file is as long as what its input decodes to."""
    if not sf.check_format(container, subtype):
        pytest.skip(f"this libsndfile does not write {container} with {subtype}")
    source, target = tmp_path / f"a.{ext}", tmp_path / f"b.{ext}"
    write_noise(source, 20011, rate, format=container, subtype=subtype)
    copy(source, target)
    a, b = sf.info(source), sf.info(target)
    assert (a.samplerate, a.format, a.subtype) == (b.samplerate, b.format, b.subtype)
    assert len(sf.read(source)[0]) == len(sf.read(target)[0])


@pytest.mark.parametrize("block", [1, 7, 1000, 10**6])
def test_any_block_size_reads_the_same(tmp_path, block):
    """Blocks are only a way of holding less at a time."""
    path = write_noise(tmp_path / "a.wav", 700, channels=3)
    with AudioReader(path, block) as reader:
        parts = [part.copy() for part in reader]
    assert np.array_equal(np.concatenate(parts), sf.read(path, dtype="float32")[0])
    assert reader.position == 700 and reader.notes == []


def test_float_files_keep_what_is_above_full_scale(tmp_path):
    """A float file may be louder than 1; only integers have a wall there."""
    source = tmp_path / "a.wav"
    loud = np.array([1.5, -3.0, 0.25])
    sf.write(source, loud, 16000, subtype="FLOAT")
    copy(source, tmp_path / "b.wav")
    assert sf.read(tmp_path / "b.wav")[0].tolist() == loud.tolist()
    output = OutputFormat("WAV", "PCM_16", "FILE", tmp_path / "c.wav")
    with AudioWriter(output, 16000, 1) as writer:
        writer.write(loud.astype(np.float32)[:, None])
    assert sf.read(tmp_path / "c.wav", dtype="int16")[0].tolist() == [
        32767,
        -32768,
        8192,
    ]


def test_tags_are_kept(tmp_path):
    """Title and artist survive."""
    source = tmp_path / "a.flac"
    with sf.SoundFile(source, "w", 16000, 1) as f:
        f.title, f.artist = "Grüße", "we"
        f.write(noise(100))
    copy(source, tmp_path / "b.flac")
    with sf.SoundFile(tmp_path / "b.flac") as f:
        assert (f.title, f.artist) == ("Grüße", "we")


def test_extension_of_the_output_decides(tmp_path):
    """``-o x.flac`` means FLAC, with as many bits as the input has and FLAC holds."""
    source = write_noise(tmp_path / "a.wav", subtype="FLOAT")
    output = copy(source, tmp_path / "b.flac")
    assert (output.format, output.subtype) == ("FLAC", "PCM_24")
    assert copy(source, tmp_path / "c.ogg").subtype == "VORBIS"
    assert copy(source, tmp_path / "d.opus").subtype == "OPUS"


def info(name: str, container: str, subtype: str, frames: int = 10) -> AudioInfo:
    return AudioInfo(Path(name), 16000, 1, frames, container, subtype)


def test_unknown_extension_lists_those_that_work():
    """A wrong extension is an error that says what to name instead."""
    with pytest.raises(OutputError, match=r"wav.*flac.*mp3"):
        output_format(info("a.wav", "WAV", "PCM_16"), Path("b.xyz"), explicit=True)


def test_format_that_cannot_be_written_becomes_wav_and_says_so(monkeypatch):
    """An old libsndfile without MP3 gives WAV under an honest name."""
    check = sf.check_format
    monkeypatch.setattr(
        sf, "check_format", lambda f, *rest: f != "MP3" and check(f, *rest)
    )
    mp3 = info("a.mp3", "MP3", "MPEG_LAYER_III")
    output = output_format(mp3, Path("a.denoised.mp3"), explicit=False)
    assert output.path == Path("a.denoised.wav") and output.format == "WAV"
    assert "MP3" in output.note and "WAV" in output.note
    with pytest.raises(OutputError, match=r"name a \.wav"):
        output_format(mp3, Path("b.mp3"), explicit=True)


def test_container_that_cannot_be_written_becomes_wav_and_says_so():
    """The same where FFmpeg reads it, and has no writer for it."""
    pytest.importorskip("av", reason="needs the extra [av]")
    read = AudioInfo(
        Path("a.ape"), 44100, 2, 10, "ape", "PCM_16", backend="PyAV", codec="ape"
    )
    output = output_format(read, Path("a.denoised.ape"), explicit=False)
    assert (output.path, output.format) == (Path("a.denoised.wav"), "WAV")
    assert output.subtype == "PCM_16" and output.note.startswith("ape with")
    with pytest.raises(OutputError, match=r"name a \.mkv or \.wav"):
        output_format(read, Path("b.ape"), explicit=True)


def test_mp3_becomes_a_plain_wav():
    """Not one with MP3 in it, though libsndfile could write that."""
    mp3 = info("a.mp3", "MP3", "MPEG_LAYER_III")
    assert output_format(mp3, Path("b.wav"), explicit=True).subtype == "PCM_16"


def test_wav_beyond_4_gib_becomes_rf64():
    """A plain WAV header cannot count that far."""
    long = info("a.mp3", "MP3", "MPEG_LAYER_III", 3 << 30)
    assert output_format(long, Path("b.wav"), explicit=True).format == "RF64"


def writer_for(path: Path, **extra) -> AudioWriter:
    return AudioWriter(OutputFormat("WAV", "PCM_16", "FILE", path), 16000, 1, **extra)


def test_error_while_writing_leaves_nothing(tmp_path):
    """A file is there complete or not at all."""
    target = tmp_path / "a.wav"
    with pytest.raises(RuntimeError), writer_for(target) as writer:
        writer.write(noise(100))
        assert len(list(tmp_path.iterdir())) == 1
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept_without_force(tmp_path):
    """Nothing is ever replaced that nobody asked to be replaced."""
    target = tmp_path / "a.wav"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        writer_for(target)
    assert target.read_bytes() == b"mine"
    with writer_for(target, force=True) as writer:
        writer.write(noise(100))
    assert sf.info(target).frames == 100
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_file_that_appears_meanwhile_is_kept(tmp_path):
    """The check at the end cannot be overtaken by another program."""
    target = tmp_path / "a.wav"
    writer = writer_for(target)
    writer.write(noise(100))
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        writer.close()
    assert target.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX devices")
def test_device_is_not_replaced_even_by_force():
    """``-o /dev/null --force`` must not turn a device into a file."""
    with pytest.raises(OutputError, match="no regular file"):
        writer_for(Path(os.devnull), force=True)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_result_has_the_permissions_of_a_new_file(tmp_path):
    """Others may read it as any file made here, although it was a temporary one."""
    with writer_for(tmp_path / "a.wav") as writer:
        writer.write(noise(10))
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "a.wav").stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_name_that_is_no_text(tmp_path):
    """Any name that the file system takes works, and prints without harm."""
    name = os.fsdecode(b"a\xff\x1b[31m\n.wav")
    try:
        source = tmp_path / name
        source.write_bytes(wav_bytes())
    except OSError:
        pytest.skip("this file system takes no such names")
    copy(source, tmp_path / ("b" + name))
    assert shown(name) == "a\\xff\\x1b[31m\\n.wav"


def test_header_that_declares_nothing_hides_no_audio(tmp_path):
    """A recorder that was cut off left length 0; all that follows is read."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(declared=0, riff=0))
    with AudioReader(path) as reader:
        total = sum(len(block) for block in reader)
    assert total == 2000
    assert "declares 0 samples" in reader.notes[0]


@pytest.mark.parametrize(
    ("ext", "container", "subtype"),
    [
        ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "VORBIS"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
        ("wav", "WAV", "PCM_16"),
        ("aiff", "AIFF", "PCM_16"),
    ],
)
def test_half_a_file_gives_half_the_audio(tmp_path, ext, container, subtype):
    """Of a file cut in two, what is there is read, and no more is promised."""
    if not sf.check_format(container, subtype):
        pytest.skip(f"this libsndfile does not write {container} with {subtype}")
    path = tmp_path / f"a.{ext}"
    write_noise(path, 48000, format=container, subtype=subtype)
    whole = sf.read(path, dtype="float32")[0]
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with AudioReader(path) as reader:
        part = np.concatenate([block[:, 0].copy() for block in reader])
    assert 10000 < len(part) < 40000
    if container != "MP3":
        assert np.array_equal(part[:8000], whole[:8000])
    if container in ("FLAC", "MP3", "WAV"):
        assert "its header declares 3.00 s" in reader.notes[0]


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_read_or_refused(tmp_path, seed):
    """Whatever bytes a file holds, there is audio or one sentence, never a crash."""
    rng = np.random.default_rng(seed)
    kinds = [
        ("WAV", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("AIFF", "FLOAT"),
    ]
    container, subtype = kinds[seed % 4]
    path = tmp_path / f"a.{container.lower()}"
    write_noise(path, 4000, format=container, subtype=subtype)
    raw = bytearray(path.read_bytes())
    for at in rng.integers(0, min(len(raw), 2000), 12):
        raw[at] = rng.integers(0, 256)
    path.write_bytes(raw[: rng.integers(len(raw) // 2, len(raw))])
    try:
        with AudioReader(path) as reader:
            for block in reader:
                assert np.isfinite(block).all()
    except AudioFormatError as error:
        assert "\n" not in str(error) and str(path) in str(error)


def test_a_recording_that_still_grows_says_so(tmp_path):
    """Its end is not in the result, and nothing else would tell."""
    path = write_noise(tmp_path / "a.wav", 8000)
    with AudioReader(path) as reader:
        with path.open("ab") as file:
            file.write(bytes(1000))
        assert sum(map(len, reader)) == 8000
        assert any("has grown" in note for note in reader.notes)


@pytest.mark.parametrize("channels", [33, 64])
def test_files_of_many_channels(tmp_path, channels):
    """As many as the engine takes, each in its place."""
    x = noise(3000, channels) * np.linspace(0.1, 1.0, channels, dtype=np.float32)
    sf.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", IdentityModel())
    y, _ = sf.read(tmp_path / "b.wav", dtype="float32")
    np.testing.assert_allclose(y, x, atol=1e-5)


def test_many_channels_where_they_do_not_fit(tmp_path):
    """The sentence names a format that takes them."""
    pytest.importorskip("av")
    sf.write(tmp_path / "a.wav", noise(3000, 33), 16000)
    with pytest.raises(OutputError, match=r"33 channels.* name a \.wav file$"):
        denoise_file(tmp_path / "a.wav", tmp_path / "b.mka", IdentityModel())
