"""What is wrong with a TOML file, for a person who never heard of TOML."""

from __future__ import annotations

import re
from typing import Final

from .names import shown

__all__ = ["what_is_wrong"]

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_MOST_SHOWN: Final = 60

_HINTS: Final = (
    ("Illegal character '\\n'", "close the quote in this line"),
    ("Unterminated string", "close the quote in this line"),
    ("Unescaped '\\'", "write a text with \\ in single quotes"),
    ("Invalid hex value", "write a text with \\ in single quotes"),
    ("Expected '='", "write KEY = VALUE, such as: strength = 12"),
    ("Expected ']'", "write a section as [live], in a line of its own"),
    ("Unclosed array", "close the bracket"),
    ("Cannot ", "write each key and each section once"),
    ("Expected newline", "write one value: text in quotes, 0.5 with a point"),
)
"""How a message of the parser begins, and what to do."""

_USUAL: Final = 'write text in quotes (model = "pi"), numbers bare, true or false'


def what_is_wrong(text: str, error: Exception) -> str:
    """Return the line in question, what is wrong with it, and what to write.

    Parameters
    ----------
    text
        Of the file.
    error
        What the parser raised.
    """
    said = str(error)
    place = _PLACE.search(said)
    if isinstance(error, UnicodeDecodeError):
        return "its text is not in UTF-8; save it so"
    if isinstance(error, RecursionError):
        return "its brackets go too deep; take them out"
    if place is None:
        return said
    reason, lines = said[: place.start()], text.split("\n")
    if place[1] is None:  # the end: the last line that says anything
        number = max((n for n, line in enumerate(lines, 1) if line.strip()), default=1)
    else:
        number = int(place[1])
    line = lines[number - 1].strip() if number <= len(lines) else ""
    if len(line) > _MOST_SHOWN:
        line = line[: _MOST_SHOWN - 3] + "..."
    hint = next((h for begin, h in _HINTS if reason.startswith(begin)), _USUAL)
    column = f", column {place[2]}" if place[2] else ""
    return f"line {number}{column}, {shown(line)}: {reason}; {hint}"
