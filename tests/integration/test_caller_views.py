"""Over HTTP: what a reader stores is theirs, and no address shows it to another reader."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import update
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from service.archive.overview import Overview
from service.archive.runs import RunTable
from service.archive.schema import instances
from service.archive.search import InstanceSearch
from service.core.access import Role
from service.core.archived import RunState
from service.core.records import ObjectKind
from service.ingest.project_rules import ConflictRule
from service.web.dicomweb.services import DicomWebServices
from tests.archived import new_instance
from tests.datasets import STUDY_UID, as_file, ct_slice
from tests.ingest_house import CLINICAL, IngestHouse
from tests.referring_objects import GSPS_UIDS, SEG_UIDS, SR_UIDS, images, presentation_state, report, segmentation
from tests.unit.test_web_route_table import EXAMPLES
from tests.web_gateway import NODULE, WebGateway, text
from tests.worklist_house import WorklistHouse, element, new_workitem

PROJECTS = ("clinical", "research")
PLANTED = "PLANTED-MARK"
RESULT_UID = "2.25.4711"
ROOTS = {"/dicom-web", "/projects/clinical/dicom-web"}
Headers = dict[str, str]


@dataclass
class Reading:
    """A study with two images, a model's result, and what three people stored of it."""

    house: IngestHouse
    gateway: WebGateway
    anna: Headers
    bert: Headers
    lead: Headers

    def get(self, path: str, who: Headers, **headers: str) -> TestResponse:
        return self.gateway.client().get(path, headers=who | headers, buffered=True)

    def json(self, path: str, who: Headers) -> Any:
        answer = self.get(path, who)
        return answer.get_json(force=True) if answer.status_code == 200 else []

    def stored(self, data_set: Dataset, who: Headers) -> None:
        answer = self.gateway.client().post(
            "/dicom-web/studies", data=as_file(data_set), content_type="application/dicom", headers=who
        )
        assert answer.status_code == 200, text(answer)


def of_anna() -> list[Dataset]:
    """A segmentation and a report, each with words of hers."""
    marks = [segmentation(), report()]
    for mark in marks:
        mark.SeriesDescription = PLANTED
    marks[0].SegmentSequence[0].SegmentLabel = PLANTED
    return marks


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    rules = replace(CLINICAL, on_conflict=ConflictRule.REPLACE)
    house = IngestHouse(tmp_path_factory.mktemp("house"), {"clinical": rules})
    dicomweb = DicomWebServices(
        index=house.index,
        search=InstanceSearch(house.database),
        blobs=house.blobs,
        store=house.pipeline.begin_batch,
        projects=PROJECTS,
        clock=house.clock,
    )
    folder = tmp_path_factory.mktemp("gateway")
    worklist = WorklistHouse(house.database, house.clock, guards=dict.fromkeys(PROJECTS))
    gateway = WebGateway(
        folder,
        projects=PROJECTS,
        default_project="clinical",
        dicomweb=dicomweb,
        instances=house.index,
        overview=Overview(house.database, house.clock, remember_s=0),
        worklist=worklist.services(folder),
        blind_to_models=frozenset({"research"}),
    )
    readers = gateway.add_user("anna", Role.READER), gateway.add_token("bert", Role.READER)
    held = Reading(house, gateway, *readers, gateway.add_user("lead", Role.LEAD))
    for image in images():
        held.stored(image, held.lead)
    for mark in of_anna():
        held.stored(mark, held.anna)
    held.stored(presentation_state(), held.bert)
    result = segmentation()
    result.SeriesInstanceUID, result.SOPInstanceUID = f"{RESULT_UID}.1", RESULT_UID
    held.stored(result, held.lead)
    _add_result(house)
    yield held
    gateway.close()
    house.close()


def _add_result(house: IngestHouse) -> None:
    """What a model made, with the run that made it, in both projects."""
    for project in PROJECTS:
        if project == "research":
            house.index.add(new_instance(ct_slice(), project=project))
            house.index.add(
                new_instance(ct_slice(series_uid=f"{RESULT_UID}.1", sop_instance_uid=RESULT_UID), project=project)
            )
        mine = instances.c.project == project, instances.c.sop_instance_uid == RESULT_UID
        with house.database.write() as connection:
            connection.execute(update(instances).where(*mine).values(kind=ObjectKind.RESULT, annotator="nodules"))
        study, runs = house.index.study(project, STUDY_UID), RunTable(house.database, house.clock)
        assert study is not None
        runs.enqueue(project, study.id, "nodules", "1.2.3.1", "digest")
        run = runs.lease("worker", 60)
        assert run is not None
        assert runs.finish(run.id, "worker", RunState.DONE, summary="one nodule", findings=json.dumps([NODULE]))


def dicomweb_rules(gateway: WebGateway) -> list[Rule]:
    rules = gateway.app.url_map.iter_rules()
    return [
        rule
        for rule in rules
        if "GET" in (rule.methods or ()) and not rule.websocket and ("dicom-web" in rule.rule or "/wado" in rule.rule)
    ]


