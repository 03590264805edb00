"""Reads a file of labels (TOML, see config/labels/default.toml)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from service.core.codes import Code
from service.errors import SettingsInvalid
from service.formats.labels import DEFAULT_COLOUR, LARGEST_NUMBER, Label, LabelMapping, digest_of

_KEYS: Final = {"name", "number", "category", "types", "site", "laterality", "texts", "over", "colour"}
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_ -]{0,62}[A-Za-z0-9])?", re.ASCII)
_BRIGHTEST: Final = 255


def load_labels(file: Path) -> LabelMapping:
    """The labels of a file.

    Raises
    ------
    SettingsInvalid : names what is wrong with it, and where
    """
    try:
        content = file.read_bytes()
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{file}: {error}") from error
    faults: list[str] = [f"there is no such setting: {key}" for key in sorted(set(document) - {"label", "ignore"})]
    entries = document.get("label", [])
    labels = [label for place, entry in enumerate(entries, 1) if (label := _label(entry, place, faults)) is not None]
    ignored = _codes(document.get("ignore", {}).get("types", []), "ignore.types", faults)
    faults += _clashes(labels)
    if not entries:
        faults.append("it names no [[label]]")
    if faults:
        raise SettingsInvalid("\n".join(f"{file.name}: {fault}" for fault in faults))
    by_number = sorted(labels, key=lambda label: label.number)
    return LabelMapping(tuple(by_number), file.name, ignored, digest_of(content))


def _label(entry: Mapping[str, Any], place: int, faults: list[str]) -> Label | None:
    """One label; what is wrong with it is added to the faults."""
    name, number = entry.get("name"), entry.get("number")
    where = f"label {name}" if isinstance(name, str) else f"label {place}"
    before = len(faults)
    faults += [f"{where}: there is no such setting: {key}" for key in sorted(set(entry) - _KEYS)]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        faults.append(f"{where}: name has 1 to 64 letters, digits, spaces, _ and -")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= LARGEST_NUMBER:
        faults.append(f"{where}: number is a whole one from 1 to {LARGEST_NUMBER}; 0 is the background")
    types = _codes(entry.get("types", []), f"{where}.types", faults)
    if not types:
        faults.append(f"{where}: types names at least one code")
    category = _code(entry.get("category"), f"{where}.category", faults)
    optional = {key: _code(entry[key], f"{where}.{key}", faults) for key in ("site", "laterality") if key in entry}
    colour = _colour(entry.get("colour", DEFAULT_COLOUR), where, faults)
    texts, over = (_texts(entry.get(key, []), f"{where}.{key}", faults) for key in ("texts", "over"))
    if len(faults) > before or category is None or not isinstance(name, str) or not isinstance(number, int):
        return None
    small = tuple(text.casefold() for text in texts)
    return Label(name, number, category, types, **optional, texts=small, over=over, colour=colour)


def _code(entry: Any, where: str, faults: list[str]) -> Code | None:
    parts = [entry.get(key) for key in ("value", "scheme", "meaning")] if isinstance(entry, Mapping) else [None]
    if not all(isinstance(part, str) and part for part in parts):
        faults.append(f"{where}: a code has value, scheme and meaning, such as " + '{ value = "39607008", …}')
        return None
    return Code(*parts)


def _codes(entries: Any, where: str, faults: list[str]) -> tuple[Code, ...]:
    found = [_code(entry, where, faults) for entry in entries] if isinstance(entries, list) else []
    return tuple(code for code in found if code is not None)


def _texts(entries: Any, where: str, faults: list[str]) -> tuple[str, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
        faults.append(f"{where}: it is a list of texts")
        return ()
    return tuple(entries)


def _colour(entry: Any, where: str, faults: list[str]) -> tuple[int, int, int]:
    values = list(entry) if isinstance(entry, list | tuple) else []
    if len(values) != 3 or not all(isinstance(value, int) and 0 <= value <= _BRIGHTEST for value in values):
        faults.append(f"{where}: colour is three numbers from 0 to {_BRIGHTEST}")
        return DEFAULT_COLOUR
    return values[0], values[1], values[2]


def _clashes(labels: list[Label]) -> list[str]:
    """What two labels cannot share, and names that stand for none."""
    names = [label.name for label in labels]
    faults = [f"two labels are called {name}" for name in _twice(names)]
    faults += [f"two labels have the number {number}" for number in _twice(label.number for label in labels)]
    faults += [
        f"label {label.name}: over names {other}, and there is no such label"
        for label in labels
        for other in label.over
        if other not in names
    ]
    faults += [
        f"labels {one.name} and {other.name} each lie over the other"
        for one in labels
        for other in labels
        if one.name < other.name and one.name in other.over and other.name in one.over
    ]
    return faults


def _twice(values: Iterable[object]) -> list[object]:
    seen = list(values)
    return sorted({value for value in seen if seen.count(value) > 1}, key=str)
