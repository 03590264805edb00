"""What comes out is an object of its IOD, at every depth; what cannot be cleaned is refused."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import EncapsulatedPDFStorage, EncapsulatedSTLStorage, ImplicitVRLittleEndian

from service.core.pydicom_reading import read_leniently
from service.errors import IdentityNotRemovable
from tests.datasets import as_file, ct_slice
from tests.header_cleaning import deidentifier, item, raw


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return deidentifier()


def test_an_action_yields_to_the_elements_type(default):
    image = ct_slice()
    image.DeviceSerialNumber = "S-1"  # Type 3 in General Equipment of CT: X/Z/D is X
    assert "DeviceSerialNumber" not in default.clean(image).data_set
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"  # Type 1 in Enhanced General Equipment: X/Z/D is D
    assert default.clean(image).data_set.DeviceSerialNumber == "REMOVED"


def test_a_type_2_attribute_is_emptied(default):
    cleaned = default.clean(raw(ct_slice())).data_set
    assert (cleaned.AccessionNumber, cleaned.StudyID, cleaned.ReferringPhysicianName) == ("", "", "")


def test_private_and_unknown_elements_go(default):
    image = ct_slice()
    image.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "Doe")
    image.add_new(0x00189FFF, "LO", "unknown")
    tags = [int(tag) for tag in default.clean(raw(image)).data_set.keys()]  # noqa: SIM118
    assert not [tag for tag in tags if tag >> 16 == 0x0009 or tag == 0x00189FFF]


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_signatures_go_at_every_depth_with_all_that_is_told_of_them(default, depth):
    image = ct_slice()
    level = image
    for _ in range(depth):
        item = Dataset()
        level.ReferencedSeriesSequence = [item]
        level = item
    told = Dataset()
    told.MACIDNumber, told.MACAlgorithm, told.DataElementsSigned = 1, "SHA256", [0x00100010]
    signed = Dataset()
    signed.MACIDNumber, signed.Signature, signed.CertificateOfSigner = 1, b"sealed", b"signer"
    level.MACParametersSequence, level.DigitalSignaturesSequence = [told], [signed]
    clean = default.clean(raw(image)).data_set
    for _ in range(depth):
        clean = clean.ReferencedSeriesSequence[0]
    assert "MACParametersSequence" not in clean
    assert "DigitalSignaturesSequence" not in clean


def test_overlays_go_whole(default):
    image = ct_slice()
    image.add_new(0x60000010, "US", 16)
    image.add_new(0x60003000, "OW", bytes(32))
    assert not list(default.clean(raw(image)).data_set.group_dataset(0x6000))


def test_sequences_nested_without_end_are_refused(default):
    image = ct_slice()
    inner = item(SeriesNumber=1)
    for _ in range(70):
        inner = item(ReferencedSeriesSequence=Sequence([inner]))
    image.ReferencedSeriesSequence = Sequence([inner])
    with pytest.raises(IdentityNotRemovable, match="deeper than 64"):
        default.clean(image)


def test_pixels_and_other_numbers_are_handed_on_untouched(default):
    header = raw(ct_slice())
    cleaned = default.clean(header).data_set
    for keyword in ("PixelData", "Rows", "PixelSpacing", "ImagePositionPatient", "RescaleSlope"):
        assert cleaned.get_item(keyword) is header.get_item(keyword)


def test_the_header_itself_is_not_changed(default):
    header = raw(ct_slice())
    default.clean(header)
    assert header == raw(ct_slice())


def test_an_implicit_header_is_cleaned_the_same(default):
    explicit = default.clean(raw(ct_slice())).data_set
    implicit = default.clean(raw(ct_slice(), ImplicitVRLittleEndian)).data_set
    assert implicit == explicit


def test_a_header_made_in_memory_is_cleaned_the_same(default):
    assert default.clean(ct_slice()).data_set == default.clean(raw(ct_slice())).data_set


def test_burned_in_identity_is_refused(default):
    image = ct_slice()
    image.BurnedInAnnotation = "YES"
    with pytest.raises(IdentityNotRemovable, match="Burned In Annotation"):
        default.clean(image)


def test_an_encapsulated_pdf_becomes_a_page_that_says_so(default):
    document = ct_slice()
    document.SOPClassUID = EncapsulatedPDFStorage
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocument = b"%PDF-1.4 Jane Doe"
    document.DocumentTitle = "Report on Doe"
    document.BurnedInAnnotation = "YES"
    cleaned = default.clean(raw(document)).data_set
    assert cleaned.EncapsulatedDocument.startswith(b"%PDF-1.4\n")
    assert b"Doe" not in cleaned.EncapsulatedDocument
    assert cleaned.EncapsulatedDocumentLength == len(cleaned.EncapsulatedDocument)
    assert cleaned.BurnedInAnnotation == "NO"
    assert cleaned.DocumentTitle == "Report on _"


def test_another_kind_of_document_is_refused(default):
    document = ct_slice()
    document.SOPClassUID = EncapsulatedSTLStorage
    document.MIMETypeOfEncapsulatedDocument = "model/stl"
    document.EncapsulatedDocument = b"solid Jane Doe"
    with pytest.raises(IdentityNotRemovable, match=r"encapsulated document \(model/stl\)"):
        default.clean(document)


def test_an_element_with_an_impossible_vr_is_encoded_again_or_goes(default):
    content = as_file(ct_slice())
    for tag in (b"\x08\x00\x20\x00DA", b"\x08\x00\x70\x00LO"):
        content = content.replace(tag, tag[:4] + b"D\xfd")
    header = dcmread(BytesIO(content), force=True)
    cleaned = default.clean(header).data_set
    assert cleaned.StudyDate == ""
    assert "Manufacturer" not in cleaned or cleaned.Manufacturer == ""
    assert dcmread(BytesIO(as_file(cleaned))).Modality == "CT"


def test_a_code_sequence_that_cannot_be_read_does_not_stop_the_pass(default):
    header = raw(ct_slice())
    broken = RawDataElement(Tag(0x0040A043), "SQ", 6, b"Doe 12", 0, False, True)
    header[0x0040A043] = broken
    header.ValueType = "TEXT"
    cleaned = default.clean(header).data_set
    assert b"Doe" not in as_file(cleaned)
