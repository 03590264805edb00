"""The crosswalk: told to whoever has the right, as a file for one reader, with a row in the audit trail."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.archive.audit import AuditQuery
from service.bootstrap import Gateway
from service.cli.root import annogate
from service.core.records import Incoming
from service.errors import BadRequest, ContentConflict, SettingsInvalid
from service.settings import load_settings
from tests.datasets import SERIES_UID, STUDY_UID, ct_slice, encode

SECOND_UID = "1.2.826.0.1.3680043.8.498.7"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gateway with two patients in it, one of them with two identifiers; a second project keeps identity."""
    (tmp_path / "annogate.toml").write_text(
        '[projects.default]\n[projects.open]\ndeidentify = "none"\nannotators = []\n'
    )
    (tmp_path / "ids.csv").write_text("id,id_of\nCLINIC-8,PAT-4711\n")
    with gateway(tmp_path) as opened:
        opened.prepare()
        for number, (patient_id, study_uid) in enumerate([("PAT-4711", STUDY_UID), ("PAT-0815", SECOND_UID)], start=1):
            image = ct_slice(number, patient_id=patient_id, study_uid=study_uid, series_uid=f"{study_uid}.1")
            opened.pipeline.process(
                Incoming("default", "", "", "1.2.840.10008.1.2.1", encode(image), "stow", "", "", 1.0)
            )
    return tmp_path


def gateway(folder: Path) -> Gateway:
    storage = {"storage": {"data_dir": str(folder / "data"), "disk_reserve_gib": 0}}
    return Gateway(load_settings(folder / "annogate.toml", environ={}, overrides=storage))


def run(folder: Path, *words: str) -> Result:
    where = ["--config", str(folder / "annogate.toml"), "--data-dir", str(folder / "data")]
    return CliRunner().invoke(annogate, [*words, *where])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def audited(folder: Path, action: str) -> list[dict[str, object]]:
    with gateway(folder) as opened:
        return [dict(row.detail) | {"project": row.project} for row in opened.audit.search(AuditQuery(action=action))]


def test_patients_of_a_project_are_told(folder: Path) -> None:
    out = folder / "crosswalk.csv"
    assert run(folder, "export", "crosswalk", "--out", str(out)).exit_code == 0
    with gateway(folder) as opened:
        deidentifier = opened.deidentifiers["default"]
        assert deidentifier is not None
        expected = {(name, deidentifier.pseudonym(name)) for name in ("PAT-4711", "PAT-0815")}
    assert {(row["id_old"], row["id_new"]) for row in rows(out)} == expected
    assert list(rows(out)[0]) == ["id_old", "id_new"]


def test_every_identifier_of_a_patient_is_told(folder: Path) -> None:
    assert run(folder, "import", "patients", str(folder / "ids.csv")).exit_code == 0
    out = folder / "crosswalk.csv"
    run(folder, "export", "crosswalk", "--issuers", "--out", str(out))
    found = {row["id_old"]: row["id_new"] for row in rows(out)}
    assert found["CLINIC-8"] == found["PAT-4711"] != found["PAT-0815"]
    assert list(rows(out)[0]) == ["id_old", "id_new", "issuer_old"]


@pytest.mark.parametrize(
    ("level", "old"),
    [
        ("study", {STUDY_UID, SECOND_UID}),
        ("series", {SERIES_UID, f"{SECOND_UID}.1"}),
        ("instance", {f"{SERIES_UID}.1", f"{SECOND_UID}.1.2"}),
    ],
)
def test_uids_are_told_by_level(folder: Path, level: str, old: set[str]) -> None:
    out = folder / "crosswalk.csv"
    run(folder, "export", "crosswalk", "--level", level, "--out", str(out))
    assert {row["id_old"] for row in rows(out)} == old
    assert all(row["id_new"].startswith("2.25.") for row in rows(out))


