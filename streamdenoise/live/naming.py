"""Which devices a person means by a name.

Words that all occur in what is known of a device find it, in any case, and a whole name
wins over a part of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .devices import Device, Kind

__all__ = ["has_words", "listed", "meant", "near", "words_of"]

_API_RANK: Final = ("ASIO", "Windows WASAPI", "Windows DirectSound", "MME")
_MONITOR: Final = "monitor"


def words_of(text: str) -> list[str]:
    """Return what a device must have all of, in lower case."""
    return text.casefold().replace(",", " ").split()


def has_words(device: Device, words: Sequence[str]) -> bool:
    """Whether all the words occur in what is known of a device."""
    return all(word in device.known_as or _is_api(word, device) for word in words)


def meant(text: str, kind: Kind, usable: Sequence[Device]) -> list[Device]:
    """Return the devices that a name may mean: none, one, or more to choose from.

    A card that a sound server holds is busy for PortAudio, and where it is not, taking
    it would silence all other programs. So where both have a device of that name, the
    server's is meant. Who wants the card itself gives its whole name, its number, or
    its host API as a word.

    Parameters
    ----------
    text
        What was typed.
    kind
        Direction.
    usable
        With channels in that direction.
    """
    words = words_of(text)
    own = [d for d in usable if not d.server_name]
    served = [d for d in usable if d.server_name]
    ours, theirs = _of_portaudio(text, kind, own), _of_server(text, kind, served)
    if not ours or not theirs:
        return ours or theirs
    if _whole(text, ours) or any(_api_word(d) in words for d in ours):
        return ours
    if _whole(text, theirs):
        return theirs
    # What JACK and others list, no server holds; and the name of the server alone
    # leads to its door.
    others = all(
        d.host_api != "ALSA" and all(w in d.name.casefold() for w in words)
        for d in ours
    )
    return ours if others or _only_api(words, theirs[0]) else theirs


def _of_portaudio(text: str, kind: Kind, devices: Sequence[Device]) -> list[Device]:
    """Find devices of its own; see `find_device`."""
    whole, words = _whole(text, devices), words_of(text)
    found = whole or [d for d in devices if has_words(d, words)]
    return _api_default(words, kind, _best_api(found))


def _of_server(text: str, kind: Kind, devices: Sequence[Device]) -> list[Device]:
    """Find devices of the sound server; what is played is meant only where it says."""
    whole, words = _whole(text, devices), words_of(text)
    if whole:
        return whole
    found = [d for d in devices if has_words(d, words)]
    real = [d for d in found if not d.is_monitor]
    if real or not any(_MONITOR in word for word in words):
        return _api_default(words, kind, real)
    return found


def _whole(text: str, devices: Sequence[Device]) -> list[Device]:
    name = text.casefold()
    return [
        d
        for d in devices
        if name in (d.name.casefold(), d.server_name.casefold() or d.name.casefold())
    ]


def _api_word(device: Device) -> str:
    return device.host_api.casefold().split()[0]


def _is_api(word: str, device: Device) -> bool:
    """Whether a word names the host API; a server is named by the whole of it."""
    api = device.host_api.casefold()
    return word in ((api, api.removesuffix("audio")) if device.server_name else api)


def _only_api(words: Sequence[str], device: Device) -> bool:
    """Whether the words name the host API and nothing else."""
    return all(_is_api(word, device) for word in words)


def _best_api(found: Sequence[Device]) -> list[Device]:
    """Of one device that several host APIs offer, keep the best ranked."""
    if len({d.host_api for d in found}) < len(found):
        return list(found)  # two from one API are two devices
    ranked = [d for d in found if d.host_api in _API_RANK]
    if len(ranked) < 2:
        return list(found)
    return [min(ranked, key=lambda d: _API_RANK.index(d.host_api))]


def _api_default(
    words: Sequence[str], kind: Kind, found: Sequence[Device]
) -> list[Device]:
    """Of all devices of one host API, which was named alone, keep its default."""
    if len({d.host_api for d in found}) == 1 and _only_api(words, found[0]):
        chosen = [d for d in found if (d.api_input, d.api_output)[kind == "output"]]
        return chosen or list(found)
    return list(found)


def near(words: Sequence[str], usable: Sequence[Device]) -> list[Device]:
    """Devices with a word that contains one of `words`, or is spelt much like it."""

    def alike(word: str, other: str) -> bool:
        return word in other or SequenceMatcher(None, word, other).ratio() > 0.6

    return [
        d
        for d in usable
        if any(
            alike(word, other)
            for word in words
            for other in f"{d.name} {d.host_api} {d.port}".casefold().split()
        )
    ]


def listed(devices: Sequence[Device], most: int = 8) -> str:
    """Return devices as a part of a sentence; two of one name by the server's."""
    labels = [d.label for d in devices]
    said = [
        f"{d.name} ({d.server_name})"
        if d.server_name and labels.count(d.label) > 1
        else d.label
        for d in devices
    ]
    text = ", ".join(said[:most])
    more = len(said) - most
    return f"{text} and {more} more" if more > 0 else text
