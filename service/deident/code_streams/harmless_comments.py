"""Comments that encoders write into every frame and that say nothing of the patient; data, read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.deident.text_cleaning.patterns import Patterns

FILE_NAME: Final = "code_streams.toml"
_LONGEST: Final = 400
_PADDING: Final = b"\0 \t\r\n"


class HarmlessComments:
    """Knows which comments may stay.

    Parameters
    ----------
    patterns : of whole comments; a comment with more in it is none of them
    """

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns

    @classmethod
    def load(cls, directory: Path) -> HarmlessComments:
        """Read the patterns of a directory; without the file nothing but padding is known to be harmless.

        Raises
        ------
        SettingsInvalid : a pattern is wrong, said in words
        """
        file = directory / FILE_NAME
        return cls(Patterns.load(file) if file.exists() else Patterns(()))

    def includes(self, comment: bytes) -> bool:
        """Whether a comment, as encoded, is padding or a known one as a whole."""
        text = comment.strip(_PADDING).decode("latin-1")
        if not text:
            return True
        if len(text) > _LONGEST:
            return False
        return any((found.start, found.end) == (0, len(text)) for found in self._patterns.harmless_in(text))
