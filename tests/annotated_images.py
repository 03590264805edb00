"""Images of every kind that annotations are drawn on, and annotations drawn at random."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    UltrasoundMultiFrameImageStorage,
    VLEndoscopicImageStorage,
    VLWholeSlideMicroscopyImageStorage,
)

from service.core.annotations import (
    AnnotationSet,
    Answer,
    Outcome,
    PersonObserver,
    ProtocolReference,
    SeriesTarget,
    StudyTarget,
)
from service.core.codes import Code, ucum
from service.core.findings import AlgorithmIdentification, Evaluation, Finding, Measurement
from service.core.geometry import ImagePlace, PatientPlace, Shape, ShapeKind
from service.objects.source_images import SourceImages
from tests.volumes import ABNORMAL, ALGORITHM, LEFT, LUNG, NODULE, ct_sources, enhanced_volume, legacy_converted_volume

LENGTH = Code("410668003", "SCT", "Length")
AREA = Code("42798000", "SCT", "Area")
ANGLE = Code("1483009", "SCT", "Angle")
MM = ucum("mm", "millimeter")


def flat_image(sop_class_uid: str, modality: str, number: int = 1, **more: object) -> Dataset:
    """An image that lies nowhere in the patient: a projection, an ultrasound, a photograph."""
    image = ct_sources(1)[0]
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"):
        if keyword in image:
            del image[keyword]
    del image.PixelSpacing
    image.SOPClassUID, image.Modality = sop_class_uid, modality
    image.SOPInstanceUID = f"{image.SOPInstanceUID}.{number}"
    for keyword, value in more.items():
        setattr(image, keyword, value)
    return image


def mammograms() -> list[Dataset]:
    """Two views of one series, at the detector's spacing."""
    kind = DigitalMammographyXRayImageStorageForPresentation
    return [flat_image(kind, "MG", number, ImagerPixelSpacing=[0.1, 0.1]) for number in (1, 2)]


def slide(columns: int = 5000, rows: int = 3000, tile: int = 256) -> Dataset:
    """The header of a whole slide image, tiled in full, without its pixels."""
    image = flat_image(VLWholeSlideMicroscopyImageStorage, "SM")
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.Rows = image.Columns = tile
    image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows = columns, rows
    image.NumberOfFrames = -(-columns // tile) * -(-rows // tile)
    image.DimensionOrganizationType = "TILED_FULL"
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = "2.25.4242", "SLIDE_CORNER"
    image.ContainerIdentifier = "SLIDE-1"
    return image


SOURCES = {
    "CT slices": lambda: ct_sources(8),
    "enhanced CT": lambda: list(enhanced_volume().sources),
    "legacy converted CT": lambda: list(legacy_converted_volume().sources),
    "radiograph": lambda: [flat_image(ComputedRadiographyImageStorage, "CR", PixelSpacing=[0.2, 0.3])],
    "mammograms": mammograms,
    "ultrasound cine": lambda: [flat_image(UltrasoundMultiFrameImageStorage, "US", NumberOfFrames=12)],
    "endoscopy": lambda: [flat_image(VLEndoscopicImageStorage, "ES")],
    "slide": lambda: [slide()],
}


def _float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, width=32, allow_nan=False).map(lambda value: _float32(value) + 0.0)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
COUNTS = {
    ShapeKind.POINT: 1,
    ShapeKind.LINE: 2,
    ShapeKind.POLYLINE: 5,
    ShapeKind.POLYGON: 5,
    ShapeKind.FREEHAND: 7,
    ShapeKind.RECTANGLE: 4,
    ShapeKind.CIRCLE: 2,
    ShapeKind.ELLIPSE: 4,
    ShapeKind.ANGLE: 3,
    ShapeKind.COBB_ANGLE: 4,
    ShapeKind.KEYPOINTS: 4,
}


@st.composite
def image_shapes(draw: st.DrawFn, headers: Sequence[Dataset], kinds: Sequence[ShapeKind] = tuple(COUNTS)) -> Shape:
    """A shape in the pixels of one of the images."""
    header = draw(st.sampled_from(list(headers)))
    frames = int(header.get("NumberOfFrames") or 1)
    kind = draw(st.sampled_from([*kinds]))
    chosen = (draw(st.integers(1, frames)),) if frames > 1 else ()
    place = ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID), chosen)
    column, row = _numbers(0, float(header.Columns)), _numbers(0, float(header.Rows))
    count = COUNTS[kind]
    points = draw(st.lists(st.tuples(column, row), min_size=count, max_size=count, unique=True))
    if kind is not ShapeKind.KEYPOINTS:
        return Shape(kind, tuple(points), place)
    names = draw(st.lists(WORDS, min_size=count, max_size=count, unique=True))
    edges = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=4))
    return Shape(kind, tuple(points), place, tuple(names), tuple(edges))


