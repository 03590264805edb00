"""Whether a result may leave for the PACS: one rule, asked by everything that sends."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Held(StrEnum):
    """Why a result stays in the house, in words for the person who looks for it."""

    DEMONSTRATOR = "made by a demonstrator, not for diagnosis; allow_demonstrator is off"
    NOT_APPROVED = "waits for a person's approval"
    NO_TARGET = "the project delivers to nobody; deliver_to is empty"
    NO_DELIVERY = "this version delivers nothing; results stay in the gateway"


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


def why_held(
    *, demonstrator: bool, allow_demonstrator: bool, approve: Literal["person", "automatic"], has_target: bool
) -> Held:
    """What keeps a result in the house for now, the weightiest reason first.

    There is always one: approval and delivery are later capabilities, and this says so where they would come.
    """
    held = may_leave(demonstrator=demonstrator, allow_demonstrator=allow_demonstrator, approve=approve, approved=False)
    if held is None and not has_target:
        return Held.NO_TARGET
    return held or Held.NO_DELIVERY
