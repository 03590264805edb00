"""Findings once more, as the objects that some peers want beside or instead of segmentation and report.

Each kind is a series of its own, and refers to the images alone: a peer may get it without the rest of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet
from service.core.deliveries import FURTHER_KINDS, SentKind
from service.errors import ObjectInvalid
from service.objects.image_marks import marks_of
from service.objects.key_object import write_key_object
from service.objects.presentation_state import write_presentation_states
from service.objects.result_context import ResultContext
from service.objects.shown_picture import StoredFrame
from service.objects.source_images import SourceImages
from service.objects.structure_set import write_structure_set
from service.objects.summary_capture import write_summary_captures
from service.objects.validation import refuse_errors, validate

_SERIES_APART: Final = 100
"""Added to Series Number: these stand behind the twins."""
_STRUCTURE_SET_NUMBER: Final = 2
"""What a structure set adds by itself, to stand behind a segmentation and its report."""


@dataclass(frozen=True, slots=True, eq=False)
class FurtherObjects:
    """What was written, by kind, and in words what was left out of which; kinds with nothing to say are missing."""

    objects: dict[SentKind, Sequence[Dataset]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def write_further_objects(
    kinds: Iterable[SentKind],
    annotations: AnnotationSet,
    title: str,
    sources: SourceImages,
    context: ResultContext,
    *,
    stored: StoredFrame | None = None,
) -> FurtherObjects:
    """Write what one author said of one series in further kinds of objects, each held against the standard's rules.

    A kind that cannot say it is left out, with the reason: the result itself stands without it.

    Parameters
    ----------
    kinds : of ``FURTHER_KINDS``
    title : what the result is called in Series Description
    context : of the segmentation; the series of the further kinds are numbered behind it
    stored : gives pixels for pictures, where the sources are no volume
    """
    found = FurtherObjects()
    for kind in sorted(set(kinds), key=FURTHER_KINDS.index):
        number = context.series_number_base + _SERIES_APART + FURTHER_KINDS.index(kind)
        try:
            numbered = replace(context, series_number_base=number)
            objects, left_out = _WRITERS[kind](annotations, title, sources, numbered, stored)
            for one in objects:
                refuse_errors(validate(one, sources=sources.headers))
        except ObjectInvalid as error:
            objects, left_out = (), [str(error)]
        if objects:
            found.objects[kind] = objects
        found.left_out.extend(f"{kind}: {words}" for words in left_out)
    return found


_Written = tuple[Sequence[Dataset], Sequence[str]]
_Writer = Callable[[AnnotationSet, str, SourceImages, ResultContext, StoredFrame | None], _Written]


def _presentation_states(
    annotations: AnnotationSet, title: str, sources: SourceImages, context: ResultContext, _: StoredFrame | None
) -> _Written:
    return write_presentation_states([annotations], title, sources, context), ()


def _key_object(
    annotations: AnnotationSet, _title: str, sources: SourceImages, context: ResultContext, _: StoredFrame | None
) -> _Written:
    if not any(marks_of(finding, sources) for finding in annotations.findings):
        return (), ()
    # The result's own objects are not named: not every peer gets them, and not in the same form.
    return (write_key_object(annotations, sources, (), context),), ()


def _structure_set(
    annotations: AnnotationSet, title: str, sources: SourceImages, context: ResultContext, _: StoredFrame | None
) -> _Written:
    if not annotations.findings:
        return (), ()
    number = context.series_number_base - _STRUCTURE_SET_NUMBER
    written = write_structure_set(annotations, title, sources, replace(context, series_number_base=number))
    return (written.data_set,), written.left_out


def _summary(
    annotations: AnnotationSet, title: str, sources: SourceImages, context: ResultContext, stored: StoredFrame | None
) -> _Written:
    return write_summary_captures(annotations, title, sources, context, stored=stored), ()


_WRITERS: Final[dict[SentKind, _Writer]] = {
    SentKind.PRESENTATION_STATE: _presentation_states,
    SentKind.KEY_OBJECT: _key_object,
    SentKind.STRUCTURE_SET: _structure_set,
    SentKind.SUMMARY: _summary,
}
