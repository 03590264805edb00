"""Objects and their images, sent to a house as others send them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from service.core.records import Outcome, OutcomeKind
from service.objects.result_context import WrittenResult
from service.objects.writer import write_results
from tests.datasets import ct_slice
from tests.good_objects import GoodObject
from tests.ingest_house import IngestHouse
from tests.volumes import nodule, result_of, volume_of
from tests.written_results import context


def image_of(source: Dataset) -> Dataset:
    """A source as it is sent: with pixels."""
    image = deepcopy(source)
    if "PixelData" not in image and "Rows" in image:
        frames = int(image.get("NumberOfFrames") or 1)
        image.PixelData = bytes(2 * frames * image.Rows * image.Columns)
        image["PixelData"].VR = "OW"
    return image


def syntax_of(data_set: Dataset) -> str:
    """The transfer syntax that an object says it is in; that of plain values where it says none."""
    meta = getattr(data_set, "file_meta", None)
    return str((meta.get("TransferSyntaxUID") if meta is not None else None) or ExplicitVRLittleEndian)


def send(house: IngestHouse, data_set: Dataset, project: str = "clinical", **changes: object) -> Outcome:
    """Through the pipeline."""
    return house.pipeline.process(house.incoming(data_set, project, syntax_of(data_set), **changes))


def send_all(house: IngestHouse, one: GoodObject, **changes: object) -> Outcome:
    """Images and other objects first, then the one that is about them."""
    for image in one.sources:
        assert send(house, image_of(image)).kind in (OutcomeKind.ARCHIVED, OutcomeKind.DUPLICATE)
    for other in one.referenced:
        send(house, other)
    return send(house, one.data_set, **changes)


def served_results(house: IngestHouse) -> WrittenResult:
    """Segmentation and report that somebody made on the images as a de-identifying project serves them."""
    outcomes = [send(house, ct_slice(number), "research") for number in range(1, 9)]
    rows = [house.index.find("research", outcome.sop_instance_uid) for outcome in outcomes]
    served = [house.stored(row) for row in rows if row is not None]
    study_uid, series_uid = served[0].StudyInstanceUID, served[0].SeriesInstanceUID
    volume = replace(volume_of(served), study_uid=study_uid, series_uid=series_uid)
    return write_results(result_of(nodule(volume)), "Nodules", volume, context())


def served_segmentation(house: IngestHouse) -> Dataset:
    """The segmentation of those."""
    written = served_results(house).segmentation
    assert written is not None
    return written


def source_of_nobody(written: Dataset) -> None:
    """The images that it was drawn on are not known."""
    for frame in written.PerFrameFunctionalGroupsSequence:
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "2.25.404"
