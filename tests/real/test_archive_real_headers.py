"""DICOM JSON of real headers against pydicom's own, element by element.

The differences that are meant: Specific Character Set says ISO_IR 192; an empty value among several is null; empty
component groups of a person name and trailing spaces are left out; pixel data and long binary values have an address;
big-endian words are turned; and what pydicom cannot convert at all is written here all the same.
"""

from __future__ import annotations

import json
import os
import warnings
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import data as pydicom_data
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.archive.dicom_json import BASE, PIXEL_TAGS, JsonWriter

pytestmark = pytest.mark.real_data

THRESHOLD = 1024


def files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        if "standard" not in Path(place).relative_to(folder).parts[:1]:
            yield from (Path(place, name) for name in sorted(names))


def read(path: Path) -> Dataset | None:
    try:
        return dcmread(path, force=True)
    except Exception:  # noqa: BLE001 - bad input is among them; whether it can be read is not the question here
        return None


def differences(data_set: Dataset, ours: dict[str, Any], path: str = "") -> Iterator[str]:
    tags = [f"{int(tag):08X}" for tag, _ in data_set.items() if int(tag) & 0xFFFF and int(tag) >> 16 != 2]
    if sorted(tags) != list(ours):
        yield f"{path}: other elements"
        return
    for key in tags:
        element = ours[key]
        try:
            theirs = data_set[int(key, 16)]
            expected = theirs.to_json_dict(None, 0) if theirs.VR != "SQ" else None
        except Exception:  # noqa: BLE001 - what pydicom cannot convert is not compared
            continue
        if expected is None:
            items = element.get("Value", [])
            if element["vr"] != "SQ" or len(items) != len(theirs.value):
                yield f"{path}{key}: other items"
                continue
            for index, (item, our_item) in enumerate(zip(theirs.value, items, strict=True)):
                yield from differences(item, our_item, f"{path}{key}/{index}/")
        elif element["vr"] != expected["vr"] or not same_value(key, element, expected):
            yield f"{path}{key} {element['vr']}: other value"


def same_value(key: str, ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    if key == "00080005":
        return ours["Value"] == ["ISO_IR 192"]
    if "BulkDataURI" in ours:
        length = len(b64decode(theirs["InlineBinary"]))
        return bool(length > THRESHOLD or int(key, 16) in PIXEL_TAGS)
    return bool(normal(ours) == normal(theirs))


def normal(element: dict[str, Any]) -> Any:
    if "InlineBinary" in element:
        return element["InlineBinary"]
    return [normal_value(one) for one in element.get("Value", [])]


def normal_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {group: name for group, name in value.items() if name} or None
    return value.rstrip(" ") or None if isinstance(value, str) else value


def compare(folder: Path) -> tuple[int, list[str]]:
    compared, found = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, over values that break their VR
        for path in files(folder):
            data_set, again = read(path), read(path)
            if data_set is None or again is None or not len(data_set) or "SOPClassUID" not in data_set:
                continue
            text = JsonWriter("/i", THRESHOLD).data_set(again).replace(BASE, "")
            compared += 1
            found += [f"{path.name}: {one}" for one in differences(data_set, json.loads(text))]
    return compared, found


@pytest.mark.long
def test_real_headers_are_written_as_pydicom_writes_them(shared_data: Path) -> None:
    compared, found = compare(shared_data)
    assert compared > 1000
    assert found == []


def test_pydicoms_own_files_are_written_as_pydicom_writes_them() -> None:
    compared, found = compare(Path(pydicom_data.__file__).parent / "test_files")
    assert compared > 50
    assert found == []
