"""Private elements that are known to carry no identity, as data: lists that a profile may keep (PS3.15 E.3.10)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.valuerep import STANDARD_VR

from service.errors import SettingsInvalid

PREFIX = "safe-private-"
COLUMNS = ["group", "creator", "element", "vr", "meaning"]


@dataclass(frozen=True, slots=True)
class SafePrivateElement:
    """One element of a vendor's block.

    Parameters
    ----------
    vr : as the vendor documents it; empty where the list does not say
    source : the list that names it first
    """

    vr: str
    meaning: str
    source: str


class SafePrivate:
    """Private elements by group, creator and place within the block; empty unless a profile keeps some."""

    def __init__(self, elements: dict[tuple[int, str, int], SafePrivateElement] | None = None) -> None:
        self._elements = elements or {}
        self._creators = frozenset((group, creator) for group, creator, _ in self._elements)

    def __bool__(self) -> bool:
        return bool(self._elements)

    def __len__(self) -> int:
        return len(self._elements)

    @classmethod
    def load(cls, directory: Path, lists: Iterable[str]) -> SafePrivate:
        """Read lists of a profile directory; where two name an element, the first one's VR holds.

        Raises
        ------
        SettingsInvalid : there is no such list, or one of its rows cannot be read
        """
        elements: dict[tuple[int, str, int], SafePrivateElement] = {}
        for name in lists:
            for key, element in _rows(directory, name):
                elements.setdefault(key, element)
        return cls(elements)

    @staticmethod
    def available(directory: Path) -> list[str]:
        """Return the names of the lists that there are."""
        return sorted(path.stem.removeprefix(PREFIX) for path in directory.glob(f"{PREFIX}*.csv"))

    def names(self, group: int, creator: str) -> bool:
        """Whether any element of a creator's block is listed."""
        return (group, creator) in self._creators

    def element(self, group: int, creator: str, place: int) -> SafePrivateElement | None:
        """Return what is known of an element by its place (the low byte of its number) in the creator's block."""
        return self._elements.get((group, creator, place))


def _rows(directory: Path, name: str) -> Iterable[tuple[tuple[int, str, int], SafePrivateElement]]:
    if name not in SafePrivate.available(directory):
        known = ", ".join(SafePrivate.available(directory))
        raise SettingsInvalid(f"there is no list {name!r} of safe private elements; there are: {known}")
    path = directory / f"{PREFIX}{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        if reader.fieldnames != COLUMNS:
            raise SettingsInvalid(f"{path.name}: the columns are not {','.join(COLUMNS)}")
        for number, row in enumerate(reader, 1):
            try:
                group, place = int(row["group"], 16), int(row["element"], 16)
            except (TypeError, ValueError) as error:
                raise SettingsInvalid(f"{path.name}: row {number}: group and element are hexadecimal") from error
            vr = row["vr"]
            if not group & 1 or not 0 <= place <= 0xFF or not row["creator"] or (vr and vr not in STANDARD_VR):
                raise SettingsInvalid(f"{path.name}: row {number}: not a private element with a creator and a VR")
            if vr == "PN":
                raise SettingsInvalid(f"{path.name}: row {number}: a person's name is not kept")
            yield (group, row["creator"].strip(), place), SafePrivateElement(vr, row["meaning"], name)
