"""Denoises one recording with every shipped model; runs on the board and beside it.

    python inside.py NOISY.wav OUT.npz

Each model runs as files do (32 frames at once) and as live sound does (one frame), with
the interpreter's usual kernels and with its plain reference kernels. Which of the four
differ from those of another processor tells where a difference comes from.
"""

from __future__ import annotations

import functools
import importlib
import json
import platform
import sys
from typing import Any

import numpy as np
import soundfile

from streamdenoise import Denoiser, load_model, runtime
from streamdenoise.model import list_models


def plain_interpreter() -> tuple[str, Any]:
    """Return the interpreter without XNNPACK, as `runtime.find_interpreter` does."""
    name, usual = USUAL()
    module = importlib.import_module(f"{name}.interpreter")
    kind = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return name, functools.partial(usual, experimental_op_resolver_type=kind)


USUAL = runtime.find_interpreter
KERNELS = {"xnnpack": USUAL, "plain": plain_interpreter}


def main() -> None:
    """Write an array for each way, and under ``about`` what ran it."""
    noisy, rate = soundfile.read(sys.argv[1], dtype="float32")
    found: dict[str, Any] = {}
    for card in list_models():
        for kernels, interpreter in KERNELS.items():
            runtime.find_interpreter = interpreter
            model = load_model(card.name)
            hop = model.card.stft(rate).hop
            for way, block in (("file", len(noisy)), ("live", hop)):
                denoiser = Denoiser(model, rate, block=block, bulk=way == "file")
                pieces = [
                    denoiser.process(noisy[at : at + block])
                    for at in range(0, len(noisy), block)
                ]
                found[f"{card.name}/{way}/{kernels}"] = np.concatenate(pieces)
    about = {
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "runtime": USUAL()[0],
        "quantisation": {card.name: card.quantisation for card in list_models()},
    }
    np.savez(sys.argv[2], about=json.dumps(about), **found)


if __name__ == "__main__":
    main()
