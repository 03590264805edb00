"""Findings as rows of tables: what they are, what was measured, what was answered."""

from __future__ import annotations

from typing import Any, Final

from service.core.codes import Code
from service.core.findings import Measurement
from service.core.geometry import ShapeKind
from service.formats.case import Case, LabelledFinding

Row = list[Any]


def _code_columns(name: str) -> list[tuple[str, type]]:
    return [(f"{name}_{part}", str) for part in ("value", "scheme", "meaning")]


_FINDING: Final[list[tuple[str, type]]] = [("case", str), ("label", str), ("tracking_uid", str), ("maker", str)]
FINDINGS: Final[list[tuple[str, type]]] = [
    *_FINDING,
    ("number", int),
    ("finding", str),
    *_code_columns("category"),
    *_code_columns("type"),
    *_code_columns("site"),
    *_code_columns("laterality"),
    ("confidence", float),
    ("voxels", int),
    ("volume_mm3", float),
]
MEASUREMENTS: Final[list[tuple[str, type]]] = [
    *_FINDING,
    *_code_columns("name"),
    ("value", float),
    ("unit", str),
    *_code_columns("derivation"),
    *_code_columns("method"),
    *((f"{end}_{axis}_mm", float) for end in ("start", "end") for axis in "xyz"),
]
EVALUATIONS: Final[list[tuple[str, type]]] = [
    *_FINDING,
    *_code_columns("name"),
    *_code_columns("answer"),
    ("text", str),
]


def finding_row(case: Case, one: LabelledFinding, voxels: int | None) -> Row:
    """A row of `FINDINGS`; ``voxels`` of its mask, None where it has none."""
    finding = one.finding
    voxel_mm3 = case.voxel_mm3
    volume_mm3 = None if voxels is None or voxel_mm3 is None else voxels * voxel_mm3
    codes = (finding.category, finding.type, finding.site, finding.laterality)
    return [
        *_head(case, one),
        one.label.number,
        finding.label,
        *(part for code in codes for part in _parts(code)),
        finding.confidence,
        voxels,
        volume_mm3,
    ]


def measurement_rows(case: Case, one: LabelledFinding) -> list[Row]:
    """Rows of `MEASUREMENTS`; ends of drawn lines in mm, LPS."""
    return [[*_head(case, one), *_measured(measurement)] for measurement in one.finding.measurements]


def _measured(measurement: Measurement) -> Row:
    line = measurement.shape
    drawn = line is not None and line.kind is ShapeKind.LINE and line.on_image is None
    return [
        *_parts(measurement.name),
        measurement.value,
        measurement.unit.value,
        *_parts(measurement.derivation),
        *_parts(measurement.method),
        *(tuple(value for end in line.points for value in end) if line is not None and drawn else (None,) * 6),
    ]


def evaluation_rows(case: Case, one: LabelledFinding) -> list[Row]:
    """Rows of `EVALUATIONS`."""
    rows: list[Row] = []
    for answer in one.finding.evaluations:
        is_code = isinstance(answer.value, Code)
        coded = _parts(answer.value) if isinstance(answer.value, Code) else _parts(None)
        rows.append([*_head(case, one), *_parts(answer.name), *coded, None if is_code else answer.value])
    return rows


def _head(case: Case, one: LabelledFinding) -> Row:
    return [case.name, one.label.name, one.finding.tracking_uid, one.maker]


def _parts(code: Code | None) -> Row:
    return [None, None, None] if code is None else [code.value, code.scheme, code.meaning]
