"""Batches of one sender: the next is read while the former is made durable, and each keeps its own outcomes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.core.records import Incoming, Outcome, OutcomeKind
from service.ingest.direct_intake import DirectIntake
from tests.patience import PATIENCE_S

CT = "1.2.840.10008.5.1.4.1.1.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def incoming(uid: str, sop_class_uid: str = CT) -> Incoming:
    return Incoming("default", sop_class_uid, uid, "1.2.840.10008.1.2.1", b"x", "stow", "", "", 0.0)


class House:
    """Makes a batch durable when it is told to."""

    def __init__(self) -> None:
        self.disk = threading.Event()
        self.log: list[str] = []
        self.trouble: dict[str, Exception] = {}

    def begin(self, batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        names = [one.sop_instance_uid for one in batch]
        self.log.append(f"begun {names[0]}")
        if len(batch) > 1 and "begin" in self.trouble:
            raise self.trouble["begin"]

        def finish() -> list[Outcome]:
            assert self.disk.wait(PATIENCE_S)
            self.log.append(f"finished {names[0]}")
            if names[0] in self.trouble:
                raise self.trouble[names[0]]
            return [Outcome(OutcomeKind.ARCHIVED, sop_instance_uid=name) for name in names]

        return finish


def uids(outcomes: Sequence[Outcome | GatewayError]) -> list[str]:
    return [one.sop_instance_uid if isinstance(one, Outcome) else type(one).__name__ for one in outcomes]


def test_next_batch_is_begun_while_the_former_waits_for_the_disk() -> None:
    house = House()
    threading.Timer(0.2, house.disk.set).start()
    with DirectIntake(house.begin) as intake:
        first = intake.take([incoming("1.1")], is_last=False)
        second = intake.take([incoming("1.2")], is_last=True)
    assert house.log == ["begun 1.1", "begun 1.2", "finished 1.1", "finished 1.2"]
    assert uids([*first.outcomes, *second.outcomes]) == ["1.1", "1.2"]


def test_what_marks_a_study_is_begun_when_the_former_batch_is_found() -> None:
    house = House()
    threading.Timer(0.2, house.disk.set).start()
    with DirectIntake(house.begin) as intake:
        intake.take([incoming("1.1")], is_last=False)
        intake.take([incoming("1.2"), incoming("1.3", SEGMENTATION)], is_last=False)
        intake.take([incoming("1.4", "")], is_last=True)
    assert house.log == [f"{step} {uid}" for uid in ("1.1", "1.2", "1.4") for step in ("begun", "finished")]


def test_trouble_of_one_batch_leaves_the_others_their_outcomes() -> None:
    house = House()
    house.disk.set()
    house.trouble["1.1"] = StorageExhausted("full")
    with DirectIntake(house.begin) as intake:
        first = intake.take([incoming("1.1"), incoming("1.2")], is_last=False)
        second = intake.take([incoming("1.3")], is_last=True)
    assert uids([*first.outcomes, *second.outcomes]) == ["StorageExhausted", "StorageExhausted", "1.3"]


def test_what_breaks_a_batch_costs_only_its_own_place_and_no_order() -> None:
    house = House()
    house.disk.set()
    house.trouble = {"begin": ValueError("nobody foresaw it"), "1.3": ValueError("nor this")}
    with DirectIntake(house.begin) as intake:
        first = intake.take([incoming("1.1")], is_last=False)
        second = intake.take([incoming("1.2"), incoming("1.3")], is_last=True)
    assert uids([*first.outcomes, *second.outcomes]) == ["1.1", "1.2", "GatewayError"]
    assert house.log.index("finished 1.1") < house.log.index("finished 1.2")


def test_who_leaves_early_has_waited_for_what_was_begun() -> None:
    house = House()
    threading.Timer(0.1, house.disk.set).start()
    with DirectIntake(house.begin) as intake:
        taken = intake.take([incoming("1.1")], is_last=False)
    assert uids(taken.outcomes) == ["1.1"]
