"""Results written from small volumes, as tests of the objects need them."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from pydicom.dataset import Dataset

from service.core.findings import Finding
from service.core.volume import Volume
from service.objects import concepts
from service.objects.content_tree import children
from service.objects.writer import ResultContext, WrittenResult, write_results
from tests.volumes import (
    OBLIQUE,
    ct_sources,
    enhanced_volume,
    legacy_converted_volume,
    pet_volume,
    result_of,
    volume_of,
)

OWN_UIDS = "2.25.5000"


def context(predecessor: Dataset | None = None) -> ResultContext:
    numbers = count(1)
    return ResultContext(
        created_at=datetime(2019, 3, 4, 5, 6, 7),
        series_number_base=9000,
        uid=lambda: f"{OWN_UIDS}{next(numbers)}",
        version="0.1.0",
        predecessor=predecessor,
    )


def axial() -> Volume:
    return volume_of(ct_sources(8))


def oblique() -> Volume:
    return volume_of(ct_sources(8, orientation=OBLIQUE, step_mm=(0.96, -1.28, 1.2)))


def tilted() -> Volume:
    return volume_of(ct_sources(8, spacing_mm=(0.7, 0.9), step_mm=(0.0, 0.8, 2.4)))


VOLUMES = {
    "axial": axial,
    "oblique": oblique,
    "tilted": tilted,
    "enhanced": enhanced_volume,
    "legacy converted": legacy_converted_volume,
    "pet": pet_volume,
}


def write(volume: Volume, *findings: Finding) -> WrittenResult:
    return write_results(result_of(*findings), "Lung nodules", volume, context())


def groups(report: Dataset) -> list[Dataset]:
    return [
        group
        for measurements in children(report, concepts.IMAGING_MEASUREMENTS)
        for group in children(measurements, concepts.MEASUREMENT_GROUP)
    ]
