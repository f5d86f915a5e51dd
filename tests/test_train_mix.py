"""Corpus packs, mixtures and noises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamdenoise.errors import AudioFormatError
from streamdenoise.train import noises
from streamdenoise.train.backgrounds import Backgrounds
from streamdenoise.train.data import (
    Pack,
    build_pack,
    is_valid_speaker,
    noise_weights,
    piece_weights,
)
from streamdenoise.train.mix import Mixer
from streamdenoise.train.mixconfig import MixConfig
from streamdenoise.train.rooms import draw_room, early_part
from streamdenoise.train.shaping import active_level, rms
from tests.training import make_corpus


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Pack:
    folder = tmp_path_factory.mktemp("corpus")
    build_pack(make_corpus(folder / "data"), folder / "pack")
    return Pack.open(folder / "pack")


def test_splits_share_no_speaker_and_no_recording(pack: Pack) -> None:
    """What validates was never trained on."""
    config = MixConfig(seconds=1.0)
    train, valid = Mixer(pack, config), Mixer(pack, config, valid=True)
    for kind, name in ("voices", "speaker"), ("backgrounds", "recording"):
        heard, other = (
            {row[name] for row in getattr(mixer, kind).rows} for mixer in (train, valid)
        )
        assert heard and other and not heard & other


def test_speaker_split_is_fixed() -> None:
    """The split is a property of the name: about 5 %, the same for ever."""
    names = [f"speaker {k}" for k in range(4000)]
    share = np.mean([is_valid_speaker(name) for name in names])
    assert 0.03 < share < 0.07
    assert [k for k in range(60) if is_valid_speaker(f"s{k}")] == [
        k for k in range(60) if is_valid_speaker(f"s{k}")
    ]


def test_weights_hold_back_word_lists(pack: Pack) -> None:
    """An isolated word weighs less than a sentence of the same speaker and length."""
    row = {"speaker": "a", "length": 100, "strict": True}
    word, sentence, floor = piece_weights(
        [
            {**row, "kind": "word"},
            {**row, "kind": "sentence"},
            {**row, "kind": "sentence", "strict": False},
        ]
    )
    assert word < floor < sentence


def test_noises_of_everyday_life_come_three_times_as_often() -> None:
    """Of two recordings as long, the one that people talk in is drawn more."""
    rows = [{"class": c, "length": 16000} for c in ("kitchen: stove fan", "sheep")]
    everyday, other = noise_weights([*rows, {**rows[1], "length": 4 * 16000}])[:2]
    assert everyday == pytest.approx(3.0 * other)
    assert noise_weights(rows).sum() == pytest.approx(1.0)


def test_a_batch_is_a_function_of_its_number(pack: Pack) -> None:
    """Mixtures repeat for the same seed and number, and differ otherwise."""
    mixer = Mixer(pack, MixConfig(seconds=1.0), seed=3)
    again = Mixer(pack, MixConfig(seconds=1.0), seed=3)
    np.testing.assert_array_equal(mixer.batch(7, 2), again.batch(7, 2))
    assert np.any(mixer.batch(8, 2)[0] != again.batch(7, 2)[0])


def test_pairs_are_aligned_finite_and_in_range(pack: Pack) -> None:
    """Noisy and clean stay within full scale; without noise they are the same."""
    mixer = Mixer(pack, MixConfig(seconds=1.0), seed=1)
    noisy, clean = mixer.batch(0, 24)
    for x in (noisy, clean):
        assert x.dtype == np.float32
        assert np.all(np.isfinite(x))
    assert np.max(np.abs(noisy)) <= 1.0
    bare = MixConfig(seconds=1.0, clean_only=1.0, room=0.0, clip=0.0, noise_only=0.0)
    noisy, clean = Mixer(pack, bare, seed=1).batch(0, 4)
    assert np.sqrt(np.mean((noisy - clean) ** 2)) < 3e-3 * np.sqrt(np.mean(clean**2))


def test_snr_is_what_was_asked_for(pack: Pack) -> None:
    """The noise is set against active speech, in dB."""
    for snr in (0.0, 20.0):
        config = MixConfig(
            seconds=1.0,
            snr_mean=snr,
            snr_deviation=0.0,
            noise_only=0.0,
            clean_only=0.0,
            room=0.0,
            clip=0.0,
        )
        noisy, clean = Mixer(pack, config, seed=2).batch(0, 8)
        for x, s in zip(noisy, clean, strict=True):
            noise = np.sqrt(np.mean((x - s) ** 2))
            assert 20 * np.log10(active_level(s) / noise) == pytest.approx(snr, abs=0.3)


def test_noise_only_has_a_silent_target(pack: Pack) -> None:
    """Where nobody speaks there is nothing to keep."""
    noisy, clean = Mixer(pack, MixConfig(seconds=1.0, noise_only=1.0)).batch(0, 2)
    assert np.max(np.abs(clean)) == 0.0
    assert np.min(np.std(noisy, axis=1)) > 0.0


def test_room_keeps_the_direct_sound_in_place(pack: Pack) -> None:
    """The target of a reverberant mixture correlates best at lag zero."""
    config = MixConfig(seconds=1.0, room=1.0, clean_only=1.0, noise_only=0.0, clip=0.0)
    noisy, clean = Mixer(pack, config, seed=4).batch(0, 6)
    for x, s in zip(noisy, clean, strict=True):
        lags = np.fft.irfft(np.fft.rfft(x) * np.conj(np.fft.rfft(s)))
        assert min(np.argmax(lags), x.size - np.argmax(lags)) <= 8


def test_synthetic_noises_are_finite_and_alive() -> None:
    """Every generator gives finite, non-silent noise of the length asked for."""
    rng = np.random.default_rng(0)
    for make in (noises.coloured, noises.hum, noises.machine, noises.bursts):
        for _ in range(5):
            x = make(rng, 8000)
            assert x.shape == (8000,)
            assert np.all(np.isfinite(x)) and x.std() > 0.0


def test_rooms_begin_with_the_voice_and_their_early_part_ends() -> None:
    """Drawn rooms are finite; the early part is the room, then a fade, then nothing."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        room = draw_room(rng)
        assert room[0] == 1.0 and np.all(np.isfinite(room))
        late = np.concatenate([np.zeros(40, np.float32), 8.0 * room])
        early, direct = early_part(late)
        end = direct + 800
        assert direct >= 40 and early.shape == late.shape
        np.testing.assert_array_equal(early[:end], late[:end])
        assert np.all(np.abs(early[end:]) <= np.abs(late[end:]))
        assert not np.any(early[end + 80 :])


