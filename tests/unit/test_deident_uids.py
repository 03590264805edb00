"""UIDs are replaced alike wherever they stand; those that name a kind stay where they are known for one."""

from __future__ import annotations

import pytest
from pydicom.sequence import Sequence

from dicom_nodes.errors import InstanceUnreadable
from service.core.pydicom_reading import read_leniently
from tests.datasets import ct_slice
from tests.header_cleaning import deidentifier, item, raw


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return deidentifier()


def test_uids_are_mapped_alike_wherever_they_stand(default):
    image = ct_slice(1)
    other = ct_slice(2)
    other.ReferencedImageSequence = Sequence(
        [item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)]
    )
    reference = default.clean(raw(other)).data_set.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == default.clean(raw(image)).data_set.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == image.SOPClassUID


def test_a_new_uid_is_a_valid_uuid_of_the_applications_own_version(default):
    import uuid

    new = default.map_uid("1.2.3")
    assert new.startswith("2.25.")
    made = uuid.UUID(int=int(new.removeprefix("2.25.")))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert len(new) <= 64


@pytest.mark.parametrize("uid", ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.4.1.1", ""])
def test_uids_of_the_standard_stay(default, uid):
    assert default.map_uid(uid) == uid


def test_two_projects_map_apart():
    assert deidentifier(project="a").map_uid("1.2.3") != deidentifier(project="b").map_uid("1.2.3")


def test_a_manufacturers_private_sop_class_stays(default):
    image = ct_slice()
    image.SOPClassUID = "1.3.12.2.1107.5.9.1"
    assert default.clean(image).data_set.SOPClassUID == "1.3.12.2.1107.5.9.1"


@pytest.mark.parametrize(
    ("keyword", "uid", "stays"),
    [
        ("SOPClassUID", "1.2.826.0.1.999.77812.19500320", True),
        ("SOPClassUID", "1.2.826.0.1.999.77812.19610502", False),
        ("SOPClassesInStudy", "1.2.826.0.1.999.77812.7", True),
        ("ContextUID", "1.2.826.0.1.999.77812.19500320", False),
        ("ContextUID", "1.2.840.10008.6.1.4", True),
        ("ContextUID", "1.2.840.10008.6.1.77812", False),
        ("CodingSchemeUID", "2.16.840.1.113883.6.96", True),
        ("MappingResourceUID", "1.2.840.10008.8.1.1", True),
        ("AvailableTransferSyntaxUID", "1.2.840.113619.5.2", True),
        ("AvailableTransferSyntaxUID", "1.2.826.0.1.999.77812.19500320", False),
    ],
)
def test_a_uid_of_a_kind_stays_where_it_says_what_an_object_is_or_is_known(default, keyword, uid, stays):
    image = ct_slice()
    setattr(image, keyword, uid)
    cleaned = default.clean(raw(image)).data_set
    assert cleaned[keyword].value == (uid if stays else default.map_uid(uid))


def test_several_uids_in_one_element_are_each_mapped(default):
    image = ct_slice()
    image.FailedSOPInstanceUIDList = ["1.2.3", "1.2.4"]
    cleaned = default.clean(raw(image)).data_set
    assert list(cleaned.FailedSOPInstanceUIDList) == [default.map_uid("1.2.3"), default.map_uid("1.2.4")]


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_an_object_without_its_uids_is_unreadable(default, keyword):
    image = ct_slice()
    del image[keyword]
    with pytest.raises(InstanceUnreadable, match="is missing"):
        default.clean(image)
