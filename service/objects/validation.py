"""Whether an object keeps the standard and the viewers' rules; for what is written here and for ``annogate validate``.

Does not import highdicom, so that the web process may validate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage, ParametricMapStorage, RTStructureSetStorage

from service.errors import ObjectInvalid
from service.objects.checking.bulk_annotation_rules import MICROSCOPY_BULK_ANNOTATIONS, bulk_annotation_breaches
from service.objects.checking.frame_geometry_rules import frame_geometry_breaches
from service.objects.checking.functional_group_rules import functional_group_breaches
from service.objects.checking.iod_rules import DEEPEST, top_breaches
from service.objects.checking.object_case import ObjectCase
from service.objects.checking.plausibility_rules import plausibility_breaches
from service.objects.checking.presentation_state_rules import presentation_state_breaches
from service.objects.checking.reference_rules import reference_breaches
from service.objects.checking.report_geometry_rules import report_geometry_breaches
from service.objects.checking.secondary_capture_rules import is_secondary_capture, secondary_capture_breaches
from service.objects.checking.stored_frames import Unreadable
from service.objects.checking.template_rules import MEASUREMENT_REPORT, root_template, template_breaches
from service.objects.content_rules import content_breaches
from service.objects.content_tree import depth_of
from service.objects.key_object_rules import key_object_breaches
from service.objects.known_instances import FindKnown, KnownInstances
from service.objects.measurement_report_rules import measurement_report_breaches
from service.objects.parametric_map_rules import parametric_map_breaches
from service.objects.rule_catalogue import Breach, OnArrival, Problem, RuleCatalogue, Severity, shipped_catalogue
from service.objects.segmentation_rules import LABEL_MAP, SEGMENTATION, segmentation_breaches
from service.objects.structure_set_rules import structure_set_breaches

__all__ = ["KnownInstances", "OnArrival", "Problem", "Severity", "judge", "refuse_errors", "validate"]

_SR_ROOT: Final = "1.2.840.10008.5.1.4.1.1.88."
_PRESENTATION_STATE: Final = "1.2.840.10008.5.1.4.1.1.11."


def validate(
    data_set: Dataset,
    *,
    sources: Sequence[Dataset] = (),
    referenced: Sequence[Dataset] = (),
    catalogue: RuleCatalogue | None = None,
) -> list[Problem]:
    """What is wrong with an object; nothing is an empty list.

    Segmentation, Label Map Segmentation, structured reports, key objects, Parametric Map, RT Structure Set, bulk
    annotations, presentation states and Secondary Capture have rules of their own; of any other class the modules are
    checked.

    Parameters
    ----------
    sources : headers of the images that it is about; without them its references to images are not followed
    referenced : other objects that it refers to, such as the segmentation of a report
    """
    return judge(data_set, KnownInstances.of(sources, referenced), catalogue=catalogue)


def judge(
    data_set: Dataset,
    known: KnownInstances | FindKnown,
    *,
    has_pixels: bool = True,
    catalogue: RuleCatalogue | None = None,
) -> list[Problem]:
    """As `validate`, of an object whose surroundings were looked up, or are looked up when they are needed.

    Parameters
    ----------
    has_pixels : False where its pixel data are kept elsewhere
    """
    rules = catalogue or shipped_catalogue()
    case = ObjectCase(data_set, known, rules, has_pixels=has_pixels)
    return [rules.problem(breach) for breach in dict.fromkeys(_breaches(case))]


def _breaches(case: ObjectCase) -> Iterator[Breach]:
    for rules in _rules_for(case):
        try:
            yield from rules(case)
        except Unreadable as err:
            yield "IOD-READABLE", str(err)
        except Exception as err:  # noqa: BLE001  # arbitrary values from outside: said of the object, not of us
            yield "IOD-READABLE", f"a value cannot be read as what its attribute is ({type(err).__name__})"


def _rules_for(case: ObjectCase) -> Iterator[Callable[[ObjectCase], Iterator[Breach]]]:
    """The rules of an object's kind, in the order in which they are said."""
    yield lambda one: top_breaches(one.data_set)
    yield lambda one: one.checks.object_breaches()
    yield functional_group_breaches
    kind = case.sop_class_uid
    if not kind.startswith(_SR_ROOT):
        yield from (rules for matches, rules in _OF_KIND if matches(kind))
    elif depth_of(case.data_set) > DEEPEST:
        return  # IOD-DEPTH said so, and nobody reads it
    else:
        yield content_breaches
        yield template_breaches
        yield report_geometry_breaches
        if kind == KeyObjectSelectionDocumentStorage:
            yield key_object_breaches
        elif root_template(case.data_set) == MEASUREMENT_REPORT:
            yield measurement_report_breaches
            yield plausibility_breaches
    yield reference_breaches


_OF_KIND: Final[tuple[tuple[Callable[[str], bool], Callable[[ObjectCase], Iterator[Breach]]], ...]] = (
    (lambda kind: kind in (SEGMENTATION, LABEL_MAP), segmentation_breaches),
    (lambda kind: kind in (SEGMENTATION, LABEL_MAP), lambda one: frame_geometry_breaches(one, marks=True)),
    (lambda kind: kind == ParametricMapStorage, parametric_map_breaches),
    (lambda kind: kind == ParametricMapStorage, lambda one: frame_geometry_breaches(one, marks=False)),
    (lambda kind: kind == RTStructureSetStorage, structure_set_breaches),
    (lambda kind: kind == MICROSCOPY_BULK_ANNOTATIONS, bulk_annotation_breaches),
    (lambda kind: kind.startswith(_PRESENTATION_STATE), presentation_state_breaches),
    (is_secondary_capture, secondary_capture_breaches),
)


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Let warnings pass.

    Raises
    ------
    ObjectInvalid : there is an error; the message lists each with its rule and what to do about it
    """
    errors = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise ObjectInvalid("; ".join(errors))
