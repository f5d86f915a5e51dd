"""The local path and Dask: not imported where it is not asked for, and missed."""

from __future__ import annotations

import time

import pytest

from streamdenoise.batch import clustercheck
from streamdenoise.batch.flight import Flight, timed
from streamdenoise.batch.pieces import Piece
from streamdenoise.batch.plan import Job
from streamdenoise.batch.work import Outcome, Work
from streamdenoise.errors import RuntimeMissingError
from tests.clitools import model_arg, process, write_noise

__all__ = ["model_arg"]


def test_local_path_does_not_import_dask(tmp_path, model_arg):
    """``streamdenoise file`` without --cluster leaves Dask alone."""
    source = write_noise(tmp_path / "a.wav")
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print({'dask', 'distributed'} & set(sys.modules)))"
    )
    program = process("file", str(source), "--model", model_arg, code=code)
    stdout, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    assert stdout.splitlines()[-1] == b"set()"


def test_missing_package_is_one_sentence(tmp_path, model_arg):
    """What to install, before anything is touched."""
    source = write_noise(tmp_path / "a.wav")
    code = "import sys\nsys.modules['distributed'] = None"
    program = process("file", str(source), "--cluster", "local", code=code)
    _, stderr = program.communicate(timeout=120)
    assert program.returncode == 3
    assert b'pip install "streamdenoise[cluster]"' in stderr
    assert not (tmp_path / "a.denoised.wav").exists()


class Coming:
    """A client whose workers come and go: an answer for each time they are asked."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def run(self, *args, **how):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_workers_that_come_or_go_are_asked_again(monkeypatch):
    """None there, one just lost, an error of Dask: none of these is an answer."""
    monkeypatch.setattr(clustercheck, "_AGAIN_SECONDS", 0)
    good = {"tcp://a:1": {"version": "1"}}
    lost = {"tcp://a:1": OSError("gone")}
    for bad in (AssertionError(), {}, lost):
        assert clustercheck._ask(Coming(bad, good), [], None) == good
        with pytest.raises(RuntimeMissingError, match="cannot be asked"):
            clustercheck._ask(Coming(*[bad] * 9), [], None)
    missing = {"tcp://a:1": ModuleNotFoundError("streamdenoise")}
    assert clustercheck._ask(Coming(missing), [], None) == missing


def test_time_of_pieces_counts():
    """A file in pieces took from its first piece on, not only to be joined."""
    job = Job("a.wav", "b.wav")
    result = {"seconds": 100.0, "elapsed": 0.1, "times_real_time": 1000.0}
    done = Outcome(job, "done", result)
    work = Work(0, job, "", False)
    flight = Flight(work, work, begun=time.monotonic() - 50)
    assert timed(done, flight) == done
    flight.pieces = [Piece(0, 0, 0, None, None)]
    figures = timed(done, flight).result
    assert 50 <= figures["elapsed"] < 60
    assert figures["times_real_time"] == pytest.approx(
        100 / figures["elapsed"], abs=0.01
    )
