"""A gateway's node asked by DIMSE callers: who is answered, and what a de-identifying project gives away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_nodes.errors import GatewayError
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.query_model import Model, QueryLevel
from dicom_nodes.query_scu import find
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.retrieve_scu import move
from dicom_nodes.sender import store
from service.archive.audit import AuditQuery
from service.bootstrap import Gateway
from service.settings import load_settings
from tests.ct_series import PATIENT, write_ct_series
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import listening
from tests.patience import PATIENCE_S
from tests.query_house import keyed

KNOWN = RequestorSettings(calling_ae_title="STATION", answer_timeout_s=PATIENCE_S)
STRANGER = RequestorSettings(calling_ae_title="STRANGER", answer_timeout_s=PATIENCE_S)


@contextmanager
def running(folder: Path, **sections: Any) -> Iterator[tuple[Gateway, PeerAddress]]:
    """A gateway whose node listens and has taken three slices of a patient."""
    overrides = {
        "storage": {"data_dir": str(folder / "data"), "disk_reserve_gib": 0},
        "dicom": {"port": 0, "unknown_callers": "accept"},
        "callers": {"station": {"ae_title": "STATION"}},
        **sections,
    }
    with Gateway(load_settings(environ={}, overrides=overrides)) as gateway:
        gateway.prepare()
        node = gateway.node()
        node.start()
        try:
            peer = PeerAddress("ANNOGATE", *node.address)
            files = write_ct_series(folder / "ct", 3, rows=16, columns=16)
            assert all(result.stored for result in store(peer, map(OutgoingObject.from_file, files), KNOWN))
            gateway.spool_worker.work()
            yield gateway, peer
        finally:
            node.stop()


def studies(peer: PeerAddress, settings: RequestorSettings = KNOWN, **keys: Any) -> list[Any]:
    asked = keyed(**{"StudyInstanceUID": "", "PatientName": "", "NumberOfStudyRelatedInstances": "", **keys})
    return list(find(peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=settings))


def test_known_caller_sees_what_is_served(tmp_path: Path) -> None:
    with running(tmp_path) as (gateway, peer):
        (study,) = studies(peer)
        (held,) = gateway.instances.studies("default")
        assert study.StudyInstanceUID == held.study.study_uid
        assert study.NumberOfStudyRelatedInstances == 3
        assert PATIENT["PatientName"] not in str(study)
        # Neither the original name nor the original ID finds anything in a de-identifying project.
        assert studies(peer, PatientID=PATIENT["PatientID"]) == []
        with pytest.raises(PeerUnavailable):
            studies(peer, STRANGER)


@pytest.mark.parametrize(
    ("query", "settings", "answered"),
    [
        ({"who": "anybody"}, STRANGER, True),
        ({"who": "nobody"}, KNOWN, False),
        ({"callers": []}, KNOWN, True),
        ({"callers": ["other"]}, KNOWN, False),
    ],
)
def test_settings_say_who_may_query(
    tmp_path: Path, query: dict[str, Any], settings: RequestorSettings, answered: bool
) -> None:
    callers = {"station": {"ae_title": "STATION"}, "other": {"ae_title": "OTHER"}}
    with running(tmp_path, query=query, callers=callers) as (_, peer):
        if answered:
            assert len(studies(peer, settings)) == 1
        else:
            with pytest.raises(GatewayError):
                studies(peer, settings)


def test_move_sends_de_identified_objects_where_the_project_may(tmp_path: Path) -> None:
    sink = InMemoryObjectSink()
    with listening(sink) as destination:
        host, port = destination.node.address
        peers = {
            name: {"ae_title": title, "host": host, "port": port}
            for name, title in (("research", "ANNOGATE"), ("pacs", "PACS"))
        }
        projects = {"default": {"ae_titles": ["ANNOGATE"], "move_to": ["research"], "deliver_to": ["pacs"]}}
        with running(tmp_path, peers=peers, projects=projects) as (gateway, peer):
            (study,) = studies(peer)
            asked = keyed(StudyInstanceUID=study.StudyInstanceUID)
            for title, status in (("PACS", 0xA801), ("ANNOGATE", 0)):
                outcome = move(peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, title, settings=KNOWN)
                assert outcome.status == status, outcome.words
            gateway.audit_buffer.flush()
            rows = [row for row in gateway.audit.search(AuditQuery()) if row.action.startswith("study.")]
    assert len(sink.stored) == 3
    names = {dcmread(path).SOPInstanceUID for path in (tmp_path / "ct").iterdir()}
    assert not names & {header.sop_instance_uid for header, _ in sink.stored}
    assert not [data for _, data in sink.stored if PATIENT["PatientID"].encode() in data]
    assert [(row.action, row.actor) for row in reversed(rows)] == [
        ("study.queried", "STATION"),
        ("study.moved", "STATION"),
        ("study.moved", "STATION"),
    ]
