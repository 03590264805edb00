"""Which images may show a face, judged by what they say of themselves; the words are data (config/faces.toml)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from service.errors import SettingsInvalid

KEYS = ("modalities", "head", "other")
TEXTS = ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName")


@dataclass(frozen=True, slots=True, eq=False)
class FacePolicy:
    """Says whether the images of a header are to lose a face.

    Parameters
    ----------
    modalities : those whose images form volumes in which a face can be seen
    head, other : words, lower case; a word counts from its beginning ("crani" finds "cranium")
    """

    modalities: frozenset[str]
    head: re.Pattern[str]
    other: re.Pattern[str]

    @classmethod
    def load(cls, path: Path) -> FacePolicy:
        """Read the words.

        Raises
        ------
        SettingsInvalid : a key is missing, unknown or no list of words
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"{path.name}: {error}") from error
        for key in document:
            if key not in KEYS:
                raise SettingsInvalid(f"{path.name}: {key}: no such key ({', '.join(KEYS)})")
        modalities, head, other = (_words(document, key, path.name) for key in KEYS)
        return cls(frozenset(modalities), _pattern(head), _pattern(other))

    def may_show_face(self, header: Dataset) -> bool:
        """Whether the image belongs to a series that may show a face; in doubt it does.

        Parameters
        ----------
        header : as it came in, before its descriptions were cleaned
        """
        if str(header.get("Modality", "") or "") not in self.modalities:
            return False
        if "ImagePositionPatient" not in header and "SharedFunctionalGroupsSequence" not in header:
            return False  # not a slice in space: a screen, a report
        text = " ".join(_texts(header)).lower()
        return bool(self.head.search(text)) or not self.other.search(text)


def _words(document: dict[str, Any], key: str, name: str) -> list[str]:
    words = document.get(key)
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise SettingsInvalid(f"{name}: {key}: a list of words")
    return words


def _pattern(words: list[str]) -> re.Pattern[str]:
    return re.compile(r"(?<![^\W\d_])(?:" + "|".join(re.escape(word.lower()) for word in words) + ")")


def _texts(header: Dataset) -> list[str]:
    found = [str(header.get(keyword, "") or "") for keyword in TEXTS]
    found += [str(item.get("CodeMeaning", "") or "") for item in header.get("AnatomicRegionSequence") or ()]
    return found
