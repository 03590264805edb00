"""Storing over HTTP: what came of each part, in codes and in words."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from werkzeug.test import TestResponse

from dicom_nodes.errors import GatewayError
from service.core.native_dicom_model import from_xml
from service.core.records import Incoming, Outcome, OutcomeKind
from service.errors import StorageExhausted
from service.ingest.direct_intake import IntakeLimits
from service.ingest.part10 import read_file
from service.ingest.scratch import Scratch
from service.web.dicomweb.store_body import Keeping, StoreLimits
from tests.datasets import STUDY_UID, as_file, ct_slice
from tests.dicomweb_gateway import DicomWebGateway

CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary="part"'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path)
    yield held
    held.close()


@pytest.fixture
def client(gateway: DicomWebGateway) -> FlaskClient:
    return gateway.client()


def body(*files: bytes, lead: bytes = b"", close: bytes = b"\r\n--part--") -> bytes:
    parts = b"".join(b"\r\n--part\r\nContent-Type: application/dicom\r\n\r\n" + file for file in files)
    return lead + parts.removeprefix(b"" if lead else b"\r\n") + close


def post(
    client: FlaskClient, data: bytes, path: str = "/dicom-web/studies", content_type: str = CONTENT_TYPE, **more: str
) -> TestResponse:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return client.post(path, data=data, content_type=content_type, headers=headers)


def answer(response: TestResponse) -> Dataset:
    return Dataset.from_json(response.get_json(force=True))


def other_pixels(number: int = 1) -> Dataset:
    return ct_slice(number, pixels=np.full((16, 16), 77, "i2"))


def test_every_instance_is_stored_and_answered_with_its_address(client: FlaskClient) -> None:
    response = post(client, body(*(as_file(ct_slice(number)) for number in (1, 2, 3))))
    assert (response.status_code, response.content_type) == (200, "application/dicom+json")
    stored = answer(response)
    assert len(stored.ReferencedSOPSequence) == 3
    assert client.get(stored.RetrieveURL).status_code == 200
    assert all(client.get(item.RetrieveURL).status_code == 200 for item in stored.ReferencedSOPSequence)


def test_body_of_ohif_is_taken(client: FlaskClient) -> None:
    """It begins with CRLF before the first boundary and sends no Accept."""
    data = body(as_file(ct_slice()), lead=b"\r\n", close=b"\r\n--part--\r\n")
    content_type = "multipart/related; type=application/dicom; boundary=part"
    assert post(client, data, content_type=content_type).status_code == 200


def test_one_instance_needs_no_multipart(client: FlaskClient) -> None:
    response = post(client, as_file(ct_slice()), content_type="application/dicom")
    assert (response.status_code, len(answer(response).ReferencedSOPSequence)) == (200, 1)


def test_part_without_preamble_is_taken(client: FlaskClient) -> None:
    assert post(client, body(as_file(ct_slice())[132:])).status_code == 200


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_study_of_the_address_is_that_of_the_instance(client: FlaskClient, uid: str) -> None:
    response = post(client, body(as_file(ct_slice(), uid)), f"/dicom-web/studies/{STUDY_UID}")
    assert response.status_code == 200


def test_instance_of_another_study_is_refused_and_the_others_go_on(client: FlaskClient) -> None:
    stranger = ct_slice(2, study_uid="1.2.3", series_uid="1.2.3.1")
    response = post(client, body(as_file(ct_slice()), as_file(stranger)), f"/dicom-web/studies/{STUDY_UID}")
    assert response.status_code == 202
    (failed,) = answer(response).FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == (stranger.SOPInstanceUID, 0xC005)
    assert client.get("/dicom-web/studies/1.2.3/metadata").status_code == 404


def test_only_strangers_are_a_conflict(client: FlaskClient) -> None:
    assert post(client, body(as_file(ct_slice())), "/dicom-web/studies/1.2.3").status_code == 409


def test_same_instance_again_changes_nothing(client: FlaskClient) -> None:
    first, again = (post(client, body(as_file(ct_slice()))) for _ in range(2))
    assert (again.status_code, again.data) == (200, first.data)
    assert "Warning" not in again.headers


def test_other_content_under_a_uid_keeps_the_first_with_a_warning(client: FlaskClient) -> None:
    post(client, body(as_file(ct_slice())))
    response = post(client, body(as_file(other_pixels())))
    assert response.status_code == 200
    (item,) = answer(response).ReferencedSOPSequence
    assert item.WarningReason == 0xB000
    assert response.headers["Warning"].startswith("299 annogate: Part 1: ")


def test_unreadable_part_is_counted_and_the_others_go_on(client: FlaskClient) -> None:
    response = post(client, body(b"this is no DICOM", as_file(ct_slice())))
    stored = answer(response)
    assert response.status_code == 202
    assert [item.FailureReason for item in stored.OtherFailuresSequence] == [0xC001]
    assert len(stored.ReferencedSOPSequence) == 1
    assert "Not a DICOM file" in response.headers["Warning"]


def test_nothing_readable_is_a_bad_request_with_the_standard_s_answer(client: FlaskClient) -> None:
    response = post(client, body(b"this is no DICOM"))
    assert (response.status_code, response.content_type) == (400, "application/dicom+json")
    assert answer(response).OtherFailuresSequence[0].FailureReason == 0xC001


def test_image_without_pixels_is_named_as_it_was_sent(client: FlaskClient) -> None:
    ds = ct_slice()
    del ds.PixelData
    response = post(client, body(as_file(ds), as_file(ct_slice(2))))
    (failed,) = answer(response).FailedSOPSequence
    assert (response.status_code, failed.ReferencedSOPInstanceUID) == (202, ds.SOPInstanceUID)
    assert "Pixel Data" in failed.private_block(0x0099, "ANNOGATE")[0x01].value


def test_body_that_breaks_off_stores_what_came_whole(client: FlaskClient) -> None:
    data = body(as_file(ct_slice(1)), as_file(ct_slice(2)), close=b"")
    response = post(client, data[:-300])
    stored = answer(response)
    assert response.status_code == 202
    assert (len(stored.ReferencedSOPSequence), len(stored.OtherFailuresSequence)) == (1, 1)


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"", CONTENT_TYPE, 400),
        (b"--part--", CONTENT_TYPE, 400),
        (b"no boundary at all", CONTENT_TYPE, 400),
        (b"", "application/dicom", 400),
        (b"x", 'multipart/related; type="application/dicom"', 400),
        (b"x", 'multipart/related; type="application/dicom"; boundary=""', 400),
        (b"x", "", 400),
        (b"x", "application/json", 415),
        (b"x", 'multipart/related; type="application/dicom+json"; boundary=part', 400),
        (b"x", 'multipart/related; type="image/png"; boundary=part', 415),
        (b"x", 'multipart/form-data; boundary="part"', 415),
    ],
)
def test_request_that_is_none_is_a_problem(client: FlaskClient, data: bytes, content_type: str, status: int) -> None:
    response = post(client, data, content_type=content_type)
    assert (response.status_code, response.content_type) == (status, "application/problem+json")


def test_part_of_another_type_fails_alone(client: FlaskClient) -> None:
    odd = b"--part\r\nContent-Type: image/png\r\n\r\nPNG"
    response = post(client, odd + body(as_file(ct_slice()), lead=b"\r\n"))
    assert (response.status_code, len(answer(response).OtherFailuresSequence)) == (202, 1)


def test_caller_who_takes_no_json_is_told_before_anything_is_stored(client: FlaskClient) -> None:
    assert post(client, body(as_file(ct_slice())), Accept="image/png").status_code == 406
    assert client.get("/dicom-web/studies").status_code == 204


def test_part_over_the_limit_is_refused(tmp_path: Path) -> None:
    gateway = DicomWebGateway(tmp_path, store_limits=StoreLimits(part_bytes=1000))
    response = post(gateway.client(), body(as_file(ct_slice())))
    assert (response.status_code, response.content_type) == (413, "application/problem+json")
    gateway.close()


def test_full_disk_is_said_as_such(tmp_path: Path) -> None:
    def store(batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        raise StorageExhausted("the disk of the archive is full")

    gateway = DicomWebGateway(tmp_path, store=store)
    response = post(gateway.client(), body(as_file(ct_slice())))
    (failed,) = answer(response).FailedSOPSequence
    assert (response.status_code, failed.FailureReason) == (503, 0xA700)
    gateway.close()


def test_disk_that_fails_while_a_request_is_read_leaves_what_was_stored_told(tmp_path: Path) -> None:
    kept = iter([b"".join])

    def keep(parts: Iterable[bytes | memoryview]) -> bytes:
        for how in kept:
            return how(parts)
        raise GatewayError("the disk on which large objects wait failed")

    gateway = DicomWebGateway(tmp_path, keeping=Keeping(keep))
    response = post(gateway.client(), body(as_file(ct_slice(1)), as_file(ct_slice(2))))
    told = answer(response)
    assert (response.status_code, len(told.ReferencedSOPSequence), len(told.OtherFailuresSequence)) == (202, 1, 1)
    assert gateway.house.index.count("clinical") == 1
    gateway.close()


def test_fault_of_ours_costs_one_instance_its_place_and_says_nothing_of_it(tmp_path: Path) -> None:
    def store(batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        raise ValueError("Doe^Jane")

    gateway = DicomWebGateway(tmp_path, store=store)
    response = post(gateway.client(), body(as_file(ct_slice())))
    assert answer(response).FailedSOPSequence[0].FailureReason == 0x0110
    assert b"Doe" not in response.data
    gateway.close()


def test_de_identified_instance_is_answered_with_its_new_uids(gateway: DicomWebGateway, client: FlaskClient) -> None:
    sent = ct_slice()
    response = post(client, body(as_file(sent)), "/projects/research/dicom-web/studies")
    stored = answer(response)
    assert response.status_code == 200
    assert STUDY_UID not in str(stored)
    assert stored.RetrieveURL.startswith("http://localhost/projects/research/dicom-web/studies/2.25.")
    (served,) = client.get(f"{stored.RetrieveURL}/metadata").get_json(force=True)
    assert served["00080018"]["Value"] == [stored.ReferencedSOPSequence[0].ReferencedSOPInstanceUID]


def test_audit_trail_is_told_what_was_stored(gateway: DicomWebGateway, client: FlaskClient) -> None:
    post(client, body(as_file(ct_slice()), b"junk"))
    (note,) = gateway.notes
    assert (note["target"], note["stored"], note["failed"]) == (STUDY_UID, 1, 1)


def test_large_body_is_read_in_pieces(client: FlaskClient) -> None:
    """Several parts of more than one read each, with what looks like a boundary inside."""
    tricky = np.frombuffer(b"\r\n--par" * 37450 + b"\r\n", "i2")[:131072].reshape(512, 256)
    files = [as_file(ct_slice(number, rows=512, columns=256, pixels=tricky)) for number in range(1, 6)]
    response = post(client, body(*files))
    assert (response.status_code, len(answer(response).ReferencedSOPSequence)) == (200, 5)
    served = client.get(answer(response).ReferencedSOPSequence[4].RetrieveURL, headers={"Accept": "application/dicom"})
    assert served.data.endswith(tricky.tobytes())


def test_stream_is_not_read_beyond_the_closing_boundary(client: FlaskClient) -> None:
    stream = BytesIO(body(as_file(ct_slice())) + b"\r\nepilogue" * 200_000)
    response = client.post(
        "/dicom-web/studies", input_stream=stream, content_type=CONTENT_TYPE, content_length=len(stream.getvalue())
    )
    assert response.status_code == 200
    assert stream.tell() < 1 << 20


@pytest.fixture
def sealing(tmp_path: Path) -> Iterator[DicomWebGateway]:
    """A gateway to which every part is too large for memory."""
    held = DicomWebGateway(tmp_path, keeping=Keeping(Scratch(tmp_path, in_memory_bytes=100).keep))
    yield held
    held.close()


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_part_that_waited_on_the_disk_is_stored_as_it_came(sealing: DicomWebGateway, uid: str) -> None:
    files = [as_file(ct_slice(number), uid) for number in (1, 2)]
    response = post(sealing.client(), body(files[0], files[1][132:]), f"/dicom-web/studies/{STUDY_UID}")
    assert (response.status_code, len(answer(response).ReferencedSOPSequence)) == (200, 2)
    for number, file in enumerate(files, start=1):
        row = sealing.house.index.find("clinical", str(ct_slice(number).SOPInstanceUID))
        assert sealing.house.stored_bytes(row) == read_file(file).data_set


def test_single_instance_that_waited_on_the_disk_is_stored(sealing: DicomWebGateway) -> None:
    response = post(sealing.client(), as_file(ct_slice()), content_type="application/dicom")
    assert (response.status_code, len(answer(response).ReferencedSOPSequence)) == (200, 1)


def test_part_that_cannot_wait_for_want_of_room_is_said_so(tmp_path: Path) -> None:
    def keep(parts: Iterable[bytes | memoryview]) -> bytes:
        raise StorageExhausted("the disk on which large objects wait is full")

    gateway = DicomWebGateway(tmp_path, keeping=Keeping(keep))
    assert post(gateway.client(), body(as_file(ct_slice()))).status_code == 503
    assert post(gateway.client(), as_file(ct_slice()), content_type="application/dicom").status_code == 503
    gateway.close()


def test_instance_that_breaks_something_costs_only_its_own_place(tmp_path: Path) -> None:
    def store(batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        if any(incoming.sop_instance_uid.endswith(".2") for incoming in batch):
            raise ValueError("Doe^Jane")
        return lambda: [Outcome(OutcomeKind.ARCHIVED, "2.25.1", "2.25.2", "2.25.3") for _ in batch]

    gateway = DicomWebGateway(tmp_path, store=store)
    response = post(gateway.client(), body(*(as_file(ct_slice(number)) for number in (1, 2, 3))))
    told = answer(response)
    assert (response.status_code, len(told.ReferencedSOPSequence)) == (202, 2)
    assert [item.FailureReason for item in told.FailedSOPSequence] == [0x0110]
    gateway.close()


def test_instances_go_through_ingest_in_batches(tmp_path: Path) -> None:
    sizes: list[int] = []

    def store(batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        sizes.append(len(batch))
        return lambda: [Outcome(OutcomeKind.ARCHIVED, "2.25.1", "2.25.2", "2.25.3") for _ in batch]

    gateway = DicomWebGateway(tmp_path, store=store, intake=IntakeLimits(2))
    response = post(gateway.client(), body(*(as_file(ct_slice(number)) for number in range(1, 6))))
    assert (response.status_code, sizes) == (200, [2, 2, 1])
    gateway.close()


def test_answer_comes_as_xml_to_who_takes_that(client: FlaskClient) -> None:
    response = post(client, body(as_file(ct_slice())), Accept="application/dicom+xml")
    assert (response.status_code, response.content_type) == (200, "application/dicom+xml")
    told = Dataset.from_json(from_xml(response.data))
    assert told.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ct_slice().SOPInstanceUID


def test_failure_says_what_to_do(client: FlaskClient) -> None:
    response = post(client, body(as_file(ct_slice())), "/dicom-web/studies/1.2.3")
    spoken = answer(response).FailedSOPSequence[0].private_block(0x0099, "ANNOGATE")[0x01].value
    assert spoken.endswith("send it to the address of its own study, or to /studies")


def test_part_headers_without_end_stop_the_reading_and_tell_what_was_stored(client: FlaskClient) -> None:
    """What came before is kept, and the answer says so; nothing can be read behind it."""
    data = body(as_file(ct_slice()), close=b"\r\n--part\r\nX: " + b"y" * (1 << 20))
    response = post(client, data)
    told = answer(response)
    assert (response.status_code, len(told.ReferencedSOPSequence), len(told.OtherFailuresSequence)) == (202, 1, 1)
    assert "headers of a part are longer" in response.headers["Warning"]


@pytest.mark.parametrize(
    "data",
    [
        b"--part\r\n" + b"x" * (1 << 20),
        b"--part\r\nno header\r\n\r\nx\r\n--part--",
        b"--other\r\n\r\nx\r\n--other--",
        b"y" * (1 << 20),
    ],
    ids=["long headers", "header that is none", "another boundary", "no boundary"],
)
def test_body_that_is_not_multipart_names_the_rule(client: FlaskClient, data: bytes) -> None:
    response = post(client, data)
    assert (response.status_code, response.content_type) == (400, "application/problem+json")
    assert "RFC 2046" in response.get_json()["detail"] or "16384 bytes" in response.get_json()["detail"]


def test_more_parts_than_a_request_may_have_are_not_read(tmp_path: Path) -> None:
    gateway = DicomWebGateway(tmp_path, store_limits=StoreLimits(parts=2))
    some = post(gateway.client(), body(*(as_file(ct_slice(number)) for number in (1, 2, 3))))
    told = answer(some)
    assert (some.status_code, len(told.ReferencedSOPSequence), len(told.OtherFailuresSequence)) == (202, 2, 1)
    junk = post(gateway.client(), body(b"a", b"b", b"c"))
    assert (junk.status_code, junk.content_type) == (413, "application/problem+json")
    assert "at most 2 parts" in junk.get_json()["detail"]
    gateway.close()


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_body_is_inflated(client: FlaskClient, coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(body(*(as_file(ct_slice(number)) for number in (1, 2))))
    response = post(client, packed, Content_Encoding=coding)
    assert (response.status_code, len(answer(response).ReferencedSOPSequence)) == (200, 2)


def test_body_in_another_coding_is_refused(client: FlaskClient) -> None:
    response = post(client, body(as_file(ct_slice())), Content_Encoding="br")
    assert (response.status_code, response.content_type) == (415, "application/problem+json")


def test_bomb_is_refused_before_it_fills_anything(tmp_path: Path) -> None:
    gateway = DicomWebGateway(tmp_path, store_limits=StoreLimits(inflated_bytes=1 << 20))
    bomb = gzip.compress(body(bytes(64 << 20)))
    response = post(gateway.client(), bomb, Content_Encoding="gzip")
    assert (response.status_code, response.content_type) == (413, "application/problem+json")
    gateway.close()
