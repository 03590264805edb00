"""Whether an object keeps the standard and the viewers' rules; for what is written here and for ``annogate validate``.

Does not import highdicom, so that the web process may validate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import KeyObjectSelectionDocumentStorage, ParametricMapStorage, RTStructureSetStorage

from dicom_nodes.errors import InstanceUnreadable
from service.errors import ObjectInvalid
from service.objects.content_rules import content_breaches
from service.objects.key_object_rules import key_object_breaches
from service.objects.known_instances import KnownInstances
from service.objects.measurement_report_rules import is_measurement_report, measurement_report_breaches
from service.objects.module_rules import module_breaches, uid_breaches, unknown_class_breaches
from service.objects.parametric_map_rules import parametric_map_breaches
from service.objects.rule_catalogue import Breach, Problem, RuleCatalogue, Severity, shipped_catalogue
from service.objects.segmentation_rules import LABEL_MAP, SEGMENTATION, segmentation_breaches
from service.objects.structure_set_rules import structure_set_breaches

__all__ = ["Problem", "Severity", "refuse_errors", "validate", "validate_file"]

_SR_ROOT: Final = "1.2.840.10008.5.1.4.1.1.88."


def validate(
    data_set: Dataset,
    *,
    sources: Sequence[Dataset] = (),
    referenced: Sequence[Dataset] = (),
    catalogue: RuleCatalogue | None = None,
) -> list[Problem]:
    """What is wrong with an object; nothing is an empty list.

    Segmentation, Label Map Segmentation, structured reports, key objects, Parametric Map and RT Structure Set have
    rules of their own; of any other class the modules are checked.

    Parameters
    ----------
    sources : headers of the images that it is about; without them its references to images are not followed
    referenced : other objects that it refers to, such as the segmentation of a report
    """
    rules = catalogue or shipped_catalogue()
    known = KnownInstances.of(sources, referenced)
    breaches = _breaches(data_set, known, rules)
    return [rules.problem(breach) for breach in dict.fromkeys(breaches)]


def _breaches(data_set: Dataset, known: KnownInstances, rules: RuleCatalogue) -> Iterator[Breach]:
    sop_class = str(data_set.get("SOPClassUID", ""))
    yield from unknown_class_breaches(data_set)
    yield from module_breaches(data_set)
    yield from uid_breaches(data_set)
    if sop_class in (SEGMENTATION, LABEL_MAP):
        yield from segmentation_breaches(data_set, known)
    elif sop_class == ParametricMapStorage:
        yield from parametric_map_breaches(data_set)
    elif sop_class == RTStructureSetStorage:
        yield from structure_set_breaches(data_set, known)
    elif sop_class.startswith(_SR_ROOT):
        yield from content_breaches(data_set, rules)
        if sop_class == KeyObjectSelectionDocumentStorage:
            yield from key_object_breaches(data_set)
        elif is_measurement_report(data_set):
            yield from measurement_report_breaches(data_set, known, rules)


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Let warnings pass.

    Raises
    ------
    ObjectInvalid : there is an error; the message lists each with its rule
    """
    errors = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise ObjectInvalid("; ".join(errors))


def validate_file(path: Path) -> list[Problem]:
    """What is wrong with the object in a DICOM file, seen by itself.

    Raises
    ------
    InstanceUnreadable : there is no DICOM file at ``path``
    """
    try:
        return validate(dcmread(path))
    except (InvalidDicomError, OSError, EOFError) as err:
        raise InstanceUnreadable(f"{Path(path).name} is no DICOM file that can be read") from err
