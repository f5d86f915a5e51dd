"""A browser lists the virtual microphone by name, and records speech from it."""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.pulse import PulseServer, pulse
from tests.test_virtualmic import RATE, start_live

__all__ = ["pulse"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WAIT = 60.0

_PAGE = b"""<!doctype html><script>
async function main() {
  const ask = {echoCancellation: false, noiseSuppression: false,
               autoGainControl: false};
  (await navigator.mediaDevices.getUserMedia({audio: true})).getTracks()
      .forEach(track => track.stop());
  const inputs = (await navigator.mediaDevices.enumerateDevices())
      .filter(device => device.kind == "audioinput");
  const ours = inputs.find(device => device.label.includes("Denoised microphone"));
  const answer = {labels: inputs.map(device => device.label), track: "", peaks: []};
  if (ours) {
    const stream = await navigator.mediaDevices.getUserMedia(
        {audio: {...ask, deviceId: {exact: ours.deviceId}}});
    answer.track = stream.getAudioTracks()[0].label;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    for (let i = 0; i < 60; i++) {
      await new Promise(done => setTimeout(done, 50));
      analyser.getFloatTimeDomainData(samples);
      answer.peaks.push(samples.reduce((a, b) => Math.max(a, Math.abs(b)), 0));
    }
  }
  return answer;
}
main().catch(error => ({error: String(error)})).then(
    answer => fetch("/answer", {method: "POST", body: JSON.stringify(answer)}));
</script>"""


class _Handler(http.server.BaseHTTPRequestHandler):
    answers: queue.Queue[dict[str, Any]]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(_PAGE)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.answers.put(json.loads(body))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Address of the page, and where its answer arrives."""
    _Handler.answers = queue.Queue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", _Handler.answers
    server.shutdown()
    thread.join()
    server.server_close()


def browse(address: str, folder: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Open a page in a browser without window that says yes to the microphone."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("needs a browser: apt install chromium")
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    words += ["--use-fake-ui-for-media-stream", "--disable-dev-shm-usage"]
    words += ["--autoplay-policy=no-user-gesture-required"]
    return subprocess.Popen(
        [program, *words, f"--user-data-dir={folder}", address],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder.parent / "browser.log").open("wb"),
        start_new_session=True,
    )


def test_a_browser_lists_and_records_it(
    pulse: PulseServer,
    model_path: Path,
    tmp_path: Path,
    page: tuple[str, queue.Queue[dict[str, Any]]],
) -> None:
    """What a call in a browser gets has the name and the sound."""
    address, answers = page
    t = np.arange(60 * RATE) / RATE
    voice = 0.3 * np.sin(2 * np.pi * 150 * t) * (np.sin(9 * t) > 0)
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, voice.astype(np.float32), RATE)
    live = start_live(pulse, model_path, 60)
    player = subprocess.Popen(["paplay", "--device=room", str(talk)], env=pulse.env)
    browser = browse(address, tmp_path / "profile", pulse.env)
    try:
        answer = answers.get(timeout=_WAIT)
    except queue.Empty:
        log = (tmp_path / "browser.log").read_text(errors="replace")
        pytest.skip(f"the browser here does not run the page: {log[-500:]}")
    finally:
        for process in (browser, player, live):
            process.terminate()
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(browser.pid, signal.SIGKILL)
        player.wait()
        said = live.communicate()[1]
    assert "error" not in answer, (answer, said)
    assert "Denoised microphone" in answer["labels"]
    assert not any("Monitor" in label for label in answer["labels"])
    assert answer["track"] == "Denoised microphone"
    assert max(answer["peaks"]) > 0.01
