"""One piece of work on segmentations, in a process of its own, for `benchmarks.objects`.

``python -m benchmarks.objects_work WORK FOLDER SLICES SIDE`` prints processor seconds and the memory that was resident
at most while it worked, as JSON. What is imported, read from tables or loaded once is so before, by a small
segmentation that goes the same way; masks and headers are made before as well. Both write from the masks in the form
that they take fastest: boxes here, an array of labels there.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from service.core.findings import Finding, Mask
from service.core.result_file import result_file
from service.core.volume import Volume
from service.objects.segmentation import write_segmentation
from service.objects.segmentation_arrays import label_array
from service.objects.segmentation_form import SegmentationForm, SegmentationKind
from service.objects.segmentation_reading import read_segmentation
from tests.peak_memory import peak_of
from tests.volumes import ALGORITHM, LUNG, ORGAN, ct_sources, result_of, volume_of
from tests.written_results import context

SEGMENTS = 104
TIMES = 3
KINDS = ("LABELMAP", "BINARY")


def organs(shape: tuple[int, int, int], count: int) -> list[Mask]:
    """Ellipsoids in the place of organs, more than half of them large, none over another; the same ones each time."""
    random = np.random.default_rng(1)
    taken = np.zeros(shape, dtype=bool)
    masks: list[Mask] = []
    while len(masks) < count:
        radius = random.uniform((0.03, 0.025, 0.025), (0.15, 0.12, 0.12)) * (1.0 if len(masks) < count * 0.6 else 0.4)
        centre = random.uniform((0.05, 0.12, 0.12), (0.95, 0.88, 0.88)) * shape
        radius = np.maximum(radius * shape, 1)
        low = np.maximum(np.floor(centre - radius), 0).astype(int)
        high = np.minimum(np.ceil(centre + radius) + 1, shape).astype(int)
        grid = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radius, strict=True)) <= 1
        inside &= ~taken[box]
        if inside.any():
            taken[box] |= inside
            mask = Mask.cut_from(inside)
            start = np.add(low, mask.origin).tolist()
            masks.append(Mask(mask.voxels, (start[0], start[1], start[2])))
    return masks


class Case:
    """What is written: a CT series and the masks on it."""

    def __init__(self, shape: tuple[int, int, int], segments: int = SEGMENTS) -> None:
        self.shape = shape
        self.masks = organs(shape, segments)
        self._flat = volume_of(ct_sources(shape[0], rows=4, columns=4))
        for source in self._flat.sources:
            source.Rows, source.Columns = shape[1:]

    @property
    def volume(self) -> Volume:
        """The series as a volume, whose voxels take no memory."""
        return replace(self._flat, array=np.broadcast_to(np.float32(0), self.shape))

    def labels(self) -> np.ndarray[Any, Any]:
        """The masks as one array of numbers."""
        labels = np.zeros(self.shape, dtype=np.uint8)
        for number, mask in enumerate(self.masks, start=1):
            box = tuple(slice(o, o + n) for o, n in zip(mask.origin, mask.voxels.shape, strict=True))
            labels[box][mask.voxels] = number
        return labels

    def findings(self) -> list[Finding]:
        """The masks as findings."""
        return [
            Finding(f"Organ {number}", f"2.25.7{number}", ORGAN, LUNG, mask=mask)
            for number, mask in enumerate(self.masks, start=1)
        ]


def write_here(case: Case, kind: str) -> Callable[[], Dataset]:
    """Ours: findings in, data set out."""
    result, form = result_of(*case.findings()), SegmentationForm(SegmentationKind(kind))

    def work() -> Dataset:
        written = write_segmentation(result, "Organs", case.volume, context(), form)
        assert written is not None
        return written

    return work


def write_there(case: Case, kind: str) -> Callable[[], Dataset]:
    """The constructor of highdicom, with the labels."""
    import highdicom as hd

    family = hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence")
    category, organ = (hd.sr.CodedConcept(code.value, code.scheme, code.meaning) for code in (ORGAN, LUNG))
    labels, sources = case.labels(), list(case.volume.sources)

    def described(number: int) -> Dataset:
        return hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Organ {number}",
            segmented_property_category=category,
            segmented_property_type=organ,
            algorithm_type="AUTOMATIC",
            algorithm_identification=hd.AlgorithmIdentificationSequence(ALGORITHM.name, family, ALGORITHM.version),
            tracking_uid=f"2.25.7{number}",
            tracking_id=f"Organ {number}",
        )

    def work() -> Dataset:
        return hd.seg.Segmentation(
            source_images=sources,
            pixel_array=labels,
            segmentation_type=kind,
            segment_descriptions=[described(number) for number in range(1, len(case.masks) + 1)],
            series_instance_uid=hd.UID(),
            series_number=1,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="Maker",
            manufacturer_model_name="Model",
            software_versions="1",
            device_serial_number="1",
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )

    return work


def encode_here(data_set: Dataset) -> bytes:
    """The file, as the gateway keeps it."""
    return b"".join(result_file(data_set, "key", "0.1.0").parts)


def encode_there(data_set: Dataset) -> bytes:
    """The file, as pydicom writes it."""
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_here(path: Path) -> np.ndarray[Any, Any]:
    """Ours: file in, labels out."""
    return label_array(read_segmentation(path))


def read_there(path: Path, *, lazy: bool) -> np.ndarray[Any, Any]:
    """The reading of highdicom, planes in the order of ours."""
    import highdicom as hd

    volume = hd.seg.segread(path, lazy_frame_retrieval=lazy).get_volume(combine_segments=True)
    return volume.array if volume.affine[2, 0] > 0 else volume.array[::-1]


def stream_here(path: Path) -> int:
    """Ours, a frame at a time: nothing is kept."""
    return sum(int(frame.pixels.any()) for frame in read_segmentation(path).frames())


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What comes of a piece of work, its processor seconds, and MB resident before it and at most.

    The least of several times: the first one pays for memory that the process did not have yet.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = peak_of("self")
    seconds = []
    made = None
    for _ in range(TIMES):
        made = None  # what was made before is not to be there beside the next
        start = time.process_time()
        made = work()
        seconds.append(time.process_time() - start)
    return made, {"cpu": min(seconds), "before": before / 1e6, "peak": peak_of("self") / 1e6}


def main(work: str, folder: Path, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Carry out one piece of work: write, read or stream, a kind, and by whom."""
    action, kind, whom = work.split("-")
    path = folder / f"{kind}-{'ours' if whom == 'ours' else 'highdicom'}.dcm"
    if action == "write":
        make, encode = (write_here, encode_here) if whom == "ours" else (write_there, encode_there)
        encode(make(Case((4, 32, 32), 3), kind)())
        data_set, told = measured(make(Case(shape), kind))
        content, encoding = measured(lambda: encode(data_set))
        path.write_bytes(content)
        return told | {"encode_cpu": encoding["cpu"], "encode_peak": encoding["peak"]}
    ways: dict[str, Callable[[Path], Any]] = {
        "ours": stream_here if action == "stream" else read_here,
        "highdicom": lambda one: read_there(one, lazy=False),
        "lazy": lambda one: read_there(one, lazy=True),
    }
    small = folder / "small.dcm"
    small.write_bytes(encode_here(write_here(Case((4, 32, 32), 3), kind)()))
    ways[whom](small)
    # What is read is one file for all: the one that was written here.
    found, told = measured(lambda: ways[whom](folder / f"{kind}-ours.dcm"))
    if action == "stream":
        return told
    return told | {"digest": hashlib.sha256(np.ascontiguousarray(found)).hexdigest()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[4])))))
