"""An archive with a few studies behind a node that answers queries; no gateway around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_nodes.peer import PeerAddress
from dicom_nodes.query_model import Model, QueryLevel, QueryOptions
from dicom_nodes.query_scu import find
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.service_port import DimseService
from service.archive.archive_queries import ArchiveQueries
from service.archive.blobs import FilesystemBlobStore
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.query_answers import QueryAnswers
from service.core.archive_query import ServedResults
from service.core.blob_key import blob_key
from service.core.encoded_data_set import Encoding, elements
from service.core.pydicom_reading import read_leniently
from service.core.records import ObjectKind, PixelLocation, StoredBlob
from service.dimse.query_event import QueryEvent
from service.dimse.query_rights import ProjectAccess, QueryRights
from service.dimse.query_service import QueryService
from service.dimse.retrieve_service import RetrieveService
from service.dimse.served_objects import ServedObjects
from service.web.dicomweb.frame_reader import FrameLayouts
from service.web.dicomweb.whole_object import ObjectFiles
from tests.archived import SetClock, new_instance
from tests.datasets import as_file, ct_slice
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import Listening, listening
from tests.patience import PATIENCE_S

ASKER = "ASKER"
OWN = RequestorSettings(calling_ae_title=ASKER, answer_timeout_s=PATIENCE_S)


@dataclass
class QueryHouse:
    """The archive; what is added is found by the node's services."""

    database: Database
    index: InstanceIndex
    blobs: FilesystemBlobStore
    events: list[QueryEvent] = field(default_factory=list)

    @property
    def queries(self) -> ArchiveQueries:
        return ArchiveQueries(self.database)

    def rights(self, served: ServedResults | None = None, destinations: Mapping[str, str] | None = None) -> QueryRights:
        access = ProjectAccess(served or ServedResults(), destinations or {})
        return QueryRights({"ANNOGATE": "default"}, {ASKER: frozenset()}, lambda _: access)

    def query_service(self, served: ServedResults | None = None) -> QueryService:
        return QueryService(self.queries, QueryAnswers(self.database), self.rights(served), self.events.append)

    def retrieve_service(
        self, peers: Mapping[str, PeerAddress] | None = None, served: ServedResults | None = None
    ) -> RetrieveService:
        """Sends to these peers, by AE title; every name of a peer is its title here."""
        known = dict(peers or {})
        return RetrieveService(
            self.queries,
            ServedObjects(self.blobs, ObjectFiles(self.blobs, FrameLayouts())),
            self.rights(served, {title: title for title in known}),
            lambda name: (known[name], RequestorSettings(calling_ae_title="ANNOGATE", answer_timeout_s=PATIENCE_S)),
            self.events.append,
        )

    def add(self, image: Dataset, *, project: str = "default", **changes: Any) -> None:
        """Store and index one object, in the transfer syntax of its file meta or Explicit VR Little Endian."""
        changes.setdefault("transfer_syntax_uid", "1.2.840.10008.1.2.1")
        content = as_file(image, changes["transfer_syntax_uid"])
        key = blob_key(project, str(image.SOPInstanceUID), 0)
        self.blobs.put(key, [content])
        offset = 132 + 12 + int.from_bytes(content[140:144], "little")
        blob = StoredBlob(key, len(content), offset, _pixels(content, offset, changes["transfer_syntax_uid"]))
        self.index.add(new_instance(image, project=project, blob=blob, **changes))

    def add_study(self, study_uid: str, *, slices: int = 2, project: str = "default", **attributes: Any) -> None:
        """A series of CT slices; ``attributes`` by keyword go into each."""
        for number in range(1, slices + 1):
            image = ct_slice(number, study_uid=study_uid, series_uid=f"{study_uid}.1")
            for keyword, value in attributes.items():
                setattr(image, keyword, value)
            self.add(image, project=project)

    def add_result(self, study_uid: str, uid: str, *, annotator: str = "nodules", run_id: int | None = None) -> None:
        """A result of ours in a series of its own."""
        image = ct_slice(1, study_uid=study_uid, series_uid=f"{study_uid}.9", sop_instance_uid=uid)
        image.Modality = "SR"
        self.add(image, kind=ObjectKind.RESULT, annotator=annotator, run_id=run_id)


def _pixels(content: bytes, offset: int, transfer_syntax_uid: str) -> PixelLocation | None:
    """Where Pixel Data lies in a file."""
    for element in elements(memoryview(content), Encoding.of(transfer_syntax_uid), offset):
        if element.tag == 0x7FE00010:
            length = element.value_end - element.value_start
            return PixelLocation(element.tag, element.value_start, length, encapsulated=element.undefined_length)
    return None


@contextmanager
def query_house(folder: Path) -> Iterator[QueryHouse]:
    read_leniently()  # as every gateway does
    with Database.open(folder / "index.sqlite") as database:
        yield QueryHouse(database, InstanceIndex(database, SetClock()), FilesystemBlobStore(folder / "blobs"))


@contextmanager
def answering(*services: DimseService) -> Iterator[Listening]:
    """A node that offers these services."""
    with listening(InMemoryObjectSink(), services=services) as node:
        yield node


def ask(
    node: Listening,
    level: str,
    model: Model = Model.STUDY_ROOT,
    options: QueryOptions | None = None,
    **keys: Any,
) -> list[Dataset]:
    """The answers to one C-FIND."""
    return list(find(node.peer, model, QueryLevel[level], keyed(**keys), settings=OWN, options=options))


def keyed(**keys: Any) -> Dataset:
    """An identifier; its values need not be valid ones."""
    identifier = Dataset()
    for keyword, value in keys.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        identifier.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE))
    return identifier
