"""What programs use: signals and streams, arrays and tensors."""

from __future__ import annotations

import asyncio
import doctest
import os
import subprocess
import sys

import numpy as np
import pytest

import streamdenoise
from streamdenoise import (
    AudioFormatError,
    adenoise,
    api,
    denoise,
    denoise_file,
    load_model,
    stream,
)
from streamdenoise.show import report
from tests.clitools import ROOT, noise, write_noise
from tests.fakes import IdentityModel, MemoryModel


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sizes", [[1], [0, 7, 480], [100_000]])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_stream_lies_on_its_input(channels, sizes, kind):
    """Joined, it is what `denoise` gives, however it is cut."""
    x = noise(3000 if sizes == [1] else 20_000, channels)
    if kind == np.int16:
        x = (x * 32767).astype(np.int16)
    x = x.astype(kind) if channels == 2 else x[:, 0].astype(kind)
    chunks, at, turn = [], 0, 0
    while at < len(x):
        chunks.append(x[at : at + sizes[turn % len(sizes)]])
        at, turn = at + len(chunks[-1]), turn + 1
    y = np.concatenate(list(stream(chunks, 16000, channels, MemoryModel())))
    scaled = x.astype(np.float32) / (32768 if kind == np.int16 else 1)
    assert y.shape == x.shape and y.dtype == np.float32
    assert np.allclose(y, denoise(scaled, 16000, MemoryModel()), atol=1e-5)


def test_stream_of_nothing():
    """No chunks, or empty ones, give nothing."""
    assert list(stream([], 16000, model=IdentityModel())) == []
    assert list(stream([np.zeros(0)], 16000, model=IdentityModel())) == []


def test_asyncio_gives_the_same_and_lets_others_run():
    """From asynchronous and plain sources; a long chunk does not hold up the loop."""
    x = noise(48_000)[:, 0]
    want = np.concatenate(list(stream([x], 16000, model=MemoryModel())))

    async def source():
        for part in np.split(x, 8):
            yield part

    async def collect(chunks):
        parts = [y async for y in adenoise(chunks, 16000, model=MemoryModel())]
        return np.concatenate(parts)

    async def both():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        results = await asyncio.gather(collect(source()), collect([x]))
        task.cancel()
        return results, turns

    (one, two), turns = asyncio.run(both())
    assert np.array_equal(one, want) and np.array_equal(two, want)
    assert turns >= 48_000 / 16000 / 0.05 - 1


def test_tensors_come_back_as_tensors():
    """Type and shape are kept, gradients are cut off, the tensor is left alone."""
    torch = pytest.importorskip("torch", reason="tensors are PyTorch's")
    x = torch.from_numpy(noise(9000, 2))
    want = denoise(x.numpy(), 16000, MemoryModel())
    for kind in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        given = x.to(kind).requires_grad_()
        y = denoise(given, 16000, MemoryModel())
        assert isinstance(y, torch.Tensor) and y.dtype == kind and y.shape == x.shape
        assert not y.requires_grad
        assert np.allclose(y.float().numpy(), want, atol=2e-2)
    whole = (x * 32767).to(torch.int16)
    assert denoise(whole, 16000, IdentityModel()).dtype == torch.int16
    for given, kind in ((x, torch.float32), (whole, torch.float32)):
        parts = list(stream([given[:100], given[100:]], 16000, 2, IdentityModel()))
        assert all(isinstance(p, torch.Tensor) and p.dtype == kind for p in parts)
        assert torch.allclose(torch.cat(parts), x, atol=1e-4)
    turned = x.T.contiguous().T
    assert torch.equal(denoise(turned, 16000, IdentityModel()).shape and turned, x)


def test_what_is_no_sound_is_one_sentence(tmp_path):
    """Channels first, bytes, names and addresses: each says what to do instead."""
    with pytest.raises(AudioFormatError, match="turn it over"):
        denoise(np.zeros((2, 4000), np.float32), 16000, IdentityModel())
    for chunk in (b"1234", "talk.wav", None):
        with pytest.raises(AudioFormatError, match="no array of samples"):
            list(stream([chunk], 16000, model=IdentityModel()))
    source = write_noise(tmp_path / "a.wav")
    for loudness in ("loud", 5, float("nan")):
        with pytest.raises(ValueError, match="such as -16"):
            denoise_file(source, tmp_path / "b.wav", loudness=loudness)
    with pytest.raises(AudioFormatError, match="is an address"):
        denoise_file("https://example.com/a.wav", tmp_path / "b.wav")
    for names in (("", "b.wav"), (source, "")):
        with pytest.raises(AudioFormatError, match="empty name"):
            denoise_file(*names)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_import_is_light():
    """Neither torch nor anything else heavy comes in by the door."""
    code = (
        "import sys, streamdenoise; streamdenoise.denoise_file; streamdenoise.stream\n"
        "heavy = {'torch', 'tensorflow', 'matplotlib', 'scipy', 'fsspec', 'asyncio'}\n"
        "assert not heavy - {'asyncio'} & set(sys.modules), sys.modules.keys() & heavy"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_all_names_are_there():
    """Every public name can be had."""
    for name in streamdenoise.__all__:
        assert getattr(streamdenoise, name) is not None


@pytest.mark.parametrize("module", [streamdenoise, api, report])
def test_examples_in_docstrings(module, model):
    """They run, and give what they say."""
    assert load_model() is not None
    assert doctest.testmod(module).failed == 0
