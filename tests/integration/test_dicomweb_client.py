"""dicomweb-client, unmodified, against a listening gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tests.datasets import STUDY_UID, as_file, ct_slice
from tests.dicomweb_gateway import DicomWebGateway, served
from tests.patience import PATIENCE_S

SERIES_UID = f"{STUDY_UID}.1"
INSTANCE_UID = f"{SERIES_UID}.1"
PIXELS = np.arange(256, dtype="i2").reshape(16, 16)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path)
    yield held
    held.close()


@pytest.fixture
def address(gateway: DicomWebGateway) -> Iterator[str]:
    for number in (1, 2, 3):
        gateway.store(ct_slice(number, pixels=PIXELS + number))
    with served(gateway.app) as where:
        yield where


@pytest.fixture
def client(address: str) -> DICOMwebClient:
    return DICOMwebClient(f"{address}/dicom-web")


def test_studies_are_searched(client: DICOMwebClient) -> None:
    (found,) = client.search_for_studies(
        search_filters={"PatientName": "doe*", "StudyDate": "20240101-20241231", "ModalitiesInStudy": "CT"},
        fields=["StudyDescription"],
    )
    study = Dataset.from_json(found)
    assert (study.StudyInstanceUID, study.StudyDescription, study.NumberOfStudyRelatedInstances) == (
        STUDY_UID,
        "Thorax",
        3,
    )


def test_search_without_a_match_is_an_empty_list(client: DICOMwebClient) -> None:
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_remaining_results_are_fetched_page_by_page(client: DICOMwebClient) -> None:
    found = client.search_for_instances(STUDY_UID, limit=2, get_remaining=True)
    assert [Dataset.from_json(instance).InstanceNumber for instance in found] == [1, 2, 3]


def test_series_and_instances_are_searched(client: DICOMwebClient) -> None:
    (series,) = client.search_for_series(STUDY_UID, search_filters={"Modality": "CT"})
    assert Dataset.from_json(series).SeriesInstanceUID == SERIES_UID
    assert len(client.search_for_instances(STUDY_UID, SERIES_UID)) == 3


def test_link_made_for_a_host_without_port_can_be_followed(client: DICOMwebClient) -> None:
    (found,) = client.search_for_studies()
    assert requests.get(Dataset.from_json(found).RetrieveURL, timeout=PATIENCE_S).status_code == 200


def test_series_is_retrieved(client: DICOMwebClient) -> None:
    received = client.retrieve_series(STUDY_UID, SERIES_UID)
    assert [ds.InstanceNumber for ds in received] == [1, 2, 3]
    assert (received[2].pixel_array == PIXELS + 3).all()


@pytest.mark.parametrize("transfer_syntax", ["*", str(ExplicitVRLittleEndian)])
def test_study_is_streamed(client: DICOMwebClient, transfer_syntax: str) -> None:
    media_types = (("application/dicom", transfer_syntax),)
    assert len(list(client.iter_study(STUDY_UID, media_types=media_types))) == 3


def test_instance_is_retrieved(client: DICOMwebClient) -> None:
    received = client.retrieve_instance(STUDY_UID, SERIES_UID, INSTANCE_UID)
    assert received == ct_slice(1, pixels=PIXELS + 1)


def test_metadata_is_retrieved_at_each_level(client: DICOMwebClient) -> None:
    assert len(client.retrieve_study_metadata(STUDY_UID)) == 3
    assert len(client.retrieve_series_metadata(STUDY_UID, SERIES_UID)) == 3
    document = client.retrieve_instance_metadata(STUDY_UID, SERIES_UID, INSTANCE_UID)
    assert Dataset.from_json(document, bulk_data_uri_handler=lambda *_: b"").PatientName == "Doe^Jane"


def test_bulk_data_is_retrieved_by_its_link(client: DICOMwebClient) -> None:
    document = client.retrieve_instance_metadata(STUDY_UID, SERIES_UID, INSTANCE_UID)
    (value,) = client.retrieve_bulkdata(document["7FE00010"]["BulkDataURI"])
    assert value == (PIXELS + 1).tobytes()


def test_bulk_data_of_a_study_are_retrieved(client: DICOMwebClient, address: str) -> None:
    values = client.retrieve_bulkdata(f"{address}/dicom-web/studies/{STUDY_UID}/bulkdata")
    assert values == [(PIXELS + number).tobytes() for number in (1, 2, 3)]


def test_range_of_bulk_data_is_fetched(client: DICOMwebClient) -> None:
    document = client.retrieve_instance_metadata(STUDY_UID, SERIES_UID, INSTANCE_UID)
    answer = requests.get(
        document["7FE00010"]["BulkDataURI"],
        headers={"Accept": "application/octet-stream", "Range": "bytes=2-5"},
        timeout=PATIENCE_S,
    )
    assert (answer.status_code, answer.content) == (206, (PIXELS + 1).tobytes()[2:6])


@pytest.mark.parametrize("media_types", [None, ("application/octet-stream",), (("application/octet-stream", "*"),)])
def test_frames_are_retrieved(client: DICOMwebClient, media_types: tuple[object, ...] | None) -> None:
    if media_types == (("application/octet-stream", "*"),):
        media_types = (("application/octet-stream", "1.2.840.10008.1.2.1"),)
    (frame,) = client.retrieve_instance_frames(STUDY_UID, SERIES_UID, INSTANCE_UID, [1], media_types=media_types)
    assert frame == (PIXELS + 1).tobytes()


def test_compressed_frame_is_retrieved_in_its_own_media_type(gateway: DicomWebGateway, client: DICOMwebClient) -> None:
    ds = ct_slice(9, pixels=PIXELS)
    stream = get_encoder(RLELossless).encode(
        PIXELS, rows=16, columns=16, samples_per_pixel=1, bits_allocated=16, bits_stored=16, pixel_representation=1,
        photometric_interpretation="MONOCHROME2", number_of_frames=1,
    )  # fmt: skip
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    gateway.store_file(as_file(ds, RLELossless))
    uids = (STUDY_UID, SERIES_UID, f"{SERIES_UID}.9")
    own = (("image/dicom-rle", str(RLELossless)),)
    (frame,) = client.retrieve_instance_frames(*uids, [1], media_types=own)
    (native,) = client.retrieve_instance_frames(*uids, [1])
    assert (frame.removesuffix(b"\0"), native) == (stream.removesuffix(b"\0"), PIXELS.tobytes())


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_instance_and_frame_are_retrieved_rendered(client: DICOMwebClient, media_type: str) -> None:
    uids = (STUDY_UID, SERIES_UID, INSTANCE_UID)
    start = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG"}[media_type]
    assert client.retrieve_instance_rendered(*uids, media_types=(media_type,)).startswith(start)
    assert client.retrieve_instance_frames_rendered(*uids, [1], media_types=(media_type,)).startswith(start)


def test_instances_are_stored(client: DICOMwebClient) -> None:
    data_sets = []
    for number, uid in ((4, ExplicitVRLittleEndian), (5, ImplicitVRLittleEndian)):
        ds = ct_slice(number)
        as_file(ds, uid)  # gives it its file meta
        data_sets.append(ds)
    answer = client.store_instances(data_sets)
    assert len(answer.ReferencedSOPSequence) == 2
    assert len(client.search_for_instances(STUDY_UID)) == 5


def test_large_store_comes_in_chunks(client: DICOMwebClient) -> None:
    """Above its chunk size the client sends Transfer-Encoding: chunked, without a Content-Length."""
    client.set_chunk_size(10_000)
    ds = ct_slice(6, rows=256, columns=256)
    as_file(ds)
    answer = client.store_instances([ds])
    assert len(answer.ReferencedSOPSequence) == 1


def test_refusal_reaches_the_script_as_an_error(client: DICOMwebClient) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        client.retrieve_instance_metadata(STUDY_UID, SERIES_UID, "1.2.3")
