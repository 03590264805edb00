"""Whether a result may leave for the PACS: one rule, asked by everything that sends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Held(StrEnum):
    """Why a result stays in the house, in words for the person who looks for it."""

    DEMONSTRATOR = "made by a demonstrator, not for diagnosis; allow_demonstrator is off"
    NOT_APPROVED = "waits for a person's approval"
    NO_TARGET = "the project delivers to nobody; deliver_to is empty"


def may_leave(
    *, demonstrator: bool, allow_demonstrator: bool, approve: Literal["person", "automatic"], approved: bool
) -> Held | None:
    """None when the result may leave, else why it is held.

    Parameters
    ----------
    demonstrator : its annotator is one; no approval makes up for that
    allow_demonstrator, approve : as the project is configured
    approved : a person has approved it
    """
    if demonstrator and not allow_demonstrator:
        return Held.DEMONSTRATOR
    if approve != "automatic" and not approved:
        return Held.NOT_APPROVED
    return None


@dataclass(frozen=True, slots=True)
class ReleaseRules:
    """What a project's settings say of delivery.

    Parameters
    ----------
    deliver_to : names of peers
    serious : the annotators of the project that are no demonstrators; any other was one, for all that is known
    """

    approve: Literal["person", "automatic"] = "person"
    allow_demonstrator: bool = False
    deliver_to: tuple[str, ...] = ()
    serious: frozenset[str] = frozenset()

    def why_held(self, annotator: str, *, approved: bool) -> Held | None:
        """What keeps a result from leaving, the weightiest reason first; None when it may leave."""
        held = may_leave(
            demonstrator=annotator not in self.serious,
            allow_demonstrator=self.allow_demonstrator,
            approve=self.approve,
            approved=approved,
        )
        if held is not Held.DEMONSTRATOR and not self.deliver_to:
            return Held.NO_TARGET
        return held
