"""Where references go by type, the lists of what is referred to go with the last reference (PS3.3 C.12.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from tests.datasets import ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
LISTS = ("ReferencedSeriesSequence", "StudiesContainingOtherReferencedInstancesSequence")


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
    return item


def listing(sop_class: str) -> Dataset:
    """An object with both lists, and nothing else that refers to an instance."""
    listed = ct_slice()
    listed.SOPClassUID = sop_class
    series = Dataset()
    series.SeriesInstanceUID = "1.2.3.9"
    series.ReferencedInstanceSequence = Sequence([reference("1.2.3.9.1")])
    study = Dataset()
    study.StudyInstanceUID = "1.2.4"
    study.ReferencedSeriesSequence = Sequence([series])
    listed.ReferencedSeriesSequence = Sequence([series])
    listed.StudiesContainingOtherReferencedInstancesSequence = Sequence([study])
    return listed


def kept(data_set: Dataset, profile: str) -> list[str]:
    cleaner = Deidentifier(load_profile(PROFILES, profile), KEYS)
    clean = [cleaner.clean(data_set, explain=explain).data_set for explain in (True, False)]
    found = [[keyword for keyword in LISTS if keyword in one] for one in clean]
    assert found[0] == found[1]
    return found[0]


def referring(sop_class: str, keyword: str) -> Dataset:
    data_set = listing(sop_class)
    setattr(data_set, keyword, Sequence([reference("1.2.3.9.1")]))
    return data_set


@pytest.mark.parametrize("sop_class", [SegmentationStorage, CTImageStorage, "1.2.3.4.5"])
def test_lists_go_with_the_last_reference(sop_class):
    assert kept(referring(sop_class, "SourceImageSequence"), "strict") == []


def test_lists_stay_while_anything_refers_to_an_instance():
    structures = listing(RTStructureSetStorage)
    contour = Dataset()
    contour.ContourImageSequence = Sequence([reference("1.2.3.9.1")])
    rois = Dataset()
    rois.ContourSequence = Sequence([contour])
    structures.ROIContourSequence = Sequence([rois])
    assert kept(structures, "strict") == list(LISTS)


def test_an_empty_reference_is_none():
    image = listing(SegmentationStorage)
    image.ReferencedInstanceSequence = Sequence([reference("")])
    assert kept(image, "strict") == []


def test_a_presentation_state_keeps_what_names_its_images():
    assert kept(listing(GrayscaleSoftcopyPresentationStateStorage), "strict") == [LISTS[0]]


@pytest.mark.parametrize("profile", ["basic", "default"])
def test_lists_stay_where_references_are_mapped(profile):
    assert kept(listing(SegmentationStorage), profile) == list(LISTS)


def test_what_if_says_why():
    cleaner = Deidentifier(load_profile(PROFILES, "strict"), KEYS)
    decisions = cleaner.clean(listing(SegmentationStorage), explain=True).decisions
    said = {one.keyword: (one.action, one.rule, one.reason) for one in decisions}
    for keyword in LISTS:
        assert said[keyword] == ("removed", "PS3.3 C.12.2", "nothing else that is kept refers to an instance")
