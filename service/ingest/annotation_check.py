"""Annotation objects held against rules before they are kept; which rules those are, whoever wires ingest hands in."""

from __future__ import annotations

from io import BytesIO
from typing import Final, Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.records import Incoming, ObjectKind
from service.ingest.project_rules import ProjectRules
from service.ingest.routing import Admitted

LARGEST: Final = 32 << 20
"""Bytes of a file that is judged with its pixels; of a larger one only the header is, to keep a process small."""


class Judge(Protocol):
    """Decides over an annotation object, as it is to be kept."""

    def __call__(self, project: str, data_set: Dataset, *, has_pixels: bool, made_here: bool) -> tuple[str, ...]:
        """The names of the rules that it breaks and may be kept with.

        Raises
        ------
        AnnotationRefused : it may not be kept; says why, and what to do
        """


def check_annotation(
    judge: Judge, rules: ProjectRules, admitted: Admitted, incoming: Incoming, *, is_whole: bool
) -> tuple[str, ...]:
    """Hold an annotation object against the rules; the names of those that it breaks.

    Parameters
    ----------
    is_whole : its header holds its long values itself

    Raises
    ------
    AnnotationRefused : it may not be kept
    """
    if admitted.file is None:
        return ()
    if sum(len(part) for part in admitted.file.parts) <= LARGEST:
        data_set: Dataset = dcmread(BytesIO(b"".join(admitted.file.content())))
        has_pixels = True
    elif is_whole:
        data_set, has_pixels = admitted.header, False
    else:
        return ()  # nobody may judge by what stands for its long values
    return judge(rules.name, data_set, has_pixels=has_pixels, made_here=_is_made_here(rules, admitted, incoming))


def _is_made_here(rules: ProjectRules, admitted: Admitted, incoming: Incoming) -> bool:
    """Whether it was made on a study as it is served: under its new UIDs, or stored by a reader."""
    under_new_uids = rules.cleaner is not None and admitted.kind is ObjectKind.ANNOTATION
    return under_new_uids or bool(incoming.author)
