"""A peer that speaks DICOMweb: STOW-RS brings it objects, QIDO-RS asks it what it knows (PS3.18 10.5 and 10.6)."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from pydicom.dataset import Dataset

from dicom_nodes.peer import PeerUnavailable
from service.delivery.answers import Answer, Verdict
from service.delivery.dimse_target import IDENTITY_KEYS
from service.delivery.parcel import Parcel, as_file_bytes
from service.errors import SettingsInvalid

JSON: Final = "application/dicom+json"
_LARGEST_ANSWER: Final = 16 << 20
_FAILED, _REFERENCED = "00081198", "00081199"
_FAILURE_REASON, _WARNING_REASON, _INSTANCE = "00081197", "00081196", "00081155"
_LATER: Final = {
    http.client.ACCEPTED: "the peer did not say whether it stored it",
    http.client.CONFLICT: "the peer did not say whether it stored it",
    http.client.UNAUTHORIZED: "the peer does not authorise us",
    http.client.FORBIDDEN: "the peer does not authorise us",
    http.client.REQUEST_TIMEOUT: "the peer could not store it now",
    http.client.TOO_MANY_REQUESTS: "the peer could not store it now",
}
_NO_SUCH_QUERY: Final = frozenset({400, 403, 404, 405, 406, 415, 501})


class StowTarget:
    """A peer by the address of its DICOMweb service.

    Parameters
    ----------
    url : of the service root
    authorization_file : its one line is sent as Authorization; read anew for each connection
    """

    def __init__(self, name: str, url: str, authorization_file: Path | None = None, timeout_s: float = 120.0) -> None:
        self._name = name
        self._parts = urlsplit(url)
        self._authorization_file = authorization_file
        self._timeout_s = timeout_s

    @contextmanager
    def open(self, sop_class_uids: Sequence[str]) -> Iterator[OpenStow]:  # noqa: ARG002 -- nothing is negotiated
        """One connection.

        Raises
        ------
        PeerUnavailable : it is not there
        """
        with self._connected() as ask:
            yield OpenStow(ask)

    def studies(self, study_uid: str) -> list[Dataset] | None:
        """What it says of a study; None if it answers no QIDO-RS.

        Raises
        ------
        PeerUnavailable : it is not there
        """
        wanted = [("StudyInstanceUID", study_uid), *(("includefield", keyword) for keyword in IDENTITY_KEYS)]
        return self._found(f"/studies?{urlencode(wanted)}")

    def has(self, study_uid: str, series_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether it has an object; None if it answers no QIDO-RS.

        Raises
        ------
        PeerUnavailable : it is not there
        """
        query = urlencode({"SOPInstanceUID": sop_instance_uid})
        found = self._found(f"/studies/{study_uid}/series/{series_uid}/instances?{query}")
        return None if found is None else any(one.get("SOPInstanceUID") == sop_instance_uid for one in found)

    def _found(self, path: str) -> list[Dataset] | None:
        with self._connected() as ask:
            status, body = ask("GET", path, None, {"Accept": JSON})
        if status == http.client.NO_CONTENT:
            return []
        if status in _NO_SUCH_QUERY:
            return None
        if status != http.client.OK:
            raise PeerUnavailable(f"{self._name} answered a query with HTTP status {status}")
        try:
            return [Dataset.from_json(one) for one in json.loads(body)]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PeerUnavailable(f"{self._name} answered a query with what is no DICOM JSON") from error

    @contextmanager
    def _connected(self) -> Iterator[_Ask]:
        host, port = self._parts.hostname or "", self._parts.port
        connection = (
            http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=ssl.create_default_context())
            if self._parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        )
        headers = self._authorization()

        def ask(method: str, path: str, body: bytes | None, more: Mapping[str, str]) -> tuple[int, bytes]:
            try:
                connection.request(method, self._parts.path + path, body, {**headers, **more})
                response = connection.getresponse()
                return response.status, response.read(_LARGEST_ANSWER)
            except ssl.SSLCertVerificationError as error:
                raise PeerUnavailable(f"{self._name} shows a certificate that is not trusted") from error
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                raise PeerUnavailable(f"{self._name} cannot be reached, or broke off") from error

        try:
            yield ask
        finally:
            connection.close()

    def _authorization(self) -> dict[str, str]:
        if self._authorization_file is None:
            return {}
        try:
            return {"Authorization": self._authorization_file.read_text(encoding="ascii").strip()}
        except (OSError, UnicodeError) as error:
            raise SettingsInvalid(f"peers.{self._name}.authorization_file cannot be read") from error


_Ask = Callable[[str, str, bytes | None, Mapping[str, str]], tuple[int, bytes]]


class OpenStow:
    """A connection that is open."""

    def __init__(self, ask: _Ask) -> None:
        self._ask = ask

    def takes(self, sop_class_uid: str) -> bool:  # noqa: ARG002 -- the answer to each object says it
        """Nothing is negotiated; a peer says of each object whether it took it."""
        return True

    def store(self, parcel: Parcel) -> Answer:
        """Send one object.

        Raises
        ------
        PeerUnavailable : the peer broke off or did not answer
        """
        boundary = secrets.token_hex(16)
        content = as_file_bytes(parcel)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": JSON,
        }
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        status, answer = self._ask("POST", "/studies", body, headers)
        return answer_of(status, answer, parcel.sop_instance_uid)


def answer_of(status: int, body: bytes, sop_instance_uid: str) -> Answer:
    """What a Store Instances Response says of one object (PS3.18 10.5.3, Annex I); without one the status decides."""
    for item in _items(body, _FAILED):
        if _value(item, _INSTANCE) in (sop_instance_uid, None):
            return Answer.of_status(_number(_value(item, _FAILURE_REASON), 0x0110))
    for item in _items(body, _REFERENCED):
        if _value(item, _INSTANCE) == sop_instance_uid:
            return Answer.of_status(_number(_value(item, _WARNING_REASON), 0))
    return _by_status(status)


def _by_status(status: int) -> Answer:
    """What an answer means that says nothing of the object."""
    if status == http.client.OK:
        return Answer.of_status(0)
    later = status >= http.client.INTERNAL_SERVER_ERROR or status in _LATER
    words = _LATER.get(status, "the peer could not store it now" if later else "the peer refused it")
    return Answer(status, Verdict.LATER if later else Verdict.NEVER, f"{words} (HTTP status {status})")


def _items(body: bytes, tag: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(body)
        return [item for item in document[tag]["Value"] if isinstance(item, dict)]
    except (ValueError, KeyError, TypeError):
        return []


def _value(item: Mapping[str, Any], tag: str) -> Any:
    try:
        return item[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return None


def _number(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
