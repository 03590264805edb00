"""Everything else, and the pydicom wheel, over a socket: served as it came, or held with a reason."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom.dataset import Dataset

from dicom_nodes.outgoing_object import OutgoingObject
from tests.gateway_process import GatewayProcess
from tests.real.expected_folders import NOT_SENDABLE, SHARED, WHEEL, Expected
from tests.real_files import Folder, Identity, folders, header_of, reading_leniently
from tests.real_gateway import Answer, RealGateway, address_of, data_set_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
    pytest.mark.real_data,
    pytest.mark.long,
    pytest.mark.xdist_group("real-everything"),
]

# Sent as a whole by the tests of the main job.
MAIN_JOB = ("ct-", "digital-phantom", "petct-sts")
SAMPLE = 2
NOT_A_STORAGE_CLASS = "no storage class"


@dataclass
class Received:
    """One folder, sent by a caller named after it, and what became of its objects."""

    folder: Folder
    caller: str
    answers: list[Answer]
    served: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcome: Expected = field(default_factory=Expected)


@dataclass
class Reception:
    """All folders of one place, in one project of the gateway."""

    gateway: RealGateway
    project: str
    folders: dict[str, Received] = field(default_factory=dict)

    def run(self, root: Path) -> None:
        sent: set[str] = set()
        for number, folder in enumerate(folders(root)):
            if folder.name.startswith(MAIN_JOB):
                continue
            caller = f"FOLDER{number}"
            uids = {uid_of(one) for one in folder.sendable}
            if sent & uids:
                # Of two objects of one UID that wait side by side, whichever is taken in first is served.
                self.gateway.drain(self.project)
            sent |= uids
            answers = self.gateway.send(folder.sendable, self.project.upper(), caller)
            self.folders[folder.name] = Received(folder, caller, answers)
        self.gateway.drain(self.project)
        listed = self.gateway.instances(self.project)
        held = self.gateway.process.api(f"/quarantine?project={self.project}&limit=1000")["entries"]
        conflicts = self.gateway.process.api(f"/conflicts?project={self.project}&limit=1000")["conflicts"]
        new_uid = self.gateway.new_uids(self.project).new_uid
        for one in self.folders.values():
            one.served = {
                uid: listed.pop(uid) for uid in map(new_uid, map(uid_of, one.folder.sendable)) if uid in listed
            }
            one.outcome = outcome_of(one, held, conflicts)
        assert listed == {}, "what nobody sent is served"


def uid_of(sent: OutgoingObject) -> str:
    """The SOP Instance UID of the data set, which file meta need not repeat truly."""
    header = header_of(path_of(sent))
    return str(header.SOPInstanceUID if header else sent.sop_instance_uid)


def path_of(sent: OutgoingObject) -> Path:
    return Path(sent.load.args[0])


def outcome_of(one: Received, held: list[dict[str, Any]], conflicts: list[dict[str, Any]]) -> Expected:
    reasons: Counter[str] = Counter()
    for entry in held:
        if entry["calling_ae_title"] == one.caller:
            reasons[entry["reason"]] += entry["times_seen"]
    refused = Counter(
        NOT_A_STORAGE_CLASS if answer.status is None else f"{answer.status:04X} {answer.comment}"
        for answer in one.answers
        if answer.status != 0
    )
    kept_first = sum(conflict["times_seen"] for conflict in conflicts if conflict["calling_ae_title"] == one.caller)
    acknowledged = len(one.answers) - refused.total()
    duplicates = acknowledged - len(one.served) - kept_first - reasons.total()
    return Expected(len(one.served), duplicates, kept_first, dict(reasons), dict(refused))


@pytest.fixture(scope="module", autouse=True)
def lenient() -> Iterator[None]:
    with reading_leniently():
        yield


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    # Looking for text in 140 megapixels takes too long here: benchmarks/deid_pixels.py looks at real images.
    config = tmp_path_factory.mktemp("configured") / "config"
    shutil.copytree(Path(__file__).resolve().parents[2] / "config", config)
    profile = 'title = "The default, pixels unseen"\nextends = "default"\n[options]\nclean_pixel_data = false\n'
    (config / "profiles" / "unseen.toml").write_text(profile)
    quiet = {"annotators": [], "study_quiet_s": 1.0, "deidentify": "unseen"}
    projects = {"default": {"annotators": []}, "shared": {"ae_titles": ["SHARED"]} | quiet}
    projects |= {"wheel": {"ae_titles": ["WHEEL"]} | quiet}
    settings = {"projects": projects, "storage": {"config_dir": str(config)}}
    with GatewayProcess(tmp_path_factory.mktemp("everything") / "gateway", settings) as process:
        yield RealGateway(process)


@pytest.fixture(scope="module")
def shared(gateway: RealGateway, shared_data: Path) -> Reception:
    reception = Reception(gateway, "shared")
    reception.run(shared_data)
    return reception


@pytest.fixture(scope="module")
def wheel(gateway: RealGateway) -> Reception:
    reception = Reception(gateway, "wheel")
    reception.run(Path(pydicom.data.__file__).parent)
    return reception


@pytest.fixture
def reception(request: pytest.FixtureRequest, place: str) -> Reception:
    made: Reception = request.getfixturevalue(place)
    return made


PLACES = {"shared": SHARED, "wheel": WHEEL}
both = pytest.mark.parametrize("place", PLACES)
each_folder = pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place, expected in PLACES.items() for name in expected]
)


@both
def test_every_folder_is_expected(reception: Reception, place: str) -> None:
    assert set(reception.folders) == set(PLACES[place])


@each_folder
def test_each_object_is_served_or_held_with_its_reason(reception: Reception, place: str, name: str) -> None:
    assert reception.folders[name].outcome == PLACES[place][name]


@both
def test_what_cannot_be_sent_is_known(reception: Reception, place: str) -> None:
    found = {name: one.folder.not_sendable for name, one in reception.folders.items() if one.folder.not_sendable}
    assert found == NOT_SENDABLE[place]


@each_folder
def test_objects_are_served_as_they_came(reception: Reception, place: str, name: str) -> None:
    """In the transfer syntax in which they came, their metadata whole, each BulkDataURI leading somewhere."""
    one = reception.folders[name]
    syntaxes = syntaxes_of(reception, one)
    for uid, listed in sample(one):
        path = f"/projects/{place}/dicom-web{address_of(listed)}"
        (content,) = reception.gateway.retrieve(place, address_of(listed))
        data_set = data_set_of(content)
        assert data_set.SOPInstanceUID == uid
        assert str(data_set.file_meta.TransferSyntaxUID) in syntaxes[uid]
        (metadata,) = json.loads(reception.gateway.process.get(path + "/metadata").content)
        for uri in bulk_data_uris(metadata):
            assert uri.startswith(reception.gateway.process.http)
            answer = reception.gateway.process.get(
                uri.removeprefix(reception.gateway.process.http), headers={"Accept": "*/*; transfer-syntax=*"}
            )
            assert answer.status_code == 200, uri


@each_folder
def test_images_are_rendered_or_it_is_said_why_not(reception: Reception, place: str, name: str) -> None:
    for _, listed in sample(reception.folders[name]):
        if "00280010" not in listed:
            continue
        answer = reception.gateway.process.get(f"/projects/{place}/dicom-web{address_of(listed)}/rendered")
        assert answer.status_code in (200, 406), answer.text
        if answer.status_code == 200:
            assert answer.headers["Content-Type"].startswith("image/")
        else:
            assert len(answer.json()["detail"]) > 20


@both
def test_no_identity_is_left_in_any_metadata(reception: Reception, place: str) -> None:
    new_uid = reception.gateway.new_uids(place).new_uid
    headers: dict[str, list[Dataset]] = {}
    for one in reception.folders.values():
        for sent in one.folder.sendable:
            header = header_of(path_of(sent))
            if header is not None and new_uid(str(header.SOPInstanceUID)) in one.served:
                headers.setdefault(new_uid(str(header.StudyInstanceUID)), []).append(header)
    uids = Identity.of(header for study in headers.values() for header in study).uids
    for study_uid, study in headers.items():
        answer = reception.gateway.process.get(f"/projects/{place}/dicom-web/studies/{study_uid}/metadata")
        assert answer.status_code == 200
        assert len(Identity(Identity.of(study).words, uids).left_in(answer.content)) == 0


def sample(one: Received) -> list[tuple[str, dict[str, Any]]]:
    return list(one.served.items())[:SAMPLE]


def syntaxes_of(reception: Reception, one: Received) -> dict[str, set[str]]:
    """The transfer syntaxes in which objects of a UID were sent, by the new UID."""
    new_uid = reception.gateway.new_uids(reception.project).new_uid
    found: dict[str, set[str]] = {}
    for sent in one.folder.sendable:
        found.setdefault(new_uid(uid_of(sent)), set()).add(sent.transfer_syntax_uid)
    return found


def bulk_data_uris(document: dict[str, Any]) -> Iterator[str]:
    for element in document.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        if element["vr"] == "SQ":
            for item in element.get("Value", []):
                yield from bulk_data_uris(item)