def test_far_from_a_voice_the_room_is_louder_than_the_voice() -> None:
    """What tells a neighbour's talk from the user's: hardly any direct sound."""

    def direct_to_rest(distant: bool) -> list[float]:
        rng = np.random.default_rng(1)
        rooms = [draw_room(rng, distant=distant) for _ in range(20)]
        return [-10.0 * np.log10(np.sum(room[1:] ** 2)) for room in rooms]

    assert max(direct_to_rest(distant=True)) <= -5.0 + 1e-3
    assert min(direct_to_rest(distant=False)) >= -3.0 - 1e-3


@pytest.mark.parametrize("kind", ["babble", "distant", "synthetic"])
def test_each_kind_of_noise_fills_the_sequence(pack: Pack, kind: str) -> None:
    """Noise of every kind is there, finite, and differs from draw to draw."""
    none = dict.fromkeys(("babble", "distant", "synthetic"), 0.0)
    more = {**none, kind: 1.0, "clean_only": 0.0, "noise_only": 0.0}
    mixer = Mixer(pack, MixConfig(seconds=1.0, clip=0.0, **more), seed=4)
    pairs = [mixer.pair(np.random.default_rng(seed)) for seed in range(3)]
    noises = [noisy - clean for noisy, clean in pairs]
    assert all(np.all(np.isfinite(x)) and rms(x) > 0.0 for x in noises)
    assert not np.array_equal(noises[0], noises[1])


def test_far_voices_are_no_noise_where_nobody_else_speaks(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be the user's, in a room that echoes."""
    calls: list[int] = []
    far = Backgrounds._distant
    monkeypatch.setattr(
        Backgrounds, "_distant", lambda self, rng: (calls.append(1), far(self, rng))[1]
    )
    config = MixConfig(seconds=1.0, babble=0.0, distant=1.0, calm=0.5)
    mixer = Mixer(pack, replace(config, noise_only=1.0), seed=4)
    mixer.batch(1, 8)
    assert not calls
    mixer = Mixer(pack, replace(config, noise_only=0.0, clean_only=0.0), seed=4)
    mixer.batch(1, 8)
    assert 0 < len(calls) < 8


def test_a_folder_without_a_pack_is_named(tmp_path) -> None:
    """The error says how to make one."""
    with pytest.raises(AudioFormatError, match="build-corpus"):
        Pack.open(tmp_path)


def power_below(x: np.ndarray, hertz: float) -> float:
    """Power of a sound at 16 kHz below a frequency."""
    spectrum = np.abs(np.fft.rfft(x)) ** 2
    return float(np.sum(spectrum[np.fft.rfftfreq(x.size, 1 / 16000) < hertz]))


def test_rumble_is_low(rng: np.random.Generator) -> None:
    """Nothing of it is in the voice's range but the end of its slope."""
    for _ in range(40):
        x = noises.rumble(rng, 48000)
        assert x.dtype == np.float32
        assert np.std(x) == pytest.approx(1.0, rel=1e-3)
        assert power_below(x, 600.0) > 0.95 * power_below(x, 8001.0)
        assert power_below(x, 2.0) < 0.2 * power_below(x, 8001.0)


def test_rumble_is_noise_but_in_a_clean_recording(pack: Pack) -> None:
    """Under a noise it is to go; what a clean recording has of its own stays."""
    config = MixConfig(
        seconds=1.0, room=0.0, clip=0.0, noise_only=0.0, level_low=-30.0, rumble=1.0
    )
    for clean_only in (0.0, 1.0):
        mix = replace(config, clean_only=clean_only)
        noisy, clean = Mixer(pack, mix, seed=4).batch(0, 8)
        left = sum(power_below(row, 60.0) for row in noisy - clean)
        whole = sum(power_below(row, 60.0) for row in noisy)
        assert (left < 0.01 * whole) == bool(clean_only)
