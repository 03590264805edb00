"""A version is fetched as what other systems read; nothing is stored by it, and asked again it is the same."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ColorSoftcopyPresentationStateStorage, VLEndoscopicImageStorage

from service.cli.annotations import _KINDS
from service.core.annotations import AnnotationSet, PersonObserver
from service.core.annotator import AnnotatorResult
from service.core.findings import Finding, Mask
from service.core.geometry import ImagePlace, Shape, ShapeKind
from service.core.versions import VersionRow
from service.core.volume import Volume
from service.errors import BadRequest, InstanceNotFound
from service.objects.bulk_annotation_reader import read_bulk_annotations
from service.objects.bulk_findings import findings_of_groups
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from service.objects.structure_set_reader import read_structure_set, region_of
from service.objects.writer import write_flat_results
from service.versions.conversion import BULK_ANNOTATIONS, CONVERTED_KINDS, VersionConversion
from tests.annotated_images import flat_image, slide
from tests.marked_studies import SLICES, finding, saved
from tests.unit.test_annotation_versions import PROJECT, Desks
from tests.volumes import ABNORMAL, ALGORITHM, NODULE, ct_sources, volume_of
from tests.written_results import context


class Converting(Desks):
    """The desks, and what converts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.conversion = VersionConversion(
            desk=self.desk,
            seen_by=self.house.index.seen_by,
            blobs=self.house.blobs,
            moved_now=lambda _: datetime(2030, 1, 2, 3, 4, 5),
            version="ANNOGATE_TEST",
        )

    def reading_of(self, image: Dataset, said: AnnotationSet) -> VersionRow:
        """Store an image, in a series of its own, and a report about it."""
        image.SeriesInstanceUID = f"{image.SeriesInstanceUID}.9"
        self.house.pipeline.process_batch([self.house.incoming(image)])
        report = write_annotation_report(said, "Reading", SourceImages.of_images([image]), None, context())
        return self.store(report)

    def masked(self, image: Dataset, *findings: Finding) -> VersionRow:
        """Store an image, in a series of its own, and what was painted on it."""
        image.SeriesInstanceUID = f"{image.SeriesInstanceUID}.9"
        self.house.pipeline.process_batch([self.house.incoming(image)])
        result = AnnotatorResult(findings, ALGORITHM, "painted")
        written = write_flat_results(result, "Reading", [image], context())
        assert written.segmentation is not None
        return self.store(written.segmentation, written.report)

    def one(self, version_id: int, kind: str) -> Dataset:
        """The only object of a kind."""
        converted = self.conversion.convert(PROJECT, version_id, [kind])
        assert converted.left_out == []
        (found,) = converted.objects[kind]
        return found


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Converting]:
    desks = Converting(tmp_path)
    yield desks
    desks.house.close()


def volume() -> Volume:
    return volume_of(ct_sources(SLICES))


def place_of(image: Dataset) -> ImagePlace:
    return ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))


def endoscopy() -> Dataset:
    """A colour image of 16 × 16 pixels."""
    image = flat_image(VLEndoscopicImageStorage, "ES")
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.PixelData = bytes(3 * 16 * 16)
    return image


def small_slide() -> Dataset:
    """Four tiles, and the specimen that bulk annotations name too (PS3.3 C.7.6.22)."""
    image = slide(512, 512)
    image.PixelData = bytes(3 * 512 * 512)
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "SLIDE-1-A", "2.25.4243"
    specimen.IssuerOfTheSpecimenIdentifierSequence = specimen.SpecimenPreparationSequence = []
    image.SpecimenDescriptionSequence = [specimen]
    image.ContainerTypeCodeSequence = image.IssuerOfTheContainerIdentifierSequence = []
    return image


def closed_roi(structure_set: Dataset) -> Finding:
    """The region that encloses something; the line is one of its own."""
    findings = read_structure_set(structure_set).annotations.findings
    (roi,) = [one for one in findings if any(shape.kind is ShapeKind.POLYGON for shape in one.shapes)]
    return roi


def encoded(data_set: Dataset) -> bytes:
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_the_command_offers_every_kind() -> None:
    assert _KINDS == CONVERTED_KINDS


def test_a_readers_mask_becomes_a_structure_set_that_encloses_the_same_voxels(desks: Converting) -> None:
    version = desks.store(*saved(finding()))
    structure_set = desks.one(version.id, "rtstruct")
    filled = region_of(closed_roi(structure_set), volume()).mask
    assert filled is not None
    assert filled.origin == (1, 4, 4)
    assert np.array_equal(filled.voxels, np.ones((2, 4, 4), dtype=bool))


def test_a_presentation_state_draws_mask_and_line_on_their_slices(desks: Converting) -> None:
    version = desks.store(*saved(finding()))
    state = desks.one(version.id, "gsps")
    sources = ct_sources(SLICES)
    on = {str(one.ReferencedImageSequence[0].ReferencedSOPInstanceUID) for one in state.GraphicAnnotationSequence}
    assert on == {str(volume().sources[number].SOPInstanceUID) for number in (1, 2)}
    assert on <= {str(one.SOPInstanceUID) for one in sources}
    assert (state.ContentDate if "ContentDate" in state else state.PresentationCreationDate) == "20240506"


def test_key_objects_name_a_slice_and_the_summary_shows_it(desks: Converting) -> None:
    version = desks.store(*saved(finding()))
    found = desks.conversion.convert(PROJECT, version.id, ["key-object", "summary"])
    assert found.left_out == []
    assert len(found.objects["key-object"]) == 1
    pages = found.objects["summary"]
    assert [one.Modality for one in pages] == ["OT", "OT"]


