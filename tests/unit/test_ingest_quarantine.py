"""What lies in quarantine, who may decide on it, and what remains of it then."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from dicom_nodes.errors import InstanceUnreadable
from service.archive.quarantine_rows import QuarantineTable
from service.core.records import OutcomeKind
from service.errors import InstanceNotFound, KeysMissing
from service.ingest.quarantine import Quarantine
from service.ingest.quarantine_desk import QuarantineDesk
from tests.datasets import ct_slice
from tests.ingest_house import CLINICAL, SEALING_KEY, IngestHouse
from tests.referring_objects import SR_UIDS, images, report

ERROR = InstanceUnreadable("Cut short in its header")


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def decisions():
    return []


@pytest.fixture
def desk(house, decisions):
    return QuarantineDesk(house.quarantine, house.pipeline, decisions.append)


@pytest.fixture
def held(house):
    return house.quarantine.hold(house.incoming(ct_slice(1)), ERROR)


def files(house):
    return sorted(path.name for path in (house.folder / "quarantine").iterdir())


def test_object_comes_out_as_it_went_in(house, held):
    assert house.quarantine.read(held) == house.incoming(ct_slice(1))


def test_row_tells_the_reason_and_no_identity(house, held):
    row = house.quarantine.show(held)
    assert (row.reason, row.failure_reason, row.calling_ae_title) == ("Cut short in its header", 0xC001, "SCANNER")
    assert "Doe" not in str(row)


def test_same_object_again_is_one_row_counted_twice(house, held):
    assert house.quarantine.hold(house.incoming(ct_slice(1)), ERROR) == held
    assert [row.times_seen for row in house.quarantine.list()] == [2]
    assert len(files(house)) == 1


def test_same_bytes_in_two_projects_are_two_objects(house, held):
    assert house.quarantine.hold(house.incoming(ct_slice(1), "research"), ERROR) != held


def test_annotation_that_is_released_is_still_its_readers(house, desk):
    for image in images():
        house.pipeline.process(house.incoming(image))
    desk.release(house.quarantine.hold(house.incoming(report(), author="anna"), ERROR), "alice")
    assert house.index.find("clinical", SR_UIDS[1]).author == "anna"


def test_another_key_opens_nothing(house, held):
    other = Quarantine(house.folder / "quarantine", bytes(32), house.quarantine_rows, house.clock)
    with pytest.raises(KeysMissing):
        other.read(held)


@pytest.mark.parametrize("decide", ["release", "discard"])
def test_nothing_of_a_decided_object_remains(house, desk, held, decide):
    getattr(desk, decide)(held, "alice")
    assert files(house) == []
    with pytest.raises(InstanceNotFound):
        house.quarantine.read(held)


def test_released_object_is_archived(house, desk, held):
    outcome = desk.release(held, "alice")
    assert outcome.kind is OutcomeKind.ARCHIVED
    row = house.quarantine.show(held)
    assert (row.state, row.decided_by) == ("released", "alice")


def test_object_that_fails_again_stays_in_quarantine(house, desk, decisions):
    held = house.quarantine.hold(house.incoming(b"no dicom"), ERROR)
    assert desk.release(held, "alice").kind is OutcomeKind.QUARANTINED
    row = house.quarantine.show(held)
    assert (row.state, row.times_seen) == ("held", 1)
    assert [(one.action, one.succeeded) for one in decisions] == [("release", False)]


def test_object_is_released_once_what_kept_it_back_has_changed(tmp_path):
    ct = ct_slice().SOPClassUID
    with_project = IngestHouse(tmp_path)
    held = with_project.pipeline.process(with_project.incoming(ct_slice(1), "later")).quarantine_id
    with_project.close()
    with closing(IngestHouse(tmp_path, {"later": replace(CLINICAL, name="later")})) as again:
        outcome = QuarantineDesk(again.quarantine, again.pipeline, lambda decision: None).release(held, "alice")
    assert (outcome.kind, outcome.sop_class_uid) == (OutcomeKind.ARCHIVED, ct)


@pytest.mark.parametrize("decide", ["release", "discard"])
def test_nobody_decides_twice(desk, held, decide):
    desk.discard(held, "alice")
    with pytest.raises(InstanceNotFound):
        getattr(desk, decide)(held, "bob")


def test_discarded_object_that_comes_again_is_held_again(house, desk, held):
    desk.discard(held, "alice")
    assert house.quarantine.hold(house.incoming(ct_slice(1)), ERROR) == held
    assert house.quarantine.read(held).data_set == house.incoming(ct_slice(1)).data_set


@pytest.mark.parametrize("decide", ["release", "discard"])
def test_each_decision_is_told(desk, held, decisions, decide):
    getattr(desk, decide)(held, "alice")
    assert [(one.action, one.quarantine_id, one.by) for one in decisions] == [(decide, held, "alice")]


def test_what_is_too_old_expires(house, desk, held, decisions):
    house.clock.now += 100
    house.quarantine.hold(house.incoming(ct_slice(2)), ERROR)
    assert desk.expire(house.clock.now - 50) == 1
    assert [row.state for row in house.quarantine.list(state=None)] == ["held", "expired"]
    assert (len(files(house)), decisions[0].action) == (1, "expire")


def test_files_that_a_kill_left_are_erased(house, held):
    house.quarantine_rows.decide(held, "discarded", "alice")  # killed before the file went
    (house.folder / "quarantine" / "abc.sealed.1234.part").write_bytes(b"half")
    house.clock.now = 4e9
    assert house.quarantine.tidy() == 2
    assert files(house) == []


def test_held_files_are_not_tidied_away(house, held):
    house.clock.now = 4e9
    assert house.quarantine.tidy() == 0
    assert len(files(house)) == 1


def test_unknown_id_is_not_found(desk):
    with pytest.raises(InstanceNotFound):
        desk.show("../../etc/passwd")


def test_row_repeats_no_text_that_came_where_a_uid_belongs(house):
    incoming = replace(house.incoming(ct_slice(1)), sop_class_uid="1.2.Doe", transfer_syntax_uid="Doe^Jane")
    row = house.quarantine.show(house.quarantine.hold(incoming, ERROR))
    assert (row.sop_class_uid, row.transfer_syntax_uid) == ("", "")
    assert house.quarantine.read(row.id) == incoming


class SeesItComeAgain(QuarantineTable):
    """Rows that tell when one was decided on, before anything else is done."""

    on_decided = staticmethod(lambda: None)

    def decide(self, *args, **kwargs):
        decided = super().decide(*args, **kwargs)
        self.on_decided()
        return decided


def test_object_that_comes_again_while_it_is_discarded_is_kept(house, held):
    rows = SeesItComeAgain(house.database, house.clock)
    rows.on_decided = lambda: house.quarantine.hold(house.incoming(ct_slice(1)), ERROR)
    Quarantine(house.folder / "quarantine", SEALING_KEY, rows, house.clock).close_case(held, "discarded", "alice")
    assert house.quarantine.read(held).data_set == house.incoming(ct_slice(1)).data_set


def test_file_that_never_got_its_row_is_erased(house):
    house.quarantine.keep(house.incoming(ct_slice(1)))
    assert (house.quarantine.tidy(), len(files(house))) == (0, 1)
    house.clock.now = 4e9
    assert (house.quarantine.tidy(), files(house)) == (1, [])