def test_file_is_for_its_owner_alone(folder: Path) -> None:
    out = folder / "crosswalk.csv"
    run(folder, "export", "crosswalk", "--out", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_export_is_a_row_of_the_audit_trail_without_identity(folder: Path) -> None:
    run(folder, "export", "crosswalk", "--out", str(folder / "crosswalk.csv"))
    assert audited(folder, "crosswalk.export") == [{"level": "patient", "rows": 2, "project": "default"}]


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/tty", "there.csv"])
def test_nothing_that_is_there_is_written_to(folder: Path, place: str) -> None:
    (folder / "there.csv").write_text("mine")
    answer = run(folder, "export", "crosswalk", "--out", str(folder / place))
    assert isinstance(answer.exception, BadRequest)
    assert "PAT-" not in answer.output
    assert (folder / "there.csv").read_text() == "mine"
    assert audited(folder, "crosswalk.export") == []


def test_standard_output_is_refused(folder: Path) -> None:
    answer = run(folder, "export", "crosswalk", "--out", "-")
    assert answer.exit_code == 2
    assert "PAT-" not in answer.output


@pytest.mark.parametrize("command", [["export", "crosswalk", "--out", "x.csv"], ["import", "patients"]])
def test_project_that_keeps_identity_has_no_crosswalk(folder: Path, command: list[str]) -> None:
    further = [str(folder / "ids.csv")] if command[0] == "import" else []
    answer = run(folder, *command, *further, "--project", "open")
    assert isinstance(answer.exception, SettingsInvalid)
    assert "keeps its objects as they come" in str(answer.exception)


def test_import_is_a_row_of_the_audit_trail_without_identity(folder: Path) -> None:
    run(folder, "import", "patients", str(folder / "ids.csv"))
    (row,) = audited(folder, "patients.import")
    assert row == {"persons": 1, "identifiers": 2, "changed": 1, "project": "default"}


def test_refused_import_is_a_row_as_well(folder: Path) -> None:
    (folder / "ids.csv").write_text("id,id_of\nPAT-0815,PAT-4711\n")
    answer = run(folder, "import", "patients", str(folder / "ids.csv"))
    assert isinstance(answer.exception, ContentConflict)
    assert "PAT-" not in str(answer.exception)
    assert audited(folder, "patients.import") == [{"project": "default"}]


def test_two_projects_cannot_be_joined(tmp_path: Path) -> None:
    (tmp_path / "annogate.toml").write_text("[projects.default]\n[projects.second]\nannotators = []\n")
    with gateway(tmp_path) as opened:
        opened.prepare()
        for project in ("default", "second"):
            incoming = Incoming(project, "", "", "1.2.840.10008.1.2.1", encode(ct_slice()), "stow", "", "", 1.0)
            opened.pipeline.process(incoming)
        served = []
        for project in ("default", "second"):
            (summary,) = opened.instances.studies(project)
            (instance,) = opened.instances.instances_of(project, summary.study.study_uid)
            with opened.blobs.open(instance.blob.key) as stream:
                content = stream.read()
            identities = {
                *(summary.study.patient_id, summary.study.study_uid, instance.series_uid, instance.sop_instance_uid),
                *(summary.study.patient_digest or b"").hex().split(),
                instance.content_digest.hex(),
            }
            served.append((identities, content))
    (one, first), (other, second) = served
    assert one.isdisjoint(other)
    assert [name for name in one if name.encode() in second] == []
    assert [name for name in other if name.encode() in first] == []


def test_key_backup_is_missed_and_then_not(folder: Path) -> None:
    def told() -> dict[str, str]:
        found = json.loads(run(folder, "check", "--json").stdout)
        return {finding["what"]: finding["level"] for finding in found}

    assert told()["key backup"] == "warning"
    (folder / "safe").mkdir()
    assert run(folder, "vault", "backup-key", str(folder / "safe")).exit_code == 0
    (copy,) = (folder / "safe").iterdir()
    assert copy.read_bytes() == (folder / "data" / "keys" / "annogate.key").read_bytes()
    assert told()["key backup"] == "ok"
    assert run(folder, "vault", "rotate").exit_code == 0
    assert told()["key backup"] == "warning"
    assert "has changed since its last backup" in run(folder, "status").output


@pytest.mark.parametrize(
    ("place", "words"), [("data/copy.key", "would lie with the data"), ("there", "holds something else")]
)
def test_key_backup_goes_where_it_is_one(folder: Path, place: str, words: str) -> None:
    (folder / "there").write_text("mine")
    answer = run(folder, "vault", "backup-key", str(folder / place))
    assert words in str(answer.exception)
    assert (folder / "there").read_text() == "mine"


def test_key_file_from_before_a_rotation_is_refused_at_start(folder: Path) -> None:
    run(folder, "vault", "backup-key", str(folder / "old.key"))
    run(folder, "vault", "rotate")
    (folder / "old.key").replace(folder / "data" / "keys" / "annogate.key")
    with gateway(folder) as opened, pytest.raises(Exception, match="older than the last rotation"):
        opened.prepare()


def test_status_of_the_vault_names_its_keys(folder: Path) -> None:
    told = json.loads(run(folder, "vault", "status", "--json").stdout)
    assert told["keys"] == told["used"]
    assert told["missing"] == []
