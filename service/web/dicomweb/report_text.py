"""A Structured Report as text to be read (PS3.18 8.7.4, text category): HTML, plain or XML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from xml.sax.saxutils import escape as xml_escape
from xml.sax.saxutils import quoteattr

from pydicom.dataset import Dataset
from pydicom.uid import UID

_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One content item; ``value`` is empty for a heading."""

    depth: int
    name: str
    value: str


def report_lines(report: Dataset) -> Iterator[Line]:
    """The content tree of a report, item by item (PS3.3 C.17.3)."""
    yield Line(0, _meaning(report, "ConceptNameCodeSequence") or "Report", _state(report))
    yield from _items(report, 1)


def as_plain_text(report: Dataset) -> str:
    """The report as indented lines."""
    return "".join(
        f"{'  ' * line.depth}{line.name}{': ' if line.name and line.value else ''}{line.value}\n"
        for line in report_lines(report)
    )


def as_html(report: Dataset) -> str:
    """The report as an HTML page without scripts or outside references; every value is escaped."""
    title, *lines = report_lines(report)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title.name)}</title></head><body>',
        f"<h1>{escape(title.name)}</h1>",
        f"<p>{escape(title.value)}</p>" if title.value else "",
    ]
    depth = 0
    for line in lines:
        parts.append("<ul>" * (line.depth - depth) + "</ul>" * (depth - line.depth))
        depth = line.depth
        name = f"<b>{escape(line.name)}</b>" if line.name else ""
        parts.append(f"<li>{name}{': ' if line.name and line.value else ''}{escape(line.value)}</li>")
    parts.append("</ul>" * depth + "</body></html>")
    return "\n".join(filter(None, parts))


def as_xml(report: Dataset) -> str:
    """The report as XML: an ``item`` with its ``name`` for each content item, its value in it; nested like the tree."""
    title, *lines = report_lines(report)
    parts = ["<?xml version='1.0'?>", f"<report name={quoteattr(_legal(title.name))}>"]
    if title.value:
        parts.append(f"<state>{xml_escape(_legal(title.value))}</state>")
    depth = 0
    for line in lines:
        parts.append("</item>" * (depth - line.depth + 1) if depth >= line.depth else "")
        depth = line.depth
        value = f"<value>{xml_escape(_legal(line.value))}</value>" if line.value else ""
        parts.append(f"<item name={quoteattr(_legal(line.name))}>{value}")
    parts.append("</item>" * depth + "</report>")
    return "\n".join(filter(None, parts)) + "\n"


def _legal(text: str) -> str:
    """Without what XML 1.0 cannot say."""
    return "".join(letter if letter in "\t\n\r" or letter >= " " else "\ufffd" for letter in text)


def _items(container: Dataset, depth: int) -> Iterator[Line]:
    if depth > _DEEPEST:
        return
    for item in container.get("ContentSequence") or ():
        name = _meaning(item, "ConceptNameCodeSequence")
        if "ReferencedContentItemIdentifier" in item:
            path = ".".join(str(step) for step in item.ReferencedContentItemIdentifier)
            yield Line(depth, name, f"see item {path}")
            continue
        yield Line(depth, name, _value(item))
        yield from _items(item, depth + 1)


def _value(item: Dataset) -> str:
    """What a content item says, in one line (PS3.3 Table C.17.3-7); nothing for a container."""
    return _VALUES.get(str(item.get("ValueType", "")), _text())(item)


def _measurement(item: Dataset) -> str:
    measured = item.get("MeasuredValueSequence")
    if not measured:
        return _meaning(item, "NumericValueQualifierCodeSequence") or "not measured"
    unit = measured[0].get("MeasurementUnitsCodeSequence")
    code = str(unit[0].get("CodeValue", "")) if unit else ""
    return f"{measured[0].get('NumericValue', '')} {'' if code == '1' else code}".strip()


def _reference(item: Dataset) -> str:
    referenced = item.get("ReferencedSOPSequence")
    if not referenced:
        return ""
    name = UID(str(referenced[0].get("ReferencedSOPClassUID", ""))).name
    return f"{name} {referenced[0].get('ReferencedSOPInstanceUID', '')}".strip()


def _state(report: Dataset) -> str:
    words = [str(report.get("CompletionFlag", "")), str(report.get("VerificationFlag", ""))]
    return ", ".join(word.capitalize() for word in words if word)


def _text(*keywords: str) -> Callable[[Dataset], str]:
    """Reads the first of these elements that has a value."""
    return lambda item: next((str(item.get(keyword)) for keyword in keywords if item.get(keyword)), "")


def _meaning(item: Dataset, keyword: str) -> str:
    codes = item.get(keyword)
    return str(codes[0].get("CodeMeaning", "")) if codes else ""


_VALUES: Mapping[str, Callable[[Dataset], str]] = {
    "TEXT": _text("TextValue"),
    "PNAME": _text("PersonName"),
    "DATE": _text("Date"),
    "TIME": _text("Time"),
    "DATETIME": _text("DateTime"),
    "UIDREF": _text("UID"),
    "CODE": lambda item: _meaning(item, "ConceptCodeSequence"),
    "NUM": _measurement,
    "IMAGE": _reference,
    "COMPOSITE": _reference,
    "WAVEFORM": _reference,
    "SCOORD": _text("GraphicType"),
    "SCOORD3D": _text("GraphicType"),
    "TCOORD": _text("TemporalRangeType"),
}
