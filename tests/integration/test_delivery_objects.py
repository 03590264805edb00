"""A peer gets the objects that the settings name, and others in place of what it does not take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import requests
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian

from service.core.deliveries import (
    AS_EVER,
    FURTHER_KINDS,
    DeliveryRow,
    DeliveryState,
    ItemState,
    ReleaseRow,
    SentKind,
)
from service.core.findings import Finding
from service.core.geometry import ImagePlace, Shape, ShapeKind
from service.core.records import OutcomeKind
from service.core.volume import Volume
from service.delivery.peer_rules import PeerRules
from tests.datasets import STUDY_UID
from tests.dciodvfy import errors_in
from tests.delivery_house import DeliveryHouse, delivering, dimse, original_slices
from tests.fakes.scripted_storage_scp import ScriptedStorageScp
from tests.integration.test_delivery_dcmtk import TITLE, running
from tests.orthanc_process import OrthancProcess, free_port
from tests.patience import PATIENCE_S
from tests.volumes import nodule

SEG, LABELS = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
STATE, KEYS = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.88.59"
STRUCTURES, CAPTURE = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.7"
GSPS, KEY_OBJECT, RTSTRUCT, SUMMARY = FURTHER_KINDS
NO_CONTOUR = "rtstruct: nothing of this can be a contour: write a report instead; Nodule 1: frames"
EVERYTHING = [SEG, REPORT, STATE, KEYS, STRUCTURES, CAPTURE]
PROFILE = """[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Taken]
{contexts}
[[Profiles]]
[Pacs]
PresentationContexts = Taken
"""


def rules(objects: Sequence[SentKind] = AS_EVER, instead: Sequence[SentKind] = ()) -> PeerRules:
    return PeerRules("pacs", check_identity=False, objects=tuple(objects), instead=tuple(instead))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeliveryHouse]:
    with delivering(tmp_path, further=FURTHER_KINDS) as house:
        yield house


@contextmanager
def storescp(folder: Path, classes: Sequence[str]) -> Iterator[int]:
    """dcmtk's archive that takes objects of these classes alone."""
    folder.mkdir()
    taken = ["1.2.840.10008.1.1", *classes]
    contexts = "\n".join(f"PresentationContext{n} = {uid}\\Uncompressed" for n, uid in enumerate(taken, start=1))
    configuration, port = folder.with_suffix(".cfg"), free_port()
    configuration.write_text(PROFILE.format(contexts=contexts))
    command = ["/usr/bin/storescp", "--config-file", str(configuration), "Pacs", "--output-directory", str(folder)]
    with running([*command, "-aet", TITLE, str(port)], port):
        yield port


def read(folder: Path) -> dict[str, Dataset]:
    """What an archive has, by SOP class."""
    found = [dcmread(file) for file in folder.iterdir()]
    return {str(one.SOPClassUID): one for one in found}


def uids_in(data_set: Dataset) -> set[str]:
    """Every UID at every depth, those of the standard left out."""
    found = {value for element in data_set.iterall() if element.VR == "UI" for value in _values(element.value)}
    return {uid for uid in found if not UID(uid).name or UID(uid).name == uid}


def _values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def texts_in(data_set: Dataset) -> str:
    return "\n".join(str(element.value) for element in data_set.iterall() if element.VR not in ("SQ", "OB", "OW"))


def served_uids(house: DeliveryHouse, release: ReleaseRow) -> set[str]:
    """What the project calls the study, its images and their series."""
    rows = house.jobs.index.instances_of(house.project, release.study_uid)
    images = [row for row in rows if row.sop_instance_uid not in release.all_objects]
    assert images
    uids = {uid for row in images for uid in (row.series_uid, row.sop_instance_uid)}
    return {release.study_uid, *uids}


