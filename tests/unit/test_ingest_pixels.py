"""What becomes of objects whose pixels are looked at, before anything can read them."""

from __future__ import annotations

import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless

from service.core.records import OutcomeKind
from service.deident.pixels.pixel_outcome import Region, RegionOrigin
from service.errors import BadRequest, GatewayError, InstanceNotFound
from service.ingest.pixel_case import SUFFIX
from service.ingest.quarantine_desk import QuarantineDesk
from tests.datasets import ct_slice
from tests.fakes.scripted_pixel_cleaner import FOUND, ScriptedPixelCleaner
from tests.ingest_house import IngestHouse

BLACKENED = bytes(255 - byte for byte in ct_slice(1).PixelData)


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path, pixels=ScriptedPixelCleaner(tmp_path / "notes"))
    yield house
    house.close()


@pytest.fixture
def decisions():
    return []


@pytest.fixture
def desk(house, decisions):
    return QuarantineDesk(house.quarantine, house.pipeline, decisions.append)


def image(word="", number=1, **changes):
    image = ct_slice(number)
    image.DerivationDescription = word
    for name, value in changes.items():
        setattr(image, name, value)
    return image


@pytest.fixture
def send(house):
    def send(data_set, **changes):
        return house.pipeline.process(house.incoming(data_set, "research", **changes))

    return send


def served(house, outcome):
    return house.stored(house.index.find("research", outcome.sop_instance_uid))


def codes(stored):
    return [item.CodeValue for item in stored.DeidentificationMethodCodeSequence]


def test_image_that_nobody_looked_at_is_not_said_to_be_clean(house, send):
    stored = served(house, send(image()))
    assert ("113101" in codes(stored), "BurnedInAnnotation" in stored) == (False, False)


def test_what_is_said_of_one_image_is_not_said_of_the_next_in_its_series(house, send):
    words = ["", "clean", "", "blacken", "", "clean"]
    outcomes = [send(image(word, number)) for number, word in enumerate(words, 1)]
    said = ["113101" in codes(served(house, outcome)) for outcome in outcomes]
    assert said == [bool(word) for word in words]


@pytest.mark.parametrize("said", [None, "YES"])
def test_image_without_text_says_so(house, send, said):
    stored = served(house, send(image("clean", **({"BurnedInAnnotation": said} if said else {}))))
    assert ("113101" in codes(stored), stored.BurnedInAnnotation) == (True, "NO")
    assert "text recognition; nothing" in stored.ContributingEquipmentSequence[0].ContributionDescription
    assert stored.PixelData == ct_slice(1).PixelData


def test_blackened_image_is_served_blackened(house, send):
    outcome = send(image("blacken"))
    assert outcome.kind is OutcomeKind.ARCHIVED
    stored = served(house, outcome)
    assert stored.PixelData == BLACKENED
    assert ("113101" in codes(stored), stored.BurnedInAnnotation) == (True, "NO")
    assert "text recognition; regions" in stored.ContributingEquipmentSequence[0].ContributionDescription


def test_blackened_pixels_are_found_where_the_index_says(house, send):
    row = house.index.find("research", send(image("blacken")).sop_instance_uid)
    content = house.blobs.path(row.blob.key).read_bytes()
    assert content[row.blob.pixels.offset :][: row.blob.pixels.length] == BLACKENED


def test_new_transfer_syntax_reaches_header_and_index(house, send):
    outcome = send(image("compress"), transfer_syntax_uid=ImplicitVRLittleEndian)
    row = house.index.find("research", outcome.sop_instance_uid)
    stored = house.stored(row)
    assert (stored.file_meta.TransferSyntaxUID, row.transfer_syntax_uid) == (JPEGLSLossless, JPEGLSLossless)
    assert (row.blob.pixels.encapsulated, stored["PixelData"].VR) == (True, "OB")
    assert str(stored.PatientName).startswith("ANON-")


def test_digest_does_not_depend_on_the_look(house, send, tmp_path):
    first = house.index.find("research", send(image("clean")).sop_instance_uid)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keys.json").write_bytes((tmp_path / "keys.json").read_bytes())
    (elsewhere / "keys.json").chmod(0o600)
    other = IngestHouse(elsewhere)
    outcome = other.pipeline.process(other.incoming(image("clean"), "research"))
    assert other.index.find("research", outcome.sop_instance_uid).content_digest == first.content_digest
    other.close()


def test_blackened_image_sent_again_is_a_duplicate(send):
    send(image("blacken"))
    assert send(image("blacken")).kind is OutcomeKind.DUPLICATE


@pytest.mark.parametrize("said", [{}, {"BurnedInAnnotation": "YES"}])
def test_what_came_before_is_not_looked_at_again(house, send, said):
    first = send(image("blacken", **said))
    assert send(image("blacken", **said)).kind is OutcomeKind.DUPLICATE
    assert (house.folder / "notes").read_text().count("blacken") == 1
    assert served(house, first).PixelData == BLACKENED


