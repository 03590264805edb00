"""The images of one series that annotations are about: who they are, and where those lie that have a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pydicom.dataset import Dataset

from service.core.geometry import ImagePlace, PatientPlace, Shape
from service.core.source_frames import SourceFrames
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.image_plane import ImagePlane, nearest_plane, plane_of, planes_of, slice_distance_mm


@dataclass(frozen=True, slots=True, eq=False)
class SourceImages:
    """Images of one series.

    Parameters
    ----------
    headers : of each image, once
    planes : of each slice or frame that lies somewhere in the patient; none for projections, ultrasound, photographs
    slice_distance_mm : between neighbouring planes along their normal
    frame_of_reference_uid : of the planes; empty without any
    volume : the grid that masks are in, if there is one
    frames : what masks are counted in where there is no volume
    """

    headers: tuple[Dataset, ...]
    planes: tuple[ImagePlane, ...]
    slice_distance_mm: float
    frame_of_reference_uid: str
    volume: Volume | None = None
    frames: SourceFrames | None = None

    @classmethod
    def of_volume(cls, volume: Volume) -> SourceImages:
        """The slices of a volume."""
        headers = tuple({str(source.SOPInstanceUID): source for source in volume.sources}.values())
        distance = slice_distance_mm(volume) if volume.shape[0] > 1 else 1.0
        return cls(headers, planes_of(volume), distance, volume.frame_of_reference_uid, volume)

    @classmethod
    def of_images(cls, headers: Iterable[Dataset], frames: SourceFrames | None = None) -> SourceImages:
        """Images by themselves, of one series and in any order.

        Parameters
        ----------
        frames : theirs, where findings have masks

        Raises
        ------
        ObjectInvalid : there is none, or they are of several series
        """
        images = tuple({str(header.SOPInstanceUID): header for header in headers}.values())
        if len({str(image.SeriesInstanceUID) for image in images}) != 1:
            raise ObjectInvalid("annotations are about the images of one series at a time")
        planes = tuple(plane for image in images for plane in _planes(image))
        reference = str(images[0].get("FrameOfReferenceUID", "")) if planes else ""
        return cls(images, planes, _least_distance(planes), reference, frames=frames)

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return str(self.headers[0].SeriesInstanceUID)

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return str(self.headers[0].StudyInstanceUID)

    @property
    def modality(self) -> str:
        """Modality (0008,0060)."""
        return str(self.headers[0].get("Modality", ""))

    @property
    def instances(self) -> list[tuple[str, str]]:
        """SOP class and instance of each image."""
        return [(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in self.headers]

    def header_of(self, place: ImagePlace) -> Dataset:
        """The image that something was drawn on.

        Raises
        ------
        ObjectInvalid : it is none of these, or has no such frame
        """
        header = next((one for one in self.headers if str(one.SOPInstanceUID) == place.sop_instance_uid), None)
        if header is None:
            raise ObjectInvalid("a shape is drawn on an image that is not of its series")
        frames = int(header.get("NumberOfFrames") or 1)
        if place.frames and max(place.frames) > frames:
            raise ObjectInvalid(f"a shape is drawn on frame {max(place.frames)} of an image of {frames}")
        return header

    def plane_through(self, points: Sequence[Sequence[float]]) -> ImagePlane | None:
        """The slice on which points (mm, LPS) lie, to half a slice distance; None where they leave it."""
        if not self.planes:
            return None
        plane = nearest_plane(self.planes, points)
        return plane if max(plane.distance_mm(point) for point in points) <= self.slice_distance_mm / 2 + 1e-6 else None

    def to_patient(self, shape: Shape) -> Shape:
        """A shape in the patient (mm, LPS); one on an image that lies nowhere, or is none of these, stays as it is."""
        place = shape.on_image
        frame = place.frames[0] if place is not None and place.frames else None
        for plane in self.planes if place is not None else ():
            if (plane.sop_instance_uid, plane.frame_number) == (place.sop_instance_uid if place else "", frame):
                return replace(shape, points=plane.to_patient(shape.points), place=self._in_patient)
        return shape

    @property
    def _in_patient(self) -> PatientPlace:
        return PatientPlace(self.frame_of_reference_uid)

    def spacing_mm(self, place: ImagePlace) -> tuple[float, float] | None:
        """Distance of pixels between rows, then between columns, None where the image does not say.

        Of a projection it is Pixel Spacing where that was calibrated, else Imager Pixel Spacing, at the detector
        (PS3.3 10.7.1.3).
        """
        header = self.header_of(place)
        frame = place.frames[0] if place.frames else 1
        for plane in self.planes:
            if plane.sop_instance_uid == place.sop_instance_uid and (plane.frame_number or frame) == frame:
                return plane.spacing_mm
        stated = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
        return (float(stated[0]), float(stated[1])) if stated else None


def _planes(header: Dataset) -> list[ImagePlane]:
    count = int(header.get("NumberOfFrames") or 1) if "PerFrameFunctionalGroupsSequence" in header else 1
    try:
        return [plane_of(header, number) for number in range(1, count + 1)]
    except ObjectInvalid:
        return []


def _least_distance(planes: Sequence[ImagePlane]) -> float:
    """The least distance between neighbours of one orientation; 1 mm where there are none."""
    if not planes:
        return 1.0
    normal = planes[0].normal
    places = sorted(float(sum(a * b for a, b in zip(plane.position, normal, strict=True))) for plane in planes)
    steps = [after - before for before, after in pairwise(places) if after - before > 1e-3]
    return min(steps, default=1.0)
