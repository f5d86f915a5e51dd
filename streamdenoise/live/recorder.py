"""Writes live audio to a file without ever making the audio thread wait.

The audio thread puts blocks into a bounded ring; a thread of its own writes them. A
disk that is too slow costs recorded audio, which is counted, never live audio.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from ..audio.formats import SOUND_FILES, TOO_LONG, UnknownExtensionError
from ..audio.parts import leftovers
from ..audio.read import AudioInfo
from ..audio.write import AudioWriter, OutputFormat, output_format
from ..errors import OutputError, StreamDenoiseError
from ..names import shown
from .ring import FloatArray, Ring

RING_SECONDS: Final = 5.0
"""Audio that the ring holds while the disk is busy."""

POLL_SECONDS: Final = 0.05
"""Pause of the writer between two looks at the ring."""

MAX_BYTES: Final = 4_000_000_000
"""Bytes after which a WAV or AIFF goes on in a second file: its header ends there."""

_NO_LIMIT: Final = 1 << 62


class Recorder:
    """Records blocks of audio to `path`; the audio thread calls `push` only.

    WAV is written as 32-bit float, FLAC with 24 bits. The file grows under a
    temporary name in the same folder and gets its own by `close`, so that `path` is
    either absent or whole. A WAV or AIFF that would pass 4 GB goes on in
    ``NAME-2.wav``, or under the next number that is free.

    Parameters
    ----------
    path
        File to make; its suffix says the format.
    sample_rate
        In Hz.
    channels
        Samples in a frame.
    force
        Replace `path` if it is there now; what another one puts there meanwhile stays,
        and this recording gets a name beside it.
    max_bytes
        Bytes of audio after which a WAV or AIFF goes on in another file.

    Attributes
    ----------
    lost
        Frames that were not recorded because the writer could not keep up.
    written
        Frames written so far; after `close`, those that are in the files.
    error
        What stopped the writing, or None. Live audio goes on without it.
    paths
        Files that were finished, in order.
    notes
        What is to be said of the place that it records to, a sentence each: which
        temporary files a recording that was killed has left there. They are not
        touched.

    Raises
    ------
    OutputError
        If the file is there (without `force`), cannot be written, or its suffix
        stands for no format that can be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int = 1,
        *,
        force: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.channels = channels
        self.lost = 0
        self.written = 0
        self.error: StreamDenoiseError | None = None
        self.paths: list[Path] = []
        self._force = force
        self._part = 1
        self._format = _format_of(self.path, sample_rate, channels)
        self._limit = _NO_LIMIT
        if self._format.format in TOO_LONG:
            self._limit = max(1, max_bytes // (4 * channels))
        self._ring: Ring | None = Ring(
            max(1, int(RING_SECONDS * sample_rate)), channels
        )
        self._scratch: FloatArray = np.zeros(
            (min(self._limit, sample_rate // 4 + 1), channels), np.float32
        )
        self._stop, self._closing = threading.Event(), threading.Lock()
        # Before there is a temporary file of our own.
        self.notes = self._left_behind()
        self._writer: AudioWriter | None = self._open(1)
        self._thread = threading.Thread(
            target=self._run, name="streamdenoise-recorder", daemon=True
        )
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Audio written so far, in seconds."""
        return self.written / self.sample_rate

    def push(self, block: FloatArray) -> None:
        """Take `block`, shape (n, channels), for writing; never waits, never raises.

        After `close` it does nothing.
        """
        ring = self._ring
        if ring is not None:
            self.lost += len(block) - ring.write(block)

    def close(self) -> None:
        """Write what is waiting, finish the file and give it its name.

        Any thread may do it, and more than one: each returns when all is done.

        Raises
        ------
        OutputError
            If writing failed on the way, on a full disk say. What had been written
            is kept under the name all the same, where that is possible.
        """
        with self._closing:
            if not self._stop.is_set():
                self._stop.set()
                self._thread.join()
                self._finish()
                # Sessions keep their recorders for what they tell, not the sound.
                self._ring, self._scratch = None, self._scratch[:0].copy()
        if self.error is not None:
            kept = f"; the first {self.seconds:.1f} s are kept" if self.paths else ""
            raise OutputError(self.trouble + kept) from self.error

    @property
    def trouble(self) -> str:
        """What stopped the writing, as a sentence; empty if nothing did."""
        if self.error is None:
            return ""
        # What was written is kept here, unlike with files.
        why = str(self.error).replace("; nothing was left behind", "")
        return f"the recording stopped: {why}"

    def __enter__(self) -> Recorder:
        """Return itself; the file is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; an error in flight is not replaced by one of ours."""
        try:
            self.close()
        except OutputError:
            if value is None:
                raise

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        """Write all that waits; after an error, keep the ring empty and do nothing."""
        ring = self._ring
        while ring is not None and (count := ring.read(self._scratch)):
            if self._writer is None:
                self.lost += count
                continue
            try:
                room = self._limit - self._writer.written
                self._write(self._scratch[: min(count, room)])
                if count >= room:
                    self._finish()
                    self._writer = self._open(self._next_part())
                    self._write(self._scratch[room:count])
            except StreamDenoiseError as error:
                self.error = self.error or _while_it_runs(error)
                self._finish()

    def _write(self, block: FloatArray) -> None:
        if self._writer is not None:
            self._writer.write(block)
            self.written += len(block)

    def _path_of(self, part: int) -> Path:
        if part == 1:
            return self.path
        return self.path.with_name(f"{self.path.stem}-{part}{self.path.suffix}")

    def _next_part(self) -> int:
        """Return the first number after the last that no file has, an old one say.

        Nobody asked for these files to be replaced, even with `force`.
        """
        part = self._part + 1
        while os.path.lexists(self._path_of(part)):
            part += 1
        return part

    def _left_behind(self) -> list[str]:
        """Say which temporary files of such a recording lie here from before."""
        found = []
        for part in range(1, self._next_part() + 1):
            found += leftovers(self._path_of(part))
        return [
            f"{shown(path)} was left behind by a recording that was cut off; rename it "
            "to keep what is in it, or delete it"
            for path in found
        ]

    def _open(self, part: int) -> AudioWriter:
        self._part = part
        output = replace(self._format, path=self._path_of(part))
        # What replaces a file by `force` is the first part only.
        force = self._force and part == 1
        try:
            return AudioWriter(
                output, self.sample_rate, self.channels, force=force, keep=True
            )
        except OutputError as error:
            raise _for_live(error) from error

    def _finish(self) -> None:
        """Close the file in hand and give it its name, whole or not."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
            self.paths.append(writer.output.path)
        except OutputError as error:
            self.error = self.error or _while_it_runs(error)
        # Some encoders hold back a second, which a full disk does not take.
        self.written -= writer.written - writer.stored
        if self.error is None and writer.stored < writer.written:
            self.error = OutputError(
                f"cannot write {shown(writer.output.path)}: {'; '.join(writer.notes)}; "
                "is the disk full?"
            )


def _format_of(path: Path, sample_rate: int, channels: int) -> OutputFormat:
    if path.suffix.lower().lstrip(".") not in SOUND_FILES:
        raise UnknownExtensionError(
            f"cannot record to {shown(path)}: the end of its name says the format, and "
            f"must be one of .{', .'.join(SOUND_FILES)}"
        )
    # There is no input file: float samples, and the extension of the target decides.
    source = AudioInfo(
        path=Path("live"),
        sample_rate=sample_rate,
        channels=channels,
        frames=0,
        format="WAV",
        subtype="FLOAT",
        endian="FILE",
    )
    try:
        return output_format(source, path, explicit=True)
    except OutputError as error:
        raise _for_live(error) from error


def _for_live(error: OutputError) -> OutputError:
    """Name the option that this command has."""
    return OutputError(str(error).replace("with -o", "with --record FILE"))


def _while_it_runs(error: StreamDenoiseError) -> OutputError:
    """Name what can be typed while sound goes on, and at the next start."""
    how = "with: streamdenoise ctl record FILE (at the start: --record FILE)"
    return OutputError(str(error).replace("with -o", how))
