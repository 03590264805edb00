from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_nodes.errors import InstanceUnreadable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.metadata_cache import assemble
from service.archive.prepared import PreparedInstance
from service.archive.rows import AddKind, InstanceRow, SeriesRow, StudyRow
from service.archive.vault_store import VaultStore
from service.core.ports import InstanceStore
from service.core.records import NewInstance, ObjectKind, SealedEntry
from service.errors import InstanceNotFound, PatientMismatch
from tests.archived import NOW, SetClock, new_instance
from tests.datasets import SERIES_UID, STUDY_UID, ct_slice

UID = f"{SERIES_UID}.1"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "index.db") as database:
        yield database


@pytest.fixture
def index(database: Database, clock: SetClock) -> InstanceIndex:
    return InstanceIndex(database, clock)


def study(index: InstanceIndex) -> StudyRow:
    row = index.study("default", STUDY_UID)
    assert row is not None
    return row


def series(index: InstanceIndex) -> SeriesRow:
    return index.series_of("default", STUDY_UID)[0]


def instance(index: InstanceIndex, uid: str = UID) -> InstanceRow:
    row = index.find("default", uid)
    assert row is not None
    return row


def annotation(number: int = 100, **changes: object) -> NewInstance:
    data_set = ct_slice(number, series_uid=f"{STUDY_UID}.2")
    data_set.Modality = "SEG"
    return new_instance(data_set, kind=ObjectKind.ANNOTATION, **{"patient_digest": None} | changes)


def test_index_is_an_instance_store(index: InstanceIndex) -> None:
    store: InstanceStore = index
    assert store.add(new_instance()).kind is AddKind.ADDED


def test_added_instance_is_found_with_its_columns(index: InstanceIndex) -> None:
    new = new_instance(ct_slice(7))
    row = index.add(new).instance
    assert row == index.find("default", f"{SERIES_UID}.7")
    assert row is not None
    assert (row.study_uid, row.series_uid, row.instance_number, row.rows, row.columns, row.bits_allocated) == (
        STUDY_UID,
        SERIES_UID,
        7,
        16,
        16,
        16,
    )
    assert (row.blob, row.kind, row.visible, row.number_of_frames) == (new.blob, ObjectKind.IMAGE, True, None)
    assert (row.received_at, row.indexed_at, row.content_digest) == (NOW, NOW, new.content_digest)


def test_study_columns_come_from_the_header(index: InstanceIndex) -> None:
    data_set = ct_slice()
    data_set.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    index.add(new_instance(data_set))
    row = study(index)
    assert row.patient_name == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert (row.patient_id, row.patient_birth_date, row.patient_sex) == ("PAT-4711", "19610502", "F")
    assert (row.study_date, row.study_time, row.accession_number, row.study_id) == (
        "20240317",
        "081530",
        "ACC-99",
        "77",
    )
    assert (row.study_description, row.referring_physician_name) == ("Thorax", "House^Gregory")
    assert (row.state, row.version, row.created_at, row.patient_digest) == ("receiving", 0, NOW, b"patient")


def test_series_columns_come_from_the_header(index: InstanceIndex) -> None:
    data_set = ct_slice()
    data_set.PerformedProcedureStepStartDate, data_set.PerformedProcedureStepStartTime = "20240317", "081501"
    index.add(new_instance(data_set))
    row = series(index)
    assert (row.modality, row.series_number, row.series_description, row.body_part) == ("CT", 3, "Axial 2 mm", "CHEST")
    assert (row.start_date, row.start_time) == ("20240317", "081501")


