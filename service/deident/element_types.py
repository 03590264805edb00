"""Which elements an object must have, and which may be empty: the Types of PS3.3, as far as a rule asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FALLBACK_IOD = "secondary-capture-image"
"""For SOP classes that the tables do not know: patient, study, series, equipment and SOP common modules."""
Types = dict[int, str]


class ElementTypes:
    """Types of elements by SOP class and enclosing sequence: "1" (also 1C), "2" (also 2C), "3" for all others."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._modules = document["modules"]
        self._items = document["items"]
        self._iods = document["iods"]
        self._sop_classes = document["sop_classes"]
        self._levels: dict[tuple[str, int], Types] = {}

    @classmethod
    def load(cls, path: Path) -> ElementTypes:
        """Read the tables."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def iod(self, sop_class_uid: str) -> str:
        """Return the IOD of a SOP class; for unknown ones one with the modules that every image has."""
        found: str = self._sop_classes.get(sop_class_uid, FALLBACK_IOD)
        return found

    def level(self, iod: str, parent: int) -> Types:
        """Return the Types of the required elements at the top (parent 0) or in the items of a sequence."""
        key = ("" if parent else iod, parent)
        types = self._levels.get(key)
        if types is None:
            types = self._item_types(parent) if parent else self._top_types(iod)
            self._levels[key] = types
        return types

    def _top_types(self, iod: str) -> Types:
        types: Types = {}
        for index in self._iods[iod]:
            _add(types, self._modules[index][1])
        return types

    def _item_types(self, parent: int) -> Types:
        types: Types = {}
        _add(types, self._items.get(f"{parent:08x}", {}))
        return types


def _add(types: Types, by_type: dict[str, str]) -> None:
    # "2" first: where two modules differ, the stricter one stays.
    for kind in ("2", "1"):
        for tag in by_type.get(kind, "").split():
            number = int(tag, 16)
            if types.get(number) != "1":
                types[number] = kind
