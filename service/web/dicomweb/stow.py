"""Store instances (STOW-RS, PS3.18 10.5)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import urljoin

from flask import Request, Response, request

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.encoded_data_set import Encoding, elements
from service.core.native_dicom_model import to_xml
from service.core.records import Incoming
from service.errors import BadRequest, NotAcceptable
from service.ingest.direct_intake import DirectIntake, Taken
from service.ingest.part10 import DicomFile
from service.web.dicomweb.answers import accepted, finish
from service.web.dicomweb.media_types import DICOM_JSON, JSON
from service.web.dicomweb.metadata_forms import DICOM_XML, check_charset
from service.web.dicomweb.received_body import ReceivedBody
from service.web.dicomweb.resources import Resources, check_uids
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.store_body import Offer, StoreBody
from service.web.dicomweb.store_response import PartResult, response_data_set, status_of, warnings

_STUDY_INSTANCE_UID: Final = 0x0020000D
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_STARTS: Final = (1 << 20, 32 << 20)
"""How much of a data set is looked at for its study, and how much if that was not enough."""


class StoreViews:
    """The store resources."""

    def __init__(self, services: DicomWebServices, resources: Resources) -> None:
        self._services = services
        self._resources = resources

    def store(self, project: str, study_uid: str = "") -> Response:
        """``POST /studies`` and ``POST /studies/{study}``."""
        try:
            return self._store(project, study_uid)
        except GatewayError:
            ReceivedBody(request.stream).drain()
            raise

    def _store(self, project: str, study_uid: str) -> Response:
        self._resources.check_project(project)
        check_uids(study_uid)
        media_type = _answer_type(request)
        raw = ReceivedBody.of(request, inflated_limit_bytes=self._services.store_limits.inflated_bytes)
        body = StoreBody(
            raw,
            request.headers.get("Content-Type", ""),
            absolute=lambda location: urljoin(request.base_url, location),
            limits=self._services.store_limits,
            keeping=self._services.keeping,
        )
        results = list(self._results(project, study_uid, body.offers()))
        if body.fault is not None:
            raw.drain()
            if not any(result.outcome is not None or result.sent_instance_uid for result in results):
                raise body.fault
        if not results:
            raise BadRequest("The request holds no instances")
        self._note(project, results)
        return self._answer(project, media_type, results)

    def _answer(self, project: str, media_type: str, results: list[PartResult]) -> Response:
        answer = response_data_set(results, self._services.links.service_root(request, project))
        if media_type == DICOM_XML:
            content: str | bytes = to_xml(answer)
        else:
            content = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        response = Response(content, status=status_of(results), content_type=media_type)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "Accept"
        return finish(response, warnings(results))

    def _results(self, project: str, study_uid: str, offers: Iterator[Offer | PartResult]) -> Iterator[PartResult]:
        """What became of each instance, in order; as many are taken in at once as make a batch."""
        former: tuple[list[Offer | PartResult], Taken] | None = None
        with DirectIntake(self._services.store) as intake:
            for gathered, is_last in self._gathered(study_uid, offers):
                batch = [self._incoming(project, offer.file) for offer in gathered if isinstance(offer, Offer)]
                taken = intake.take(batch, is_last=is_last)
                if former is not None:
                    yield from _told(*former)
                former = gathered, taken
        if former is not None:
            yield from _told(*former)

    def _gathered(
        self, study_uid: str, offers: Iterator[Offer | PartResult]
    ) -> Iterator[tuple[list[Offer | PartResult], bool]]:
        """Batches, and whether each is the last; results that are there already keep their places among offers."""
        limits = self._services.intake
        gathered: list[Offer | PartResult] = []
        waiting = size = 0
        for offer in offers:
            fitting = _checked(offer, study_uid)
            if isinstance(fitting, Offer):
                length = len(fitting.file.data_set)
                if waiting and (waiting >= limits.objects or size + length > limits.bytes):
                    yield gathered, False
                    gathered, waiting, size = [], 0, 0
                waiting, size = waiting + 1, size + length
            gathered.append(fitting)
        yield gathered, True

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


def _told(gathered: list[Offer | PartResult], taken: Taken) -> Iterator[PartResult]:
    """The results of a batch that came to its end."""
    outcomes = iter(taken.outcomes)
    for offer in gathered:
        if isinstance(offer, PartResult):
            yield offer
            continue
        uids = offer.file.sop_class_uid, offer.file.sop_instance_uid
        outcome = next(outcomes)
        if isinstance(outcome, GatewayError):
            yield PartResult.failed(offer.number, outcome, *uids)
        else:
            yield PartResult.of(offer.number, *uids, outcome, rounded=offer.rounded)


def _answer_type(incoming: Request) -> str:
    """The media type of the answer (PS3.18 10.5.3.2): one data set, so that XML needs no multipart."""
    check_charset(incoming)
    for media_range in accepted(incoming):
        if media_range.multipart:
            continue
        for offered in (DICOM_JSON, JSON, DICOM_XML):
            if media_range.covers(offered) and media_range.allows(offered, multipart=False):
                return offered
    raise NotAcceptable(f"What became of instances is told as {DICOM_JSON} or {DICOM_XML}")


def _checked(offer: Offer | PartResult, study_uid: str) -> Offer | PartResult:
    """Hold the Study Instance UID as it was sent against that of the address (PS3.18 10.5.1.1)."""
    if not isinstance(offer, Offer) or not study_uid:
        return offer
    try:
        if _sent_study_uid(offer.file) != study_uid:
            raise StudyMismatch("The instance belongs to another study than the address names")
    except GatewayError as error:
        return PartResult.failed(offer.number, error, offer.file.sop_class_uid, offer.file.sop_instance_uid)
    return offer


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
