"""Versions of annotations over the API and on the pages: everybody sees what is theirs to see."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from service.archive.audit import AuditQuery
from service.core.access import Role
from service.core.records import ObjectKind
from tests.datasets import STUDY_UID
from tests.marked_studies import finding, images, saved
from tests.web_gateway import WebGateway, text

API = "/api/v1/projects/default"
LIST = f"{API}/studies/{STUDY_UID}/annotations"


class Versioned(WebGateway):
    """A gateway whose study two readers have marked; the first of them twice."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.anna, self.bert = self.add_user("anna", Role.READER), self.add_user("bert", Role.READER)
        self.lead = self.add_user("lead", Role.LEAD)
        self.store(ObjectKind.IMAGE, "", *images())
        first = saved(finding(1))
        self.first = first
        self.store(ObjectKind.ANNOTATION, self._account("anna"), *first)
        self.store(ObjectKind.ANNOTATION, self._account("anna"), *saved(finding(1, at=6, length=8.0), after=first[1]))
        self.store(ObjectKind.ANNOTATION, self._account("bert"), *saved(finding(2)))

    def _account(self, name: str) -> str:
        user = self.accounts.user(name)
        assert user is not None
        return user.id


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Versioned]:
    gateway = Versioned(tmp_path)
    yield gateway
    gateway.close()


def numbers(gateway: Versioned, who: dict[str, str]) -> list[tuple[str, int, bool]]:
    told = gateway.client().get(LIST, headers=who).json
    assert told is not None
    return [(one["author"], one["number"], one["newest"]) for one in told["versions"]]


def test_a_lead_sees_the_versions_of_everybody_and_a_reader_their_own(gateway: Versioned) -> None:
    assert numbers(gateway, gateway.lead) == [("anna", 2, True), ("anna", 1, False), ("bert", 1, True)]
    assert numbers(gateway, gateway.bert) == [("bert", 1, True)]


def test_an_older_object_is_a_file_that_dicomweb_does_not_show(gateway: Versioned) -> None:
    report = gateway.first[1]
    version = gateway.version_desk.of_study("default", STUDY_UID)[1]
    path = f"{API}/annotations/{version.id}/objects/{report.SOPInstanceUID}"
    answer = gateway.client().get(path, headers=gateway.anna)
    assert (answer.status_code, answer.content_type) == (200, "application/dicom")
    assert dcmread(io.BytesIO(answer.data)).SOPInstanceUID == report.SOPInstanceUID
    shown = gateway.client().get(f"/dicom-web/studies/{STUDY_UID}/instances", headers=gateway.anna)
    assert str(report.SOPInstanceUID) not in text(shown)
    assert gateway.client().get(path, headers=gateway.bert).status_code == 404


def test_a_comparison_tells_each_finding_and_draws_it(gateway: Versioned) -> None:
    newest = gateway.version_desk.of_study("default", STUDY_UID)[0]
    path = f"{API}/annotations/{newest.id}/comparison"
    told = gateway.client().get(path, headers=gateway.anna).json
    assert told is not None
    assert told["counts"] == {"accepted": 0, "changed": 1, "added": 0, "removed": 0}
    (changed,) = told["findings"]
    assert changed["overlap"]["dice"] == pytest.approx(0.25)
    assert {one["what"] for one in changed["differences"]} == {"mask", "Long Axis"}
    drawn = gateway.client().get(f"{path}/picture?finding={changed['tracking_uid']}", headers=gateway.anna)
    assert (drawn.content_type, drawn.data[:4]) == ("image/png", b"\x89PNG")
    assert gateway.client().get(f"{path}?to=999", headers=gateway.anna).status_code == 404
    assert gateway.client().get(f"{path}/picture", headers=gateway.anna).status_code == 400
    assert gateway.client().get(path, headers=gateway.bert).status_code == 404


def test_a_first_version_says_that_there_is_nothing_to_compare_it_with(gateway: Versioned) -> None:
    first = gateway.version_desk.of_study("default", STUDY_UID)[1]
    answer = gateway.client().get(f"{API}/annotations/{first.id}/comparison", headers=gateway.anna)
    assert answer.status_code == 400
    assert "name the one to compare it with" in text(answer)


def test_restoring_adds_a_version_and_a_row_of_the_trail(gateway: Versioned) -> None:
    first = gateway.version_desk.of_study("default", STUDY_UID)[1]
    path = f"{API}/annotations/{first.id}/restore"
    assert gateway.client().post(path, json={"reason": "x"}, headers=gateway.bert).status_code == 404
    made = gateway.client().post(path, json={"reason": "the first was right"}, headers=gateway.lead)
    assert made.status_code == 201
    assert made.json is not None
    assert (made.json["number"], made.json["author"], made.json["stored_by"]) == (3, "anna", "lead")
    assert [one["shown"] for one in made.json["objects"]] == [True, True]
    assert gateway.client().post(path, json={}).status_code == 401
    (row,) = gateway.audit.search(AuditQuery(action="annotation.restore"))
    assert (row.actor, row.target) == ("lead", STUDY_UID)


def test_the_pages_lead_from_the_study_to_what_changed(gateway: Versioned) -> None:
    client, who = gateway.client(), gateway.lead
    assert "Versions of what was marked here" in text(client.get(f"/studies/default/{STUDY_UID}", headers=who))
    page = text(client.get(f"/studies/default/{STUDY_UID}/annotations", headers=who))
    assert "anna" in page
    assert "bert" in page
    newest, first = gateway.version_desk.of_study("default", STUDY_UID)[:2]
    compared = text(client.get(f"/annotations/default/{newest.id}", headers=who))
    assert "Dice 0.250" in compared
    pictures = re.findall(r'src="([^"]+picture[^"]+)"', compared)
    assert pictures
    assert client.get(pictures[0].replace("&amp;", "&"), headers=who).content_type == "image/png"
    sign = re.search(r'name="sign" value="([^"]+)"', page)
    assert sign
    form = {"sign": sign[1], "reason": "again"}
    answer = client.post(f"/annotations/default/{first.id}/restore", data=form, headers=who)
    assert answer.status_code == 303
    assert numbers(gateway, who)[0] == ("anna", 3, True)
