"""Every option of PS3.15 Annex E does what its column says, and the profiles that come along say which apply."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, GrayscaleSoftcopyPresentationStateStorage, ImplicitVRLittleEndian

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.element_values import Encoding
from service.deident.keys import KeyFile
from service.deident.pixel_look import PixelLook
from service.deident.profile import Profile, load_profile
from service.deident.stamps import Stamps
from service.errors import IdentityNotRemovable
from tests.datasets import as_file, ct_slice

CONFIG = Path(__file__).parents[2] / "config"
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture
def made(tmp_path):
    """Load a profile written in a test, beside the project's own."""
    for path in (CONFIG / "profiles").iterdir():
        (tmp_path / path.name).symlink_to(path)

    def make(text: str) -> Profile:
        (tmp_path / "mine.toml").write_text(text)
        return load_profile(tmp_path, "mine", CONFIG / "text")

    return make


def with_options(*options: str) -> str:
    return 'extends = "basic"\n[options]\n' + "".join(f"{option} = true\n" for option in options)


def raw(data_set: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> Dataset:
    return dcmread(BytesIO(as_file(data_set, transfer_syntax_uid)))


def cleaned(profile: Profile, data_set: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> Dataset:
    return Deidentifier(profile, KEYS).clean(raw(data_set, transfer_syntax_uid)).data_set


def item(**values: object) -> Dataset:
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


# -- the profiles that come along ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("basic", ["113100"]),
        ("strict", ["113100"]),
        ("default", ["113100", "113103", "113104", "113105", "113107", "113108"]),
        ("limited", ["113100", "113103", "113104", "113105", "113107", "113108", "113109", "113112"]),
        ("research-longitudinal", ["113100", "113103", "113104", "113105", "113107", "113108", "113109", "113111"]),
    ],
)
def test_a_profile_stamps_the_codes_of_its_options(name, codes):
    profile = load_profile(CONFIG / "profiles", name)
    stamped = cleaned(profile, ct_slice()).DeidentificationMethodCodeSequence
    assert [code.CodeValue for code in stamped] == codes


def test_the_edition_of_the_table_is_known():
    assert load_profile(CONFIG / "profiles", "basic").edition.startswith("January 2025")


def test_strict_keeps_no_text_that_is_not_required():
    image = ct_slice()
    image.ManufacturerModelName, image.ConvolutionKernel, image.RescaleType = "Scanner 9", "B30f", "HU"
    kept = cleaned(load_profile(CONFIG / "profiles", "strict"), image)
    assert "ManufacturerModelName" not in kept
    assert "ConvolutionKernel" not in kept or kept.ConvolutionKernel == ""
    assert (kept.RescaleType, kept.Modality, kept.StudyTime) == ("HU", "CT", "")


def test_strict_keeps_codes_whole():
    image = ct_slice()
    image.AnatomicRegionSequence = Sequence(
        [item(CodeValue="39607008", CodingSchemeDesignator="SCT", CodeMeaning="Lung")]
    )
    (code,) = cleaned(load_profile(CONFIG / "profiles", "strict"), image).AnatomicRegionSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("39607008", "SCT", "Lung")


# -- what is kept --------------------------------------------------------------------------------------------------


def test_retained_uids_stay_where_they_are_uids(made):
    image = ct_slice()
    image.ReferencedImageSequence = Sequence(
        [item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID="1.2.3.4")]
    )
    image.FailedSOPInstanceUIDList = ["1.2.3"]
    kept = cleaned(made(with_options("retain_uids")), image)
    assert kept.SOPInstanceUID == image.SOPInstanceUID
    assert kept.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_where_uids_are_retained_each_stands_for_itself(made):
    profile = made(with_options("retain_uids"))
    assert Deidentifier(profile, KEYS).map_uid("1.2.3") == "1.2.3"


def test_what_is_no_uid_is_not_kept_as_one(made):
    image = ct_slice()
    image.TableTopPositionAlignmentUID = "Doe.Jane"
    assert "TableTopPositionAlignmentUID" not in cleaned(made(with_options("retain_uids")), image)


def test_uids_in_reports_are_retained_as_well(made):
    report = ct_slice()
    report.ValueType = "UIDREF"
    report.ConceptNameCodeSequence = Sequence(
        [item(CodeValue="112040", CodingSchemeDesignator="DCM", CodeMeaning="Tracking Unique Identifier")]
    )
    report.UID = "1.2.3.5"
    assert cleaned(made(with_options("retain_uids")), report).UID == "1.2.3.5"


