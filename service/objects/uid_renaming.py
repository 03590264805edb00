"""An object under new UIDs."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset


def rename_uids(data_set: Dataset, names: Mapping[str, str]) -> None:
    """Replace UIDs at every depth, in place."""
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value or ():
                rename_uids(item, names)
        elif element.VR == "UI" and str(element.value) in names:
            element.value = names[str(element.value)]
