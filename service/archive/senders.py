"""Who sent which instance, by AE title and address: whom storage commitment is told the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, literal, or_, select

from service.archive.database import upsert
from service.archive.schema import instances, senders, sent_instances

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Sender:
    """A node as an association shows it."""

    ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class SentInstance:
    """An instance, named as served, that somebody sent and that is kept with that content.

    Parameters
    ----------
    took_place : of what others had sent under the same UID, which is not kept any more
    """

    project: str
    sop_instance_uid: str
    sender: Sender
    took_place: bool = False


@dataclass(frozen=True, slots=True)
class SentBy:
    """Those whose instances somebody may ask for: of these titles, or sent from this address."""

    ae_titles: frozenset[str]
    address: str

    def condition(self) -> ColumnElement[bool]:
        """Whether an instance of a query is one of theirs."""
        theirs = or_(senders.c.ae_title.in_(sorted(self.ae_titles)), senders.c.address == self.address)
        sent = sent_instances.join(senders, sent_instances.c.sender_id == senders.c.id)
        return exists(
            select(literal(1)).select_from(sent).where(sent_instances.c.instance_id == instances.c.id, theirs)
        )


def note_sent(connection: Connection, sent: Iterable[SentInstance]) -> None:
    """Note who sent what, in the transaction that stores it; the same again changes nothing."""
    by_sender: dict[tuple[str, Sender], list[str]] = defaultdict(list)
    for one in sent:
        if one.took_place:
            held = select(instances.c.id).where(
                instances.c.project == one.project, instances.c.sop_instance_uid == one.sop_instance_uid
            )
            connection.execute(delete(sent_instances).where(sent_instances.c.instance_id.in_(held)))
        by_sender[one.project, one.sender].append(one.sop_instance_uid)
    for (project, sender), uids in by_sender.items():
        _note(connection, project, _id_of(connection, sender), uids)


def _id_of(connection: Connection, sender: Sender) -> int:
    query = select(senders.c.id).where(senders.c.ae_title == sender.ae_title, senders.c.address == sender.address)
    known = connection.execute(query).scalar_one_or_none()
    if known is not None:
        return int(known)
    values = {"ae_title": sender.ae_title, "address": sender.address}
    connection.execute(upsert(connection, senders).on_conflict_do_nothing(), values)
    return int(connection.execute(query).scalar_one())


def _note(connection: Connection, project: str, sender_id: int, uids: Sequence[str]) -> None:
    for start in range(0, len(uids), _CHUNK):
        known = exists(
            select(literal(1)).where(
                sent_instances.c.instance_id == instances.c.id, sent_instances.c.sender_id == sender_id
            )
        )
        new = select(instances.c.id, literal(sender_id)).where(
            instances.c.project == project, instances.c.sop_instance_uid.in_(uids[start : start + _CHUNK]), ~known
        )
        connection.execute(insert(sent_instances).from_select(["instance_id", "sender_id"], new))
