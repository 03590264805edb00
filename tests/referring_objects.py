"""One study of objects that refer to each other in every way that their IODs have, and what refers to what."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from tests.datasets import STUDY_UID, ct_slice, encode

CT = "1.2.840.10008.5.1.4.1.1.2"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
KO = "1.2.840.10008.5.1.4.1.1.88.59"
ROOT = "1.2.826.0.1.3680043.8.498.1"
FRAME_OF_REFERENCE = f"{STUDY_UID}.9"
OWN_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
"""Of an object at its top; anywhere else, and under any other keyword, they refer."""


def item(**elements: object) -> Dataset:
    data_set = Dataset()
    for keyword, value in elements.items():
        setattr(data_set, keyword, value)
    return data_set


def code(value: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def to(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    return item(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=sop_instance_uid)


def uids(kind: int) -> tuple[str, str]:
    """Series and SOP Instance UID of the object of one kind."""
    return f"{ROOT}.{kind}", f"{ROOT}.{kind}.1"


CT_SERIES, SEG_UIDS, SR_UIDS, RT_UIDS, GSPS_UIDS, KO_UIDS = f"{ROOT}.1", uids(2), uids(3), uids(4), uids(5), uids(6)
SLICES = [f"{CT_SERIES}.{number}" for number in (1, 2)]


def of_study(sop_class_uid: str, modality: str, own: tuple[str, str]) -> Dataset:
    """What an object without pixels shares with the images of its study."""
    data_set = ct_slice(series_uid=own[0], sop_instance_uid=own[1])
    for keyword in ("PixelData", "ImageType", "ImagePositionPatient", "Rows", "Columns", "KVP"):
        delattr(data_set, keyword)
    data_set.SOPClassUID, data_set.Modality = sop_class_uid, modality
    return data_set


def slices() -> list[Dataset]:
    return [to(CT, uid) for uid in SLICES]


def evidence() -> list[Dataset]:
    series = [
        item(SeriesInstanceUID=CT_SERIES, ReferencedSOPSequence=slices()),
        item(SeriesInstanceUID=SEG_UIDS[0], ReferencedSOPSequence=[to(SEG, SEG_UIDS[1])]),
    ]
    return [item(StudyInstanceUID=STUDY_UID, ReferencedSeriesSequence=series)]


def images() -> list[Dataset]:
    return [ct_slice(number, series_uid=CT_SERIES) for number in (1, 2)]


def segmentation() -> Dataset:
    data_set = of_study(SEG, "SEG", SEG_UIDS)
    data_set.ReferencedSeriesSequence = [item(SeriesInstanceUID=CT_SERIES, ReferencedInstanceSequence=slices())]
    data_set.SegmentSequence = [item(SegmentNumber=1, SegmentLabel="nodule", TrackingUID=f"{ROOT}.7.1")]
    derived = [item(SourceImageSequence=[one], DerivationCodeSequence=[code("113076", "x")]) for one in slices()]
    data_set.PerFrameFunctionalGroupsSequence = [item(DerivationImageSequence=[one]) for one in derived]
    data_set.Rows = data_set.Columns = 2
    data_set.BitsAllocated = data_set.BitsStored = 8
    data_set.HighBit, data_set.NumberOfFrames, data_set.PixelRepresentation = 7, 2, 0
    data_set.PixelData = bytes(8)
    data_set["PixelData"].VR = "OB"
    return data_set


def report() -> Dataset:
    data_set = of_study(SR, "SR", SR_UIDS)
    data_set.CurrentRequestedProcedureEvidenceSequence = evidence()
    image = item(RelationshipType="SELECTED FROM", ValueType="IMAGE", ReferencedSOPSequence=[to(CT, SLICES[0])])
    region = item(RelationshipType="INFERRED FROM", ValueType="SCOORD3D", GraphicType="POINT")
    region.ReferencedFrameOfReferenceUID, region.GraphicData = FRAME_OF_REFERENCE, [0, 0, 0]
    region.ConceptNameCodeSequence = [code("111030", "Image Region")]
    number = item(RelationshipType="CONTAINS", ValueType="NUM", ContentSequence=[image, region])
    tracking = item(RelationshipType="HAS OBS CONTEXT", ValueType="UIDREF", UID=f"{ROOT}.7.1")
    tracking.ConceptNameCodeSequence = [code("112040", "Tracking Unique Identifier")]
    segment = item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[to(SEG, SEG_UIDS[1])])
    segment.ReferencedSOPSequence[0].ReferencedSegmentNumber = 1
    data_set.ValueType, data_set.ContinuityOfContent = "CONTAINER", "SEPARATE"
    group = item(RelationshipType="CONTAINS", ValueType="CONTAINER", ContentSequence=[tracking, number, segment])
    data_set.ContentSequence = [group]
    return data_set


def structure_set() -> Dataset:
    data_set = of_study(RTSTRUCT, "RTSTRUCT", RT_UIDS)
    series = item(SeriesInstanceUID=CT_SERIES, ContourImageSequence=slices())
    study = to("1.2.840.10008.3.1.2.3.1", STUDY_UID)
    study.RTReferencedSeriesSequence = [series]
    frame = item(FrameOfReferenceUID=FRAME_OF_REFERENCE, RTReferencedStudySequence=[study])
    data_set.ReferencedFrameOfReferenceSequence = [frame]
    roi = item(ROINumber=1, ReferencedFrameOfReferenceUID=FRAME_OF_REFERENCE, ROIName="nodule")
    data_set.StructureSetROISequence = [roi]
    contour = item(ContourImageSequence=[to(CT, SLICES[1])], ContourData=[0, 0, 0])
    data_set.ROIContourSequence = [item(ReferencedROINumber=1, ContourSequence=[contour])]
    return data_set


def presentation_state() -> Dataset:
    data_set = of_study(GSPS, "PR", GSPS_UIDS)
    data_set.ReferencedSeriesSequence = [item(SeriesInstanceUID=CT_SERIES, ReferencedImageSequence=slices())]
    graphic = item(ReferencedImageSequence=[to(CT, SLICES[0])], GraphicLayer="LAYER1")
    graphic.TextObjectSequence = [item(UnformattedTextValue="nodule", AnchorPoint=[1, 1])]
    data_set.GraphicAnnotationSequence = [graphic]
    data_set.GraphicLayerSequence = [item(GraphicLayer="LAYER1", GraphicLayerOrder=1)]
    return data_set


def key_object() -> Dataset:
    data_set = of_study(KO, "KO", KO_UIDS)
    data_set.CurrentRequestedProcedureEvidenceSequence = evidence()
    data_set.ValueType, data_set.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data_set.ContentSequence = [
        item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[one])
        for one in (to(CT, SLICES[1]), to(SEG, SEG_UIDS[1]))
    ]
    return data_set


def referring_objects() -> dict[str, Dataset]:
    """The objects by name, as a gateway reads them: raw elements, nothing converted."""
    first, second = images()
    objects = {
        "image 1": first,
        "image 2": second,
        "segmentation": segmentation(),
        "report": report(),
        "structure set": structure_set(),
        "presentation state": presentation_state(),
        "key object": key_object(),
    }
    return {name: read_dataset(BytesIO(encode(one)), False, True) for name, one in objects.items()}


def own_uids(data_set: Dataset) -> dict[str, str]:
    """The UIDs under which an object may be referred to, by keyword."""
    return {keyword: str(data_set.get(keyword)) for keyword in OWN_UIDS if data_set.get(keyword)}


def references(data_set: Dataset, path: str = "") -> Iterator[tuple[str, str]]:
    """Where an object refers to others: path and UID."""
    for element in data_set:
        here = f"{path}{element.keyword}"
        if element.VR == "SQ":
            for number, one in enumerate(element.value):
                yield from references(one, f"{here}[{number}].")
        elif element.VR == "UI" and "Class" not in element.keyword and (path or element.keyword not in OWN_UIDS):
            yield here, str(element.value)
