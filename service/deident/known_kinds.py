"""UIDs that name a kind of thing and are the same for everybody: SOP classes, transfer syntaxes, coding schemes.

A UID that only stands where such a one belongs may be anybody's: a site's own root, with a patient's number behind it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from pydicom._uid_dict import UID_dictionary  # pydicom.uid has it, but does not export it

NUMBER = r"(?:0|[1-9]\d{0,3})"
"""What a * stands for in the table; a longer number could be somebody's."""


class KnownKinds:
    """Those that PS3.6 Annex A registers, and those of a table.

    Parameters
    ----------
    listed : UIDs, with * for one number of at most four digits
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        forms = (re.escape(uid).replace(r"\*", NUMBER) for uid in listed)
        self._form = re.compile("|".join(forms) or r"(?!)")
        self.holds = lru_cache(maxsize=1024)(self._holds)

    @classmethod
    def load(cls, path: Path, further: Iterable[str] = ()) -> KnownKinds:
        """Read the table.

        Parameters
        ----------
        further : UIDs that another table lists
        """
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            return cls([*(row["uid"] for row in rows), *sorted(further)])

    def _holds(self, uid: str) -> bool:
        return uid in UID_dictionary or self._form.fullmatch(uid) is not None
