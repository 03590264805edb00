"""Store instances (STOW-RS, PS3.18 10.5)."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from flask import Request, Response, request

from dicom_nodes.errors import GatewayError, InstanceUnreadable, StorageExhausted
from service.core.encoded_data_set import Encoding, elements
from service.core.records import Incoming
from service.errors import BadRequest, UnsupportedMediaType
from service.ingest.part10 import DicomFile, read_file
from service.web.dicomweb.answers import finish, json_media_type
from service.web.dicomweb.media_types import DICOM, parse_content_type
from service.web.dicomweb.multipart import BodyTruncated, MultipartReader, PartTooLarge, ReceivedPart, is_boundary
from service.web.dicomweb.resources import Resources, check_uids
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.store_response import PartResult, response_data_set, status_of, warnings

_STUDY_INSTANCE_UID: Final = 0x0020000D
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_STARTS: Final = (1 << 20, 32 << 20)
"""How much of a data set is looked at for its study, and how much if that was not enough."""
_CHUNK: Final = 1 << 20
_FILE_META: Final = b"\x02\x00"
_ONE_OBJECT: Final = frozenset({DICOM, "application/octet-stream", ""})

_log = logging.getLogger(__name__)


class StoreViews:
    """The store resources."""

    def __init__(self, services: DicomWebServices, resources: Resources) -> None:
        self._services = services
        self._resources = resources

    def store(self, project: str, study_uid: str = "") -> Response:
        """``POST /studies`` and ``POST /studies/{study}``."""
        self._resources.check_project(project)
        check_uids(study_uid)
        media_type = json_media_type(request)
        results = [self._store_part(project, study_uid, *part) for part in enumerate(self._parts(request), start=1)]
        if not results:
            raise BadRequest("The request holds no instances")
        root = self._services.links.service_root(request, project)
        answer = response_data_set(results, root)
        self._note(project, results)
        response = Response(
            json.dumps(answer, ensure_ascii=False, separators=(",", ":")),
            status=status_of(results),
            content_type=media_type,
        )
        response.headers["Cache-Control"] = "no-store"
        return finish(response, warnings(results))

    def _parts(self, incoming: Request) -> Iterator[ReceivedPart | GatewayError]:
        """Each part as it comes; an error in place of one that cannot be read to its end."""
        media_type, parameters = parse_content_type(incoming.headers.get("Content-Type", ""))
        if media_type == DICOM:
            yield from self._single_part(incoming)
            return
        if media_type != "multipart/related":
            raise UnsupportedMediaType(f'Instances are taken as multipart/related; type="{DICOM}" or {DICOM}')
        if parameters.get("type", DICOM).lower() != DICOM:
            raise UnsupportedMediaType(f'Of multipart/related, type="{DICOM}" is taken here')
        boundary = parameters.get("boundary", "")
        if not is_boundary(boundary):
            raise BadRequest("The Content-Type names no boundary")
        services = self._services
        yield from _parts_or_error(MultipartReader(incoming.stream, boundary, services.part_limit_bytes, services.keep))

    def _single_part(self, incoming: Request) -> Iterator[ReceivedPart]:
        body = self._services.keep(self._limited(incoming))
        if len(body):
            yield ReceivedPart({"content-type": DICOM}, body)

    def _limited(self, incoming: Request) -> Iterator[bytes]:
        size = 0
        while chunk := incoming.stream.read(_CHUNK):
            size += len(chunk)
            if size > self._services.part_limit_bytes:
                raise PartTooLarge(f"The object is larger than {self._services.part_limit_bytes} bytes")
            yield chunk

    def _store_part(self, project: str, study_uid: str, number: int, part: ReceivedPart | GatewayError) -> PartResult:
        """Store one part; nothing that is wrong with it keeps the others from being stored."""
        if isinstance(part, GatewayError):
            return PartResult(number, failure_reason=part.dimse_status, reason=str(part))
        sent_class_uid = sent_instance_uid = ""
        try:
            file = _read_part(part)
            sent_class_uid, sent_instance_uid = file.sop_class_uid, file.sop_instance_uid
            _check_study(file, study_uid)
            outcome = self._services.store(self._incoming(project, file))
            return PartResult.of(number, sent_class_uid, sent_instance_uid, outcome)
        except GatewayError as error:
            return PartResult(number, sent_class_uid, sent_instance_uid, None, error.dimse_status, str(error))
        except Exception as error:  # noqa: BLE001 - one instance that breaks something costs only its own place
            _log.error("storing an instance failed unexpectedly: %s", type(error).__name__)
            return PartResult(number, sent_class_uid, sent_instance_uid, None, 0x0110, "Storing it failed here")

    def _incoming(self, project: str, file: DicomFile) -> Incoming:
        return Incoming(
            project=project,
            sop_class_uid=file.sop_class_uid,
            sop_instance_uid=file.sop_instance_uid,
            transfer_syntax_uid=file.transfer_syntax_uid,
            data_set=file.data_set,
            source="stow",
            calling_ae_title="",
            peer_address=request.remote_addr or "",
            received_at=self._services.clock(),
        )

    def _note(self, project: str, results: list[PartResult]) -> None:
        """Tell the audit trail; only UIDs under which something is served."""
        stored = [result.outcome for result in results if result.stored and result.outcome is not None]
        studies = sorted({outcome.study_uid for outcome in stored if outcome.study_uid})
        self._services.note(
            studies[0] if len(studies) == 1 else "",
            project=project,
            stored=len(stored),
            failed=len(results) - len(stored),
            studies=studies[:20],
        )


def _parts_or_error(reader: Iterable[ReceivedPart]) -> Iterator[ReceivedPart | GatewayError]:
    """The parts; where the body breaks off, those before it were stored, and the answer has to say so."""
    begun = False
    try:
        for part in reader:
            begun = True
            yield part
    except (BodyTruncated, PartTooLarge, StorageExhausted) as error:
        if not begun:
            raise
        # Nothing of what was broken off is an instance that can be named.
        yield error


def _read_part(part: ReceivedPart) -> DicomFile:
    media_type = part.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media_type not in _ONE_OBJECT:
        raise InstanceUnreadable(f"A part that is not {DICOM}")
    # dicomweb-client sends data sets that were made in memory without the preamble of PS3.10 7.1.
    return read_file(part.body, has_preamble=part.body[:2] != _FILE_META)


def _check_study(file: DicomFile, study_uid: str) -> None:
    """Hold the Study Instance UID as it was sent against that of the address (PS3.18 10.5.1.1)."""
    if study_uid and _sent_study_uid(file) != study_uid:
        raise StudyMismatch("The instance belongs to another study than the address names")


def _sent_study_uid(file: DicomFile) -> str:
    """The Study Instance UID, from as much of the start as it takes."""
    *shorter, longest = _STARTS
    for size in shorter:
        try:
            return _study_uid_in(_start(file, size), file.transfer_syntax_uid)
        except InstanceUnreadable:
            continue  # it may only have been cut short here
    return _study_uid_in(_start(file, longest), file.transfer_syntax_uid)


def _start(file: DicomFile, size: int) -> bytes:
    if file.transfer_syntax_uid != _DEFLATED:
        return file.data_set[:size]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.data_set[:size], size)
    except zlib.error as error:
        raise InstanceUnreadable("The deflated data set cannot be inflated") from error


def _study_uid_in(data: bytes, transfer_syntax_uid: str) -> str:
    for element in elements(memoryview(data), Encoding.of(transfer_syntax_uid)):
        if element.tag == _STUDY_INSTANCE_UID:
            return data[element.value_start : element.value_end].decode("ascii", "replace").strip("\0 ")
        if element.tag > _STUDY_INSTANCE_UID:
            break
    return ""


class StudyMismatch(GatewayError):
    """An instance of another study than the address names."""

    http_status = 409
    dimse_status = 0xC005
