"""Which loudspeaker each channel is for, in FFmpeg's words and in those of WAV."""

from __future__ import annotations

from typing import Any, Final

from .avmodule import av_module
from .info import AudioInfo

__all__ = [
    "alike",
    "is_said",
    "low_channels",
    "mask_of",
    "said_layout",
    "usual_layout",
]

_NAMES: Final = "FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR"
_SPEAKERS: Final = _NAMES.split()
"""In the order of the bits of a mask, which is that of the channels too."""

_USUAL: Final = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "7.0", "7.1")
"""For so many channels of which nothing is said; that of 5.1 and 7.1 is custom."""

_STAND_INS: Final = {
    "5.1(side)": "5.1",
    "5.1": "5.1(side)",
    "quad(side)": "quad",
    "quad": "quad(side)",
    "5.0(side)": "5.0",
    "5.0": "5.0(side)",
}
_OF_FLAC: Final = {6: "5.1", 7: "6.1", 8: "7.1"}
"""What its specification says; without a low-frequency one it is as usual."""

_OTHERS: Final = {3: ("3.0",), 4: ("quad", "4.0"), 7: ("6.1", "7.0")}


def mask_of(layout: Any) -> int:
    """Return the loudspeakers of a layout as WAV has them; 0 for others."""
    names = [channel.name for channel in layout.channels]
    bits = [1 << _SPEAKERS.index(name) for name in names if name in _SPEAKERS]
    # In WAV the channels come in the order of the bits.
    return sum(bits) if len(bits) == len(names) and bits == sorted(bits) else 0


def said_layout(info: AudioInfo) -> str:
    """Return the layout that a sound file tells of, by FFmpeg's name.

    Parameters
    ----------
    info
        What the file is.

    Returns
    -------
    str
        Empty if it tells nothing.
    """
    mask = info.channel_mask
    names = [name for bit, name in enumerate(_SPEAKERS) if mask >> bit & 1]
    if info.format == "FLAC" and not mask:
        return _OF_FLAC.get(info.channels, "")
    if len(names) != info.channels or mask.bit_count() not in (0, len(names)):
        return ""
    return str(av_module().AudioLayout("+".join(names)).name)


def usual_layout(channels: int) -> str:
    """Return a layout for channels of which nothing is said."""
    if channels <= len(_USUAL):
        return _USUAL[channels - 1]
    return f"{channels} channels"


def alike(layout: str, codec: str = "") -> list[str]:
    """Return a layout and those that may stand for it, the best first, for a coding.

    None of them makes a low-frequency channel of another one: encoders keep nothing
    of such a channel but its bass.
    """
    channels = av_module().AudioLayout(layout).nb_channels
    others = _OTHERS.get(channels, (usual_layout(channels),))
    twin = _STAND_INS.get(layout, layout)
    names = dict.fromkeys([layout, twin, *others])
    if codec == "aac" and layout in ("5.1(side)", "5.0(side)"):
        # It has a number for the other one; this one few players know.
        names = dict.fromkeys([twin, *names])
    low = low_channels(layout if is_said(layout) else usual_layout(channels))
    return [name for name in names if low_channels(name) <= low]


def is_said(layout: str) -> bool:
    """Whether a layout tells which loudspeakers its channels are for."""
    channels = av_module().AudioLayout(layout).channels
    return all(one.name != "NONE" for one in channels)


def low_channels(layout: str) -> set[int]:
    """Return which channels of a layout are for low frequencies only."""
    channels = av_module().AudioLayout(layout).channels
    return {i for i, one in enumerate(channels) if one.name.startswith("LFE")}
