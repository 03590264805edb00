"""What UPS-RS is handed: every collaborator by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.core.view import EVERYTHING, View
from service.core.workitem_rules import WorkitemRules
from service.web.dicomweb.event_channels import EventChannels
from service.worklist.desk import WorklistDesk
from service.worklist.subscription_desk import SubscriptionDesk


@dataclass(frozen=True, slots=True)
class WorklistServices:
    """The collaborators of the UPS-RS blueprint.

    Parameters
    ----------
    body_limit_bytes : the largest data set that is read
    page_limit : results of a search at most, whatever is asked for
    view : what the present caller sees of a project
    """

    desk: WorklistDesk
    subscriptions: SubscriptionDesk
    channels: EventChannels
    rules: WorkitemRules
    body_limit_bytes: int = 4 << 20
    page_limit: int = 1000
    view: Callable[[str], View] = lambda _: EVERYTHING
