"""Web Application Description Language, as XML and as JSON (PS3.18 Annex G)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"
# Elements that may stand several times within one: arrays in JSON, even where there is one (PS3.18 G.2.3).
_REPEATABLE: Final = frozenset({"doc", "resource", "method", "param", "option", "response", "representation"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element; ``text`` is that of a ``doc``."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: Sequence[Element] = ()
    text: str = ""


def as_xml(application: Element) -> bytes:
    """The document as ``application/vnd.sun.wadl+xml``, in UTF-8."""
    root = Element(application.name, {"xmlns": NAMESPACE, **application.attributes}, application.children)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(_lines(root, ""))).encode("utf-8")


def as_json(application: Element) -> dict[str, Any]:
    """The document as JSON: attributes begin with ``@``."""
    return {application.name: _members(application)}


def _lines(element: Element, indent: str) -> list[str]:
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes.items())
    if not element.children and not element.text:
        return [f"{indent}<{element.name}{attributes}/>\n"]
    if element.text:
        return [f"{indent}<{element.name}{attributes}>{escape(element.text)}</{element.name}>\n"]
    inner = [line for child in element.children for line in _lines(child, indent + "  ")]
    return [f"{indent}<{element.name}{attributes}>\n", *inner, f"{indent}</{element.name}>\n"]


def _members(element: Element) -> dict[str, Any]:
    members: dict[str, Any] = {f"@{name}": value for name, value in element.attributes.items()}
    if element.text:
        members["value"] = element.text
    for child in element.children:
        if child.name in _REPEATABLE:
            members.setdefault(child.name, []).append(_members(child))
        else:
            members[child.name] = _members(child)
    return members
