"""Text in pixels, from a modality to a viewer: blackened before anything can read it, or decided on by a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.sender import store
from service.demo.gateway_client import GatewayClient
from tests.datasets import as_file, ct_slice
from tests.drawn_text import COLUMNS, ROWS, TEXT_BOX, capture, label_of_a_slide, shows_text
from tests.gateway_process import GatewayProcess, eventually
from tests.patience import PATIENCE_S

PROJECTS = {"default": {"ae_titles": ["ANNOGATE"], "annotators": []}}


def send(gateway: GatewayProcess, *objects: Dataset) -> None:
    outgoing = []
    for one in objects:
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        outgoing.append(OutgoingObject.from_data_set(one))
    peer = PeerAddress(gateway.ae_title, gateway.dicom_host, gateway.dicom_port)
    assert [result.status for result in store(peer, outgoing)] == [0] * len(objects)


def served(gateway: GatewayProcess, modality: str) -> Dataset:
    """The one instance of a modality, once there is one."""

    def instances() -> list[dict[str, Any]]:
        return [one for one in gateway.instances() if one["00080060"]["Value"] == [modality]]

    (found,) = eventually(instances, 120, what=f"an instance of {modality}")
    study, series, instance = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    path = f"/studies/{study}/series/{series}/instances/{instance}"
    (body,) = GatewayClient(gateway.http).instances(path)
    return pydicom.dcmread(BytesIO(body))


def held(gateway: GatewayProcess) -> dict[str, Any]:
    """The one object in quarantine, once there is one."""
    return dict(eventually(lambda: gateway.api("/quarantine")["entries"], 120, what="an object in quarantine")[0])


def says_that_it_is_clean(stored: Dataset) -> bool:
    codes = [item.CodeValue for item in stored.DeidentificationMethodCodeSequence]
    return "113101" in codes and stored.BurnedInAnnotation == "NO"


@pytest.mark.long
def test_text_is_blackened_before_anything_is_served(gateways: Callable[..., GatewayProcess]) -> None:
    gateway = gateways(projects=PROJECTS).start()
    send(gateway, capture(), ct_slice(5))
    # What needs no look does not wait for what does; what is being looked at when the power goes is looked at again.
    untouched = served(gateway, "CT")
    gateway.kill()
    gateway.start()
    assert (says_that_it_is_clean(untouched), untouched.PixelData) == (False, ct_slice(5).PixelData)
    stored, original = served(gateway, "OT"), capture().pixel_array
    assert (shows_text(original), shows_text(stored.pixel_array)) == (True, False)
    assert np.array_equal(stored.pixel_array[100:], original[100:])
    assert says_that_it_is_clean(stored)


@pytest.mark.long
def test_stow_waits_for_the_look_and_a_person_decides_where_a_machine_cannot(
    gateways: Callable[..., GatewayProcess],
) -> None:
    gateway = gateways(projects=PROJECTS).start()
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + as_file(capture()) + b"\r\n--b--\r\n"
    answer = requests.post(
        f"{gateway.http}/dicom-web/studies",
        data=part,
        headers={
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=b',
            "Accept": "application/dicom+json",
        },
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 200, answer.text
    assert len(gateway.instances()) == 1
    assert not shows_text(served(gateway, "OT").pixel_array)

    send(gateway, label_of_a_slide())
    entry = held(gateway)
    assert (entry["failure_reason"], len(gateway.instances())) == (0xC006, 1)
    page = gateway.get(f"/quarantine/{entry['id']}")
    picture = gateway.get(f"/quarantine/{entry['id']}/picture")
    shown = np.asarray(Image.open(BytesIO(picture.content)).convert("L"))
    assert (shown.shape, shows_text(shown)) == ((ROWS, COLUMNS), True)

    sign = re.search(r'name="sign" value="([^"]+)"', page.text)
    assert sign is not None
    left, top, right, bottom = TEXT_BOX
    box = {"x-1": left - 4, "y-1": top - 4, "width-1": right - left + 8, "height-1": bottom - top + 8}
    form = {"sign": sign[1], "seen": "yes", "decide": "blacken", "frame-1": ""} | box
    answer = requests.post(f"{gateway.http}/quarantine/{entry['id']}/release-seen", data=form, timeout=PATIENCE_S)
    assert "Released" in answer.text, answer.text
    stored = served(gateway, "SM")
    assert not shows_text(stored.pixel_array)
    assert says_that_it_is_clean(stored)
    rows = gateway.api("/audit", params={"object": entry["id"]})["rows"]
    actions = [row["action"] for row in rows]
    assert {"quarantine.look", "quarantine.release-blackened"} <= set(actions)
    assert not any(path.name.startswith(entry["id"]) for path in (gateway.data_dir / "quarantine").iterdir())