def address(gateway: WebGateway, rule: Rule, uids: tuple[str, str]) -> str:
    """Where a rule leads for one instance; without parameters of its own, with those of WADO-URI."""
    named = {"project": "clinical", "study_uid": STUDY_UID, "series_uid": uids[0], "sop_instance_uid": uids[1]}
    wanted = rule.arguments - set(rule.defaults or {})
    values = {name: (EXAMPLES | named)[name] for name in wanted} | (rule.defaults or {})
    with gateway.app.test_request_context():
        built = str(gateway.app.url_map.bind("localhost").build(rule.endpoint, values))
    if wanted - {"project"}:
        return built
    return f"{built}?requestType=WADO&studyUID={STUDY_UID}&seriesUID={uids[0]}&objectUID={uids[1]}"


def told(answer: TestResponse) -> bytes:
    """Everything that an answer says."""
    body = answer.get_data()
    body = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
    return str(answer.headers).encode() + body


SECRETS = [secret.encode() for secret in (*SEG_UIDS, *SR_UIDS, PLANTED)]
SHOWN_TO_THEIR_READER = {
    *("search_series", "search_instances", "search_series_of_study", "search_instances_of_study"),
    *("search_instances_of_series", "retrieve_study", "retrieve_series", "retrieve_instance"),
    *("retrieve_study_metadata", "retrieve_series_metadata", "retrieve_instance_metadata"),
    *("retrieve_frames", "retrieve_bulk_data", "render_instance"),
}


def test_no_address_of_dicomweb_shows_another_readers_annotation(reading: Reading) -> None:
    found: dict[str, set[str]] = {"anna": set(), "lead": set()}
    for rule in dicomweb_rules(reading.gateway):
        for uids in (SEG_UIDS, SR_UIDS):
            path = address(reading.gateway, rule, uids)
            answer = reading.get(path, reading.bert)
            assert [secret for secret in SECRETS if secret in told(answer)] == [], path
            if "series_uid" in rule.arguments:
                assert answer.status_code in (204, 404), path
            for name, who in (("anna", reading.anna), ("lead", reading.lead)):
                seen = reading.get(path, who)
                shows = "sop_instance_uid" in rule.arguments or any(secret in told(seen) for secret in SECRETS)
                if seen.status_code == 200 and shows:
                    found[name].add(rule.endpoint.split(".")[1])
    assert found["anna"] >= SHOWN_TO_THEIR_READER
    assert found["lead"] >= SHOWN_TO_THEIR_READER


def study_of(reading: Reading, who: Headers) -> dict[str, Any]:
    (study,) = reading.json("/dicom-web/studies", who)
    return {tag: study[tag].get("Value") for tag in ("00080061", "00201206", "00201208")}


def test_counts_are_those_of_the_callers_view(reading: Reading) -> None:
    everything = {"00080061": ["CT", "PR", "SEG", "SR"], "00201206": [5], "00201208": [6]}
    assert study_of(reading, reading.lead) == everything
    assert study_of(reading, reading.anna) == {"00080061": ["CT", "SEG", "SR"], "00201206": [4], "00201208": [5]}
    assert study_of(reading, reading.bert) == {"00080061": ["CT", "PR", "SEG"], "00201206": [3], "00201208": [4]}


@pytest.mark.parametrize(
    ("query", "shown_to"),
    [
        ("studies?ModalitiesInStudy=SR", ["anna", "lead"]),
        ("studies?ModalitiesInStudy=PR", ["bert", "lead"]),
        ("series?Modality=SR", ["anna", "lead"]),
        (f"instances?SOPInstanceUID={SR_UIDS[1]}", ["anna", "lead"]),
        (f"instances?SOPInstanceUID={GSPS_UIDS[1]}", ["bert", "lead"]),
        (f"instances?SOPInstanceUID={RESULT_UID}", ["anna", "bert", "lead"]),
    ],
)
def test_matching_finds_what_the_view_has(reading: Reading, query: str, shown_to: list[str]) -> None:
    asked = {name: reading.get(f"/dicom-web/{query}", getattr(reading, name)) for name in ("anna", "bert", "lead")}
    assert [name for name, answer in asked.items() if answer.status_code == 200] == shown_to


def test_pages_and_what_remains_are_those_of_the_view(reading: Reading) -> None:
    seen = {"anna": 5, "bert": 4, "lead": 6}
    for name, count in seen.items():
        pages = [
            reading.get(f"/dicom-web/studies/{STUDY_UID}/instances?limit=1&offset={offset}", getattr(reading, name))
            for offset in range(count)
        ]
        uids = [page.get_json(force=True)[0]["00080018"]["Value"][0] for page in pages]
        assert len(set(uids)) == count
        assert f"There are {count - 1} additional results" in pages[0].headers["Warning"]
        assert "Warning" not in pages[-1].headers


def test_validator_of_one_view_does_not_fit_another(reading: Reading) -> None:
    path = f"/dicom-web/studies/{STUDY_UID}/metadata"
    mine, theirs = reading.get(path, reading.bert), reading.get(path, reading.anna)
    assert mine.headers["ETag"] != theirs.headers["ETag"]
    assert reading.get(path, reading.bert, If_None_Match=mine.headers["ETag"]).status_code == 304
    assert reading.get(path, reading.bert, If_None_Match=theirs.headers["ETag"]).status_code == 200
    for answer in (mine, reading.get(path, reading.bert, If_None_Match=mine.headers["ETag"])):
        assert "Authorization" in answer.vary
        assert answer.cache_control.private


