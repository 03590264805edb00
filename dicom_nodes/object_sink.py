"""Where a node puts the objects that it receives: the port that a spool or an archive fills.

An object comes in three steps, so that it may be longer than memory: ``begin``, ``write`` for each fragment as it
comes off the wire, ``commit``; ``finish`` may stand before the last. The peer is told of success only after ``commit``
has returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dicom_nodes.command_set import MEDIUM_PRIORITY


@dataclass(frozen=True, slots=True)
class ObjectHeader:
    """What association and command set say of an object before its first byte.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid : Affected SOP Class and Instance UID of the request (PS3.7 9.1.1.1); the
        instance UID is identity: it goes into no log
    transfer_syntax_uid : of the presentation context, hence of the data set's bytes
    received_at : seconds since the epoch, UTC
    priority : Priority (0000,0700) of the request: ``MEDIUM_PRIORITY``, ``HIGH_PRIORITY`` or ``LOW_PRIORITY``.
        Medium where nobody said any, which is what records of a spool from before the field mean as well
    """

    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    received_at: float
    priority: int = MEDIUM_PRIORITY


class ObjectWriter(Protocol):
    """One object on its way in; used by one thread at a time."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the data set.

        Raises
        ------
        StorageExhausted : there is no room; nothing of the object is kept
        """

    def finish(self) -> None:
        """Take no more bytes and have them written, without waiting for the disk; ``commit`` follows.

        Left out where nothing else comes meanwhile. Objects of one sink that are finished before one of them is
        committed can share that one's sync.

        Raises
        ------
        GatewayError : the object is not kept
        """

    def commit(self) -> None:
        """Make the object durable; when this returns, no crash loses it. May come from another thread.

        Raises
        ------
        GatewayError : the object is not kept; the error's DIMSE status is the answer
        """

    def abandon(self) -> None:
        """Forget the object; harmless when called twice or after a failed ``commit``."""


class ObjectSink(Protocol):
    """What takes objects in; used by the threads of all associations at once."""

    def begin(self, header: ObjectHeader) -> ObjectWriter:
        """Start an object.

        Raises
        ------
        GatewayError : it is refused; the error's DIMSE status is the answer
        """
