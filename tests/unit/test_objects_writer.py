"""What is written of a result: the segmentation, the report, and what they share with their source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from highdicom.seg import Segmentation
from highdicom.sr import Comprehensive3DSR
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from service.core.findings import Evaluation, Mask, Measurement
from service.core.geometry import box, polygon
from service.core.geometry import point as drawn_point
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_tree import child, children, coded_child, descendants, name_of, template_of, text_child
from service.objects.findings_reader import findings_of
from service.objects.writer import WrittenResult, write_results
from tests.volumes import (
    ALGORITHM,
    ATTENUATION,
    HOUNSFIELD,
    LONG_AXIS,
    MM,
    SHORT_AXIS,
    ball,
    enhanced_volume,
    line_on,
    nodule,
    organ,
    result_of,
)
from tests.written_results import OWN_UIDS, VOLUMES, axial, context, groups, write


@pytest.fixture(params=VOLUMES)
def volume(request: pytest.FixtureRequest) -> Volume:
    return VOLUMES[request.param]()


def segmentation_of(written: WrittenResult) -> Dataset:
    assert written.segmentation is not None
    return written.segmentation


def uids_in(data_set: Dataset) -> Iterator[str]:
    for element in data_set:
        if element.VR == "UI":
            yield from ([str(element.value)] if isinstance(element.value, UID) else map(str, element.value or ()))
        elif isinstance(element.value, Sequence):
            for item in element.value:
                yield from uids_in(item)


def test_each_mask_becomes_a_segment_in_order() -> None:
    volume = axial()
    segments = segmentation_of(write(volume, nodule(volume), organ(volume))).SegmentSequence
    assert [(one.SegmentNumber, one.SegmentLabel) for one in segments] == [(1, "Nodule 1"), (2, "Lung 1")]


def test_frames_hold_the_mask_on_the_sources_own_slices(volume: Volume) -> None:
    finding = nodule(volume)
    segmentation = Segmentation.from_dataset(segmentation_of(write(volume, finding)))
    uids = [source.SOPInstanceUID for source in volume.sources]
    if len(set(uids)) == 1:
        pixels = segmentation.get_pixels_by_source_frame(
            uids[0], volume.frame_numbers, segment_numbers=[1], assert_missing_frames_are_empty=True
        )
    else:
        pixels = segmentation.get_pixels_by_source_instance(
            uids, segment_numbers=[1], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
        )
    assert finding.mask is not None
    np.testing.assert_array_equal(pixels[..., 0].astype(bool), finding.mask.into(volume.shape))


def test_frames_lie_where_their_source_slices_lie(volume: Volume) -> None:
    segmentation = segmentation_of(write(volume, nodule(volume)))
    places = {
        tuple(round(value, 5) for value in volume.to_patient((number, 0, 0))) for number in range(volume.shape[0])
    }
    frames = [
        tuple(round(float(value), 5) for value in frame.PlanePositionSequence[0].ImagePositionPatient)
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert set(frames) <= places
    assert len(frames) == len(set(frames)) == 5


def test_empty_frames_are_left_out() -> None:
    volume = axial()
    segmentation = segmentation_of(write(volume, replace(nodule(volume), mask=ball(volume, (3, 6, 7), 0))))
    assert segmentation.NumberOfFrames == 1


@pytest.mark.parametrize(("second_centre", "said"), [((3, 6, 7), "YES"), ((3, 12, 12), "NO")])
def test_overlap_of_segments_is_said_and_kept(second_centre: tuple[int, int, int], said: str) -> None:
    volume = axial()
    first, second = nodule(volume), replace(organ(volume), mask=ball(volume, second_centre, 1))
    segmentation = segmentation_of(write(volume, first, second))
    assert segmentation.SegmentsOverlap == said
    kept = Segmentation.from_dataset(segmentation).get_volume(combine_segments=False).array[..., 1].sum()
    assert second.mask is not None
    assert kept == second.mask.voxels.sum()


def test_tracking_pair_of_segment_and_groups_is_one() -> None:
    volume = axial()
    written = write(volume, nodule(volume))
    segment = segmentation_of(written).SegmentSequence[0]
    pairs = {
        (text_child(group, concepts.TRACKING_IDENTIFIER), str(children(group, concepts.TRACKING_UID)[0].UID))
        for group in groups(written.report)
    }
    assert pairs == {(str(segment.TrackingID), str(segment.TrackingUID))}


def test_enhanced_source_is_named_with_its_frames() -> None:
    volume = enhanced_volume()
    written = write(volume, nodule(volume))
    references = [
        frame.DerivationImageSequence[0].SourceImageSequence[0]
        for frame in segmentation_of(written).PerFrameFunctionalGroupsSequence
    ]
    frames = {int(reference.ReferencedFrameNumber) for reference in references}
    assert {str(reference.ReferencedSOPInstanceUID) for reference in references} == {volume.sources[0].SOPInstanceUID}
    assert frames == {volume.frame_numbers[number] for number in range(1, 6)}


def test_coordinates_name_the_frame_of_an_enhanced_source() -> None:
    volume = enhanced_volume()
    images = [
        item for parent, item in descendants(write(volume, nodule(volume)).report) if parent.ValueType == "SCOORD"
    ]
    assert {image.ReferencedSOPSequence[0].ReferencedFrameNumber for image in images} == {volume.frame_numbers[3]}


def test_every_uid_is_from_the_context_the_source_or_the_finding(volume: Volume) -> None:
    written = write(volume, nodule(volume), organ(volume))
    known = {uid for source in volume.sources for uid in uids_in(source)}
    known |= {volume.study_uid, volume.series_uid, ALGORITHM.device_uid, "2.25.91", "2.25.81"}
    strangers = {
        uid
        for data_set in (segmentation_of(written), written.report)
        for uid in uids_in(data_set)
        if uid not in known and not uid.startswith((OWN_UIDS, "1.2.840.10008."))
    }
    assert strangers == set()


@pytest.mark.parametrize("modality", ["SEG", "SR"])
def test_patient_and_study_are_the_sources(modality: str) -> None:
    volume = axial()
    for source in volume.sources:
        source.PatientIdentityRemoved, source.DeidentificationMethod = "YES", "Profile"
        source.IssuerOfPatientID, source.LongitudinalTemporalInformationModified = "Here", "MODIFIED"
    written = write(volume, nodule(volume))
    made = segmentation_of(written) if modality == "SEG" else written.report
    for keyword in (
        "PatientID", "PatientName", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID", "StudyDate", "StudyID",
        "PatientIdentityRemoved", "DeidentificationMethod", "IssuerOfPatientID", "StudyDescription",
        "LongitudinalTemporalInformationModified",
    ):  # fmt: skip
        assert made[keyword].value == volume.sources[0][keyword].value, keyword


def test_names_in_another_character_set_come_out_in_utf_8() -> None:
    volume = axial()
    for source in volume.sources:
        source.SpecificCharacterSet, source.PatientName = "ISO_IR 100", "Müller^Zoë"
    report = write(volume).report
    assert (report.SpecificCharacterSet, str(report.PatientName)) == ("ISO_IR 192", "Müller^Zoë")


def test_missing_type_2_attributes_of_the_source_are_there_empty() -> None:
    volume = axial()
    for source in volume.sources:
        del source.PatientBirthDate, source.ReferringPhysicianName
    report = write(volume).report
    assert not report.PatientBirthDate
    assert "ReferringPhysicianName" in report


def test_values_that_break_their_vr_are_cut_but_identifiers_kept() -> None:
    volume = axial()
    for source in volume.sources:
        for tag, vr, value in (
            (0x00200010, "SH", "A study ID of twenty"),
            (0x00080050, "SH", "An accession number too long"),
            (0x00101010, "AS", "42"),
        ):
            source.add(DataElement(tag, vr, value, validation_mode=IGNORE))
    report = write(volume).report
    assert (report.StudyID, report.AccessionNumber) == ("A study ID of tw", "An accession number too long")
    assert not report.PatientAge


def test_dates_are_the_contexts() -> None:
    volume = axial()
    written = write(volume, nodule(volume))
    for made in (segmentation_of(written), written.report):
        stamps = {made.ContentDate, made.SeriesDate, made.InstanceCreationDate}
        assert (stamps, made.ContentTime) == ({"20190304"}, "050607")


def test_series_are_two_of_their_own() -> None:
    volume = axial()
    written = write(volume, nodule(volume))
    segmentation, report = segmentation_of(written), written.report
    assert (segmentation.SeriesNumber, report.SeriesNumber) == (9000, 9001)
    assert len({segmentation.SeriesInstanceUID, report.SeriesInstanceUID, volume.series_uid}) == 3


def test_demonstrator_is_marked_in_series_and_report() -> None:
    volume = axial()
    written = write(volume, nodule(volume))
    texts = [str(item.TextValue) for _, item in descendants(written.report) if item.ValueType == "TEXT"]
    assert segmentation_of(written).SeriesDescription == written.report.SeriesDescription
    assert "NOT FOR DIAGNOSIS" in written.report.SeriesDescription
    assert any("NOT FOR DIAGNOSIS" in text for text in texts)


def test_what_is_no_demonstrator_is_not_marked() -> None:
    volume = axial()
    result = result_of(nodule(volume), algorithm=replace(ALGORITHM, demonstrator=False))
    report = write_results(result, "Lung nodules", volume, context()).report
    assert "DIAGNOSIS" not in report.to_json()


def test_equipment_names_the_algorithm_and_its_device() -> None:
    volume = axial()
    written = write(volume, nodule(volume))
    for made in (segmentation_of(written), written.report):
        (item,) = made.ContributingEquipmentSequence
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert (item.ManufacturerModelName, item.DeviceUID) == (ALGORITHM.name, ALGORITHM.device_uid)
        assert list(item.SoftwareVersions) == ["1.2", "Annogate 0.1.0"]


def test_report_is_complete_and_unverified() -> None:
    report = write(axial()).report
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_nothing_found_is_a_report_without_measurements() -> None:
    written = write(axial())
    (evaluations,) = children(written.report, concepts.QUALITATIVE_EVALUATIONS)
    assert written.segmentation is None
    assert groups(written.report) == []
    assert coded_child(evaluations, concepts.FINDINGS_SUMMARY) == concepts.WITHOUT_FINDINGS


def test_predecessor_is_named() -> None:
    volume = axial()
    older = write(volume).report
    newer = write_results(result_of(), "Lung nodules", volume, context(older)).report
    series = newer.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == older.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == older.SOPInstanceUID


def test_evidence_names_every_source_and_the_segmentation(volume: Volume) -> None:
    written = write(volume, nodule(volume))
    evidence = written.report.CurrentRequestedProcedureEvidenceSequence[0]
    named = [
        reference.ReferencedSOPInstanceUID
        for series in evidence.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]
    sources = list(dict.fromkeys(source.SOPInstanceUID for source in volume.sources))
    assert named == [*sources, segmentation_of(written).SOPInstanceUID]


def test_drawn_axes_come_first_then_the_volume() -> None:
    volume = axial()
    first, second = groups(write(volume, nodule(volume)).report)
    assert (template_of(first), template_of(second)) == ("1501", "1411")
    assert text_child(first, concepts.TRACKING_IDENTIFIER) == "Cornerstone3DTools@^0.1.0:Bidirectional:Nodule 1"


def test_axes_are_called_as_viewers_know_them() -> None:
    volume = axial()
    first, _ = groups(write(volume, nodule(volume)).report)
    names = [name_of(item) for item in children(first) if item.ValueType == "NUM"]
    assert [name.meaning for name in names if name] == ["Long Axis", "Short Axis"]


def test_coordinates_are_inferred_and_selected() -> None:
    volume = axial()
    relations = {
        (parent.ValueType, item.ValueType): item.RelationshipType
        for parent, item in descendants(write(volume, nodule(volume)).report)
    }
    assert relations["NUM", "SCOORD"] == "INFERRED FROM"
    assert relations["SCOORD", "IMAGE"] == "SELECTED FROM"


def test_coordinates_count_from_the_corner_of_the_first_pixel(volume: Volume) -> None:
    report = write(volume, nodule(volume)).report
    shapes = [item for _, item in descendants(report) if item.ValueType == "SCOORD"]
    # The long axis lies on slice 3 in row 6, from column 4.5 to 9.5, counted at pixel centres.
    np.testing.assert_allclose(shapes[0].GraphicData, [5.0, 6.5, 10.0, 6.5], atol=1e-4)
    uid = volume.sources[3].SOPInstanceUID
    assert shapes[0].ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == uid


def test_region_without_a_line_gets_its_largest_extent() -> None:
    volume = axial()
    bar = np.zeros(volume.shape, dtype=bool)
    bar[2, 5, 3:12] = True
    first, second = groups(write(volume, replace(organ(volume), mask=Mask.cut_from(bar))).report)
    number = next(item for item in children(first) if item.ValueType == "NUM")
    assert float(number.MeasuredValueSequence[0].NumericValue) == pytest.approx(np.hypot(9, 1))
    assert template_of(second) == "1411"


def test_a_single_drawn_line_is_a_length() -> None:
    volume = axial()
    line = line_on(volume, (3, 6, 4.5), (3, 6, 9.5))
    finding = replace(nodule(volume), measurements=(Measurement(LONG_AXIS, line.length_mm, MM, shape=line),))
    first, _ = groups(write(volume, finding).report)
    assert text_child(first, concepts.TRACKING_IDENTIFIER) == "Cornerstone3DTools@^0.1.0:Length:Nodule 1"


def test_line_through_slices_is_drawn_in_space() -> None:
    volume = axial()
    line = line_on(volume, (1, 6, 4), (6, 6, 9))
    finding = replace(nodule(volume), measurements=(Measurement(SHORT_AXIS, line.length_mm, MM, shape=line),))
    shapes = [item for _, item in descendants(write(volume, finding).report) if item.ValueType == "SCOORD3D"]
    np.testing.assert_allclose(shapes[0].GraphicData, [*line.points[0], *line.points[1]])
    assert shapes[0].ReferencedFrameOfReferenceUID == volume.frame_of_reference_uid


def test_contour_is_a_planar_region() -> None:
    volume = axial()
    corners = tuple(tuple(p) for p in volume.to_patient([(3, 4, 4), (3, 4, 8), (3, 8, 8)]).tolist())
    finding = replace(nodule(volume), mask=None, measurements=(), shapes=(polygon(corners),))
    (group,) = groups(write(volume, finding).report)
    (region,) = children(group, concepts.IMAGE_REGION)
    assert template_of(group) == "1410"
    np.testing.assert_allclose(region.GraphicData, [4.5, 4.5, 8.5, 4.5, 8.5, 8.5, 4.5, 4.5])


def test_box_is_drawn_on_its_middle_slice() -> None:
    volume = axial()
    low, high = (tuple(p) for p in volume.to_patient([(2, 4, 4), (4, 8, 10)]).tolist())
    finding = replace(nodule(volume), mask=None, measurements=(), shapes=(box(low, high),))
    (group,) = groups(write(volume, finding).report)
    (region,) = children(group, concepts.IMAGE_REGION)
    corners = set(zip(np.round(region.GraphicData[::2], 3), np.round(region.GraphicData[1::2], 3), strict=True))
    assert corners == {(4.5, 4.5), (10.5, 4.5), (10.5, 8.5), (4.5, 8.5)}
    assert (
        region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == volume.sources[3].SOPInstanceUID
    )


def test_point_is_drawn_on_its_slice() -> None:
    volume = axial()
    (point,) = volume.to_patient([(3, 6, 7)]).tolist()
    finding = replace(nodule(volume), mask=None, measurements=(), shapes=(drawn_point(point),))
    (group,) = groups(write(volume, finding).report)
    (shape,) = children(group, concepts.CENTER)
    assert (shape.GraphicType, list(shape.GraphicData)) == ("POINT", [7.5, 6.5])


def test_point_beside_a_line_is_tracked_by_itself_and_read_back_as_one_finding() -> None:
    volume = axial()
    (point,) = volume.to_patient([(1, 6, 7)]).tolist()
    finding = replace(nodule(volume), shapes=(drawn_point(point),))
    report = write(volume, finding).report
    tracked = [uid for group in groups(report) for uid in [child(group, concepts.TRACKING_UID).UID]]
    with_shape = [uid for group, uid in zip(groups(report), tracked, strict=True) if child(group, concepts.CENTER)]
    assert finding.tracking_uid in tracked
    assert finding.tracking_uid not in with_shape
    assert [found.tracking_uid for found in findings_of(report)] == [finding.tracking_uid]


def test_description_says_that_nothing_was_found() -> None:
    volume = axial()
    assert ": nothing found" in write(volume).report.SeriesDescription
    assert ": nothing found" not in write(volume, nodule(volume)).report.SeriesDescription


def test_finding_with_no_place_is_refused() -> None:
    volume = axial()
    with pytest.raises(ObjectInvalid, match="Nodule 1"):
        write(volume, replace(nodule(volume), mask=None, measurements=()))


def test_mask_outside_the_volume_is_refused() -> None:
    volume = axial()
    with pytest.raises(ObjectInvalid, match="outside"):
        write(volume, replace(nodule(volume), mask=Mask(np.ones((3, 3, 3), dtype=bool), (6, 0, 0))))


def test_number_that_is_none_is_refused() -> None:
    volume = axial()
    bad = Measurement(ATTENUATION, float("nan"), HOUNSFIELD)
    with pytest.raises(ObjectInvalid, match="Attenuation"):
        write(volume, replace(nodule(volume), measurements=(bad,)))


def test_procedure_reported_is_the_studys_own() -> None:
    volume = axial()
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "CTTHX", "99HERE", "CT thorax"
    for source in volume.sources:
        source.ProcedureCodeSequence = [item]
    procedure = coded_child(write(volume).report, concepts.PROCEDURE_REPORTED)
    assert procedure is not None
    assert procedure.value == "CTTHX"


def test_highdicom_reads_the_report(volume: Volume) -> None:
    finding = nodule(volume)
    written = write(volume, finding, organ(volume))
    content = Comprehensive3DSR.from_dataset(written.report).content
    (group,) = content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.91")
    stated = finding.measurements[2].value
    assert [one.value for one in group.get_measurements()] == [pytest.approx(stated), -12.25, 87.5]


def test_answers_stand_beside_the_numbers() -> None:
    volume = axial()
    finding = replace(nodule(volume), evaluations=(Evaluation(concepts.LENGTH, concepts.DEVICE),))
    _, group = groups(write(volume, finding).report)
    assert coded_child(group, concepts.LENGTH) == concepts.DEVICE
