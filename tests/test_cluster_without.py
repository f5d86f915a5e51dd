"""The local path and Dask: not imported where it is not asked for, and missed."""

from __future__ import annotations

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
