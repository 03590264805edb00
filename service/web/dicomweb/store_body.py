"""What a store request offers, instance by instance, in every form that its body may have (PS3.18 10.5.1, 8.7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.dicom_json_reading import JsonInstance, named_uids, read_instance
from service.core.dicom_json_text import json_instances
from service.core.encoded_bytes import EncodedBytes, Keep
from service.core.native_dicom_model import from_xml
from service.errors import BadRequest, UnsupportedMediaType
from service.ingest.part10 import DicomFile, read_file
from service.web.dicomweb.bulk_parts import BulkPart
from service.web.dicomweb.media_types import DICOM, DICOM_JSON, OCTET_STREAM, parse_content_type
from service.web.dicomweb.metadata_forms import DICOM_XML
from service.web.dicomweb.received_body import ReceivedBody
from service.web.dicomweb.received_parts import (
    KeepPart,
    MultipartReader,
    PartTooLarge,
    ReceivedPart,
    is_boundary,
)
from service.web.dicomweb.store_assembly import Built, StoreAssembly
from service.web.dicomweb.store_response import PartResult

_METADATA: Final = frozenset({DICOM_JSON, DICOM_XML})
_ROOT_TYPES: Final = frozenset({DICOM, DICOM_JSON, DICOM_XML, OCTET_STREAM})
_PLAIN: Final = frozenset({"", "binary", "8bit", "7bit", "identity"})
_FILE_META: Final = b"\x02\x00"
_CHUNK: Final = 256 << 10
_TAKEN: Final = f"Instances are taken as {DICOM}, {DICOM_JSON} and {DICOM_XML}, alone or in multipart/related"


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What one store request may bring; beyond it the rest is not read.

    Parameters
    ----------
    part_bytes : of one part
    parts : of one request, and instances, of which a part of metadata may hold many
    metadata_bytes : of one part of metadata, which is held in memory
    inflated_bytes : of a compressed body, inflated
    """

    part_bytes: int = 8 << 30
    parts: int = 20_000
    metadata_bytes: int = 32 << 20
    inflated_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where what a request brings waits for its end.

    Parameters
    ----------
    whole : keeps one instance
    shelf : makes what keeps many pieces of bulk data that wait together
    """

    whole: Keep = b"".join
    shelf: Callable[[], Callable[[Iterable[bytes | memoryview], int], EncodedBytes]] = lambda: (
        lambda parts, _: b"".join(parts)
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """One instance that came whole; ``number`` of the part that it, or its metadata, came in."""

    number: int
    file: DicomFile
    rounded: bool = False


class StoreBody:
    """Reads a store request.

    Parameters
    ----------
    absolute : makes an address of the request absolute
    """

    def __init__(
        self,
        body: ReceivedBody,
        content_type: str,
        *,
        absolute: Callable[[str], str],
        limits: StoreLimits,
        keeping: Keeping,
    ) -> None:
        self.fault: GatewayError | None = None
        """What ended the reading before its time."""
        self._body = body
        self._limits = limits
        self._keeping = keeping
        self._absolute = absolute
        self._assembly = StoreAssembly(absolute, keeping.shelf())
        self._media_type, self._parameters = parse_content_type(content_type)
        self._root_type = self._parameters.get("type", DICOM).lower()
        self._number = 0
        self._check()

    def offers(self) -> Iterator[Offer | PartResult]:
        """Each instance as it comes; a result in place of one that cannot be read.

        Raises
        ------
        GatewayError : the body cannot be read, and nothing of it could be before
        """
        begun, count = False, 0
        try:
            for part in self._parts():
                self._number += 1
                begun = True
                for offer in self._read(self._number, part):
                    count += 1
                    self._check_count(count)
                    yield offer
        except GatewayError as error:  # the body is broken, too large, or a disk of ours fails
            if not begun:
                raise
            # Nothing of what was broken off is an instance that can be named; what was stored before has to be told.
            self.fault = error
            yield PartResult.failed(self._number + 1, error)
        yield from map(_offered, self._assembly.unfinished())

    def _check_count(self, instances: int) -> None:
        if instances > self._limits.parts:
            raise PartTooLarge(f"A request has at most {self._limits.parts} instances; send the rest in another one")

    def _check(self) -> None:
        """Refuse what is not taken before anything is read."""
        if self._media_type in {DICOM, *_METADATA}:
            return
        if self._media_type != "multipart/related":
            raise UnsupportedMediaType(_TAKEN)
        if self._root_type not in _ROOT_TYPES:
            raise UnsupportedMediaType(f"{_TAKEN}; this multipart/related has another type")
        if not is_boundary(self._parameters.get("boundary", "")):
            raise BadRequest("The Content-Type names no boundary (RFC 2046 5.1.1)")

    def _parts(self) -> Iterable[ReceivedPart]:
        if self._media_type != "multipart/related":
            return self._single_part()
        keep: KeepPart = self._keep
        boundary = self._parameters["boundary"]
        return MultipartReader(self._body, boundary, self._limits.part_bytes, keep, self._limits.parts)

    def _single_part(self) -> Iterator[ReceivedPart]:
        headers = {"content-type": self._media_type}
        body = self._keep(headers, _limited(self._whole_body(), self._limits.part_bytes, "The object"))
        if len(body):
            yield ReceivedPart(headers, body)

    def _whole_body(self) -> Iterator[bytes]:
        while chunk := self._body.read(_CHUNK):
            yield chunk

    def _keep(self, headers: Mapping[str, str], parts: Iterable[bytes]) -> EncodedBytes:
        media_type = self._type_of(headers)
        if media_type in _METADATA:
            return b"".join(_limited(parts, self._limits.metadata_bytes, "Metadata"))
        return self._keeping.whole(parts) if media_type == DICOM else self._assembly.keep(parts)

    def _type_of(self, headers: Mapping[str, str]) -> str:
        """The media type of a part; without a Content-Type, in a request of instances, an instance."""
        named = headers.get("content-type", "").partition(";")[0].strip().lower()
        if named:
            return DICOM if named == OCTET_STREAM and self._is_instance(headers) else named
        return DICOM if self._root_type == DICOM else OCTET_STREAM

    def _is_instance(self, headers: Mapping[str, str]) -> bool:
        """Whether octets are an instance, as some clients send them, and not bulk data."""
        return self._root_type == DICOM and "content-location" not in headers

    def _read(self, number: int, part: ReceivedPart) -> Iterator[Offer | PartResult]:
        """What one part amounts to; nothing that is wrong with it keeps the others from being read."""
        try:
            for name in ("content-transfer-encoding", "content-encoding"):
                if part.headers.get(name, "").lower() not in _PLAIN:
                    raise InstanceUnreadable("A part in a transfer or content encoding; send its bytes as they are")
            media_type = self._type_of(part.headers)
            if media_type == DICOM:
                # dicomweb-client sends data sets that were made in memory without the preamble of PS3.10 7.1.
                yield Offer(number, read_file(part.body, has_preamble=part.body[:2] != _FILE_META))
            elif media_type in _METADATA:
                for attributes in _instances(media_type, part.body):
                    yield from self._take(number, attributes)
            else:
                yield from map(_offered, self._assembly.add_bulk(self._bulk(part)))
        except GatewayError as error:
            yield PartResult.failed(number, error)

    def _take(self, number: int, attributes: Any) -> Iterator[Offer | PartResult]:
        """One instance of a part of metadata."""
        try:
            instance = read_instance(attributes)
        except GatewayError as error:
            class_uid, instance_uid, _ = named_uids(attributes)
            yield PartResult.failed(number, error, class_uid, instance_uid)
            return
        yield from map(_offered, self._assembly.add_metadata(number, instance))

    def _bulk(self, part: ReceivedPart) -> BulkPart:
        location = part.headers.get("content-location", "")
        if not location:
            raise InstanceUnreadable(f"A part that is neither {DICOM} nor metadata, and has no Content-Location")
        return BulkPart.of(part.headers, self._absolute(location), part.body)


def _instances(media_type: str, body: EncodedBytes) -> Iterable[Any]:
    content = body[:]
    if media_type == DICOM_JSON:
        return json_instances(content)
    try:
        return [from_xml(content)]
    except BadRequest as error:
        raise InstanceUnreadable(str(error)) from error


def _offered(built: Built) -> Offer | PartResult:
    instance: JsonInstance = built.instance
    if isinstance(built.file, GatewayError):
        return PartResult.failed(built.number, built.file, instance.sop_class_uid, instance.sop_instance_uid)
    return Offer(built.number, built.file, instance.rounded)


def _limited(parts: Iterable[bytes], limit: int, what: str) -> Iterator[bytes]:
    size = 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise PartTooLarge(f"{what} is larger than {limit} bytes, the most that one part may have here")
        yield part
