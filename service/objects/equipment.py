"""Who made an object: General Equipment, and Contributing Equipment as IHE AI Results asks."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_OID, uuid5

from pydicom.dataset import Dataset

from service.core.annotations import Author, PersonObserver
from service.core.findings import AlgorithmIdentification
from service.objects.concepts import PROCESSING_EQUIPMENT
from service.objects.content_items import code_item
from service.objects.result_context import NOT_FOR_DIAGNOSIS, ResultContext

_MAKER: Final = "Annogate"


def describe_equipment(data_set: Dataset, author: Author, context: ResultContext) -> None:
    """Set General Equipment (PS3.3 C.7.5.1, C.7.5.2), of an algorithm also Contributing Equipment (C.12.1.1.5).

    The Device UID changes with every release of the algorithm (IHE AIR), or of the gateway where a person marked; it
    serves as serial number as well, since Enhanced General Equipment requires one of software too.
    """
    if isinstance(author, PersonObserver):
        device = f"2.25.{uuid5(NAMESPACE_OID, f'{_MAKER} {context.version}').int}"
        _name_device(data_set, _MAKER, _MAKER, device, [context.version[:64]])
        return
    contributing = Dataset()
    contributing.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    contributing.ContributionDateTime = context.date_time
    if author.demonstrator:
        contributing.ContributionDescription = NOT_FOR_DIAGNOSIS
    versions = [author.version[:64], f"{_MAKER} {context.version}"[:64]]
    for item in (data_set, contributing):
        _name_device(item, author.manufacturer, author.name, author.device_uid, versions)
    data_set.ContributingEquipmentSequence = [contributing]


def _name_device(item: Dataset, manufacturer: str, model: str, device_uid: str, versions: list[str]) -> None:
    item.Manufacturer = manufacturer[:64]
    item.ManufacturerModelName = model[:64]
    item.DeviceSerialNumber = device_uid
    item.DeviceUID = device_uid
    item.SoftwareVersions = versions


def series_description(title: str, author: Author, *, found: bool = True) -> str:
    """The title, with the warning after a demonstrator's; an LO of at most 64 characters.

    That nothing was ``found`` is said here too: OHIF shows an empty viewport for a report without measurements.
    """
    # The title first: a viewer shows the beginning of a long description.
    title = title if found else f"{title}: nothing found"
    warned = isinstance(author, AlgorithmIdentification) and author.demonstrator
    text = f"{title}, {NOT_FOR_DIAGNOSIS}" if warned else title
    return text[:64]
