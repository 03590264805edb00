"""C-MOVE and C-GET as SCP: what goes where, in which form, how it is counted; asked by our own SCU and by dcmtk's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless
from pynetdicom import AE, evt

from dicom_nodes.command_set import C_GET_RQ
from dicom_nodes.errors import StorageExhausted
from dicom_nodes.identifier import encode_identifier
from dicom_nodes.peer import PeerAddress
from dicom_nodes.query_model import Model, QueryLevel
from dicom_nodes.retrieve_scu import RetrieveOutcome, SubOperations, get, move
from dicom_nodes.service_port import AcceptedContext, Caller, ServiceRequest
from service.core.archive_query import ServedResults
from service.dimse.query_event import QueryEventKind
from tests.datasets import ct_slice
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.fakes.scripted_exchange import ScriptedExchange
from tests.listening_node import CT, Listening, listening
from tests.orthanc_process import free_port
from tests.patience import PATIENCE_S
from tests.query_house import OWN, QueryHouse, answering, keyed, query_house

STUDY, SERIES, OTHER = "1.2.1", "1.2.1.1", "1.2.2"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryHouse]:
    """For tests that add nothing."""
    with query_house(tmp_path_factory.mktemp("archive")) as held:
        fill(held)
        yield held


@pytest.fixture
def house(filled: QueryHouse) -> QueryHouse:
    filled.events.clear()
    return filled


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[QueryHouse]:
    with query_house(tmp_path) as held:
        fill(held)
        yield held


def fill(held: QueryHouse) -> None:
    held.add_study(STUDY, slices=3)
    held.add_study(OTHER, slices=2, PatientID="P-2")


def compressed(number: int = 1, syntax: str = RLELossless) -> Dataset:
    pixels = np.random.default_rng(5).integers(-1000, 1000, (16, 16), dtype=np.int16)
    image = ct_slice(number, study_uid=STUDY, series_uid=SERIES)
    image.compress(syntax, pixels, generate_instance_uid=False)
    return image


@contextmanager
def taking(**errors: Exception) -> Iterator[tuple[InMemoryObjectSink, PeerAddress]]:
    """A destination that takes everything, or fails at the step that is named."""
    sink = InMemoryObjectSink()
    sink.errors |= errors
    with listening(sink) as node:
        yield sink, node.peer


def moved(
    house: QueryHouse, destination: PeerAddress, level: str = "STUDY", served: ServedResults | None = None, **keys: Any
) -> RetrieveOutcome:
    with answering(house.retrieve_service({"DEST": destination}, served)) as node:
        return move(node.peer, Model.STUDY_ROOT, QueryLevel[level], keyed(**keys), "DEST", settings=OWN)


def uids(sink: InMemoryObjectSink) -> list[str]:
    return sorted(header.sop_instance_uid for header, _ in sink.stored)


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("STUDY", {"StudyInstanceUID": STUDY}, [f"{SERIES}.{number}" for number in (1, 2, 3)]),
        (
            "STUDY",
            {"StudyInstanceUID": [STUDY, OTHER]},
            [*(f"{SERIES}.{number}" for number in (1, 2, 3)), "1.2.2.1.1", "1.2.2.1.2"],
        ),
        ("SERIES", {"StudyInstanceUID": OTHER, "SeriesInstanceUID": "1.2.2.1"}, ["1.2.2.1.1", "1.2.2.1.2"]),
        (
            "IMAGE",
            {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": [f"{SERIES}.3", f"{SERIES}.1"]},
            [f"{SERIES}.1", f"{SERIES}.3"],
        ),
        ("STUDY", {"StudyInstanceUID": "1.2.77"}, []),
    ],
)
def test_objects_of_each_level_are_moved(
    house: QueryHouse, level: str, keys: dict[str, Any], expected: list[str]
) -> None:
    with taking() as (sink, peer):
        outcome = moved(house, peer, level, **keys)
    assert uids(sink) == expected
    assert outcome.succeeded
    assert outcome.operations == SubOperations(None, len(expected), 0, 0)


def test_patient_is_moved_in_the_patient_root(house: QueryHouse) -> None:
    with taking() as (sink, peer), answering(house.retrieve_service({"DEST": peer})) as node:
        asked = keyed(PatientID="P-2")
        outcome = move(node.peer, Model.PATIENT_ROOT, QueryLevel.PATIENT, asked, "DEST", settings=OWN)
    assert (outcome.succeeded, uids(sink)) == (True, ["1.2.2.1.1", "1.2.2.1.2"])


def test_object_arrives_as_it_is_stored(house: QueryHouse) -> None:
    with taking() as (sink, peer):
        moved(house, peer, StudyInstanceUID=STUDY)
    header, content = sink.stored[0]
    row = house.index.find("default", header.sop_instance_uid)
    assert row is not None
    with house.blobs.open(row.blob.key) as stored:
        assert stored.read()[row.blob.data_set_offset :] == content


def test_sub_operations_name_who_asked_for_them(house: QueryHouse) -> None:
    named: list[tuple[str, int]] = []

    def keep(event: Any) -> int:
        request = event.request
        named.append((str(request.MoveOriginatorApplicationEntityTitle), request.MoveOriginatorMessageID))
        return 0

    with pynetdicom_archive([ExplicitVRLittleEndian], keep) as peer:
        assert moved(house, peer, StudyInstanceUID=OTHER).succeeded
    assert named == [("ASKER", 1)] * 2


def test_unknown_destination_is_refused(house: QueryHouse) -> None:
    with answering(house.retrieve_service({})) as node:
        outcome = move(
            node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, keyed(StudyInstanceUID=STUDY), "DEST", settings=OWN
        )
    assert outcome.status == 0xA801
    assert [event.status for event in house.events] == [0xA801]


def test_destination_that_is_away_fails_every_object(house: QueryHouse) -> None:
    outcome = moved(house, PeerAddress("DEST", "127.0.0.1", free_port()), StudyInstanceUID=OTHER)
    assert outcome.status == 0xA702
    assert sorted(outcome.failed_uids) == ["1.2.2.1.1", "1.2.2.1.2"]
    assert outcome.operations == SubOperations(None, 0, 2, 0)


def test_refused_objects_are_counted_and_listed(house: QueryHouse) -> None:
    def keep_one(event: Any) -> int:
        return 0xB006 if event.request.AffectedSOPInstanceUID.endswith(".1") else 0xA700

    with pynetdicom_archive([ExplicitVRLittleEndian], keep_one) as peer:
        outcome = moved(house, peer, StudyInstanceUID=OTHER)
    assert outcome.status == 0xB000
    assert outcome.operations == SubOperations(None, 0, 1, 1)
    assert outcome.failed_uids == ("1.2.2.1.2",)


@contextmanager
def pynetdicom_archive(syntaxes: list[str], keep: Any) -> Iterator[PeerAddress]:
    """A destination that takes certain transfer syntaxes alone."""
    ae = AE("DEST")
    ae.add_supported_context(CT, syntaxes)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        yield PeerAddress("DEST", *server.server_address[:2])
    finally:
        server.shutdown()


@pytest.mark.parametrize("stored", [RLELossless, JPEGLSLossless, ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("taken", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_peer_gets_pixels_in_what_it_takes(tmp_path: Path, stored: str, taken: str) -> None:
    pixels = np.random.default_rng(5).integers(-1000, 1000, (16, 16), dtype=np.int16)
    image = ct_slice(1, study_uid=STUDY, series_uid=SERIES, pixels=pixels)
    image.ReferencedStudySequence = [keyed(ReferencedSOPInstanceUID="1.2.3", PatientComments="nested")]
    if stored in (RLELossless, JPEGLSLossless):
        image.compress(stored, pixels, generate_instance_uid=False)
    got: list[Dataset] = []

    def keep(event: Any) -> int:
        got.append(read_dataset(BytesIO(event.request.DataSet.getvalue()), taken == ImplicitVRLittleEndian, True))
        return 0

    with query_house(tmp_path) as held:
        held.add(image, transfer_syntax_uid=stored)
        with pynetdicom_archive([taken], keep) as peer:
            outcome = moved(held, peer, StudyInstanceUID=STUDY)
    assert outcome.succeeded
    values = np.frombuffer(got[0].PixelData, "<i2").reshape(16, 16)
    assert (values == pixels).all()
    assert got[0].ReferencedStudySequence[0].PatientComments == "nested"
    assert str(got[0].PatientName) == "Doe^Jane"


def test_peer_that_takes_compressed_gets_it_as_stored(tmp_path: Path) -> None:
    image = compressed(1)
    with query_house(tmp_path) as held, taking() as (sink, peer):
        held.add(image, transfer_syntax_uid=RLELossless)
        assert moved(held, peer, StudyInstanceUID=STUDY).succeeded
    assert [header.transfer_syntax_uid for header, _ in sink.stored] == [RLELossless]


def test_object_that_the_peer_does_not_take_fails_alone(own_house: QueryHouse) -> None:
    other = ct_slice(9, study_uid=STUDY, series_uid=SERIES)
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    own_house.add(other)
    with pynetdicom_archive([ExplicitVRLittleEndian], lambda _: 0) as peer:
        outcome = moved(own_house, peer, StudyInstanceUID=STUDY)
    assert outcome.status == 0xB000
    assert outcome.failed_uids == (f"{SERIES}.9",)


def test_results_leave_only_where_they_may(own_house: QueryHouse) -> None:
    own_house.add_result(STUDY, "1.2.1.9.1", annotator="lungs")
    for served, expected in (
        (ServedResults(), 3),
        (ServedResults(frozenset({"nodules"}), without_approval=True), 3),
        (ServedResults(frozenset({"lungs"}), without_approval=False), 3),
        (ServedResults(frozenset({"lungs"}), without_approval=True), 4),
    ):
        with taking() as (sink, peer):
            assert moved(own_house, peer, served=served, StudyInstanceUID=STUDY).succeeded
        assert len(sink.stored) == expected


def test_cancel_stops_with_what_is_left(house: QueryHouse) -> None:
    caller = Caller("ASKER", "ANNOGATE", "127.0.0.1")
    context = AcceptedContext(1, Model.STUDY_ROOT.get, ExplicitVRLittleEndian)
    asked = encode_identifier(keyed(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY), ExplicitVRLittleEndian)
    request = ServiceRequest(caller, context, C_GET_RQ, 7, Model.STUDY_ROOT.get, data_set=asked)
    exchange = ScriptedExchange([AcceptedContext(3, CT, ExplicitVRLittleEndian, as_scu=True)], cancel_after=2)
    house.retrieve_service().answer(request, exchange)
    status, counts, _ = exchange.responses[-1]
    assert (status, counts) == (0xFE00, {0x1020: 1, 0x1021: 2, 0x1022: 0, 0x1023: 0})
    assert [status for status, _, _ in exchange.responses] == [0xFF00, 0xFE00]


def got(house: QueryHouse, sink: InMemoryObjectSink, **keys: Any) -> RetrieveOutcome:
    with answering(house.retrieve_service()) as node:
        return get(
            node.peer,
            Model.STUDY_ROOT,
            QueryLevel.STUDY,
            keyed(**keys),
            sink,
            called_ae_title="X",
            sop_classes=[CT],
            settings=OWN,
        )


def test_objects_are_got_on_the_callers_association(house: QueryHouse) -> None:
    sink = InMemoryObjectSink()
    outcome = got(house, sink, StudyInstanceUID=[STUDY, OTHER])
    assert (outcome.succeeded, outcome.received, len(sink.stored)) == (True, 5, 5)
    (event,) = house.events
    assert (event.kind, event.objects, event.studies) == (QueryEventKind.FETCHED, 5, (OTHER, STUDY)[::-1])


def test_compressed_object_is_got_as_it_is(tmp_path: Path) -> None:
    image = compressed(1)
    sink = InMemoryObjectSink()
    with query_house(tmp_path) as held:
        held.add(image, transfer_syntax_uid=RLELossless)
        assert got(held, sink, StudyInstanceUID=STUDY).succeeded
    assert [header.transfer_syntax_uid for header, _ in sink.stored] == [RLELossless]


def test_failing_caller_is_counted(house: QueryHouse) -> None:
    sink = InMemoryObjectSink()
    sink.errors["commit"] = StorageExhausted("full")
    outcome = got(house, sink, StudyInstanceUID=OTHER)
    assert (outcome.status, len(outcome.failed_uids)) == (0xA702, 2)


def test_damaged_object_fails_alone(own_house: QueryHouse) -> None:
    image = compressed(9)
    own_house.add(image, transfer_syntax_uid=RLELossless)
    row = own_house.index.find("default", f"{SERIES}.9")
    assert row is not None
    assert row.blob.pixels is not None
    path = own_house.blobs.path(row.blob.key)
    content = bytearray(path.read_bytes())
    content[row.blob.pixels.offset : row.blob.pixels.offset + 200] = bytes(200)
    path.write_bytes(content)
    with pynetdicom_archive([ExplicitVRLittleEndian], lambda _: 0) as peer:
        outcome = moved(own_house, peer, StudyInstanceUID=STUDY)
    assert (outcome.status, outcome.failed_uids) == (0xB000, (f"{SERIES}.9",))


@pytest.mark.peer("dcmtk")
def test_movescu_moves_to_storescp(house: QueryHouse, tmp_path: Path) -> None:
    folder, port = tmp_path / "taken", free_port()
    folder.mkdir()
    scp = subprocess.Popen(["/usr/bin/storescp", "-od", str(folder), "-aet", "DEST", str(port)])
    try:
        service = house.retrieve_service({"DEST": PeerAddress("DEST", "127.0.0.1", port)})
        with answering(service) as node:
            for _ in range(100):
                if (
                    subprocess.run(
                        ["/usr/bin/echoscu", "127.0.0.1", str(port)], capture_output=True, check=False
                    ).returncode
                    == 0
                ):
                    break
            output = dcmtk(node, "movescu", "-aem", "DEST", "-k", "QueryRetrieveLevel=STUDY", f"-k{STUDY}")
    finally:
        scp.terminate()
        scp.wait(PATIENCE_S)
    assert "Success" in output
    assert len(list(folder.iterdir())) == 3


@pytest.mark.peer("dcmtk")
def test_getscu_gets(house: QueryHouse, tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    with answering(house.retrieve_service()) as node:
        dcmtk(node, "getscu", "-od", str(folder), "-k", "QueryRetrieveLevel=STUDY", f"-k{STUDY}")
    held = [dcmread(file) for file in folder.iterdir()]
    assert sorted(image.SOPInstanceUID for image in held) == [f"{SERIES}.{number}" for number in (1, 2, 3)]


@pytest.mark.peer("dcmtk")
def test_identifier_without_its_unique_key_is_refused(house: QueryHouse) -> None:
    with answering(house.retrieve_service()) as node:
        output = dcmtk(node, "getscu", "-d", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=P-2")
    assert "0xa900" in output.lower()


def dcmtk(node: Listening, program: str, *options: str) -> str:
    """Run one of dcmtk's programs in the Study Root; ``-k1.2.3`` stands for a Study Instance UID."""
    host, port = node.node.address
    written = [
        part
        for option in options
        for part in (("-k", f"StudyInstanceUID={option[2:]}") if option.startswith("-k1") else (option,))
    ]
    command = [f"/usr/bin/{program}", "-v", "-S", "-aet", "ASKER", "-aec", "ANNOGATE", *written, host, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr
