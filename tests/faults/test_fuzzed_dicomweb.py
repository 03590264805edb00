"""Some thousand requests of ill will: none is a fault of ours, shows where the code stands, or costs much memory."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from http import HTTPStatus
from random import Random

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.datasets import ct_slice
from tests.dicomweb_gateway import DicomWebGateway
from tests.fuzzed_requests import FuzzedRequest, draw

SEEDS = range(8)
REQUESTS = 250
MEMORY_BYTES = 256 << 20


def nested() -> Dataset:
    item = Dataset()
    item.add_new(0x00282000, "OB", bytes(2000))
    image = ct_slice(2)
    image.OpticalPathSequence = Sequence([item])
    return image


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebGateway]:
    held = DicomWebGateway(tmp_path_factory.mktemp("fuzzed"))
    yield held
    held.close()


@pytest.fixture(scope="module")
def uids(gateway: DicomWebGateway) -> list[tuple[str, str, str]]:
    stored = [gateway.store(data_set) for data_set in (ct_slice(1), nested())]
    return [(found.study_uid, found.series_uid, found.sop_instance_uid) for found in stored]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_is_a_fault_of_ours(gateway: DicomWebGateway, uids: list[tuple[str, str, str]], seed: int) -> None:
    random = Random(seed)
    rules = [rule for rule in gateway.app.url_map.iter_rules() if rule.endpoint != "static"]
    client = gateway.client()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(REQUESTS):
        drawn = draw(random, rules, uids)
        answer = client.open(
            drawn.path, method=drawn.method, query_string=drawn.query, headers=drawn.headers, data=drawn.body
        )
        check(drawn, answer.status_code, answer.content_type, answer.data, f"request {number} of seed {seed}")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MEMORY_BYTES


def check(drawn: FuzzedRequest, status: int, content_type: str | None, body: bytes, which: str) -> None:
    assert status < HTTPStatus.INTERNAL_SERVER_ERROR, f"{which}: {drawn} was answered {status}"
    assert b"Traceback" not in body, f"{which}: {drawn} shows a stack trace"
    if status >= HTTPStatus.BAD_REQUEST and body and content_type == "application/problem+json":
        assert json.loads(body)["detail"], f"{which}: {drawn} was refused without words"
    elif status >= HTTPStatus.BAD_REQUEST and body:
        assert content_type == "application/dicom+json", f"{which}: {drawn} was refused as {content_type}"
