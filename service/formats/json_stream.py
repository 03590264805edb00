"""JSON documents whose lists are longer than one wants in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.formats.staged_file import Sink


def write_object(sink: Sink, members: Mapping[str, Any]) -> None:
    """Write an object in the order of its members; an iterator becomes a list, an item a line.

    Parameters
    ----------
    members : values for `json`, or iterators over such
    """
    for place, (name, value) in enumerate(members.items()):
        sink.write((("{" if place == 0 else ",\n") + json.dumps(name) + ": ").encode())
        if isinstance(value, Iterator):
            _write_list(sink, value)
        else:
            sink.write(_text(value))
    sink.write(b"}\n" if members else b"{}\n")


def _write_list(sink: Sink, items: Iterable[Any]) -> None:
    sink.write(b"[")
    for place, item in enumerate(items):
        sink.write((b",\n" if place else b"\n") + _text(item))
    sink.write(b"]")


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
