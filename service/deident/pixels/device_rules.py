"""Where devices write text, as data: which images, and which rectangles of them are blackened unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from service.deident.pixels.image_criteria import ImageCriteria, read_criteria
from service.deident.pixels.image_policy import read_rules_file
from service.deident.pixels.pixel_outcome import Region, RegionOrigin
from service.errors import SettingsInvalid

POLICY_FILE: Final = "policy.toml"
_STRIPS: Final = ("top", "bottom", "left", "right")
_KEYS: Final = {"name", "when", "regions", "whole", *_STRIPS}


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """What one kind of image has blackened.

    Parameters
    ----------
    strips : heights and widths of bars along the top, bottom, left and right edge; 0 where there is none
    regions : x, y, width and height of further rectangles
    """

    name: str
    when: ImageCriteria
    whole: bool
    strips: tuple[int, int, int, int]
    regions: tuple[tuple[int, int, int, int], ...]

    def rectangles(self, rows: int, columns: int) -> list[Region]:
        """The rectangles in an image of this size."""
        if self.whole:
            return [Region(0, 0, columns, rows, None, RegionOrigin.DEVICE)]
        top, bottom, left, right = self.strips
        found = [
            (0, 0, columns, min(top, rows)),
            (0, max(0, rows - bottom), columns, min(bottom, rows)),
            (0, 0, min(left, columns), rows),
            (max(0, columns - right), 0, min(right, columns), rows),
            *self.regions,
        ]
        return [
            Region(x, y, width, height, None, RegionOrigin.DEVICE) for x, y, width, height in found if width * height
        ]


@dataclass(frozen=True, slots=True)
class DeviceRules:
    """The rules of all files under config/devices; every one that fits an image applies."""

    rules: tuple[DeviceRule, ...]

    def fit(self, header: Dataset) -> list[DeviceRule]:
        """The rules about an image."""
        return [rule for rule in self.rules if rule.when.fit(header)]


def load_device_rules(directory: Path) -> DeviceRules:
    """Read every file of device rules.

    Raises
    ------
    SettingsInvalid : a file cannot be read, or something in it is unknown, named in words
    """
    rules: list[DeviceRule] = []
    for path in sorted(directory.glob("*.toml")):
        if path.name == POLICY_FILE:
            continue
        document = read_rules_file(path)
        if set(document) - {"device"}:
            raise SettingsInvalid(f"{path.name}: only [[device]] tables stand here")
        rules += [
            _rule(table, f"{path.name}: device {index}") for index, table in enumerate(document.get("device", []), 1)
        ]
    return DeviceRules(tuple(rules))


def _rule(table: dict[str, Any], where: str) -> DeviceRule:
    unknown = set(table) - _KEYS
    if unknown:
        raise SettingsInvalid(f"{where}: {', '.join(sorted(unknown))}: no such key ({', '.join(sorted(_KEYS))})")
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise SettingsInvalid(f"{where}: name: what a person calls the device")
    if not table.get("when"):
        raise SettingsInvalid(f"{where}: when: a rule without it would blacken every image")
    top, bottom, left, right = (_count(table.get(key, 0), f"{where}: {key}") for key in _STRIPS)
    strips = (top, bottom, left, right)
    whole = table.get("whole", False)
    if not isinstance(whole, bool):
        raise SettingsInvalid(f"{where}: whole: true or false")
    regions = tuple(_region(each, f"{where}: regions") for each in table.get("regions", []))
    if not (whole or any(strips) or regions):
        raise SettingsInvalid(f"{where}: nothing to blacken (top, bottom, left, right, regions or whole)")
    return DeviceRule(name, read_criteria(table["when"], where), whole, strips, regions)


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsInvalid(f"{where}: a number of pixels")
    return value


def _region(value: Any, where: str) -> tuple[int, int, int, int]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 4:
        raise SettingsInvalid(f"{where}: lists of x, y, width and height")
    x, y, width, height = (_count(each, where) for each in value)
    return x, y, width, height