def test_pages_and_interface_show_no_other_readers_annotation(reading: Reading) -> None:
    for path in (
        "/",
        f"/studies/clinical/{STUDY_UID}",
        "/api/v1/studies",
        f"/api/v1/projects/clinical/studies/{STUDY_UID}",
    ):
        answer = reading.get(path, reading.bert)
        assert answer.status_code == 200
        assert [secret for secret in SECRETS if secret in told(answer)] == []
    (line,) = reading.json("/api/v1/studies", reading.bert)["studies"]
    assert (line["images"], line["annotations"], line["results"]) == (2, 1, 1)
    (line,) = reading.json("/api/v1/studies", reading.lead)["studies"]
    assert (line["annotations"], line["modalities"]) == (3, ["CT", "PR", "SEG", "SR"])


def test_reader_who_reads_without_models_sees_no_result(reading: Reading) -> None:
    root = "/projects/research/dicom-web"
    for who, seen in ((reading.bert, False), (reading.lead, True)):
        found = reading.json(f"{root}/instances", who)
        assert (RESULT_UID in {one["00080018"]["Value"][0] for one in found}) is seen
        study = reading.json(f"/api/v1/projects/research/studies/{STUDY_UID}", who)
        assert (bool(study["results"]), bool(study["runs"])) == (seen, seen)
        page = text(reading.get(f"/studies/research/{STUDY_UID}", who))
        assert ("one nodule" in page) is seen
        assert ("one nodule" in text(reading.get("/?project=research", who))) is seen


def test_reader_sees_what_models_found_where_the_project_says_nothing(reading: Reading) -> None:
    study = reading.json(f"/api/v1/projects/clinical/studies/{STUDY_UID}", reading.bert)
    assert ([one["annotator"] for one in study["results"]], len(study["runs"])) == (["nodules"], 1)


def test_annotation_is_kept_with_the_account_that_stored_it(reading: Reading) -> None:
    anna = reading.gateway.accounts.user("anna")
    (bert,) = reading.gateway.accounts.tokens()
    rows = reading.house.index.instances_of("clinical", STUDY_UID)
    authors = {row.sop_instance_uid: row.author for row in rows if row.kind is ObjectKind.ANNOTATION}
    assert anna is not None
    assert authors == {SEG_UIDS[1]: anna.id, SR_UIDS[1]: anna.id, GSPS_UIDS[1]: bert.id}
    assert {row.author for row in rows if row.kind is not ObjectKind.ANNOTATION} == {""}


def test_only_its_reader_puts_something_else_in_an_annotations_place(reading: Reading) -> None:
    def digest_after(label: str, who: Headers) -> bytes:
        changed = presentation_state()
        changed.ContentLabel = label
        reading.stored(changed, who)
        row = reading.house.index.find("clinical", GSPS_UIDS[1])
        assert row is not None
        assert row.author == reading.gateway.accounts.tokens()[0].id
        return row.content_digest

    mine = digest_after("FIRST", reading.bert)
    assert digest_after("OTHER", reading.anna) == mine
    assert digest_after("SECOND", reading.bert) != mine


def test_work_item_that_another_reader_claimed_is_at_no_address(reading: Reading) -> None:
    root, client = "/dicom-web/workitems", reading.gateway.client()

    def send(method: str, path: str, body: dict[str, Any], who: Headers) -> int:
        sent = {"data": json.dumps([body]), "content_type": "application/dicom+json"}
        return client.open(f"{root}{path}", method=method, headers=who, buffered=True, **sent).status_code

    def listed(who: Headers) -> list[str]:
        return sorted(one["00080018"]["Value"][0] for one in reading.json(root, who))

    claim = {"00741000": element("CS", "IN PROGRESS"), "00081195": element("UI", "1.9.77")}
    for uid in ("2.25.1", "2.25.2"):
        assert send("POST", f"?{uid}", new_workitem(), reading.lead) == 201
    assert listed(reading.bert) == ["2.25.1", "2.25.2"]
    assert send("PUT", "/2.25.1/state", claim, reading.anna) == 200
    assert listed(reading.bert) == ["2.25.2"]
    assert listed(reading.anna) == listed(reading.lead) == ["2.25.1", "2.25.2"]
    assert reading.get(f"{root}/2.25.1", reading.bert).status_code == 404
    assert reading.get(f"{root}/2.25.1", reading.anna).status_code == 200
    late = claim | {"00081195": element("UI", "1.9.78")}
    assert send("PUT", "/2.25.1/state", late, reading.bert) == 409
    assert send("POST", "/2.25.1?1.9.78", {"00741202": element("LO", "other")}, reading.bert) == 404
    assert send("POST", "/2.25.1/cancelrequest", {}, reading.bert) == 404
    assert send("POST", "/2.25.1/subscribers/BERT", {}, reading.bert) == 404
