"""Builders for what goes into the spool."""

from __future__ import annotations

from pathlib import Path

from dicom_nodes.object_sink import ObjectHeader, ObjectSink
from service.ingest.segment_pool import segment_pool
from service.ingest.spool import Spool, SpoolReader
from service.ingest.spool_frames import HEAD_BYTES, HEAD_PLACES, SegmentCipher, open_head

KEY = bytes(range(32))


def object_header(sop_instance_uid: str = "1.2.3.4") -> ObjectHeader:
    """What a node knows of a CT before its first byte."""
    return ObjectHeader(
        calling_ae_title="SCANNER",
        called_ae_title="ANNOGATE",
        peer_address="192.0.2.7",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        received_at=1_700_000_000.0,
    )


def put(sink: ObjectSink, data: bytes, sop_instance_uid: str = "1.2.3.4") -> None:
    """One whole object."""
    writer = sink.begin(object_header(sop_instance_uid))
    writer.write(data)
    writer.commit()


def spool_at(directory: Path, **settings: object) -> Spool:
    """A spool that needs no free disk."""
    return Spool(directory, KEY, **{"reserve_bytes": 0, **settings})  # type: ignore[arg-type]


def cipher_of(segment: bytes) -> SegmentCipher:
    """What opens the frames of a segment, from its bytes."""
    _, segment_key = open_head(KEY, [segment[place : place + HEAD_BYTES] for place in HEAD_PLACES])
    return SegmentCipher(segment_key)


def recycling_reader(directory: Path, segment_bytes: int, count: int = 4) -> SpoolReader:
    """A reader that keeps the files of segments that it releases, to be written again."""
    return SpoolReader(directory, KEY, pool=segment_pool(directory, count, segment_bytes))


def release_all(reader: SpoolReader) -> None:
    """Let every segment go that is finished."""
    for segment in reader.finished_segments():
        assert reader.release(segment.name)


def spooled_bytes(directory: Path) -> list[bytes]:
    """Data sets of all whole objects, in their order."""
    reader = SpoolReader(directory, KEY)
    return [reader.read(spooled.source_key) for spooled in reader.committed()]