def test_full_dates_stay_as_they_are(made):
    image = ct_slice()
    image.AcquisitionDateTime = "20240317081530"
    image.SeriesDate = "2024-03"
    kept = cleaned(made(with_options("retain_longitudinal_full_dates")), image)
    assert (kept.StudyDate, kept.StudyTime, kept.AcquisitionDateTime) == ("20240317", "081530", "20240317081530")
    assert "SeriesDate" not in kept
    assert kept.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert kept.PatientBirthDate == ""


def test_device_identity_keeps_the_device(made):
    image = ct_slice()
    image.StationName, image.DeviceSerialNumber, image.InstitutionName = "CT1", "SN-12", "Princeton"
    image.DateOfLastCalibration = "20240101"
    kept = cleaned(made(with_options("retain_device_identity")), image)
    assert (kept.StationName, kept.DeviceSerialNumber, kept.DateOfLastCalibration) == ("CT1", "SN-12", "20240101")
    assert "InstitutionName" not in kept


def test_a_kept_date_of_a_device_moves_with_the_others(made):
    image = ct_slice()
    image.DateOfLastCalibration = image.StudyDate
    kept = cleaned(made(with_options("retain_device_identity", "retain_longitudinal_modified_dates")), image)
    assert kept.DateOfLastCalibration == kept.StudyDate != image.StudyDate


def test_institution_identity_keeps_the_institution(made):
    image = ct_slice()
    image.InstitutionName, image.InstitutionalDepartmentName = "Princeton Plainsboro", "Doe ward"
    kept = cleaned(made(with_options("retain_institution_identity")), image)
    assert kept.InstitutionName == "Princeton Plainsboro"
    assert "InstitutionalDepartmentName" not in kept, "the patient's own name stands in it"


def test_patient_characteristics_are_cleaned_where_they_are_text(made):
    image = ct_slice()
    image.PatientAge, image.PregnancyStatus, image.Allergies = "093Y", 4, "tell Jane Doe"
    kept = cleaned(made(with_options("retain_patient_characteristics")), image)
    assert (kept.PatientAge, kept.PregnancyStatus) == ("090Y", 4)
    assert "Doe" not in kept.get("Allergies", "")


# -- graphics and overlays -----------------------------------------------------------------------------------------


def presentation_state(text: str = "see Jane Doe") -> Dataset:
    state = ct_slice()
    for keyword in ("PixelData", "Rows", "Columns"):
        del state[keyword]
    state.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    drawing = item(GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicFilled="N")
    drawing.GraphicData = [1.0, 2.0, 3.0, 4.0]
    drawing.GraphicType = "POLYLINE"
    note = item(UnformattedTextValue=text)
    state.GraphicAnnotationSequence = Sequence(
        [item(GraphicLayer="LAYER", TextObjectSequence=Sequence([note]), GraphicObjectSequence=Sequence([drawing]))]
    )
    state.GraphicLayerSequence = Sequence([item(GraphicLayer="LAYER", GraphicLayerOrder=1)])
    return state


def test_cleaned_graphics_keep_their_drawings(made):
    (annotation,) = cleaned(made(with_options("clean_graphics")), presentation_state()).GraphicAnnotationSequence
    assert annotation.GraphicObjectSequence[0].GraphicData == [1.0, 2.0, 3.0, 4.0]
    assert "Doe" not in annotation.TextObjectSequence[0].UnformattedTextValue


def test_without_the_option_a_drawing_keeps_only_its_form():
    basic = load_profile(CONFIG / "profiles", "basic")
    (annotation,) = cleaned(basic, presentation_state()).GraphicAnnotationSequence
    assert annotation.GraphicObjectSequence[0].GraphicData == [0.0, 0.0, 0.0, 0.0]
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "REMOVED"


def test_coordinates_of_reports_are_no_drawings():
    report = ct_slice()
    report.ValueType = "CONTAINER"
    report.ContentSequence = Sequence([item(ValueType="SCOORD", GraphicType="POINT", GraphicData=[5.0, 6.0])])
    basic = load_profile(CONFIG / "profiles", "basic")
    assert cleaned(basic, report).ContentSequence[0].GraphicData == [5.0, 6.0]


def overlaid(**values: int) -> Dataset:
    image = ct_slice()
    image.add_new(0x60000010, "US", 16)
    image.add_new(0x60000011, "US", 16)
    image.add_new(0x60000100, "US", values.get("allocated", 1))
    image.add_new(0x60000102, "US", values.get("position", 0))
    return image


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("said", [{"position": 12}, {"allocated": 16}])
def test_overlay_bits_in_the_pixels_hold_the_object(said, syntax):
    with pytest.raises(IdentityNotRemovable, match="embedded in Pixel Data"):
        cleaned(load_profile(CONFIG / "profiles", "basic"), overlaid(**said), syntax)


