"""One exception class for each kind of failure, each with its exit code."""

from __future__ import annotations

EXIT_OK = 0
EXIT_INPUT = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INTERRUPTED = 130


class StreamDenoiseError(Exception):
    """Base of all errors that this package raises on purpose.

    The message is one sentence for a person: what was tried, what is possible,
    and what to do next. `exit_code` is what the command line exits with.
    """

    exit_code = EXIT_INPUT


class AudioFormatError(StreamDenoiseError):
    """The audio handed in cannot be read, or cannot be processed as it is.

    Attributes
    ----------
    unknown
        It is in a format that its reader does not know; another one may.
    """

    unknown = False


class OutputError(StreamDenoiseError):
    """The result cannot be written where it was asked for."""


class ModelError(StreamDenoiseError):
    """A model file is missing, damaged, or does not keep the step contract."""


class UnknownModelError(ModelError):
    """There is no model of the name or path that was given."""

    exit_code = EXIT_USAGE


class RuntimeMissingError(StreamDenoiseError):
    """No TFLite interpreter, PortAudio or other runtime part is installed."""

    exit_code = EXIT_ENVIRONMENT


class DeviceError(StreamDenoiseError):
    """No sound device fits what was asked for, or the device refuses."""

    exit_code = EXIT_ENVIRONMENT
