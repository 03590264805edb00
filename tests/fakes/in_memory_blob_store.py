"""A blob store that keeps its blobs in a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from typing import BinaryIO

from service.core.blob_key import is_blob_key
from service.errors import InstanceNotFound


class InMemoryBlobStore:
    """Implements `service.core.ports.BlobStore`."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, key: str, parts: Iterable[bytes | memoryview]) -> int:
        return self.put_many([(key, parts)])[0]

    def put_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> list[int]:
        return self.begin_many(blobs)()

    def begin_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> Callable[[], list[int]]:
        written = {_checked(key): b"".join(bytes(part) for part in parts) for key, parts in blobs}
        self._blobs |= written
        return lambda: [len(written[key]) for key, _ in blobs]

    def open(self, key: str) -> BinaryIO:
        try:
            return BytesIO(self._blobs[_checked(key)])
        except KeyError as error:
            raise InstanceNotFound("the instance's file is not in the store") from error

    def delete(self, key: str) -> None:
        self._blobs.pop(_checked(key), None)

    def keys(self) -> Iterator[str]:
        return iter(list(self._blobs))


def _checked(key: str) -> str:
    if not is_blob_key(key):
        raise ValueError("not the key of a blob")
    return key
