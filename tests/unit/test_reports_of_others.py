"""Reports as other makers write them: codes of before 2018, methods said once, groups without a finding."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace

import pytest
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, PersonObserver
from service.core.codes import Code
from service.core.findings import Finding, Measurement
from service.core.geometry import ImagePlace, ShapeKind, line
from service.objects import concepts
from service.objects.annotation_reader import annotations_of
from service.objects.concepts import same
from service.objects.content_items import HAS_CONCEPT_MOD, code, image, image_reference
from service.objects.content_tree import descendants, is_named
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from tests.volumes import ABNORMAL, LEFT, LUNG, MM, NODULE, ct_sources
from tests.written_results import context

OLD = {
    "363698007": "G-C0E3",
    "272741003": "G-C171",
    "370129005": "G-C036",
    "276214006": "R-427CE",
    "410668003": "G-D7FE",
}
METHOD = Code("126410", "DCM", "SUV body weight calculation method")
READER = PersonObserver("Reader^First")


def finding(**more: object) -> Finding:
    sources = ct_sources(2)
    drawn = line((2, 2), (9, 2), ImagePlace(str(sources[0].SOPClassUID), str(sources[0].SOPInstanceUID)))
    measured = Measurement(concepts.LENGTH, 7.0, MM, shape=drawn, method=METHOD)
    plain = Finding("Mark", "2.25.7", ABNORMAL, NODULE, site=LUNG, laterality=LEFT, measurements=(measured,))
    return replace(plain, **more)


def written(*findings: Finding) -> Dataset:
    sources = SourceImages.of_images(ct_sources(2))
    return write_annotation_report(AnnotationSet(READER, findings), "Reading", sources, None, context())


def group_of(report: Dataset) -> Dataset:
    return next(item for _, item in descendants(report) if is_named(item, concepts.MEASUREMENT_GROUP))


def test_names_under_their_old_codes_are_the_same_names() -> None:
    report = written(finding())
    changed = 0
    for _, item in descendants(report):
        name = item.ConceptNameCodeSequence[0] if item.get("ConceptNameCodeSequence") else Dataset()
        if name.get("CodeValue") in OLD:
            name.CodeValue, name.CodingSchemeDesignator = OLD[name.CodeValue], "SRT"
            changed += 1
    assert changed == len(OLD)
    (found,) = annotations_of(report).findings
    assert (found.site, found.laterality, found.category) == (LUNG, LEFT, ABNORMAL)
    assert [one.method for one in found.measurements] == [METHOD]
    assert found.evaluations == ()


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (("G-C0E3", "SRT"), ("363698007", "SCT"), True),
        (("363698007", "SCT"), ("G-C0E3", "SRT"), True),
        (("G-C0E3", "SRT"), ("G-C0E3", "SRT"), True),
        (("G-C0E3", "SRT"), ("272741003", "SCT"), False),
        (("G-C0E3", "99X"), ("363698007", "SCT"), False),
        (("363698007", "DCM"), ("363698007", "SCT"), False),
    ],
)
def test_concept_is_the_same_by_scheme_and_value(left: tuple[str, str], right: tuple[str, str], expected: bool) -> None:
    assert same(Code(*left, "one"), Code(*right, "other")) is expected


def test_method_of_a_group_is_that_of_its_numbers_without_one() -> None:
    bare = replace(finding().measurements[0], method=None)
    report = written(finding(measurements=(bare,)))
    group = group_of(report)
    group.ContentSequence.append(code(concepts.MEASUREMENT_METHOD, METHOD, relationship=HAS_CONCEPT_MOD))
    (found,) = annotations_of(report).findings
    assert [one.method for one in found.measurements] == [METHOD]


def test_group_about_a_whole_image_lies_on_it_and_comes_back_without_a_finding() -> None:
    report = written(finding())
    group = group_of(report)
    source = ct_sources(2)[1]
    kept = [one for one in group.ContentSequence if one.ValueType != "NUM"]
    kept = [one for one in kept if not (is_named(one, concepts.FINDING) or is_named(one, concepts.FINDING_CATEGORY))]
    reference = image_reference(source.SOPClassUID, source.SOPInstanceUID)
    group.ContentSequence = [*deepcopy(kept), image(reference, name=concepts.SOURCE)]
    (found,) = annotations_of(report).findings
    (shape,) = found.shapes
    assert (shape.kind, shape.on_image) == (
        ShapeKind.FRAMES,
        ImagePlace(str(source.SOPClassUID), str(source.SOPInstanceUID)),
    )
    assert found.type.value == ""
    (again,) = annotations_of(written(found)).findings
    assert {one.name: getattr(again, one.name) for one in fields(again)} == {
        one.name: getattr(found, one.name) for one in fields(found)
    }
