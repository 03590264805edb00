"""The instances in a text of DICOM JSON, one at a time, with numbers in the digits they were written with."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from typing import Any, Final, Never

from dicom_nodes.errors import InstanceUnreadable
from service.core.dicom_json_values import Digits

MOST_BRACKETS: Final = 1_000_000
"""Objects and arrays in one text; each takes some 300 bytes of memory, however few it takes of the text."""
_NOT_JSON: Final = "Metadata that is not JSON (RFC 8259)"
_SPACE: Final = re.compile(r"[ \t\r\n]*")


class _Refused(ValueError):
    """What JSON has no place for, though many writers put it there."""


def json_instances(content: bytes) -> Iterator[Any]:
    """Yield each member of the array, or the one object where there is no array (PS3.18 F.2).

    Raises
    ------
    InstanceUnreadable : it is not JSON, or too much of it; instances before the fault were yielded
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InstanceUnreadable("Metadata in JSON that is not UTF-8") from error
    if text.count("{") + text.count("[") > MOST_BRACKETS:
        raise InstanceUnreadable(
            f"Metadata with more than {MOST_BRACKETS} objects and arrays; send it in several parts"
        )
    position = _skip(text, 0)
    if not text.startswith("[", position):
        instance, position = _read(text, position)
        yield instance
    else:
        position = _skip(text, position + 1)
        if not text.startswith("]", position):
            position = yield from _members(text, position)
        position += 1
    if _skip(text, position) != len(text):
        raise InstanceUnreadable(_NOT_JSON)


def _members(text: str, position: int) -> Generator[Any, None, int]:
    """Yield what stands between the brackets of an array; returns where it is closed."""
    while True:
        instance, position = _read(text, position)
        yield instance
        position = _skip(text, position)
        if text.startswith("]", position):
            return position
        if not text.startswith(",", position):
            raise InstanceUnreadable(_NOT_JSON)
        position = _skip(text, position + 1)


def _read(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise InstanceUnreadable("Sequences nested too deeply") from None
    except _Refused as error:
        raise InstanceUnreadable(f"{_NOT_JSON}: {error}") from None
    except ValueError:
        raise InstanceUnreadable(_NOT_JSON) from None


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise _Refused("one object has a name twice")
    return found


def _no_number(_: str) -> Never:
    raise _Refused("NaN and Infinity are no numbers there; FL and FD have them as strings")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Digits, parse_int=Digits, parse_constant=_no_number
)
