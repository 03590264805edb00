"""Qualitative Evaluations of a report: the outcome, answers about study, series and images, and how it was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, Answer, PersonObserver, SeriesTarget
from service.core.codes import Code
from service.core.geometry import ImagePlace
from service.objects import concepts, own_concepts
from service.objects.content_items import INFERRED_FROM, code, container, image_at, num, text, uidref, with_children
from service.objects.observer_context import algorithm_rows, is_demonstrator
from service.objects.result_context import NOT_FOR_DIAGNOSIS

_WARNING: Final = f"{NOT_FOR_DIAGNOSIS}. Made by a demonstrator; no statement about the patient may rest on it."


def qualitative_evaluations(annotations: AnnotationSet) -> Dataset:
    """The container (TID 1500 rows 12 to 14)."""
    return container(concepts.QUALITATIVE_EVALUATIONS, [*algorithm_rows(annotations.author), *_rows(annotations)])


def _rows(annotations: AnnotationSet) -> Iterator[Dataset]:
    found = concepts.WITH_FINDINGS if annotations.findings else concepts.WITHOUT_FINDINGS
    by_person = isinstance(annotations.author, PersonObserver)
    if not by_person:
        yield code(concepts.FINDINGS_SUMMARY, found)
    if by_person or annotations.outcome is not None:
        yield code(own_concepts.OUTCOME, own_concepts.OUTCOMES[annotations.stated_outcome])
    outcome = own_concepts.OUTCOMES[annotations.stated_outcome] if by_person else found
    yield text(concepts.COMMENT, annotations.summary or outcome.meaning)
    if is_demonstrator(annotations.author):
        yield text(concepts.COMMENT, _WARNING)
    for answer in annotations.answers:
        yield _answer(answer)
    yield from _reading(annotations)


def _answer(answer: Answer) -> Dataset:
    """A class or an answer, inferred from what it is about; nothing below it means the study."""
    item = code(answer.name, answer.value) if isinstance(answer.value, Code) else text(answer.name, answer.value)
    below = []
    if isinstance(answer.target, ImagePlace):
        below.append(image_at(answer.target, relationship=INFERRED_FROM))
    elif isinstance(answer.target, SeriesTarget):
        below.append(uidref(own_concepts.ANSWERED_SERIES, answer.target.series_uid, relationship=INFERRED_FROM))
    if answer.confidence is not None:
        below.append(num(concepts.CERTAINTY, answer.confidence * 100, concepts.PERCENT, relationship="HAS PROPERTIES"))
    return with_children(item, below)


def _reading(annotations: AnnotationSet) -> Iterator[Dataset]:
    """Protocol, time and words of the reading."""
    if annotations.protocol is not None:
        yield text(own_concepts.PROTOCOL, annotations.protocol.name)
        yield text(own_concepts.PROTOCOL_VERSION, annotations.protocol.version)
    if annotations.seconds_spent is not None:
        yield num(own_concepts.TIME_SPENT, annotations.seconds_spent, concepts.SECOND)
    if annotations.comment:
        yield text(own_concepts.READING_COMMENT, annotations.comment)