@st.composite
def whole_frames(draw: st.DrawFn, headers: Sequence[Dataset]) -> Shape:
    """An image as a whole, or some of its frames."""
    header = draw(st.sampled_from(list(headers)))
    frames = int(header.get("NumberOfFrames") or 1)
    chosen = draw(st.lists(st.integers(1, frames), max_size=5, unique=True)) if frames > 1 else []
    place = ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID), tuple(sorted(chosen)))
    return Shape(ShapeKind.FRAMES, (), place)


@st.composite
def space_shapes(draw: st.DrawFn, sources: SourceImages) -> Shape:
    """A shape that leaves every slice."""
    place = PatientPlace(sources.frame_of_reference_uid)
    numbers = st.tuples(_numbers(-50, 50), _numbers(-50, 50), _numbers(-500, 500))
    kind = draw(st.sampled_from([ShapeKind.LINE, ShapeKind.POLYLINE, ShapeKind.ELLIPSOID, ShapeKind.ANGLE]))
    count = 6 if kind is ShapeKind.ELLIPSOID else COUNTS[kind]
    points = draw(st.lists(numbers, min_size=count, max_size=count, unique_by=lambda one: round(one[2])))
    return Shape(kind, tuple(points), place)


@st.composite
def findings(draw: st.DrawFn, sources: SourceImages, number: int) -> Finding:
    """A finding with shapes, measured and not."""
    drawn = image_shapes(sources.headers)
    anything = st.one_of(drawn, whole_frames(sources.headers))
    if sources.planes:
        anything = st.one_of(anything, space_shapes(sources))
    value = st.floats(0, 1e6, allow_nan=False)
    measured = draw(st.lists(st.tuples(st.sampled_from([LENGTH, AREA, ANGLE]), value, drawn), max_size=2))
    measurements = [Measurement(name, number, MM, shape) for name, number, shape in measured]
    taken = {shape for _, _, shape in measured}
    shapes = [one for one in draw(st.lists(anything, min_size=1, max_size=3, unique=True)) if one not in taken]
    return Finding(
        label=draw(WORDS),
        tracking_uid=f"2.25.77{number}",
        category=ABNORMAL,
        type=NODULE,
        site=draw(st.sampled_from([LUNG, None])),
        laterality=draw(st.sampled_from([LEFT, None])),
        shapes=tuple(shapes),
        measurements=tuple(measurements),
        evaluations=tuple(draw(st.lists(st.builds(Evaluation, st.just(LENGTH), WORDS), max_size=2))),
        confidence=draw(st.one_of(st.none(), st.integers(0, 1000).map(lambda value: value / 1000))),
        comment=draw(st.one_of(st.just(""), WORDS)),
    )


AUTHORS = st.sampled_from([ALGORITHM, PersonObserver("Reader^First", "reader1", "Clinic"), PersonObserver("Reader^B")])


@st.composite
def annotation_sets(draw: st.DrawFn, sources: SourceImages) -> AnnotationSet:
    """Everything that one author may say of one series."""
    count = draw(st.integers(0, 3))
    found = tuple(draw(findings(sources, number)) for number in range(count))
    header = sources.headers[0]
    targets = st.sampled_from(
        [
            SeriesTarget(sources.series_uid),
            StudyTarget(),
            ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID)),
        ]
    )
    answers = st.builds(Answer, st.sampled_from([NODULE, LUNG]), st.one_of(WORDS, st.just(LEFT)), targets)
    author = draw(AUTHORS)
    outcomes = [None, Outcome.FINDINGS] if found else [None, Outcome.NO_FINDING, Outcome.NOT_ASSESSABLE]
    return AnnotationSet(
        author=author,
        findings=found,
        answers=tuple(draw(st.lists(answers, max_size=3))),
        outcome=draw(st.sampled_from(outcomes)),
        summary=draw(st.one_of(st.just(""), WORDS)),
        comment=draw(st.one_of(st.just(""), WORDS)),
        protocol=draw(st.sampled_from([None, ProtocolReference("lung-screening", "3")])),
        seconds_spent=draw(st.one_of(st.none(), st.integers(0, 10**6).map(lambda value: value / 8))),
    )


def is_algorithm(annotations: AnnotationSet) -> bool:
    """Whether a program made them."""
    return isinstance(annotations.author, AlgorithmIdentification)
