"""What one author said of one series, read back from its measurement report (TID 1500)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.core.annotations import (
    AnnotationSet,
    Answer,
    Author,
    Outcome,
    PersonObserver,
    ProtocolReference,
    SeriesTarget,
    StudyTarget,
    Target,
)
from service.core.codes import Code
from service.core.findings import AlgorithmIdentification
from service.errors import ObjectInvalid
from service.objects import concepts, own_concepts
from service.objects.content_tree import child, children, coded_child, first_code, name_of, text_child
from service.objects.findings_reader import findings_of
from service.objects.result_context import NOT_FOR_DIAGNOSIS
from service.objects.shape_items import image_place

_UNKNOWN: Final = Code("", "", "")
_CONFIDENCE_DIGITS: Final = 15
_NO_ANSWERS: Final = (
    concepts.ALGORITHM_NAME,
    concepts.ALGORITHM_VERSION,
    concepts.ALGORITHM_MANUFACTURER,
    concepts.ALGORITHM_PARAMETERS,
    concepts.ALGORITHM_FAMILY,
    concepts.FINDINGS_SUMMARY,
    concepts.COMMENT,
    own_concepts.OUTCOME,
    own_concepts.PROTOCOL,
    own_concepts.PROTOCOL_VERSION,
    own_concepts.READING_COMMENT,
)


def annotations_of(report: Dataset, segmentation: Dataset | None = None) -> AnnotationSet:
    """Everything that a report says; masks stay in the segmentation, parametric maps are objects of their own.

    Raises
    ------
    ObjectInvalid : it is no measurement report, or what it says has no sense
    """
    findings = tuple(findings_of(report, segmentation))
    rows = [row for container in children(report, concepts.QUALITATIVE_EVALUATIONS) for row in children(container)]
    stated = _first_code(rows, own_concepts.OUTCOME)
    try:
        return AnnotationSet(
            author=_author(report, rows),
            findings=findings,
            answers=tuple(_answers(rows)),
            outcome=None if stated is None else Outcome(stated.value),
            summary=_summary(rows, stated),
            comment=_text(rows, own_concepts.READING_COMMENT),
            protocol=_protocol(rows),
            seconds_spent=_seconds(rows),
        )
    except ValueError as error:
        raise ObjectInvalid(f"the report contradicts itself: {error}") from error


def _author(report: Dataset, rows: list[Dataset]) -> Author:
    """The observer at the report's head; of a device, the algorithm that its containers name."""
    if concepts.same(coded_child(report, concepts.OBSERVER_TYPE) or concepts.PERSON, concepts.PERSON):
        name = child(report, concepts.PERSON_OBSERVER_NAME)
        return PersonObserver(
            # Some write the name as TEXT, which the template does not know.
            name="" if name is None else str(name.get("PersonName") or name.get("TextValue", "")),
            login=text_child(report, concepts.PERSON_OBSERVER_LOGIN),
            organization=text_child(report, concepts.PERSON_OBSERVER_ORGANIZATION),
        )
    device = child(report, concepts.DEVICE_OBSERVER_UID)
    pairs = [words.partition("=") for words in _texts(rows, concepts.ALGORITHM_PARAMETERS)]
    warned = any(words.startswith(NOT_FOR_DIAGNOSIS) for words in _texts(rows, concepts.COMMENT))
    return AlgorithmIdentification(
        name=_text(rows, concepts.ALGORITHM_NAME) or text_child(report, concepts.DEVICE_OBSERVER_NAME),
        version=_text(rows, concepts.ALGORITHM_VERSION),
        manufacturer=_text(rows, concepts.ALGORITHM_MANUFACTURER)
        or text_child(report, concepts.DEVICE_OBSERVER_MANUFACTURER),
        family=_first_code(rows, concepts.ALGORITHM_FAMILY) or _UNKNOWN,
        device_uid="" if device is None else str(device.get("UID", "")),
        parameters={name: value for name, _, value in pairs},
        demonstrator=warned,
    )


def _answers(rows: list[Dataset]) -> Iterator[Answer]:
    for row in rows:
        name = name_of(row)
        if name is None or any(concepts.same(name, other) for other in _NO_ANSWERS):
            continue
        value = first_code(row, "ConceptCodeSequence") if row.get("ValueType") == "CODE" else row.get("TextValue")
        if value is not None:
            yield Answer(name, value if isinstance(value, Code) else str(value), _target(row), _confidence(row))


def _target(row: Dataset) -> Target:
    series = child(row, own_concepts.ANSWERED_SERIES)
    if series is not None:
        return SeriesTarget(str(series.get("UID", "")))
    for below in children(row):
        if below.get("ValueType") == "IMAGE" and below.get("ReferencedSOPSequence"):
            return image_place(below.ReferencedSOPSequence[0])
    return StudyTarget()


def _confidence(row: Dataset) -> float | None:
    certainty = child(row, concepts.CERTAINTY)
    if certainty is None or not certainty.get("MeasuredValueSequence"):
        return None
    return round(_number(certainty) / 100, _CONFIDENCE_DIGITS)


def _number(item: Dataset) -> float:
    value = item.MeasuredValueSequence[0]
    exact = value.get("FloatingPointValue")
    return float(value.NumericValue if exact is None else exact)


def _summary(rows: list[Dataset], stated: Code | None) -> str:
    """The first comment, unless it only repeats the outcome: that is written where there is no summary."""
    words = _text(rows, concepts.COMMENT)
    found = _first_code(rows, concepts.FINDINGS_SUMMARY)
    repeated = {code.meaning for code in (stated, found) if code is not None}
    return "" if words in repeated else words


def _protocol(rows: list[Dataset]) -> ProtocolReference | None:
    name = _text(rows, own_concepts.PROTOCOL)
    return ProtocolReference(name, _text(rows, own_concepts.PROTOCOL_VERSION)) if name else None


def _seconds(rows: list[Dataset]) -> float | None:
    spent = next((row for row in rows if concepts.same(name_of(row) or _UNKNOWN, own_concepts.TIME_SPENT)), None)
    return None if spent is None or not spent.get("MeasuredValueSequence") else _number(spent)


def _texts(rows: list[Dataset], concept: Code) -> list[str]:
    return [str(row.get("TextValue", "")) for row in rows if concepts.same(name_of(row) or _UNKNOWN, concept)]


def _text(rows: list[Dataset], concept: Code) -> str:
    return next(iter(_texts(rows, concept)), "")


def _first_code(rows: list[Dataset], concept: Code) -> Code | None:
    found = next((row for row in rows if concepts.same(name_of(row) or _UNKNOWN, concept)), None)
    return None if found is None else first_code(found, "ConceptCodeSequence")
