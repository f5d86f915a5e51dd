"""What a callback is told beside its block, named as PortAudio names it."""

from __future__ import annotations

__all__ = ["Status", "Times"]


class Times:
    """When a block was captured, or will be heard; named as PortAudio's are."""

    __slots__ = ("currentTime", "inputBufferAdcTime", "outputBufferDacTime")

    def __init__(self) -> None:
        self.currentTime = self.inputBufferAdcTime = self.outputBufferDacTime = 0.0


class Status:
    """What went wrong since the last block; true if anything did."""

    __slots__ = (
        "input_overflow",
        "input_underflow",
        "output_overflow",
        "output_underflow",
    )

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self.input_overflow = self.input_underflow = False
        self.output_overflow = self.output_underflow = False

    def __bool__(self) -> bool:
        """Whether anything is set."""
        return (
            self.input_overflow
            or self.input_underflow
            or self.output_overflow
            or self.output_underflow
        )
