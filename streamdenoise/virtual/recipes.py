"""How to make a virtual microphone where the system has none to be asked for."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["PLATFORMS", "recipe", "this_platform"]

_LINUX = """\
Linux with PulseAudio or PipeWire

1. One command does it all; it goes away with Ctrl-C:
       streamdenoise live --virtual-mic
   Or keep a microphone and start live when you need it:
       streamdenoise virtual-mic create
       streamdenoise live --virtual-mic
2. In the call, choose the microphone "Denoised microphone".
3. Nothing to choose from? Start the call program again, and see:
       streamdenoise virtual-mic list
       streamdenoise doctor
"""

_ALSA = """\
Linux with ALSA alone (no PulseAudio, no PipeWire)

1. Load the loopback card, once, and at every start of the machine:
       sudo modprobe snd-aloop index=7 id=Loopback pcm_substreams=1
       echo snd-aloop | sudo tee /etc/modules-load.d/snd-aloop.conf
       echo "options snd-aloop index=7 id=Loopback pcm_substreams=1" | \\
           sudo tee /etc/modprobe.d/snd-aloop.conf
2. See its two ends in the list, "Loopback: PCM (hw:7,0)" and "(hw:7,1)":
       streamdenoise devices
3. Play into one end:
       streamdenoise live --input usb --output "hw:7,0"
4. Let the other program record from the other end, plughw:Loopback,1:
       arecord -D plughw:Loopback,1 -f S16_LE -r 48000 -c 2 talk.wav
"""

_MACOS = """\
macOS with BlackHole (free)

1. Install it, and log out and in again:
       brew install blackhole-2ch
2. Play into it:
       streamdenoise live --output blackhole
   The system asks once whether the terminal may use the microphone: allow it.
3. In the call, choose the microphone "BlackHole 2ch", and leave the loudspeaker of the
   call at your headphones: never BlackHole, or the others hear themselves.
4. Turn the call program's own noise suppression off; two in a row sound worse.
"""

_WINDOWS = """\
Windows with VB-CABLE (free)

1. Download VB-CABLE from https://vb-audio.com/Cable/, unpack it, run
   VBCABLE_Setup_x64.exe as administrator, and restart Windows.
2. Set back the default devices, which the installer may change: Settings, System,
   Sound.
3. Play into it (WASAPI is the quickest way to the device):
       streamdenoise live --output "CABLE Input WASAPI"
4. In the call, choose the microphone "CABLE Output (VB-Audio Virtual Cable)".
5. Hiss or clicks? Set both CABLE devices to 48000 Hz: Sound, Device properties,
   Advanced.
"""

_RECIPES: Final = {
    "linux": _LINUX,
    "alsa": _ALSA,
    "macos": _MACOS,
    "windows": _WINDOWS,
}

PLATFORMS: Final = tuple(_RECIPES)
"""What `recipe` knows."""


def this_platform() -> str:
    """Return which of `PLATFORMS` this machine is."""
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")


def recipe(platform: str) -> str:
    """Return the steps for one of `PLATFORMS`, as text for a terminal."""
    return _RECIPES[platform]
