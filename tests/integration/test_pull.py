"""Studies fetched from Orthanc by C-GET, C-MOVE and DICOMweb, through spool and de-identification."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from service.archive.audit import AuditQuery
from service.archive.schema import instances, studies
from service.bootstrap import Gateway
from service.cli.pull import pull
from service.core.archived import RunRow
from service.core.pulls import PullRow, PullState, StudyPullState
from service.errors import BadRequest
from service.fetching.desk import Priors
from service.fetching.pull_runner import PullRunner
from service.fetching.request import PullRequest
from service.settings import load_settings
from tests.ct_series import PATIENT, write_ct_series
from tests.orthanc_process import OrthancProcess, free_port
from tests.patience import PATIENCE_S

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
pytestmark = pytest.mark.peer("orthanc", "orthanc-dicomweb")


class House:
    """A gateway in this process with its node and ingest, and an Orthanc that holds two studies of one patient."""

    def __init__(self, folder: Path, orthanc: OrthancProcess, own_port: int) -> None:
        self.folder = folder
        self.orthanc = orthanc
        self.own_port = own_port

    def overrides(self, **sections: Any) -> dict[str, Any]:
        pacs = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": self.orthanc.dicom_port}
        web = {**pacs, "protocol": "dicomweb", "dicomweb_url": f"{self.orthanc.http}/dicom-web"}
        return {
            "storage": {"data_dir": str(self.folder / "data"), "disk_reserve_gib": 0.0},
            "dicom": {"port": self.own_port},
            "peers": {"pacs": pacs, "web": web},
            **sections,
        }

    @contextmanager
    def running(self, *, node: bool = False, **sections: Any) -> Iterator[Gateway]:
        with Gateway(load_settings(environ={}, overrides=self.overrides(**sections))) as gateway:
            gateway.prepare()
            stop = threading.Event()
            ingest = threading.Thread(target=self._ingest, args=(gateway, stop))
            ingest.start()
            listening = gateway.node() if node else None
            if listening is not None:
                listening.start()
            try:
                yield gateway
            finally:
                if listening is not None:
                    listening.stop()
                stop.set()
                ingest.join()

    @staticmethod
    def _ingest(gateway: Gateway, stop: threading.Event) -> None:
        while not stop.is_set():
            if not gateway.spool_worker.work():
                stop.wait(0.05)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OrthancProcess, int]]:
    folder = tmp_path_factory.mktemp("pacs")
    port = free_port()
    settings = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with OrthancProcess(folder / "orthanc", "ANNOGATE", "127.0.0.1", port, settings) as process:
        for accession, date in (("ACC-1", "20240312"), ("ACC-2", "20230101"), ("ACC-3", "20220101")):
            files = write_ct_series(
                folder / accession, 4, rows=16, columns=16, AccessionNumber=accession, StudyDate=date
            )
            for file in files:
                process.upload(file)
        yield process, port


@pytest.fixture
def house(tmp_path: Path, orthanc: tuple[OrthancProcess, int]) -> House:
    return House(tmp_path, *orthanc)


def pulled(gateway: Gateway, peer: str, **keys: str) -> PullRow:
    """Ask for studies and work on it; the request as it ended."""
    asked = gateway.pull_desk.request("default", peer, PullRequest(keys), "somebody")
    gateway.puller.turn(lambda: False)
    return gateway.pull_desk.report(asked.id).pull


@pytest.mark.parametrize(
    ("peer", "sections"),
    [
        ("pacs", {}),
        ("pacs", {"pull": {"retrieve": {"pacs": "move"}}}),
        ("web", {}),
    ],
    ids=["get", "move", "dicomweb"],
)
def test_study_is_fetched_and_de_identified(house: House, peer: str, sections: dict[str, Any]) -> None:
    with house.running(node=True, **sections) as gateway:
        ended = pulled(gateway, peer, AccessionNumber="ACC-1")
        assert (ended.state, ended.reason) == (PullState.DONE, "")
        (study,) = gateway.pull_desk.report(ended.id).studies
        assert (study.state, study.expected, study.held) == (StudyPullState.HERE, 4, 4)
        (held,) = gateway.instances.studies("default")
        assert held.study.study_uid == study.study_uid
        assert (held.images, held.study.patient_id == PATIENT["PatientID"]) == (4, False)


def test_all_studies_of_a_patient_come_by_one_request(house: House) -> None:
    with house.running() as gateway:
        assert pulled(gateway, "pacs", PatientID=PATIENT["PatientID"]).state is PullState.DONE
        assert len(gateway.instances.studies("default")) == 3
        rows = [row.action for row in gateway.audit.search(AuditQuery(action="pull."))]
        assert rows == ["pull.done", "pull.requested"]
        assert not any(PATIENT["PatientID"] in str(row) for row in gateway.audit.search(AuditQuery()))


def test_slices_that_are_missing_are_fetched_and_no_others(house: House) -> None:
    with house.running() as gateway:
        pulled(gateway, "pacs", AccessionNumber="ACC-1")
        (study,) = gateway.instances.studies("default")
        row = gateway.instances.instances_of("default", study.study.study_uid)[0]
        with gateway.database.write() as transaction:
            transaction.execute(instances.delete().where(instances.c.id == row.id))
        counted = gateway.pull_desk.request("default", "pacs", PullRequest({"AccessionNumber": "ACC-1"}), "somebody")
        gateway.puller.turn(lambda: False)
        assert gateway.pull_desk.report(counted.id).studies[0].held == 4
        # The three that were here did not come again: nothing was a duplicate.
        assert {tally.state for tally in gateway.overview.counts().intake} == {"archived"}


def test_priors_of_a_study_are_fetched_by_its_patient(house: House) -> None:
    with house.running() as gateway:
        pulled(gateway, "pacs", AccessionNumber="ACC-1")
        (study,) = gateway.instances.studies("default")
        asked = gateway.pull_desk.request_priors("default", study.study.study_uid, Priors("pacs", 1), "somebody")
        gateway.puller.turn(lambda: False)
        report = gateway.pull_desk.report(asked.id)
        assert report.pull.state is PullState.DONE
        assert len(report.studies) == 1
        earlier, later = sorted(
            datetime.strptime(held.study.study_date, "%Y%m%d") for held in gateway.instances.studies("default")
        )
        # That of 2023 and not that of 2022; dates are shifted alike.
        assert later - earlier == datetime(2024, 3, 12) - datetime(2023, 1, 1)


def test_priors_come_with_each_new_study_and_not_with_priors(house: House) -> None:
    wanted = {"priors": {"default": {"peer": "pacs", "studies": 1}}}
    with house.running(node=True, pull=wanted) as gateway:
        job = house.orthanc.push([study_of(house, "ACC-1")])
        assert job["FailedInstancesCount"] == 0
        until(lambda: [held.images for held in gateway.instances.studies("default")] == [4])
        runner = gateway.pull_runner()
        for expected in (2, 2):  # what came as a prior asks for none of its own
            with gateway.database.write() as transaction:
                transaction.execute(studies.update().values(state="complete", completed_at=gateway.clock()))
            runner.run(Once(runner))
            assert len(gateway.instances.studies("default")) == expected
            runner = gateway.pull_runner()
        (asked,) = gateway.pull_desk.newest()
        assert (asked.state, asked.requested_by) == (PullState.DONE, "annogate")


def test_an_annotators_runs_wait_for_the_priors_that_it_asks_for(house: House) -> None:
    asks = {"peer": "pacs", "studies": 3, "days": 1000, "same_body_part": True}
    project = {
        "ae_titles": ["ANNOGATE"],
        "annotators": ["bones", "lungs"],
        "study_quiet_s": 0.01,
        "priors": {"bones": asks},
    }
    with house.running(node=True, projects={"default": project}) as gateway:
        house.orthanc.push([study_of(house, "ACC-1")])
        until(lambda: [held.images for held in gateway.instances.studies("default")] == [4])
        until(lambda: gateway.study_watch.complete_due() > 0)
        (study_uid,) = [held.study.study_uid for held in gateway.instances.studies("default")]
        assert [run.annotator for run in leased(gateway)] == ["lungs"]
        runner = gateway.pull_runner()
        runner.run(Once(runner))
        assert [run.annotator for run in leased(gateway)] == ["bones"]
        (asked,) = gateway.pull_desk.newest()
        assert (asked.annotator, asked.origin_study_uid, asked.state) == ("bones", study_uid, PullState.DONE)
        # Three were asked for; there is one older than those that are not too old.
        priors = [held.study.study_uid for held in gateway.instances.studies("default")]
        assert len(priors) == 3
        until(lambda: gateway.study_watch.complete_due() > 0)
        runner = gateway.pull_runner()
        runner.run(Once(runner))  # priors have runs of their own, which wait for no priors of theirs
        assert len(gateway.pull_desk.newest()) == 1
        assert sorted({run.annotator for run in leased(gateway)}) == ["bones", "lungs"]


def leased(gateway: Gateway) -> list[RunRow]:
    """Every run that a worker would be given now."""
    return list(iter(lambda: gateway.runs.lease("worker", 600.0), None))


class Once:
    """A bell that ends what listens to it with the first wait."""

    def __init__(self, runner: PullRunner) -> None:
        self._runner = runner

    def wait(self, timeout: float | None) -> bool:
        assert timeout is not None
        self._runner.stop()
        return True


def study_of(house: House, accession: str) -> str:
    query = {"Level": "Study", "Query": {"AccessionNumber": accession}}
    answer = requests.post(f"{house.orthanc.http}/tools/find", json=query, timeout=PATIENCE_S)
    return str(answer.json()[0])


def until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(200):
        if true():
            return
        waiting.wait(0.05)
    pytest.fail("it did not come true")


def test_peer_that_is_away_is_asked_again_later(house: House) -> None:
    away = {"ae_title": "AWAY", "host": "127.0.0.1", "port": free_port()}
    with house.running(peers={"away": away}, pull={"attempts": 2}) as gateway:
        waiting = pulled(gateway, "away", AccessionNumber="ACC-1")
        assert (waiting.state, waiting.attempts) == (PullState.WAITING, 1)
        assert "cannot be reached" in waiting.reason
        assert not gateway.puller.turn(lambda: False)
        due = gateway.puller.due_in()
        assert due is not None
        assert 0 < due <= 60


def test_request_without_a_key_is_refused() -> None:
    with pytest.raises(BadRequest):
        PullRequest({"ModalitiesInStudy": "CT"})
    with pytest.raises(BadRequest, match="Modality"):
        PullRequest({"Modality": "CT"})


def test_what_is_asked_for_lies_sealed(house: House) -> None:
    with house.running() as gateway:
        gateway.pull_desk.request("default", "pacs", PullRequest({"PatientID": PATIENT["PatientID"]}), "somebody")
        again = gateway.pull_desk.request("default", "pacs", PullRequest({"PatientID": PATIENT["PatientID"]}), "other")
        assert again.requested_by == "somebody"  # still open: one request
    raw = b"".join(path.read_bytes() for path in (house.folder / "data").glob("index.sqlite*"))
    assert PATIENT["PatientID"].encode() not in raw


def test_command_fetches_what_a_list_names(house: House) -> None:
    file = house.folder / "annogate.toml"
    data, peer = house.folder / "data", house.orthanc.dicom_port
    file.write_text(
        f"""[storage]
data_dir = "{data}"
disk_reserve_gib = 0.0
[peers.pacs]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {peer}
"""
    )
    (house.folder / "list.csv").write_text("accession\nACC-1\nACC-2\nNONE\n")
    with house.running():
        arguments = ["--config", str(file), "--peer", "pacs", "--list", str(house.folder / "list.csv"), "--json"]
        done = CliRunner().invoke(pull, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    reports = json.loads(done.stdout[done.stdout.index("[\n") :])  # the log of this process stands before it
    assert [(report["state"], len(report["studies"])) for report in reports] == [("done", 1), ("done", 1), ("done", 0)]
    assert reports[2]["reason"] == "the peer has no such study"
    assert "ACC-1" not in done.stdout
