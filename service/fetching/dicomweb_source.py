"""Studies of a DICOMweb peer: found by QIDO-RS, fetched by WADO-RS into the spool (PS3.18 10.4, 10.6)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from dicom_nodes.errors import GatewayError
from dicom_nodes.object_sink import ObjectSink
from dicom_nodes.peer import PeerUnavailable
from service.fetching.part10_taker import Arriving, take_part10
from service.fetching.request import PullRequest
from service.fetching.source import Fetched, FoundSeries, FoundStudy, ListedObject, Stop

_PAGE: Final = 200
_LONGEST_JSON: Final = 64 << 20
_CHUNK: Final = 1 << 18
_WHOLE_INSTANCE: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class DicomwebSource:
    """Fills ``source.StudySource`` for one peer and one project.

    Parameters
    ----------
    url : of the DICOMweb service root
    authorization : value of the Authorization header; "" for none
    sink : opens the spool when a first object comes
    calling_ae_title, called_ae_title : the titles that objects count as sent by and to
    """

    def __init__(
        self,
        url: str,
        authorization: str,
        sink: Callable[[], ObjectSink],
        calling_ae_title: str,
        called_ae_title: str,
        *,
        clock: Callable[[], float],
        timeout_s: float = 60.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._authorization = authorization
        self._sink = sink
        self._calling_ae_title = calling_ae_title
        self._called_ae_title = called_ae_title
        self._clock = clock
        self._timeout_s = timeout_s

    def find(self, request: PullRequest, stop: Stop) -> Iterator[FoundStudy]:
        """The studies that match."""
        keys = {keyword: value.replace("\\", ",") for keyword, value in request.keys.items() if value}
        for found in self._search("/studies", keys, stop):
            yield FoundStudy(_value(found, "0020000D"), _value(found, "00080020"), _value(found, "00080030"))

    def series_of(self, study_uid: str, stop: Stop) -> list[FoundSeries]:
        """The series of a study."""
        found = self._search(f"/studies/{quote(study_uid)}/series", {"includefield": "BodyPartExamined"}, stop)
        return [FoundSeries(_value(one, "00080060"), _value(one, "00180015").upper()) for one in found]

    def objects_of(self, study_uid: str, stop: Stop) -> list[ListedObject]:
        """Every object of a study."""
        found = self._search(f"/studies/{quote(study_uid)}/instances", {}, stop)
        return [
            ListedObject(_value(one, "0020000E"), _value(one, "00080018"), _value(one, "00080016")) for one in found
        ]

    def fetch(self, study_uid: str, objects: Sequence[ListedObject], stop: Stop) -> Fetched:
        """Fetch objects of one series, one after the other."""
        sent, words = 0, ""
        for listed in objects:
            if stop():
                break
            path = f"/studies/{study_uid}/series/{listed.series_uid}/instances/{listed.sop_instance_uid}"
            try:
                self._fetch_one(path)
                sent += 1
            except PeerUnavailable:
                raise
            except GatewayError as error:
                words = str(error)
        return Fetched(sent, words)

    def _fetch_one(self, path: str) -> None:
        arriving = Arriving(self._calling_ae_title, self._called_ae_title, urlsplit(self._url).hostname or "")
        with self._open(path, _WHOLE_INSTANCE) as response:
            content_type = response.headers.get("Content-Type", "")
            pieces = iter(lambda: _read(response, _CHUNK), b"")
            take_part10(self._sink(), arriving, content_type, pieces, self._clock())

    def _search(self, path: str, keys: dict[str, str], stop: Stop) -> Iterator[dict[str, Any]]:
        """Page by page, until one is not full; a peer that knows no offset gives the same page again and ends it."""
        offset, seen = 0, set[str]()
        while not stop():
            query = urlencode({**keys, "limit": _PAGE, "offset": offset})
            with self._open(f"{path}?{query}", "application/dicom+json") as response:
                content = b"" if response.status == 204 else _read(response, _LONGEST_JSON)
            try:
                page = json.loads(content) if content else []
            except ValueError as error:
                raise GatewayError("the peer's answer to a search is no JSON") from error
            fresh = [found for found in page if json.dumps(found, sort_keys=True) not in seen]
            seen.update(json.dumps(found, sort_keys=True) for found in fresh)
            yield from fresh
            offset += len(page)
            if len(page) < _PAGE or not fresh:
                return

    def _open(self, path: str, accept: str) -> Any:
        headers = {"Accept": accept, **({"Authorization": self._authorization} if self._authorization else {})}
        request = urllib.request.Request(self._url + path, headers=headers)  # noqa: S310 -- http(s) by the settings
        try:
            return urllib.request.urlopen(request, timeout=self._timeout_s)  # noqa: S310 -- as above
        except urllib.error.HTTPError as error:
            error.close()
            raise GatewayError(f"the DICOMweb peer answered {error.code}") from None
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            raise PeerUnavailable(f"the DICOMweb peer cannot be reached: {type(error).__name__}") from None


def _read(response: Any, size: int) -> bytes:
    try:
        content: bytes = response.read(size)
    except (OSError, ValueError) as error:
        raise PeerUnavailable(f"the DICOMweb peer broke off: {type(error).__name__}") from None
    return content


def _value(found: dict[str, Any], tag: str) -> str:
    values = found.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip()
