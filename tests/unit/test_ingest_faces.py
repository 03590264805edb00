"""Images of a head wait for their series, lose its face together, and only then can anything read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.core.records import OutcomeKind
from service.deident.faces.face_finder import FaceFinder
from service.deident.faces.face_policy import FacePolicy
from service.deident.pixels.blackening import blacken_pixels
from service.deident.pixels.frame_reader import FrameReader
from service.deident.pixels.pixel_outcome import OutcomeKind as Looked
from service.deident.pixels.pixel_outcome import PixelOutcome
from service.ingest.face_rounds import FaceRounds
from service.ingest.face_step import FaceStep
from service.ingest.pixel_case import PixelsFound
from service.ingest.quarantine_desk import QuarantineDesk
from service.ingest.segment_claim import SegmentClaims
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse
from tests.patience import PATIENCE_S
from tests.unit.test_deident_face_series import masks_of, series

QUIET_S = 5.0


class Blackener:
    """Blackens what it is told to; nobody looks for text here."""

    def must_look(self, header):
        return False

    def apply(self, header, pixels, transfer_syntax_uid, regions):
        frames = FrameReader(header, pixels, transfer_syntax_uid)
        return PixelOutcome(Looked.BLACKENED, tuple(regions), blackened=blacken_pixels(frames, pixels, header, regions))


@pytest.fixture
def make_house(tmp_path, repository: Path) -> Callable[[], IngestHouse]:
    policy = FacePolicy.load(repository / "config" / "faces.toml")
    houses: list[IngestHouse] = []

    def make() -> IngestHouse:
        houses.append(IngestHouse(tmp_path, faces=lambda: FaceStep(policy, FaceFinder(), Blackener(), b"k" * 32)))
        return houses[-1]

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def house(make_house) -> IngestHouse:
    return make_house()


def rounds_of(house: IngestHouse, decisions: list | None = None) -> FaceRounds:
    return FaceRounds(
        quarantine=house.quarantine,
        pipeline=house.pipeline,
        quiet_s={"research": QUIET_S},
        pending=(house.intake.oldest_pending_at,),
        claims=SegmentClaims(house.folder / "faces"),
        on_decision=[].append if decisions is None else decisions.append,
        clock=house.clock,
    )


def head_images(number: int | None = None) -> list[Dataset]:
    data_sets, stored = series()
    images = []
    for head, values in zip(data_sets[:number], stored, strict=False):
        image = ct_slice(1)
        image.update(head)
        image.BodyPartExamined, image.HighBit = "HEAD", 11
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        image.PixelData = values.astype("<u2").tobytes()
        images.append(image)
    return images


def send(house: IngestHouse, images: list[Dataset]) -> list:
    return [house.pipeline.process(house.incoming(image, "research")) for image in images]


def served(house: IngestHouse) -> list[Dataset]:
    rows = house.index.instances_of("research", house.deidentifier.map_uid(series()[0][0].StudyInstanceUID))
    return sorted((house.stored(row) for row in rows), key=lambda one: float(one.ImagePositionPatient[2]))


def test_nothing_of_a_head_can_be_read_before_its_series_is_whole(house):
    outcomes = send(house, head_images(3))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.QUARANTINED}
    assert "Waits for the rest of its series" in outcomes[0].reason
    assert not house.blob_keys()
    rounds_of(house).work()
    assert not house.blob_keys()


def test_series_that_went_quiet_is_served_without_its_face(house):
    images = head_images()
    send(house, images)
    house.clock.now += QUIET_S
    decisions: list = []
    assert rounds_of(house, decisions).work() == 1
    stored = served(house)
    assert len(stored) == len(images)
    masks = masks_of(*series())
    for one, image, mask in zip(stored, images, masks, strict=True):
        before = np.frombuffer(image.PixelData, "<u2").reshape(mask[0].shape)
        after = np.frombuffer(one.PixelData, "<u2").reshape(mask[0].shape)
        assert np.array_equal(after[~mask[0]], before[~mask[0]])
        assert np.all(after[mask[0]] == before.min())
        assert one.RecognizableVisualFeatures == "NO"
        assert "113102" in [item.CodeValue for item in one.DeidentificationMethodCodeSequence]
        assert "BurnedInAnnotation" not in one
    assert house.quarantine_rows.count("research") == 0
    assert {decision.action for decision in decisions} == {"remove-face"}


def test_series_of_which_something_is_on_its_way_waits(house):
    send(house, head_images(6))
    house.clock.now += QUIET_S - 1
    late = house.spool([head_images()[7]], "RESEARCH")
    late.close()
    house.worker._rows({one.source_key: one for one in house.worker._reader.committed()})
    house.clock.now += 1
    assert rounds_of(house).work() == 0


def test_images_of_other_parts_do_not_wait(house):
    chest = ct_slice(1)
    chest.BodyPartExamined = "CHEST"
    (outcome,) = send(house, [chest])
    assert outcome.kind is OutcomeKind.ARCHIVED
    stored = house.stored(house.index.find("research", outcome.sop_instance_uid))
    assert "RecognizableVisualFeatures" not in stored


def test_series_whose_face_cannot_be_found_is_left_to_a_person(house):
    send(house, head_images(3))
    house.clock.now += QUIET_S
    decisions: list = []
    rounds_of(house, decisions).work()
    rows = house.quarantine.list("research")
    assert {row.failure_reason for row in rows} == {PixelsFound.dimse_status}
    assert all("fewer than 5 slices" in row.reason for row in rows)
    assert [decision.succeeded for decision in decisions] == [False] * 3
    assert rounds_of(house).work() == 0

    desk = QuarantineDesk(house.quarantine, house.pipeline, lambda _: None)
    outcome = desk.release_seen(rows[0].id, "anna", [])
    assert outcome.kind is OutcomeKind.ARCHIVED
    assert "RecognizableVisualFeatures" not in house.stored(house.index.find("research", outcome.sop_instance_uid))


def test_what_a_kill_left_is_taken_up_by_the_next_process(house, make_house, monkeypatch):
    images = head_images()
    send(house, images)
    house.clock.now += QUIET_S
    closed = []
    close = house.quarantine.close_case

    def killed_before_the_end(*arguments):
        if len(closed) == len(images) - 3:
            raise KeyboardInterrupt
        closed.append(close(*arguments))

    monkeypatch.setattr(house.quarantine, "close_case", killed_before_the_end)
    with pytest.raises(KeyboardInterrupt):
        rounds_of(house).work()

    other = make_house()
    other.clock.now = house.clock.now
    rounds_of(other).work()
    assert len(served(other)) == len(images)
    assert other.quarantine_rows.count("research") == 0


def test_rounds_end_when_they_are_told(house):
    stop = Event()
    thread = Thread(target=rounds_of(house).run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
