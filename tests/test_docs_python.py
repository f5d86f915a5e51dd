"""The code on the page for Python programs runs as it stands."""

from __future__ import annotations

import re
import shutil
import threading
import time

import numpy as np
import pytest

from streamdenoise import denoise
from streamdenoise.demo import ASSETS, NOISY
from tests.clitools import ROOT, noise

PAGE = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def block_with(text: str) -> str:
    return next(block for block in BLOCKS if text in block)


@pytest.fixture
def talk(tmp_path, monkeypatch):
    """Put a recording where the page has one."""
    import soundfile as sf

    monkeypatch.chdir(tmp_path)
    shutil.copy(ASSETS / NOISY, tmp_path / NOISY)
    x, rate = sf.read(tmp_path / NOISY)
    sf.write(tmp_path / "talk.wav", x, rate)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number, talk, model):
    """Every block, in a folder with a recording."""
    code = BLOCKS[number]
    for package in re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE):
        pytest.importorskip(package, reason="the page tells how to install it")
    exec(compile(code, f"python.md, block {number}", "exec"), {"__name__": "page"})


def test_service_on_a_real_server(model):
    """Over a real WebSocket, in odd chunks, it is what `denoise` gives."""
    for package in ("fastapi", "uvicorn", "websockets"):
        pytest.importorskip(package, reason="the page tells how to install it")
    import uvicorn
    from websockets.sync.client import connect

    scope: dict = {"__name__": "page"}
    exec(compile(block_with("websocket("), "service.py", "exec"), scope)
    config = uvicorn.Config(scope["app"], port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline and thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        x = (noise(20_000)[:, 0] * 32767).astype(np.int16)
        got = b""
        with connect(f"ws://127.0.0.1:{port}/denoise?rate=16000") as socket:
            for part in np.array_split(np.frombuffer(x.tobytes(), np.uint8), 37):
                socket.send(part.tobytes())
                got += socket.recv()
            socket.send("end")
            got += socket.recv()
    finally:
        server.should_exit = True
        thread.join()
    y = np.frombuffer(got, np.int16)
    lag = len(y) - len(x)
    assert lag == 255
    assert np.abs(y[lag:].astype(int) - denoise(x, 16000)).max() <= 1
