"""C-FIND, C-MOVE and C-GET as SCU, against Orthanc, dcmqrscp and wlmscpfs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.errors import StorageExhausted
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.query_model import DESTINATION_UNKNOWN, Model, QueryLevel, QueryOptions
from dicom_nodes.query_scu import QueryAssociation, QueryFailed, find
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.retrieve_scu import COMMON_CLASSES, Conduct, SubOperations, get, move, storage_contexts
from dicom_nodes.service_port import Exchange, ServiceRequest
from tests.ct_series import write_ct_series
from tests.dcmtk_archives import dcmqrscp, worklist
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.fakes.scripted_service import ScriptedService
from tests.listening_node import CT, TITLE, Listening, listening
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S

SLICES = 5
WORKLIST_ENTRY = """(0008,0005) CS [ISO_IR 100]
(0008,0050) SH [{accession}]
(0010,0010) PN [Planted^Identity]
(0010,0020) LO [ID-77-PLANTED]
(0020,000d) UI [1.2.3.{accession}]
(0032,1060) LO [CT thorax]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [CT]
(0040,0001) AE [CT1]
(0040,0002) DA [20240312]
(0040,0003) TM [101500]
(0040,0009) SH [{accession}]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [{accession}]
"""


@dataclass
class Archive:
    """A peer that holds one series of a study, and the node that it knows as a destination."""

    peer: PeerAddress
    node: Listening
    sink: InMemoryObjectSink
    study_uid: str
    instances: set[str]


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.peer(name)) for name in ("orthanc", "dcmtk")]
)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp(request.param)
    files = write_ct_series(folder / "ct", SLICES, rows=32, columns=32)
    first = dcmread(files[0])
    instances = {dcmread(file).SOPInstanceUID for file in files}
    sink = InMemoryObjectSink()
    with listening(sink) as node:
        host, port = node.node.address
        if request.param == "dcmtk":
            with dcmqrscp(folder / "archive", files, node_port=port) as peer:
                yield Archive(peer, node, sink, first.StudyInstanceUID, instances)
            return
        with OrthancProcess(folder / "orthanc", TITLE, host, port) as orthanc:
            for file in files:
                orthanc.upload(file)
            peer = PeerAddress("ORTHANC", "127.0.0.1", orthanc.dicom_port)
            yield Archive(peer, node, sink, first.StudyInstanceUID, instances)


# Orthanc refuses calling titles that it does not know; it knows ours.
OWN = RequestorSettings(calling_ae_title=TITLE, answer_timeout_s=PATIENCE_S)


def keys(**values: object) -> Dataset:
    identifier = Dataset()
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def test_studies_of_a_patient_are_found(archive: Archive) -> None:
    asked = keys(PatientID="ID-77-PLANTED", StudyInstanceUID="", AccessionNumber="", StudyDate="")
    (found,) = find(archive.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN)
    assert found.StudyInstanceUID == archive.study_uid
    assert found.AccessionNumber == "ACC-1"


def test_patient_root_is_asked_as_well(archive: Archive) -> None:
    asked = keys(PatientID="", PatientName="Planted*")
    (found,) = find(archive.peer, Model.PATIENT_ROOT, QueryLevel.PATIENT, asked, settings=OWN)
    assert found.PatientID == "ID-77-PLANTED"


def test_query_without_matches_yields_nothing(archive: Archive) -> None:
    asked = keys(PatientID="NOBODY", StudyInstanceUID="")
    assert list(find(archive.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN)) == []


def test_association_serves_several_queries_though_one_ends_early(archive: Archive) -> None:
    series = keys(StudyInstanceUID=archive.study_uid, SeriesInstanceUID="")
    with QueryAssociation(archive.peer, settings=OWN) as association:
        (found,) = association.find(Model.STUDY_ROOT, QueryLevel.SERIES, series)
        images = keys(StudyInstanceUID=archive.study_uid, SeriesInstanceUID=found.SeriesInstanceUID, SOPInstanceUID="")
        one = list(association.find(Model.STUDY_ROOT, QueryLevel.IMAGE, images, limit=1))
        every = list(association.find(Model.STUDY_ROOT, QueryLevel.IMAGE, images))
    assert (len(one), {image.SOPInstanceUID for image in every}) == (1, archive.instances)


def test_moved_objects_come_to_our_node(archive: Archive) -> None:
    archive.sink.stored.clear()
    told: list[SubOperations] = []
    outcome = move(
        archive.peer,
        Model.STUDY_ROOT,
        QueryLevel.STUDY,
        keys(StudyInstanceUID=archive.study_uid),
        TITLE,
        settings=OWN,
        conduct=Conduct(on_progress=told.append),
    )
    assert outcome.succeeded, outcome.words
    assert outcome.operations.completed == SLICES
    assert told
    assert {header.sop_instance_uid for header, _ in archive.sink.stored} == archive.instances


def test_unknown_destination_is_told_in_words(archive: Archive) -> None:
    asked = keys(StudyInstanceUID=archive.study_uid)
    outcome = move(archive.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, "NOWHERE", settings=OWN)
    assert not outcome.succeeded
    # Orthanc says C000 instead.
    assert outcome.status in (DESTINATION_UNKNOWN, 0xC000)
    assert outcome.words in ("the move destination is unknown (A801)", "unable to process (C000)")


def test_got_objects_come_back_on_our_association(archive: Archive) -> None:
    sink = InMemoryObjectSink()
    outcome = get(
        archive.peer,
        Model.STUDY_ROOT,
        QueryLevel.STUDY,
        keys(StudyInstanceUID=archive.study_uid),
        sink,
        called_ae_title="RESEARCH",
        sop_classes=[CT],
        settings=OWN,
    )
    assert outcome.succeeded, outcome.words
    assert outcome.received == SLICES
    assert {header.sop_instance_uid for header, _ in sink.stored} == archive.instances
    assert {(header.calling_ae_title, header.called_ae_title) for header, _ in sink.stored} == {
        (archive.peer.ae_title, "RESEARCH")
    }


def test_object_that_our_side_cannot_keep_is_told_as_failed(archive: Archive) -> None:
    sink = InMemoryObjectSink()
    sink.errors["commit"] = StorageExhausted("full")
    outcome = get(
        archive.peer,
        Model.STUDY_ROOT,
        QueryLevel.STUDY,
        keys(StudyInstanceUID=archive.study_uid),
        sink,
        called_ae_title=TITLE,
        sop_classes=[CT],
        settings=OWN,
    )
    assert not outcome.succeeded
    assert outcome.received == 0


@pytest.mark.peer("dcmtk")
def test_worklist_tells_expected_studies(tmp_path: Path) -> None:
    step = keys(Modality="CT", ScheduledProcedureStepStartDate="20240312", ScheduledStationAETitle="")
    asked = keys(PatientName="", AccessionNumber="", ScheduledProcedureStepSequence=[step])
    with worklist(tmp_path, [WORKLIST_ENTRY.format(accession=number) for number in (71, 72)]) as peer:
        found = list(find(peer, Model.MODALITY_WORKLIST, None, asked, settings=OWN))
    assert {entry.AccessionNumber for entry in found} == {"71", "72"}
    assert {entry.ScheduledProcedureStepSequence[0].ScheduledStationAETitle for entry in found} == {"CT1"}


def endless(request: ServiceRequest, exchange: Exchange) -> None:
    while not exchange.cancelled:
        exchange.respond(0xFF00, data_set=b"\x20\x00\x0d\x00UI\x06\x001.2.3\x00")
    exchange.respond(0xFE00)


def test_limit_stops_a_peer_that_never_ends() -> None:
    service = ScriptedService(frozenset({Model.STUDY_ROOT.find}), endless)
    with listening(InMemoryObjectSink(), services=[service]) as node:
        asked = keys(StudyInstanceUID="")
        assert len(list(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN, limit=500))) == 500


def test_stop_cancels_and_keeps_what_came() -> None:
    service = ScriptedService(frozenset({Model.STUDY_ROOT.find}), endless)
    taken: list[Dataset] = []
    with listening(InMemoryObjectSink(), services=[service]) as node:
        asked = keys(StudyInstanceUID="")
        stop = lambda: len(taken) > 9  # noqa: E731 -- named, to be told apart from the query
        taken.extend(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN, stop=stop))
    assert len(taken) > 9


@pytest.mark.parametrize(
    ("status", "words"), [(0xA700, "out of resources"), (0xA900, "does not match"), (0xC123, "C123")]
)
def test_failure_of_a_query_is_told_in_words(status: int, words: str) -> None:
    service = ScriptedService(frozenset({Model.STUDY_ROOT.find}), lambda _, exchange: exchange.respond(status))
    with listening(InMemoryObjectSink(), services=[service]) as node, pytest.raises(QueryFailed, match=words):
        list(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, keys(StudyInstanceUID=""), settings=OWN))


def test_silent_peer_is_given_up() -> None:
    def silent(_request: ServiceRequest, exchange: Exchange) -> None:
        while exchange.is_quiet:
            pass

    service = ScriptedService(frozenset({Model.STUDY_ROOT.find}), silent)
    hasty = RequestorSettings(answer_timeout_s=0.3)
    with listening(InMemoryObjectSink(), services=[service]) as node, pytest.raises(PeerUnavailable, match="in time"):
        list(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, keys(StudyInstanceUID=""), settings=hasty))


def test_options_are_what_the_peer_accepted() -> None:
    service = ScriptedService(
        frozenset({Model.STUDY_ROOT.find}), lambda _, exchange: exchange.respond(0), information=b"\x01\x00\x01"
    )
    wished = QueryOptions(relational=True, date_time=True, fuzzy=True)
    with (
        listening(InMemoryObjectSink(), services=[service]) as node,
        QueryAssociation(node.peer, settings=OWN, options=wished) as association,
    ):
        assert association.options(Model.STUDY_ROOT) == QueryOptions(relational=True, fuzzy=True)


def test_name_in_any_script_is_asked_in_unicode() -> None:
    service = ScriptedService(frozenset({Model.STUDY_ROOT.find}), lambda _, exchange: exchange.respond(0))
    with listening(InMemoryObjectSink(), services=[service]) as node:
        list(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, keys(PatientName="Ünlü^Ä*"), settings=OWN))
    assert service.requests[0].data_set is not None
    assert "Ünlü^Ä*".encode() in service.requests[0].data_set
    assert b"ISO_IR 192" in service.requests[0].data_set


@pytest.mark.parametrize("classes", [(CT,), COMMON_CLASSES, tuple(f"1.2.{number}" for number in range(300))])
def test_contexts_of_a_get_fit_one_association(classes: tuple[str, ...]) -> None:
    contexts = storage_contexts(classes, 127)
    assert len(contexts) <= 127
    assert {uid for uid, _ in contexts} == set(classes[:127])


def test_counts_are_read_from_pending_responses() -> None:
    def count(_request: ServiceRequest, exchange: Exchange) -> None:
        exchange.respond(0xFF00, {0x1020: 3, 0x1021: 1, 0x1022: 0, 0x1023: 0})
        exchange.respond(0xB000, {0x1021: 3, 0x1022: 1, 0x1023: 0}, b"\x08\x00\x58\x00UI\x08\x001.2\\3.4\x00")

    told: list[SubOperations] = []
    service = ScriptedService(frozenset({Model.STUDY_ROOT.move}), count)
    with listening(InMemoryObjectSink(), services=[service]) as node:
        outcome = move(
            node.peer,
            Model.STUDY_ROOT,
            QueryLevel.STUDY,
            keys(StudyInstanceUID="1.2"),
            "DEST",
            settings=OWN,
            conduct=Conduct(on_progress=told.append),
        )
    assert told == [SubOperations(3, 1, 0, 0)]
    assert (outcome.status, outcome.operations) == (0xB000, SubOperations(None, 3, 1, 0))
    assert outcome.failed_uids == ("1.2", "3.4")
    assert service.requests[0].move_destination == "DEST"
