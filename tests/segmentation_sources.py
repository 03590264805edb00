"""Images of every kind that a segmentation is drawn on, without pixels: with and without a place, tiled, in colour."""

from __future__ import annotations

from collections.abc import Callable

from pydicom.dataset import Dataset

from service.core.source_frames import SourceFrames
from service.objects.source_frames_reader import frames_of_images, frames_of_volume
from tests.datasets import ct_slice
from tests.volumes import AXIAL, ct_sources, enhanced_volume, volume_of
from tests.written_results import VOLUMES

_GEOMETRY = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "PixelData",
)
MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
ULTRASOUND_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
MULTI_FRAME_TRUE_COLOUR = "1.2.840.10008.5.1.4.1.1.7.4"
VIDEO_ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SLIDE_MICROSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.6"


def placeless(sop_class_uid: str, modality: str, number: int = 1, *, rows: int = 12, columns: int = 10) -> Dataset:
    """An image that says nothing of a place."""
    image = ct_slice(number, rows=rows, columns=columns)
    for keyword in _GEOMETRY:
        del image[keyword]
    image.SOPClassUID, image.Modality = sop_class_uid, modality
    return image


def projection() -> Dataset:
    """A mammogram: one frame, a spacing at the detector, lossy compressed once."""
    image = placeless(MAMMOGRAPHY, "MG", rows=18, columns=13)
    image.ImagerPixelSpacing, image.PatientOrientation, image.ImageLaterality = [0.07, 0.07], ["A", "F"], "R"
    image.LossyImageCompression, image.LossyImageCompressionRatio = "01", "12"
    image.LossyImageCompressionMethod = "ISO_10918_1"
    return image


def radiograph() -> Dataset:
    """A CR with Pixel Spacing, but no Frame of Reference."""
    image = placeless(COMPUTED_RADIOGRAPHY, "CR")
    image.PixelSpacing, image.PatientOrientation = [0.2, 0.2], ["L", "F"]
    return image


def in_colour(image: Dataset) -> Dataset:
    """The image in RGB."""
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    return image


def cine() -> Dataset:
    """An ultrasound loop in colour: frames one after the other in time."""
    image = in_colour(placeless(ULTRASOUND_MULTI_FRAME, "US"))
    image.NumberOfFrames, image.FrameTime, image.FrameIncrementPointer = 6, "40", 0x00181063
    return image


def endoscopy() -> Dataset:
    """A video of an endoscope."""
    image = in_colour(placeless(VIDEO_ENDOSCOPIC, "ES"))
    image.NumberOfFrames, image.CineRate = 5, 25
    return image


def pages() -> Dataset:
    """A multi-frame Secondary Capture whose frames are nothing in time."""
    image = in_colour(placeless(MULTI_FRAME_TRUE_COLOUR, "OT"))
    image.NumberOfFrames = 4
    return image


def moving_heart() -> Dataset:
    """An enhanced MR of three slices at two times, place and time in the functional groups."""
    image = placeless(ENHANCED_MR, "MR")
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = "2.25.31", ""
    image.NumberOfFrames = 6
    image.SharedFunctionalGroupsSequence = [_plane_groups()]
    image.PerFrameFunctionalGroupsSequence = [
        _frame_group(position, time) for time in (1, 2) for position in (0.0, 4.0, 8.0)
    ]
    return image


def weighted() -> Dataset:
    """An enhanced MR of two slices, each twice: by b-value, not in time."""
    image = moving_heart()
    image.NumberOfFrames = 4
    image.PerFrameFunctionalGroupsSequence = [_frame_group(position, None) for position in (0.0, 0.0, 5.0, 5.0)]
    return image


def _plane_groups() -> Dataset:
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.5, 1.25], 4
    orientation.ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    return shared


def _frame_group(position: float, time: int | None) -> Dataset:
    place, content, group = Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = [-10, -20, position]
    content.FrameAcquisitionNumber = 1
    if time is not None:
        content.TemporalPositionIndex = time
    group.PlanePositionSequence, group.FrameContentSequence = [place], [content]
    return group


def slide(*, sparse: bool = False, optical_paths: int = 1) -> Dataset:
    """A slide of 26 × 30 pixels in tiles of 12 × 10, those at its edge reaching beyond; TILED_SPARSE lacks one."""
    image = in_colour(placeless(SLIDE_MICROSCOPY, "SM"))
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = "2.25.32", "SLIDE_CORNER"
    image.TotalPixelMatrixRows, image.TotalPixelMatrixColumns = 26, 30
    image.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    origin, measures, shared = Dataset(), Dataset(), Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20, 40
    image.TotalPixelMatrixOriginSequence = [origin]
    measures.PixelSpacing, measures.SliceThickness = [0.0005, 0.0005], 0.001
    shared.PixelMeasuresSequence = [measures]
    image.SharedFunctionalGroupsSequence = [shared]
    _add_specimen(image)
    tiles = [(row, column) for row in (1, 13, 25) for column in (1, 11, 21)]
    if not sparse:
        image.DimensionOrganizationType = "TILED_FULL"
        image.NumberOfFrames, image.NumberOfOpticalPaths = len(tiles) * optical_paths, optical_paths
        return image
    image.DimensionOrganizationType = "TILED_SPARSE"
    image.NumberOfFrames = len(tiles) - 1
    image.PerFrameFunctionalGroupsSequence = [_tile_group(row, column) for row, column in tiles[::-1][:-1]]
    return image


def _tile_group(row: int, column: int) -> Dataset:
    place, group = Dataset(), Dataset()
    place.XOffsetInSlideCoordinateSystem = 20 - (row - 1) * 0.0005
    place.YOffsetInSlideCoordinateSystem = 40 - (column - 1) * 0.0005
    place.ZOffsetInSlideCoordinateSystem = 0
    place.RowPositionInTotalImagePixelMatrix, place.ColumnPositionInTotalImagePixelMatrix = row, column
    group.PlanePositionSlideSequence = [place]
    return group


def _add_specimen(image: Dataset) -> None:
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "S-1", "2.25.33"
    specimen.IssuerOfTheSpecimenIdentifierSequence = []
    specimen.SpecimenPreparationSequence = []
    image.ContainerIdentifier = "C-1"
    image.IssuerOfTheContainerIdentifierSequence = []
    image.ContainerTypeCodeSequence = []
    image.SpecimenDescriptionSequence = [specimen]


def _of(image: Callable[[], Dataset]) -> Callable[[], SourceFrames]:
    return lambda: frames_of_images([image()])


SOURCES: dict[str, Callable[[], SourceFrames]] = {
    **{name: (lambda make=make: frames_of_volume(make())) for name, make in VOLUMES.items()},
    "odd size": lambda: frames_of_volume(volume_of(ct_sources(5, rows=11, columns=13))),
    "enhanced, orientation shared": lambda: frames_of_volume(enhanced_volume(orientation_per_frame=False)),
    "single slice": lambda: frames_of_images(ct_sources(1)),
    "mammogram": _of(projection),
    "radiograph": _of(radiograph),
    "ultrasound loop": _of(cine),
    "endoscopy": _of(endoscopy),
    "pages": _of(pages),
    "moving heart": _of(moving_heart),
    "b-values": _of(weighted),
    "slide, TILED_FULL": _of(slide),
    "slide, TILED_SPARSE": lambda: frames_of_images([slide(sparse=True)]),
    "slide, two optical paths": lambda: frames_of_images([slide(optical_paths=2)]),
}
