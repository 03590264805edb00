"""DICOMweb over a real ingest house: stored through the pipeline, asked over WSGI or loopback HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from service.archive.search import InstanceSearch
from service.core.records import Outcome
from service.ingest.part10 import read_file
from service.web.dicomweb.blueprint import dicomweb_blueprint
from service.web.dicomweb.capabilities import capabilities_blueprint
from service.web.dicomweb.services import DicomWebServices
from service.web.problems import register_problem_handlers
from tests.datasets import as_file, ct_slice
from tests.ingest_house import IngestHouse

DEFAULT = "clinical"
PIXELS = np.arange(256, dtype="i2").reshape(16, 16) - 100


class _ReadingClient(FlaskClient):
    """Reads each answer to its end and closes it, as a server does."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True} | kwargs)


class DicomWebGateway:
    """The project "clinical" keeps objects as they come and is at ``/dicom-web``; "research" de-identifies.

    Parameters
    ----------
    judges : annotation objects are held against the rules on their way in
    """

    def __init__(self, folder: Path, *, judges: bool = False, **changes: Any) -> None:
        self.house = IngestHouse(folder, judges=judges)
        self.notes: list[dict[str, Any]] = []
        services = {
            "index": self.house.index,
            "search": InstanceSearch(self.house.database),
            "blobs": self.house.blobs,
            "store": self.house.pipeline.begin_batch,
            "projects": ("clinical", "research"),
            "note": self._note,
            "clock": self.house.clock,
        }
        handed = DicomWebServices(**(services | changes))
        blueprint = dicomweb_blueprint(handed)
        self.app = Flask("dicomweb_test")
        self.app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
        self.app.test_client_class = _ReadingClient
        register_problem_handlers(self.app)
        self.app.register_blueprint(blueprint, url_prefix="/dicom-web", url_defaults={"project": DEFAULT})
        self.app.register_blueprint(blueprint, name="project_dicomweb", url_prefix="/projects/<project>/dicom-web")
        capabilities = capabilities_blueprint(handed)
        self.app.register_blueprint(capabilities, url_prefix="/dicom-web")
        name, root = "project_capabilities", "/projects/<project>/dicom-web"
        self.app.register_blueprint(capabilities, name=name, url_prefix=root)

    def _note(self, target: str, **detail: Any) -> None:
        self.notes.append({"target": target} | detail)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def store(self, data_set: Dataset, project: str = DEFAULT) -> Outcome:
        """Store a data set in Explicit VR Little Endian."""
        return self.house.pipeline.process(self.house.incoming(data_set, project))

    def store_file(self, content: bytes | Path, project: str = DEFAULT) -> Outcome:
        """Store a DICOM file as it is."""
        file = read_file(content.read_bytes() if isinstance(content, Path) else content)
        return self.house.pipeline.process(self.house.incoming(file.data_set, project, file.transfer_syntax_uid))

    def close(self) -> None:
        self.house.close()


def address(outcome: Outcome) -> str:
    """The path of an instance below the service's root."""
    return f"/studies/{outcome.study_uid}/series/{outcome.series_uid}/instances/{outcome.sop_instance_uid}"


def parts_of(body: bytes, content_type: str) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart answer, read independently of the code under test."""
    boundary = content_type.partition('boundary="')[2].partition('"')[0].encode()
    pieces = body.split(b"\r\n--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1] == b"--"
    found = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        lines = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if line]
        found.append((dict(lines), content))
    return found


def data_sets_of(body: bytes, content_type: str) -> list[Dataset]:
    """The data sets of a multipart answer of DICOM files."""
    return [dcmread(BytesIO(content)) for _, content in parts_of(body, content_type)]


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
        pass


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve over loopback HTTP; the address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(client: FlaskClient, outcome: Outcome, path: str = "", accept: str = "", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Accept": accept} if accept else {})
    return client.get(f"/dicom-web{address(outcome)}{path}", headers=named)


def compressed(uid: str, pixels: np.ndarray = PIXELS, frames: int = 1) -> bytes:
    """A file whose frames, all alike but for their first value, are compressed."""
    ds = ct_slice(pixels=pixels)
    if frames > 1:
        ds.NumberOfFrames = frames
    encoder = get_encoder(uid)
    streams = []
    for number in range(frames):
        frame = pixels.copy()
        frame[0, 0] += number
        streams.append(encoder.encode(frame, rows=16, columns=16, samples_per_pixel=1, bits_allocated=16,
                                      bits_stored=16, pixel_representation=1, photometric_interpretation="MONOCHROME2",
                                      number_of_frames=1))  # fmt: skip
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return as_file(ds, uid)


def document(sop_class_uid: str, **values: object) -> Dataset:
    ds = ct_slice()
    del ds.PixelData
    ds.SOPClassUID = sop_class_uid
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds
