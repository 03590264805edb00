"""Studies and series of which an image is known to be shown: searches need not look at their instances.

``shows_image`` is true only while at least one image of the study or series is visible. `InstanceBatch` sets it with an
image that it added, holding the rows of study and series; whatever hides or moves an image takes it back in the same
transaction, here. False says nothing, and is always safe: the instances are looked at then.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, select, update

from service.archive.schema import instances, series, studies

_CHUNK: Final = 500


def forget_shown(connection: Connection, *hidden: ColumnElement[bool]) -> None:
    """Note of the studies and series of some instances that these are not shown any more, or stand elsewhere.

    To be called before the instances are locked, since whoever adds locks studies, series and instances in this order;
    and, where others may add what meets the conditions meanwhile, after it again.
    """
    for table, key in ((studies, instances.c.study_id), (series, instances.c.series_id)):
        held = table.c.id.in_(select(key).where(*hidden))
        query = select(table.c.id).where(held, table.c.shows_image).order_by(table.c.id)
        ids = list(connection.execute(query.with_for_update()).scalars())
        for start in range(0, len(ids), _CHUNK):
            of_them = table.c.id.in_(ids[start : start + _CHUNK])
            connection.execute(update(table).where(of_them).values(shows_image=False))
