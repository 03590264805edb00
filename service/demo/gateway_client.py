"""A caller of the gateway's own web addresses, as any script would be: search, retrieve, ask for its state."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from service.errors import GatewayError

TIMEOUT_S = 120.0
DICOM_JSON = "application/dicom+json"


class GatewayClient:
    """Calls one gateway over HTTP.

    Parameters
    ----------
    address : ``http://host:port``
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def json(self, path: str, accept: str = "application/json") -> Any:
        """The JSON at ``path``; None where there is no content.

        Raises
        ------
        GatewayError : the gateway refuses; with its words
        """
        body = self._get(path, accept)[0]
        return json.loads(body) if body else None

    def search(self, path: str) -> list[dict[str, Any]]:
        """The matches of a QIDO-RS search (PS3.18 10.6); empty when there are none."""
        return self.json(f"/dicom-web{path}", DICOM_JSON) or []

    def raw(self, path: str, accept: str) -> bytes:
        """The body at ``path`` as it comes."""
        return self._get(path, accept)[0]

    def instances(self, path: str, project: str = "default") -> Iterator[bytes]:
        """The Part 10 files of a study, series or instance, as stored (PS3.18 10.4)."""
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        body, content_type = self._get(f"/projects/{project}/dicom-web{path}", accept)
        yield from parts_of(body, content_type)

    def _get(self, path: str, accept: str) -> tuple[bytes, str]:
        request = urllib.request.Request(self._address + path, headers={"Accept": accept})  # noqa: S310 (http, ours)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                return response.read(), response.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(500).decode(errors="replace")
            raise GatewayError(f"{path} is answered {error.code}: {words}") from None
        except urllib.error.URLError as error:
            raise GatewayError(f"{path} is not answered: {error.reason}") from None


def parts_of(body: bytes, content_type: str) -> Iterator[bytes]:
    """The contents of a multipart/related body (RFC 2387), without the headers of its parts."""
    parameters = {
        key.strip(): value.strip().strip('"')
        for key, _, value in (piece.partition("=") for piece in content_type.split(";")[1:])
    }
    delimiter = b"--" + parameters["boundary"].encode()
    start = body.find(delimiter)
    while start >= 0 and not body.startswith(delimiter + b"--", start):
        content = body.index(b"\r\n\r\n", start) + 4
        end = body.index(b"\r\n" + delimiter, content)
        yield body[content:end]
        start = end + 2
