"""One object of each kind that nothing is wrong with, and the images that it is about."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from io import BytesIO

import highdicom as hd
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, VLWholeSlideMicroscopyImageStorage

from service.core.annotations import AnnotationSet, PersonObserver
from service.objects.label_map_twin import write_label_map_twin
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from service.objects.validation import KnownInstances, Problem, judge
from service.objects.writer import write_results
from tests.datasets import STUDY_UID, ct_slice
from tests.volumes import ball, nodule, organ, result_of
from tests.written_results import axial, context

MAKER = {
    "manufacturer": "Annogate",
    "manufacturer_model_name": "Round things",
    "software_versions": "1.2",
    "device_serial_number": "77",
}
OWN = "1.2.826.0.1.3680043.8.498.77"
COPIED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator"),
)


@dataclass
class GoodObject:
    """An object with what is known around it; breaking it changes any of it."""

    data_set: Dataset
    sources: list[Dataset] = field(default_factory=list)
    referenced: list[Dataset] = field(default_factory=list)
    is_complete: bool = False

    def problems(self) -> list[Problem]:
        known = KnownInstances.of(self.sources, self.referenced, is_complete=self.is_complete)
        return judge(self.data_set, known)

    def rules_broken(self) -> set[str]:
        return {problem.rule for problem in self.problems()}


def plain(data_set: Dataset) -> Dataset:
    """As it comes from a file: whoever wrote it, nothing but a data set."""
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def coded(value: str, scheme: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, scheme, meaning)


def segmentation() -> GoodObject:
    volume = axial()
    written = write_results(result_of(nodule(volume), organ(volume)), "Lung nodules", volume, context())
    assert written.segmentation is not None
    return GoodObject(written.segmentation, list(volume.sources))


def report() -> GoodObject:
    volume = axial()
    written = write_results(result_of(nodule(volume), organ(volume)), "Lung nodules", volume, context())
    assert written.segmentation is not None
    return GoodObject(written.report, list(volume.sources), [written.segmentation])


def label_map() -> GoodObject:
    volume, own = axial(), context()
    apart = replace(organ(volume), mask=ball(volume, (4, 12, 12)), measurements=())
    result = result_of(nodule(volume), apart)
    twin = write_label_map_twin(result, "Lung nodules", volume, write_results(result, "Lung nodules", volume, own), own)
    assert twin is not None
    assert twin.segmentation is not None
    return GoodObject(twin.segmentation, list(volume.sources))


def reading() -> GoodObject:
    """What a person read, and stands for."""
    volume = axial()
    sources = SourceImages.of_images(volume.sources)
    finding = replace(nodule(volume), mask=None, measurements=nodule(volume).measurements[:2])
    annotations = AnnotationSet(PersonObserver("Reader^First", "reader1", "Clinic"), (finding,))
    return GoodObject(write_annotation_report(annotations, "Reading", sources, None, context()), list(volume.sources))


def _highdicom_made(made: Dataset, sources: list[Dataset]) -> GoodObject:
    data_set = plain(made)
    if data_set.Modality != "KO":
        data_set.Laterality = ""  # dciodvfy asks for it as long as no body part is named
    return GoodObject(data_set, sources)


def parametric_map() -> GoodObject:
    sources = [_with_patient(source) for source in axial().sources]
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="1",
        lut_explanation="Attenuation",
        unit=coded("[hnsf'U]", "UCUM", "Hounsfield unit"),
        value_range=(-1000.0, 3000.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=coded("112031", "DCM", "Attenuation Coefficient"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.pm.ParametricMap(
            source_images=sources,
            pixel_array=np.zeros((len(sources), 16, 16), dtype=np.float32),
            series_instance_uid=f"{OWN}.1",
            series_number=77,
            sop_instance_uid=f"{OWN}.1.1",
            instance_number=1,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapping],
            window_center=0,
            window_width=100,
            content_label="MAP",
            content_description="A map",
            **MAKER,
        )
    return _highdicom_made(made, sources)


def key_object() -> GoodObject:
    sources = [_with_patient(source) for source in axial().sources[:2]]
    content = hd.ko.KeyObjectSelection(
        document_title=coded("113000", "DCM", "Of Interest"), referenced_objects=sources, description="Look here"
    )
    made = hd.ko.KeyObjectSelectionDocument(
        evidence=sources,
        content=content,
        series_instance_uid=f"{OWN}.2",
        series_number=78,
        sop_instance_uid=f"{OWN}.2.1",
        instance_number=1,
        manufacturer="Annogate",
        institution_name=None,
        requested_procedures=None,
    )
    return _highdicom_made(made, sources)


def presentation_state() -> GoodObject:
    sources = [_with_patient(source) for source in axial().sources[:2]]
    graphic = hd.pr.GraphicObject(
        graphic_type=hd.pr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array([[2.0, 2.0], [9.0, 9.0]]),
        units=hd.pr.AnnotationUnitsValues.PIXEL,
        tracking_id="Line",
        tracking_uid=f"{OWN}.3.9",
    )
    layer = hd.pr.GraphicLayer(layer_name="LINES", order=1, description="Lines")
    annotation = hd.pr.GraphicAnnotation(referenced_images=sources, graphic_layer=layer, graphic_objects=[graphic])
    made = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=sources,
        series_instance_uid=f"{OWN}.3",
        series_number=79,
        sop_instance_uid=f"{OWN}.3.1",
        instance_number=1,
        content_label="LINES",
        content_description="Lines",
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        concept_name=None,
        **MAKER,
    )
    return _highdicom_made(made, sources)


def slide() -> Dataset:
    """The header of a tiled microscopy image."""
    image = _with_patient(ct_slice())
    image.SOPClassUID, image.Modality = VLWholeSlideMicroscopyImageStorage, "SM"
    image.TotalPixelMatrixRows, image.TotalPixelMatrixColumns = 64, 96
    image.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    image.NumberOfFrames = 24
    for keyword in ("PixelData", "ImagePositionPatient", "ImageOrientationPatient"):
        del image[keyword]
    return image


def bulk_annotations() -> GoodObject:
    sources = [slide()]
    algorithm = hd.AlgorithmIdentificationSequence(
        name="Cells", family=coded("123110", "DCM", "Artificial Intelligence"), version="1"
    )
    group = hd.ann.AnnotationGroup(
        number=1,
        uid=f"{OWN}.4.9",
        label="Cells",
        annotated_property_category=coded("123037004", "SCT", "Anatomical Structure"),
        annotated_property_type=coded("84640000", "SCT", "Nucleus"),
        graphic_type=hd.ann.GraphicTypeValues.POLYGON,
        graphic_data=[
            np.array([[1.0, 1.0], [5.0, 1.0], [5.0, 5.0]]),
            np.array([[10.0, 10.0], [15.0, 10.0], [15.0, 15.0], [10.0, 15.0]]),
        ],
        algorithm_type=hd.ann.AnnotationGroupGenerationTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        measurements=[
            hd.ann.Measurements(
                name=coded("42798000", "SCT", "Area"),
                unit=coded("um2", "UCUM", "square micrometer"),
                values=np.array([8.0, 25.0], dtype=np.float32),
            )
        ],
    )
    made = hd.ann.MicroscopyBulkSimpleAnnotations(
        source_images=sources,
        annotation_coordinate_type=hd.ann.AnnotationCoordinateTypeValues.SCOORD,
        annotation_groups=[group],
        series_instance_uid=f"{OWN}.4",
        series_number=80,
        sop_instance_uid=f"{OWN}.4.1",
        instance_number=1,
        content_label="CELLS",
        content_description="Cells",
        **MAKER,
    )
    return _highdicom_made(made, sources)


def secondary_capture() -> GoodObject:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.sc.SCImage(
            pixel_array=np.zeros((16, 16, 3), dtype=np.uint8),
            photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
            bits_allocated=8,
            coordinate_system=hd.CoordinateSystemNames.PATIENT,
            study_instance_uid=STUDY_UID,
            series_instance_uid=f"{OWN}.5",
            series_number=81,
            sop_instance_uid=f"{OWN}.5.1",
            instance_number=1,
            manufacturer="Annogate",
            patient_id="PAT-4711",
            patient_name="Doe^Jane",
            patient_birth_date="19610502",
            patient_sex="F",
            accession_number="ACC-99",
            study_id="77",
            study_date="20240317",
            study_time="081530",
            patient_orientation=("L", "P"),
        )
    return _highdicom_made(made, [])


def structure_set() -> GoodObject:
    sources = list(axial().sources)
    made = Dataset()
    for keyword in COPIED:
        made[keyword] = deepcopy(sources[0][keyword])
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = RTStructureSetStorage, f"{OWN}.6.1"
    made.SeriesInstanceUID, made.SeriesNumber, made.Modality = f"{OWN}.6", 82, "RTSTRUCT"
    made.Manufacturer, made.OperatorsName = "Annogate", ""
    made.StructureSetLabel, made.StructureSetDate, made.StructureSetTime = "NODULES", "20190304", "050607"
    made.ReferencedFrameOfReferenceSequence = [_referenced_frame(sources)]
    made.StructureSetROISequence = [
        item(
            ROINumber=1,
            ReferencedFrameOfReferenceUID=sources[0].FrameOfReferenceUID,
            ROIName="Nodule 1",
            ROIGenerationAlgorithm="AUTOMATIC",
        )
    ]
    x, y, z = (float(value) for value in sources[3].ImagePositionPatient)
    points = [x + 2, y + 2, z, x + 6, y + 2, z, x + 6, y + 6, z, x + 2, y + 6, z]
    contour = item(
        ContourImageSequence=[reference_to(sources[3])],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=4,
        ContourData=points,
    )
    made.ROIContourSequence = [item(ReferencedROINumber=1, ROIDisplayColor=[255, 0, 0], ContourSequence=[contour])]
    made.RTROIObservationsSequence = [
        item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="", ROIInterpreter="")
    ]
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return GoodObject(plain(made), sources)


def _referenced_frame(sources: list[Dataset]) -> Dataset:
    series = item(
        SeriesInstanceUID=sources[0].SeriesInstanceUID,
        ContourImageSequence=[reference_to(source) for source in sources],
    )
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=sources[0].StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return item(FrameOfReferenceUID=sources[0].FrameOfReferenceUID, RTReferencedStudySequence=[study])


def item(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def reference_to(data_set: Dataset) -> Dataset:
    return item(ReferencedSOPClassUID=data_set.SOPClassUID, ReferencedSOPInstanceUID=data_set.SOPInstanceUID)


def _with_patient(source: Dataset) -> Dataset:
    """A source with what highdicom reads of it."""
    image = deepcopy(source)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


KINDS: dict[str, Callable[[], GoodObject]] = {
    "segmentation": segmentation,
    "label map": label_map,
    "report": report,
    "reading": reading,
    "parametric map": parametric_map,
    "key object": key_object,
    "presentation state": presentation_state,
    "bulk annotations": bulk_annotations,
    "secondary capture": secondary_capture,
    "structure set": structure_set,
}


@cache
def _made(kind: str) -> GoodObject:
    return KINDS[kind]()


def good(kind: str) -> GoodObject:
    """A copy that may be broken."""
    return deepcopy(_made(kind))
