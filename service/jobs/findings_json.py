"""Findings as the JSON of a run's row: what a dashboard, a script or the demonstration shows without reading DICOM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from service.core.codes import Code
from service.core.findings import Finding, Measurement
from service.core.geometry import Shape, ShapeKind

_DIGITS: Final = 6

# Measurements that most readers ask for first, under names that say their unit: code, scheme, unit.
_BY_NAME: Final = {
    ("103339001", "SCT", "mm"): "long_axis_mm",
    ("103340004", "SCT", "mm"): "short_axis_mm",
    ("118565006", "SCT", "mm3"): "volume_mm3",
    ("118565006", "SCT", "mL"): "volume_ml",
}


def findings_json(findings: Sequence[Finding]) -> str:
    """A JSON list, one object for each finding, in order."""
    return json.dumps([_finding(finding) for finding in findings], ensure_ascii=False, separators=(",", ":"))


def _finding(finding: Finding) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "label": finding.label,
        "tracking_uid": finding.tracking_uid,
        "type": _code(finding.type),
        "site": _code(finding.site),
        "laterality": _code(finding.laterality),
        "confidence": None if finding.confidence is None else round(finding.confidence, _DIGITS),
        "centre_mm": _centre_mm(finding),
        "measurements": [_measurement(measurement) for measurement in finding.measurements],
    }
    for measurement in finding.measurements:
        name = _BY_NAME.get((measurement.name.value, measurement.name.scheme, measurement.unit.value))
        if name is not None:
            shown.setdefault(name, round(measurement.value, _DIGITS))
    return shown


def _centre_mm(finding: Finding) -> list[float] | None:
    """The middle of the longest drawn line, in patient coordinates (LPS); None where nothing is drawn."""
    drawn = [shape for shape in _drawn(finding) if shape.kind is ShapeKind.LINE and shape.on_image is None]
    if not drawn:
        return None
    longest = max(drawn, key=lambda line: line.length_mm)
    return [round((a + b) / 2, _DIGITS) for a, b in zip(*longest.points, strict=True)]


def _drawn(finding: Finding) -> list[Shape]:
    return [one.shape for one in finding.measurements if one.shape is not None]


def _measurement(measurement: Measurement) -> dict[str, Any]:
    return {
        "code": measurement.name.value,
        "scheme": measurement.name.scheme,
        "meaning": measurement.name.meaning,
        "value": round(measurement.value, _DIGITS),
        "unit": measurement.unit.value,
        "derivation": _code(measurement.derivation),
        "method": _code(measurement.method),
    }


def _code(code: Code | None) -> dict[str, str] | None:
    return None if code is None else {"code": code.value, "scheme": code.scheme, "meaning": code.meaning}
