"""Which of many instances are held: class and blob by UID, without anything else of the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from service.archive.database import Database
from service.archive.schema import instances
from service.archive.senders import SentBy
from service.archive.trash import not_in_trash

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """What stands behind one SOP Instance UID."""

    sop_class_uid: str
    blob_key: str
    blob_size: int


class HeldInstances:
    """Looks instances up by the hundred."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(
        self, project: str, sop_instance_uids: Sequence[str], sent_by: SentBy | None = None
    ) -> dict[str, HeldInstance]:
        """Those of the instances that are held, by UID, visible or not; only what some sent, where they are named.

        What is in the trash is not held: nobody should count on it.
        """
        found: dict[str, HeldInstance] = {}
        columns = (
            instances.c.sop_instance_uid,
            instances.c.sop_class_uid,
            instances.c.blob_key,
            instances.c.blob_size,
        )
        with self._database.read() as connection:
            for start in range(0, len(sop_instance_uids), _CHUNK):
                chunk = list(sop_instance_uids[start : start + _CHUNK])
                query = select(*columns).where(instances.c.project == project, instances.c.sop_instance_uid.in_(chunk))
                query = query.where(not_in_trash())
                if sent_by is not None:
                    query = query.where(sent_by.condition())
                found |= {uid: HeldInstance(*rest) for uid, *rest in connection.execute(query)}
        return found
