"""Who made an object: General Equipment, and Contributing Equipment as IHE AI Results asks."""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.core.findings import AlgorithmIdentification
from service.objects.concepts import PROCESSING_EQUIPMENT
from service.objects.content_items import code_item
from service.objects.result_context import NOT_FOR_DIAGNOSIS, ResultContext


def describe_equipment(data_set: Dataset, algorithm: AlgorithmIdentification, context: ResultContext) -> None:
    """Set General Equipment (PS3.3 C.7.5.1, C.7.5.2) and Contributing Equipment (C.12.1.1.5) of a result.

    The Device UID changes with every release of the algorithm (IHE AIR); it serves as serial number as well, since
    Enhanced General Equipment requires one of software too.
    """
    contributing = Dataset()
    contributing.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    contributing.ContributionDateTime = context.date_time
    if algorithm.demonstrator:
        contributing.ContributionDescription = NOT_FOR_DIAGNOSIS
    for item in (data_set, contributing):
        item.Manufacturer = algorithm.manufacturer[:64]
        item.ManufacturerModelName = algorithm.name[:64]
        item.DeviceSerialNumber = algorithm.device_uid
        item.DeviceUID = algorithm.device_uid
        item.SoftwareVersions = [algorithm.version[:64], f"Annogate {context.version}"[:64]]
    data_set.ContributingEquipmentSequence = [contributing]


def series_description(title: str, algorithm: AlgorithmIdentification, *, found: bool = True) -> str:
    """The title, with the warning after a demonstrator's; an LO of at most 64 characters.

    That nothing was ``found`` is said here too: OHIF shows an empty viewport for a report without measurements.
    """
    # The title first: a viewer shows the beginning of a long description.
    title = title if found else f"{title}: nothing found"
    text = f"{title}, {NOT_FOR_DIAGNOSIS}" if algorithm.demonstrator else title
    return text[:64]