def test_an_overlay_beside_the_pixels_just_goes():
    image = overlaid(position=12)
    image.add_new(0x60003000, "OW", bytes(32))
    for overlay in (image, overlaid()):
        assert not list(cleaned(load_profile(CONFIG / "profiles", "basic"), overlay).group_dataset(0x6000))


def test_a_profile_may_hold_objects_with_overlays(made):
    profile = made('extends = "basic"\n[rules]\noverlays = "refuse"\n')
    with pytest.raises(IdentityNotRemovable, match="holds objects with overlays"):
        cleaned(profile, overlaid())


@pytest.mark.parametrize("name", ["basic", "default", "research-longitudinal", "limited"])
def test_signatures_icons_encrypted_attributes_and_padding_go(name):
    image = ct_slice()
    inner = item(IconImageSequence=Sequence([item(Rows=1)]))
    inner.DigitalSignaturesSequence = Sequence([item(MACIDNumber=1, Signature=b"1234")])
    image.ReferencedSeriesSequence = Sequence([inner])
    image.MACParametersSequence = Sequence([item(MACIDNumber=1)])
    image.DigitalSignaturesSequence = Sequence([item(MACIDNumber=1, Signature=b"1234")])
    image.EncryptedAttributesSequence = Sequence([item(EncryptedContent=b"1234")])
    image.IconImageSequence = Sequence([item(Rows=1)])
    image.add_new(0x50003000, "OW", b"12")
    image.DataSetTrailingPadding = bytes(64)
    kept = cleaned(load_profile(CONFIG / "profiles", name), image)
    gone = ["DigitalSignaturesSequence", "EncryptedAttributesSequence", "IconImageSequence", "DataSetTrailingPadding"]
    assert not [keyword for keyword in gone if keyword in kept]
    assert not list(kept.group_dataset(0x5000))
    assert list(kept.ReferencedSeriesSequence[0].keys()) == []


# -- UN ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 2])
def test_a_sequence_encoded_as_unknown_is_read_and_cleaned(depth):
    encoded = struct.pack("<HHI", 0x0008, 0x0080, 6) + b"Clinic" + struct.pack("<HHI", 0x0020, 0x0013, 2) + b"7 "
    inner = Dataset()
    inner.add_new(0x00081140, "OB", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(encoded)) + encoded)
    for _ in range(depth):
        inner = item(ReferencedSeriesSequence=Sequence([inner]))
    image = ct_slice()
    image.update(inner)
    content = as_file(image).replace(b"\x08\x00\x40\x11OB", b"\x08\x00\x40\x11UN")
    kept = Deidentifier(load_profile(CONFIG / "profiles", "basic"), KEYS).clean(dcmread(BytesIO(content))).data_set
    for _ in range(depth):
        kept = kept.ReferencedSeriesSequence[0]
    (found,) = kept.ReferencedImageSequence
    assert found.InstanceNumber == 7
    assert "InstitutionName" not in found


# -- stamps about pixels -------------------------------------------------------------------------------------------


def test_pixels_are_stamped_only_when_they_were_cleaned():
    profile = load_profile(CONFIG / "profiles", "default")
    kept = cleaned(profile, ct_slice())
    assert "clean_pixel_data" in profile.options
    assert "113101" not in [code.CodeValue for code in kept.DeidentificationMethodCodeSequence]
    assert "BurnedInAnnotation" not in kept


@pytest.mark.parametrize(
    ("done", "code", "keyword", "told"),
    [({"look": look}, "113101", "BurnedInAnnotation", look) for look in PixelLook if look]
    + [({"faces_removed": True}, "113102", "RecognizableVisualFeatures", "Faces removed by a program")],
)
def test_what_was_done_to_pixels_is_stamped_afterwards(done, code, keyword, told):
    profile = load_profile(CONFIG / "profiles", "default")
    kept = cleaned(profile, ct_slice())
    before = [code.CodeValue for code in kept.DeidentificationMethodCodeSequence]
    assert "ContributionDescription" not in kept.ContributingEquipmentSequence[0]
    Stamps(profile).put(kept, kept, Encoding(), **done)
    assert kept[keyword].value == "NO"
    assert sorted([*before, code]) == sorted(code.CodeValue for code in kept.DeidentificationMethodCodeSequence)
    assert len(kept.ContributingEquipmentSequence) == 1
    assert kept.ContributingEquipmentSequence[0].ContributionDescription == told
