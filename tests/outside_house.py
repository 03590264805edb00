"""A gateway whose one annotator is elsewhere, and what whoever performs its runs says by UPS-RS and STOW-RS."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from werkzeug.test import Client, TestResponse

from service.bootstrap import Gateway
from service.core.access import EVERY_PROJECT, Role
from service.settings import load_settings
from tests.archived import SetClock
from tests.datasets import as_file, ct_slice
from tests.web_gateway import CONFIG
from tests.worklist_house import element, performed, value

QUIET_S = 60
LOCK = "1.9.77"
HERE = {"REMOTE_ADDR": "127.0.0.1"}
STUDIES_API = "/api/v1/projects/default/studies"
DICOM, JSON = "application/dicom", "application/dicom+json"
OUTSIDE = """
kind = "outside"
performer = "ups"
title = "Chest model"
version = "2.1"
manufacturer = "Example"
modality = ["CT"]
body_part = ["*CHEST*"]
least_instances = 2
"""


@dataclass(frozen=True)
class House:
    """A gateway as one caller reaches it; `by` gives it as another does."""

    gateway: Gateway
    clock: SetClock
    client: Client
    credentials: Mapping[str, str] = field(default_factory=dict)

    def by(self, name: str, role: Role) -> House:
        """The same as a program with this role reaches it."""
        token = self.gateway.accounts.add_token(name, role, [EVERY_PROJECT])
        return replace(self, credentials={"Authorization": f"Bearer {token.secret}"})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        said = {"Content-Type": JSON} if isinstance(body, dict) else {}
        data = json.dumps([body]) if isinstance(body, dict) else body
        return self.client.open(
            f"/dicom-web{path}",
            method=method,
            data=data,
            headers={**self.credentials, **said, **headers},
            environ_base=HERE,
            buffered=True,
        )

    def api(self, method: str, path: str) -> TestResponse:
        return self.client.open(path, method=method, headers=dict(self.credentials), environ_base=HERE, buffered=True)

    def study(self, study_uid: str) -> dict[str, Any]:
        """A study as the interface shows it."""
        return dict(json.loads(self.api("GET", f"{STUDIES_API}/{study_uid}").get_data()))

    def run_of(self, study_uid: str) -> dict[str, Any]:
        """The one run of a study, as the interface shows it."""
        (run,) = self.study(study_uid)["runs"]
        return dict(run)

    def store(self, data_set: Dataset) -> TestResponse:
        return self.ask("POST", "/studies", as_file(data_set), **{"Content-Type": DICOM})

    def found(self, path: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", path)
        return list(json.loads(answer.get_data())) if answer.status_code == 200 else []

    def stored_of(self, study_uid: str, modality: str) -> list[str]:
        """SOP Instance UIDs of a study's objects of one modality, as a search finds them."""
        found = self.found(f"/studies/{study_uid}/instances?Modality={modality}")
        return [value(one, "00080018") for one in found]

    def complete_study(self) -> dict[str, Any]:
        """Let the study be complete; the work item that waits."""
        self.clock.now += QUIET_S + 1
        assert self.gateway.study_watch.complete_due() == 1
        (waiting,) = self.found("/workitems?WorklistLabel=default/chest&ProcedureStepState=SCHEDULED")
        return waiting

    def change(self, workitem_uid: str, state: str) -> TestResponse:
        wanted = {"00741000": element("CS", state), "00081195": element("UI", LOCK)}
        return self.ask("PUT", f"/workitems/{workitem_uid}/state", wanted)

    def claim(self, workitem_uid: str) -> dict[str, Any]:
        """Claim a work item; its Input Information."""
        assert self.change(workitem_uid, "IN PROGRESS").status_code == 200
        (claimed,) = self.found(f"/workitems/{workitem_uid}")
        return dict(value(claimed, "00404021"))

    def name(self, workitem_uid: str, *made: Dataset) -> None:
        """Name what was made in Output Information."""
        assert self.ask("POST", f"/workitems/{workitem_uid}?{LOCK}", naming(*made)).status_code == 200

    def retrieve(self, source: dict[str, Any]) -> list[Dataset]:
        """The images that a work item names, from where it says that they are."""
        address = value(value(source, "0040E025"), "00081190")
        root = address.removeprefix("http://localhost/dicom-web")
        uids = [value(one, "00081155") for one in source["00081199"]["Value"]]
        answers = [self.ask("GET", f"{root}/instances/{uid}", Accept=DICOM) for uid in uids]
        assert {answer.status_code for answer in answers} == {200}
        return [dcmread(BytesIO(answer.get_data())) for answer in answers]


def naming(*made: Dataset) -> dict[str, Any]:
    """What a performer says at the end that names these objects."""
    done, outputs = performed(), []
    for one in made:
        uids = str(one.StudyInstanceUID), str(one.SeriesInstanceUID), str(one.SOPInstanceUID)
        (output,) = performed(*uids)["00741216"]["Value"][0]["00404033"]["Value"]
        output["00081199"]["Value"][0]["00081150"] = element("UI", str(one.SOPClassUID))
        outputs.append(output)
    done["00741216"]["Value"][0]["00404033"] = element("SQ", *outputs)
    return done


@contextmanager
def outside_house(
    folder: Path,
    slices: int = 2,
    *,
    project: Mapping[str, Any] | None = None,
    peers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[House]:
    """A gateway that removes identity, with a study that has come whole and that a model elsewhere is to see."""
    shutil.copytree(CONFIG, folder / "config")
    (folder / "config" / "annotators" / "chest.toml").write_text(OUTSIDE)
    settings = {"deidentify": "default", "annotators": ["chest"], "study_quiet_s": QUIET_S}
    overrides = {
        "storage": {
            "data_dir": str(folder / "data"),
            "config_dir": str(folder / "config"),
            "disk_reserve_gib": 0.0,
            "spool_segment_mib": 1,
        },
        "projects": {"default": settings | dict(project or {})},
        "peers": {name: dict(peer) for name, peer in (peers or {}).items()},
    }
    clock = SetClock()
    with Gateway(load_settings(environ={}, overrides=overrides), clock) as gateway:
        gateway.prepare()
        house = House(gateway, clock, Client(gateway.web_application()))
        for number in range(1, slices + 1):
            assert house.store(ct_slice(number)).status_code == 200
        yield house