def test_other_pixels_under_the_same_uid_are_looked_at(house, send):
    send(image("blacken"))
    assert send(image("clean")).kind is OutcomeKind.KEPT_FIRST
    assert "clean" in (house.folder / "notes").read_text()


def test_image_that_needs_a_person_is_held(house, send):
    outcome = send(image("ask"))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.QUARANTINED, "Text is left after blackening")
    assert outcome.failure_reason == 0xC006
    assert house.index.count("research") == 0


def test_case_says_where_to_look(house, desk, send):
    case = desk.pixel_case(send(image("ask")).quarantine_id)
    assert (case.rows, case.columns, case.frames) == (16, 16, 1)
    assert set(case.regions) == set(FOUND)


def test_case_lies_sealed(house, send):
    send(image("ask"))
    (path,) = (house.folder / "quarantine").glob(f"*{SUFFIX}")
    assert b"regions" not in path.read_bytes()


def test_fault_of_a_look_is_no_fault_of_the_house(send):
    outcome = send(image("fail"))
    assert (outcome.kind, "Doe" in outcome.reason) == (OutcomeKind.QUARANTINED, False)


def test_object_that_is_held_for_another_reason_has_no_case(house, desk, send):
    broken = image()
    del broken.PixelData
    held = send(broken).quarantine_id
    assert desk.pixel_case(held) is None
    with pytest.raises(InstanceNotFound):
        desk.picture(held, 1)
    with pytest.raises(InstanceNotFound):
        desk.release_seen(held, "alice", [])


def test_person_sees_the_picture(desk, send):
    assert desk.picture(send(image("ask")).quarantine_id, 1).startswith(b"\x89PNG")


def test_frame_that_there_is_not_is_told(desk, send):
    with pytest.raises(GatewayError, match="no such frame"):
        desk.picture(send(image("ask")).quarantine_id, 2)


def test_person_has_regions_blackened(house, desk, decisions, send):
    held = send(image("ask")).quarantine_id
    outcome = desk.release_seen(held, "alice", [Region(0, 0, 4, 4)])
    stored = served(house, outcome)
    assert stored.PixelData == BLACKENED
    assert ("113101" in codes(stored), stored.BurnedInAnnotation) == (True, "NO")
    assert "person; regions" in stored.ContributingEquipmentSequence[0].ContributionDescription
    (decision,) = decisions
    assert (decision.action, decision.by, decision.regions) == ("release-blackened", "alice", 1)
    assert list((house.folder / "quarantine").iterdir()) == []


def test_person_releases_it_as_it_is(house, desk, decisions, send):
    outcome = desk.release_seen(send(image("ask")).quarantine_id, "alice", [])
    stored = served(house, outcome)
    assert stored.PixelData == ct_slice(1).PixelData
    assert ("113101" in codes(stored), stored.BurnedInAnnotation) == (True, "NO")
    assert "person; nothing" in stored.ContributingEquipmentSequence[0].ContributionDescription
    assert [decision.action for decision in decisions] == ["release-unchanged"]


@pytest.mark.parametrize(
    "region",
    [Region(16, 0, 4, 4), Region(0, 0, 0, 4), Region(-4, 0, 4, 4), Region(0, 0, 4, 4, frame=2)],
)
def test_region_outside_of_the_image_is_refused(house, desk, send, region):
    held = send(image("ask")).quarantine_id
    with pytest.raises(BadRequest):
        desk.release_seen(held, "alice", [region])
    assert house.quarantine.show(held).state == "held"


def test_region_is_cut_to_the_image(desk, send):
    case = desk.pixel_case(send(image("ask")).quarantine_id)
    assert case.checked([Region(-2, 10, 5, 100)]) == (Region(0, 10, 3, 6, None, RegionOrigin.PERSON),)


def test_looking_again_decides_nothing_for_a_person(house, desk, send):
    held = send(image("ask")).quarantine_id
    assert desk.release(held, "alice").kind is OutcomeKind.QUARANTINED
    assert set(desk.pixel_case(held).regions) == set(FOUND)


def test_nothing_of_a_discarded_case_remains(house, desk, send):
    desk.discard(send(image("ask")).quarantine_id, "alice")
    assert list((house.folder / "quarantine").iterdir()) == []


def test_case_that_a_kill_left_is_erased(house, send):
    held = send(image("ask")).quarantine_id
    house.quarantine_rows.decide(held, "discarded", "alice")  # killed before its files went
    assert house.quarantine.tidy() > 0
    assert list((house.folder / "quarantine").iterdir()) == []


def test_burned_in_annotation_stays_refused_without_the_option(tmp_path):
    house = IngestHouse(tmp_path)
    outcome = house.pipeline.process(house.incoming(image("clean", BurnedInAnnotation="YES"), "research"))
    assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, 0xC002)
    house.close()