def test_attributes_are_dicom_json_of_their_level(index: InstanceIndex) -> None:
    data_set = ct_slice()
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP1", "SPS1"
    data_set.RequestAttributesSequence = Sequence([request])
    index.add(new_instance(data_set))
    of_study, of_series = json.loads(study(index).attributes), json.loads(series(index).attributes)
    assert of_study["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    assert of_study["00081030"] == {"vr": "LO", "Value": ["Thorax"]}
    assert of_series["00400275"]["Value"][0]["00401001"] == {"vr": "SH", "Value": ["RP1"]}
    assert "00080060" not in of_study
    assert "00100010" not in of_series


def test_overlong_value_is_cut_in_its_column_only(index: InstanceIndex) -> None:
    data_set = ct_slice()
    data_set[0x00100020] = DataElement(0x00100020, "LO", "P" * 70, validation_mode=config.IGNORE)
    index.add(new_instance(data_set))
    assert len(study(index).patient_id) == 64
    assert json.loads(study(index).attributes)["00100020"]["Value"] == ["P" * 70]


@pytest.mark.parametrize("value", ["", "1.5", "99999999999", "seven"])
def test_instance_number_that_is_none_is_unknown(index: InstanceIndex, value: str) -> None:
    data_set = ct_slice()
    data_set.add_new(0x00200013, "LO", value)
    data_set[0x00200013].VR = "IS"
    assert index.add(new_instance(data_set)).instance.instance_number is None  # type: ignore[union-attr]


def test_first_instance_decides_the_studys_attributes(index: InstanceIndex) -> None:
    other = ct_slice(2)
    other.StudyDescription, other.SeriesDescription = "Other", "Other"
    index.add_all([new_instance(), new_instance(other)])
    assert (study(index).study_description, series(index).series_description) == ("Thorax", "Axial 2 mm")


@pytest.mark.parametrize("empty", [None, ""])
def test_later_instance_fills_what_the_first_left_empty(index: InstanceIndex, empty: str | None) -> None:
    first = ct_slice()
    if empty is None:
        del first.StudyDescription, first.SeriesDescription
    else:
        first.StudyDescription = first.SeriesDescription = empty
    index.add(new_instance(first))
    index.add(new_instance(ct_slice(2)))
    assert (study(index).study_description, series(index).series_description) == ("Thorax", "Axial 2 mm")
    assert json.loads(study(index).attributes)["00081030"]["Value"] == ["Thorax"]


def test_batch_gives_each_instance_its_outcome(index: InstanceIndex) -> None:
    index.add(new_instance())
    batch = [
        new_instance(ct_slice(2)),
        new_instance(),
        new_instance(content="other"),
        new_instance(ct_slice(3), patient_digest=b"somebody else"),
        new_instance(ct_slice(4)),
    ]
    assert [outcome.kind for outcome in index.add_all(batch)] == [
        AddKind.ADDED,
        AddKind.DUPLICATE,
        AddKind.CONFLICT,
        AddKind.PATIENT_MISMATCH,
        AddKind.ADDED,
    ]
    assert [row.instance_number for row in index.instances_of("default", STUDY_UID)] == [1, 2, 4]


def test_same_uid_twice_in_one_batch_is_added_once(index: InstanceIndex) -> None:
    outcomes = index.add_all([new_instance(), new_instance(), new_instance(content="other")])
    assert [outcome.kind for outcome in outcomes] == [AddKind.ADDED, AddKind.DUPLICATE, AddKind.CONFLICT]


def test_repeated_batch_changes_nothing(index: InstanceIndex, clock: SetClock) -> None:
    batch = [new_instance(ct_slice(number)) for number in range(1, 5)]
    index.add_all(batch)
    before = (study(index), series(index), index.instances_of("default", STUDY_UID))
    clock.now += 100
    assert {outcome.kind for outcome in index.add_all(batch)} == {AddKind.DUPLICATE}
    assert (study(index), series(index), index.instances_of("default", STUDY_UID)) == before


def test_duplicate_names_the_instance_that_is_held(index: InstanceIndex) -> None:
    first = index.add(new_instance()).instance
    assert index.add(new_instance(version=1)).instance == first


def test_empty_batch_is_no_transaction(index: InstanceIndex) -> None:
    assert index.add_all([]) == []


def test_same_uid_in_another_project_is_another_instance(index: InstanceIndex) -> None:
    index.add(new_instance())
    assert index.add(new_instance(project="research", content="other")).kind is AddKind.ADDED
    assert index.count() == 2
    assert index.count("research") == 1


def test_other_patient_under_the_study_is_refused(index: InstanceIndex) -> None:
    index.add(new_instance())
    with pytest.raises(PatientMismatch):
        index.add(new_instance(ct_slice(2)), patient_digest=b"somebody else")
    assert index.count() == 1


def test_first_known_patient_is_kept_with_the_study(index: InstanceIndex) -> None:
    index.add(new_instance(patient_digest=None))
    index.add(new_instance(ct_slice(2), patient_digest=b"patient"))
    assert study(index).patient_digest == b"patient"


def test_annotation_without_a_digest_is_not_compared(index: InstanceIndex) -> None:
    index.add(new_instance())
    assert index.add(annotation()).kind is AddKind.ADDED
    assert study(index).patient_digest == b"patient"


def test_image_moves_the_study_back_to_receiving(index: InstanceIndex, database: Database) -> None:
    index.add(new_instance())
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE studies SET state = 'complete'")
    index.add(new_instance(ct_slice(2), received_at=NOW + 9))
    assert (study(index).state, study(index).last_image_at) == ("receiving", NOW + 9)


def test_image_received_earlier_does_not_move_the_last_one_back(index: InstanceIndex) -> None:
    index.add_all([new_instance(ct_slice(1), received_at=NOW + 9), new_instance(ct_slice(2), received_at=NOW)])
    assert study(index).last_image_at == NOW + 9


@pytest.mark.parametrize("kind", [ObjectKind.ANNOTATION, ObjectKind.RESULT])
def test_annotation_and_result_leave_a_complete_study_complete(
    index: InstanceIndex, database: Database, kind: ObjectKind
) -> None:
    index.add(new_instance())
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE studies SET state = 'complete'")
    index.add(replace(annotation(), kind=kind, received_at=NOW + 9))
    assert (study(index).state, study(index).last_image_at) == ("complete", NOW)


def test_annotation_changes_its_study_and_series_but_no_other(index: InstanceIndex, clock: SetClock) -> None:
    index.add_all([new_instance(), annotation(100)])
    images, marks = sorted(index.series_of("default", STUDY_UID), key=lambda row: row.id)
    before = study(index)
    clock.now += 1
    index.add(annotation(101))
    images_after, marks_after = sorted(index.series_of("default", STUDY_UID), key=lambda row: row.id)
    assert study(index).changed_at > before.changed_at
    assert marks_after.changed_at > marks.changed_at
    assert images_after == images


def test_change_time_grows_even_when_the_clock_stands(index: InstanceIndex) -> None:
    index.add(new_instance())
    first = study(index).changed_at
    index.add(new_instance(ct_slice(2)))
    assert study(index).changed_at > first


def test_vault_rows_are_kept_for_what_is_held(index: InstanceIndex, database: Database) -> None:
    entry = SealedEntry("uid", UID, "key-1", b"sealed")
    index.add(new_instance(vault=(entry,)))
    assert VaultStore(database).get("default", "uid", UID) == entry


@pytest.mark.parametrize(("content", "kept"), [("", b"new"), ("other", b"old")])
def test_duplicate_renews_the_vault_and_conflict_does_not(
    index: InstanceIndex, database: Database, content: str, kept: bytes
) -> None:
    index.add(new_instance(vault=(SealedEntry("study", "s", "k", b"old"),)))
    index.add(new_instance(content=content, vault=(SealedEntry("study", "s", "k", b"new"),)))
    entry = VaultStore(database).get("default", "study", "s")
    assert entry is not None
    assert entry.sealed == kept


def test_mismatching_patient_leaves_no_vault_row(index: InstanceIndex, database: Database) -> None:
    index.add(new_instance())
    entry = SealedEntry("patient", "p", "k", b"sealed")
    index.add_all([new_instance(ct_slice(2), patient_digest=b"somebody else", vault=(entry,))])
    assert VaultStore(database).count("default") == 0


def test_hidden_instance_is_kept_but_not_shown(index: InstanceIndex) -> None:
    index.add_all([new_instance(), new_instance(ct_slice(2))])
    index.add(annotation(), hide=[UID])
    assert UID not in {row.sop_instance_uid for row in index.instances_of("default", STUDY_UID)}
    everything = index.instances_of("default", STUDY_UID, visible_only=False)
    assert [row.visible for row in everything if row.sop_instance_uid == UID] == [False]
    assert len(index.metadata_of("default", STUDY_UID)) == 2


def test_instances_stand_in_order_of_their_numbers(index: InstanceIndex) -> None:
    index.add_all([new_instance(ct_slice(number)) for number in (10, 2, 30, 1)])
    assert [row.instance_number for row in index.instances_of("default", STUDY_UID, SERIES_UID)] == [1, 2, 10, 30]


def test_studies_of_a_project_come_in_an_order_that_stays(index: InstanceIndex) -> None:
    for number in (3, 1, 2):
        index.add(new_instance(ct_slice(study_uid=f"1.2.{number}", series_uid=f"1.2.{number}.1")))
    index.add(new_instance(ct_slice(study_uid="1.2.0", series_uid="1.2.0.1"), project="other"))
    assert index.study_uids("default") == ["1.2.1", "1.2.2", "1.2.3"]


def test_study_is_found_by_its_series(index: InstanceIndex) -> None:
    index.add(new_instance(ct_slice(study_uid="1.2.3", series_uid="1.2.3.4")))
    found = index.study_of_series("default", "1.2.3.4")
    assert found is not None
    assert found.study_uid == "1.2.3"
    assert index.study_of_series("default", "1.2.3") is None
    assert index.study_of_series("other", "1.2.3.4") is None


def test_metadata_stands_in_the_order_of_the_instances(index: InstanceIndex) -> None:
    index.add_all([new_instance(ct_slice(number)) for number in (10, 2, 1)])
    answer = json.loads(assemble(index.metadata_of("default", STUDY_UID), "http://host", gzip=False))
    assert [item["00200013"]["Value"][0] for item in answer] == [1, 2, 10]


def test_metadata_of_one_instance_is_one(index: InstanceIndex) -> None:
    index.add_all([new_instance(ct_slice(number)) for number in (1, 2)])
    assert len(index.metadata_of("default", STUDY_UID, SERIES_UID, UID)) == 1


def test_unknown_study_has_nothing(index: InstanceIndex) -> None:
    assert index.study("default", "1.2.3") is None
    assert index.instances_of("default", "1.2.3") == []
    assert index.find("default", "1.2.3") is None
    assert index.series_of("default", "1.2.3") == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_header_without_a_uid_is_unreadable(index: InstanceIndex, keyword: str) -> None:
    new = new_instance()
    delattr(new.header, keyword)
    with pytest.raises(InstanceUnreadable):
        index.add(new)


def test_uid_that_is_a_path_is_unreadable(index: InstanceIndex) -> None:
    new = new_instance()
    new.header.add_new(0x0020000E, "LO", "../../1")
    with pytest.raises(InstanceUnreadable):
        index.add(new)


# replace


def test_replacement_keeps_the_row_and_names_the_old_blob(index: InstanceIndex) -> None:
    old = index.add(new_instance()).instance
    assert old is not None
    other = ct_slice()
    other.ImageComments = "corrected"
    replacement = index.replace(new_instance(other, content="other", version=1))
    assert (replacement.instance.id, replacement.old_blob_key) == (old.id, old.blob.key)
    assert instance(index).blob.key.endswith(".v1.dcm")
    answer = json.loads(assemble(index.metadata_of("default", STUDY_UID), "http://host", gzip=False))
    assert answer[0]["00204000"]["Value"] == ["corrected"]


def test_replacement_moves_the_instance_to_its_new_series(index: InstanceIndex, clock: SetClock) -> None:
    index.add_all([new_instance(), new_instance(ct_slice(2))])
    before = series(index)
    clock.now += 1
    moved = ct_slice(series_uid=f"{STUDY_UID}.7", sop_instance_uid=UID)
    index.replace(new_instance(moved, content="other", version=1))
    assert instance(index).series_uid == f"{STUDY_UID}.7"
    assert series(index).changed_at > before.changed_at


def test_replacing_what_is_not_held_is_refused(index: InstanceIndex) -> None:
    with pytest.raises(InstanceNotFound):
        index.replace(new_instance())


def test_replacement_by_another_patient_is_refused(index: InstanceIndex) -> None:
    index.add(new_instance())
    before = instance(index)
    with pytest.raises(PatientMismatch):
        index.replace(new_instance(content="other", version=1, patient_digest=b"somebody else"))
    assert instance(index) == before


def test_replacement_under_the_same_key_leaves_no_blob_to_delete(index: InstanceIndex) -> None:
    index.add(new_instance())
    assert index.replace(new_instance(content="other")).old_blob_key is None


# lists


def test_summary_counts_what_is_visible(index: InstanceIndex) -> None:
    index.add_all([new_instance(ct_slice(number)) for number in (1, 2, 3)])
    index.add(annotation())
    index.hide("default", [UID])
    (summary,) = index.studies("default")
    assert (summary.series, summary.instances, summary.images, summary.annotations, summary.results) == (2, 3, 2, 1, 0)
    assert summary.modalities == ("CT", "SEG")


def test_series_with_nothing_to_show_lends_no_modality(index: InstanceIndex) -> None:
    index.add_all([new_instance(), annotation(100)])
    index.hide("default", [f"{STUDY_UID}.2.100"])
    assert index.studies("default")[0].modalities == ("CT",)


def test_studies_are_listed_newest_first_by_page(index: InstanceIndex) -> None:
    for number in range(3):
        index.add(
            new_instance(ct_slice(study_uid=f"1.9.{number}", series_uid=f"1.9.{number}.1"), received_at=NOW + number)
        )
    listed = [summary.study.study_uid for summary in index.studies(limit=2, offset=1)]
    assert listed == ["1.9.1", "1.9.0"]
    assert index.studies("research") == []
    assert len(index.studies(state="receiving")) == 3


def test_orphaned_blobs_are_told_from_held_ones(index: InstanceIndex) -> None:
    held = index.add(new_instance()).instance
    assert held is not None
    orphan = held.blob.key.replace(".dcm", ".v3.dcm")
    assert index.held_blobs([held.blob.key, orphan]) == {held.blob.key}


# two at once


def test_one_of_two_writers_adds_and_the_other_finds_it(tmp_path: Path) -> None:
    start = threading.Barrier(2)
    outcomes: list[AddKind] = []

    def add(database: Database) -> None:
        prepared = [PreparedInstance.of(new_instance(ct_slice(number))) for number in range(1, 9)]
        start.wait()
        outcomes.extend(outcome.kind for outcome in InstanceIndex(database, SetClock()).add_all(prepared))

    with Database.open(tmp_path / "index.db") as first, Database.open(tmp_path / "index.db") as second:
        threads = [threading.Thread(target=add, args=(database,)) for database in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert InstanceIndex(first, SetClock()).count() == 8
    assert sorted(outcomes) == [AddKind.ADDED] * 8 + [AddKind.DUPLICATE] * 8


def test_one_of_two_processes_adds_and_the_other_finds_it(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from service.archive.database import Database\n"
        "from service.archive.instances import InstanceIndex\n"
        "from tests.archived import SetClock, new_instance\n"
        "with Database.open(sys.argv[1]) as database:\n"
        "    new = new_instance()\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    print(InstanceIndex(database, SetClock()).add(new).kind)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "index.db")]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(process.communicate()[0] for process in processes) == ["added\n", "duplicate\n"]


def test_transaction_that_is_rolled_back_leaves_nothing(index: InstanceIndex, database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            index.add_all([new_instance(vault=(SealedEntry("uid", "1", "k", b"s"),))], connection)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert index.count() == 0
    assert index.study("default", STUDY_UID) is None
    assert VaultStore(database).count("default") == 0