def test_asked_again_it_is_the_same_and_nothing_is_stored(desks: Converting) -> None:
    version = desks.store(*saved(finding()))
    before = desks.shown()
    alone = desks.one(version.id, "rtstruct")
    beside = desks.conversion.convert(PROJECT, version.id, CONVERTED_KINDS).objects
    assert encoded(alone) == encoded(beside["rtstruct"][0])
    uids = [str(one.SOPInstanceUID) for objects in beside.values() for one in objects]
    assert len(set(uids)) == len(uids)
    assert desks.shown() == before


def test_an_older_version_says_what_it_said(desks: Converting) -> None:
    first = saved(finding(at=4))
    old = desks.store(*first)
    new = desks.store(*saved(finding(at=6), after=first[1]))
    origins = []
    for version in (old, new):
        mask = region_of(closed_roi(desks.one(version.id, "rtstruct")), volume()).mask
        assert mask is not None
        origins.append(mask.origin)
    assert origins == [(1, 4, 4), (1, 6, 6)]


def drawn_on(place: ImagePlace, kind: ShapeKind, *points: tuple[float, float]) -> Finding:
    return Finding("Lesion", "2.25.77", ABNORMAL, NODULE, shapes=(Shape(kind, points, place),))


def person(*findings: Finding) -> AnnotationSet:
    return AnnotationSet(PersonObserver("Reader^First"), findings)


def test_marks_on_a_slide_become_bulk_annotations_of_the_person_who_drew_them(desks: Converting) -> None:
    image = small_slide()
    corners = (10.0, 20.0), (400.0, 20.0), (400.0, 500.0)
    drawn = drawn_on(place_of(image), ShapeKind.POLYGON, *corners)
    version = desks.reading_of(image, person(drawn))
    read = read_bulk_annotations(desks.one(version.id, BULK_ANNOTATIONS))
    (found,) = findings_of_groups(read)
    assert (found.label, found.tracking_uid, found.shapes[0].points) == ("Lesion", "2.25.77", corners)
    assert isinstance(read.author, PersonObserver)


def test_a_colour_image_gets_a_colour_presentation_state_and_its_picture(desks: Converting) -> None:
    image = endoscopy()
    drawn = drawn_on(place_of(image), ShapeKind.LINE, (2.0, 2.0), (9.0, 2.0))
    version = desks.reading_of(image, person(drawn))
    found = desks.conversion.convert(PROJECT, version.id, ["gsps", "summary"])
    assert found.left_out == []
    assert found.objects["gsps"][0].SOPClassUID == ColorSoftcopyPresentationStateStorage
    assert len(found.objects["summary"]) == 2


def test_a_mask_is_its_groups_also_where_its_segment_has_no_tracking_uid(desks: Converting) -> None:
    segmentation, report = saved(finding())
    for segment in segmentation.SegmentSequence:
        del segment.TrackingID, segment.TrackingUID
    version = desks.store(segmentation, report)
    structure_set = desks.one(version.id, "rtstruct")
    assert {one.TrackingUID for one in structure_set.RTROIObservationsSequence} == {finding().tracking_uid}


def test_a_mask_on_a_picture_without_a_place_is_outlined_on_it(desks: Converting) -> None:
    image = endoscopy()
    inside = np.zeros((1, 16, 16), dtype=bool)
    inside[0, 3:6, 4:9] = True
    drawn = Finding("Polyp", "2.25.78", ABNORMAL, NODULE, mask=Mask.cut_from(inside))
    version = desks.masked(image, drawn)
    found = desks.conversion.convert(PROJECT, version.id, ["gsps", "summary", "key-object", "rtstruct"])
    assert [words.partition(":")[0] for words in found.left_out] == ["rtstruct"]
    (state,) = found.objects["gsps"]
    outlines = [one.value for one in state.iterall() if one.keyword == "GraphicData"]
    assert {(4, 3), (9, 6)} <= {tuple(point) for one in outlines for point in np.reshape(one, (-1, 2)).tolist()}
    assert len(found.objects["summary"]) == 2


def test_a_picture_of_another_size_in_the_series_does_not_stand_in_the_way(desks: Converting) -> None:
    image, other = endoscopy(), endoscopy()
    other.SOPInstanceUID, other.Rows, other.PixelData = f"{image.SOPInstanceUID}.2", 20, bytes(3 * 20 * 16)
    other.SeriesInstanceUID = f"{image.SeriesInstanceUID}.9"
    desks.house.pipeline.process_batch([desks.house.incoming(other)])
    mask = Mask(np.ones((1, 2, 2), dtype=bool), (0, 3, 4))
    version = desks.masked(image, Finding("Polyp", "2.25.78", ABNORMAL, NODULE, mask=mask))
    assert desks.one(version.id, "gsps").SOPClassUID == ColorSoftcopyPresentationStateStorage


def test_what_cannot_be_said_is_told(desks: Converting) -> None:
    version = desks.store(*saved(finding()))
    found = desks.conversion.convert(PROJECT, version.id, [BULK_ANNOTATIONS])
    assert found.objects == {}
    assert found.left_out == ["bulk-annotations: Nodule 1: a mask is no bulk annotation; fetch the segmentation"]
    with pytest.raises(BadRequest, match="choose of gsps"):
        desks.conversion.convert(PROJECT, version.id, ["pdf"])
    with pytest.raises(InstanceNotFound):
        desks.conversion.convert(PROJECT, 999, ["gsps"])