CASES = {
    "as-ever": ([SEG, REPORT, STATE, KEYS, STRUCTURES, CAPTURE], rules(), [SEG, REPORT]),
    "structures-beside": ([SEG, REPORT, STRUCTURES], rules((*AS_EVER, RTSTRUCT)), [SEG, REPORT, STRUCTURES]),
    "structures-alone": ([STRUCTURES], rules([RTSTRUCT]), [STRUCTURES]),
    "needs-none-instead": ([SEG, REPORT, STATE], rules(instead=[GSPS, SUMMARY]), [SEG, REPORT]),
    "state-instead": ([STATE, CAPTURE], rules(instead=[GSPS, SUMMARY]), [STATE]),
    "summary-instead": ([CAPTURE], rules(instead=[GSPS, SUMMARY]), [CAPTURE] * 2),
    "no-reports": ([SEG, STATE], rules(instead=[GSPS]), [SEG, STATE]),
    "no-reports-label-map": ([LABELS, STATE], rules(instead=[GSPS]), [LABELS, STATE]),
    "both": ([CAPTURE, KEYS], rules((*AS_EVER, KEY_OBJECT), [GSPS, SUMMARY]), [KEYS, *[CAPTURE] * 2]),
    "no-segmentation": ([SEG, REPORT, KEYS], rules([SentKind.REPORT, KEY_OBJECT]), [REPORT, KEYS]),
}
"""By peer: what it takes, what the settings say, what it gets."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliveryHouse]:
    """One result on its way to a peer for each case."""
    peers = [*CASES, "everything", "refusing", "taking-nothing"]
    with delivering(tmp_path_factory.mktemp("many"), peers, further=FURTHER_KINDS) as house:
        house.make_results()
        house.release_all()
        yield house


def delivery_to(house: DeliveryHouse, peer: str) -> DeliveryRow:
    (delivery,) = [one for one in house.deliveries() if one.peer == peer]
    return delivery


@pytest.fixture(scope="module")
def everything(many: DeliveryHouse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """All that was made of one result as it left, by SOP class."""
    folder = tmp_path_factory.mktemp("everything") / "received"
    with storescp(folder, EVERYTHING) as port:
        asked = replace(rules((*AS_EVER, *FURTHER_KINDS)), name="everything")
        many.courier(dimse("127.0.0.1", port, TITLE), "everything", rules=asked).turn()
    assert delivery_to(many, "everything").state is DeliveryState.SENT
    return read(folder)


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("peer", CASES)
def test_archive_gets_what_it_is_to_get_and_takes(many: DeliveryHouse, tmp_path: Path, peer: str) -> None:
    taken, asked, sent = CASES[peer]
    with storescp(tmp_path / "received", taken) as port:
        many.courier(dimse("127.0.0.1", port, TITLE), peer, rules=replace(asked, name=peer)).turn()
    delivery = delivery_to(many, peer)
    assert (delivery.state, delivery.last_error) == (DeliveryState.SENT, "")
    assert [item.sop_class_uid for item in many.outbox.items(delivery.id)] == sent
    stood_in = bool(asked.instead) and REPORT not in sent
    assert ("does not take" in delivery.warning) is stood_in
    assert len(list((tmp_path / "received").iterdir())) == len(sent)


@pytest.mark.peer("dcmtk")
def test_everything_that_leaves_is_the_hospitals_at_every_depth(
    many: DeliveryHouse, everything: dict[str, Dataset], tmp_path: Path
) -> None:
    assert sorted(everything) == sorted(EVERYTHING)
    (release,) = many.releases.page(many.project)
    study = many.jobs.index.study(many.project, release.study_uid)
    assert study is not None
    images = {str(one.SOPInstanceUID) for one in original_slices()}
    for one in everything.values():
        assert (one.StudyInstanceUID, one.PatientID, str(one.PatientName)) == (STUDY_UID, "PAT-4711", "Doe^Jane")
        assert (one.AccessionNumber, one.StudyDate) == ("ACC-99", "20240317")
        assert uids_in(one).isdisjoint(served_uids(many, release))
        assert study.patient_id not in texts_in(one)
        assert errors_in(one, tmp_path) == []
    for sop_class in (STATE, KEYS, STRUCTURES):
        assert uids_in(everything[sop_class]) & images, sop_class


@pytest.mark.peer("dcmtk")
def test_each_kind_is_a_series_of_its_own_behind_those_that_people_see(
    many: DeliveryHouse, everything: dict[str, Dataset]
) -> None:
    assert len({one.SeriesInstanceUID for one in everything.values()}) == len(everything)
    numbers = {sop_class: int(one.SeriesNumber) for sop_class, one in everything.items()}
    assert len(set(numbers.values())) == len(numbers)
    assert max(numbers[SEG], numbers[REPORT]) < min(numbers[one] for one in (STATE, KEYS, STRUCTURES, CAPTURE))
    (release,) = many.releases.page(many.project)
    assert sorted(row.sop_class_uid for row in many.jobs.results(release.study_uid)) == [SEG, REPORT]


@pytest.mark.peer("dcmtk")
def test_what_comes_back_from_the_archive_is_known_as_our_own(
    many: DeliveryHouse, everything: dict[str, Dataset]
) -> None:
    (release,) = many.releases.page(many.project)
    before = many.jobs.index.study(many.project, release.study_uid)
    outcomes = [many.jobs.receive([one]).kind for one in everything.values()]
    assert set(outcomes) == {OutcomeKind.OWN_OBJECT}
    assert many.jobs.index.study(many.project, release.study_uid) == before


@pytest.mark.peer("orthanc")
@pytest.mark.xdist_group("orthanc")
def test_orthanc_gets_the_further_objects_of_a_result(house: DeliveryHouse, tmp_path: Path) -> None:
    house.make_results()
    house.release_all()
    with OrthancProcess(tmp_path / "orthanc", "ANNOGATE", "127.0.0.1", 11112) as orthanc:
        target = dimse("127.0.0.1", orthanc.dicom_port)
        house.courier(target, rules=rules((*AS_EVER, *FURTHER_KINDS))).turn()
        (study,) = orthanc.studies()
        described = requests.get(f"{orthanc.http}/studies/{study}/series", timeout=PATIENCE_S).json()
        instances = requests.get(f"{orthanc.http}/instances", timeout=PATIENCE_S).json()
        files = [requests.get(f"{orthanc.http}/instances/{one}/file", timeout=PATIENCE_S).content for one in instances]
    assert house.deliveries()[0].state is DeliveryState.SENT
    modalities = sorted(series["MainDicomTags"]["Modality"] for series in described)
    assert modalities == ["KO", "OT", "PR", "RTSTRUCT", "SEG", "SR"]
    assert {dcmread(BytesIO(content)).StudyInstanceUID for content in files} == {STUDY_UID}


def test_objects_that_a_kill_left_in_doubt_go_again_under_their_uids(house: DeliveryHouse) -> None:
    house.make_results()
    house.release_all()
    with ScriptedStorageScp([STATE]) as scp:
        courier = house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), rules=rules(instead=[GSPS]))
        courier.turn()
        house.reopen(house.deliveries()[0].id)
        courier.turn()
    first, again = scp.received
    assert first == again
    assert house.deliveries()[0].state is DeliveryState.SENT


def test_what_is_asked_for_and_not_taken_fails_in_words_behind_the_result(many: DeliveryHouse) -> None:
    asked = replace(rules((*AS_EVER, RTSTRUCT)), name="refusing")
    with ScriptedStorageScp([SEG, REPORT]) as scp:
        many.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), "refusing", rules=asked).turn()
    delivery = delivery_to(many, "refusing")
    states = [item.state for item in many.outbox.items(delivery.id)]
    assert (delivery.state, states) == (DeliveryState.FAILED, [ItemState.SENT, ItemState.SENT, ItemState.REFUSED])
    assert STRUCTURES in delivery.last_error


def test_peer_that_takes_neither_the_result_nor_a_stand_in_is_offered_the_result(many: DeliveryHouse) -> None:
    asked = replace(rules(instead=[GSPS]), name="taking-nothing")
    with ScriptedStorageScp([CAPTURE]) as scp:
        many.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), "taking-nothing", rules=asked).turn()
        assert scp.received == []
    delivery = delivery_to(many, "taking-nothing")
    assert delivery.state is DeliveryState.FAILED
    assert SEG in delivery.last_error


def test_recalled_result_takes_its_stand_in_back(house: DeliveryHouse) -> None:
    house.make_results()
    house.release_all()
    with ScriptedStorageScp([STATE, KEYS]) as scp:
        courier = house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), rules=rules(instead=[GSPS]))
        courier.turn()
        (state,) = scp.received
        house.recall.recall(1, "lead", "113037", "wrong patient")
        courier.turn()
    note = house.deliveries()[-1]
    (item,) = house.outbox.items(note.id)
    assert (note.state, item.sop_class_uid) == (DeliveryState.SENT, KEYS)
    (row,) = [house.jobs.index.find(house.project, uid) for uids in note.objects.values() for uid in uids]
    sent = house.preparation.parcel(row)
    assert state.encode() in sent.data_set


def test_result_without_findings_has_a_summary_alone(tmp_path: Path) -> None:
    with delivering(tmp_path, find=lambda volume: (), further=FURTHER_KINDS) as house:
        house.make_results()
        house.release_all()
        with ScriptedStorageScp([STATE, CAPTURE]) as scp:
            house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), rules=rules(instead=[GSPS, SUMMARY])).turn()
        (delivery,) = house.deliveries()
        assert [item.sop_class_uid for item in house.outbox.items(delivery.id)] == [CAPTURE]
        assert delivery.state is DeliveryState.SENT


def test_peer_for_which_a_result_has_nothing_is_told_apart_from_one_that_was_sent_all(tmp_path: Path) -> None:
    with delivering(tmp_path, find=lambda volume: (), further=[RTSTRUCT]) as house:
        house.make_results()
        house.release_all()
        with ScriptedStorageScp([STRUCTURES]) as scp:
            house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), rules=rules([RTSTRUCT])).turn()
            assert scp.received == []
        (delivery,) = house.deliveries()
        assert delivery.state is DeliveryState.SENT
        assert delivery.warning == "the result has nothing of what the settings let the peer get"


def test_kind_that_cannot_say_what_was_found_is_left_out_with_its_reason(tmp_path: Path) -> None:
    # A finding of an image as a whole: a picture tells of it, no contour does.
    def told_of_the_image(volume: Volume) -> list[Finding]:
        image = volume.sources[0]
        place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
        return [replace(nodule(volume), mask=None, measurements=(), shapes=(Shape(ShapeKind.FRAMES, (), place),))]

    with delivering(tmp_path, find=told_of_the_image, further=[RTSTRUCT, SUMMARY]) as house:
        house.jobs.receive(original_slices())
        house.jobs.go_quiet()
        (end,) = house.jobs.carry_out()
        assert (end.state, end.reason) == ("done", NO_CONTOUR)
        (release,) = house.release_all()
        assert sorted(release.objects) == ["any", "summary"]


def long_contour(volume: Volume) -> list[Finding]:
    image = volume.sources[2]
    points = tuple((2.0 + 8 * (n % 2) + n / 1e4, 2.0 + n / 1e3) for n in range(6000))
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    return [replace(nodule(volume), mask=None, measurements=(), shapes=(Shape(ShapeKind.POLYLINE, points, place),))]


@pytest.mark.peer("dcmtk")
def test_contour_longer_than_explicit_vr_can_tell_arrives_whole_in_implicit(tmp_path: Path) -> None:
    with delivering(tmp_path, find=long_contour, further=[RTSTRUCT]) as house:
        house.make_results()
        (release,) = house.release_all()
        row = house.preparation.instance(house.project, release.objects[RTSTRUCT][0])
        assert row.transfer_syntax_uid == ImplicitVRLittleEndian
        with storescp(tmp_path / "received", [STRUCTURES]) as port:
            house.courier(dimse("127.0.0.1", port, TITLE), rules=rules([RTSTRUCT])).turn()
        assert house.deliveries()[0].state is DeliveryState.SENT
    received = read(tmp_path / "received")[STRUCTURES]
    assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    (contour,) = received.ROIContourSequence[0].ContourSequence
    assert contour.NumberOfContourPoints * 3 == len(contour.ContourData) == 18000
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == original_slices()[2].SOPInstanceUID
