"""Who may query the archive and fetch from it over DIMSE."""

from __future__ import annotations

from typing import Literal

from service.settings.values import Name, Section


class QuerySettings(Section):
    """C-FIND, C-MOVE and C-GET as SCP."""

    who: Literal["known", "anybody", "nobody"] = "known"
    callers: tuple[Name, ...] = ()
