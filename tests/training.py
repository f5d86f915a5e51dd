"""What the tests of training share: the optional import and a corpus made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("keras", reason="Keras is not installed (extra 'train')")


def make_corpus(folder: Path) -> Path:
    """Write a small data folder in the layout that `build_pack` reads."""
    rng = np.random.default_rng(5)
    tables = {
        "speech": "file,start,length,speaker,source,lang,kind,licence,strict\n",
        "noise": "file,start,length,class,source,licence,split,recording\n",
        "rir": "file,source,licence,room,rt60_s,drr_db\n",
    }
    for name in tables:
        (folder / name).mkdir(parents=True)
    speech, rows = [], tables["speech"]
    at = 0
    for speaker in range(60):
        time = np.arange(16000 + 1600 * (speaker % 7)) / 16000
        pitch = 90 + 3 * speaker + 20 * np.sin(2 * np.pi * 3 * time)
        voice = sum(np.sin(k * 2 * np.pi * np.cumsum(pitch) / 16000) for k in (1, 2, 3))
        voice = voice * (0.2 * np.sin(2 * np.pi * 2 * time) ** 2)
        kind = "word" if speaker % 3 else "sentence"
        rows += f"a.flac,{at},{time.size},s{speaker},test,xx,{kind},CC0,{speaker % 2}\n"
        speech.append(voice)
        at += time.size
    soundfile.write(folder / "speech/a.flac", np.concatenate(speech) * 0.5, 16000)
    (folder / "speech/index.csv").write_text(rows)
    noise, rows, at = [], tables["noise"], 0
    for k, size in enumerate((4000, 30000, 90000, 20000)):
        split = "valid" if k == 3 else "train"
        rows += f"n.flac,{at},{size},hiss,test,CC0,{split},r{k}\n"
        noise.append(rng.standard_normal(size) * 0.1)
        at += size
    soundfile.write(folder / "noise/n.flac", np.concatenate(noise), 16000)
    (folder / "noise/index.csv").write_text(rows)
    room = rng.standard_normal(4000) * np.exp(-np.arange(4000) / 600) * 0.1
    room[8] = 0.5
    soundfile.write(folder / "rir/r.flac", room, 16000)
    (folder / "rir/index.csv").write_text(tables["rir"] + "r.flac,test,CC0,x,0.3,1\n")
    return folder
