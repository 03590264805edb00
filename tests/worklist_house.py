"""The worklist put together over an index, and work items to put into it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from service.archive.annotation_versions import AnnotationVersions
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.releases import ReleaseTable
from service.archive.runs import RunTable
from service.archive.workitem_events import EventQueue
from service.archive.workitem_subscriptions import SubscriptionTable
from service.archive.workitems import WorkitemTable
from service.core.archived import RunRow
from service.core.bell import Bell
from service.core.search import Attributes
from service.core.workitem_rules import WorkitemRules
from service.web.dicomweb.event_channels import EventChannels
from service.web.dicomweb.ups_services import WorklistServices
from service.worklist.announcements import Announcements
from service.worklist.claimed_runs import ClaimedRuns
from service.worklist.desk import WorklistDesk, WorklistLimits
from service.worklist.project_time import ProjectTime, ShiftDays, not_moved
from service.worklist.run_workitems import RunWorkitems
from service.worklist.served_identity import ServedIdentity, TextGuard
from service.worklist.subscription_desk import SubscriptionDesk

RULES = WorkitemRules.load(Path(__file__).resolve().parents[1] / "config" / "worklist")
CLAIM_S = 3600.0


class WorklistHouse:
    """Tables and desks over one index; a second one over the same index is a second process.

    Projects are "default", which keeps objects as they come, and "other".
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        *,
        guards: Mapping[str, TextGuard | None] | None = None,
        codes: Mapping[str, Attributes] | None = None,
        first_uid: int = 1,
        shift_days: ShiftDays = not_moved,
        looked_at: int = 1000,
    ) -> None:
        numbers = itertools.count(first_uid)

        def new_uid() -> str:
            return f"2.25.900{next(numbers)}"

        self.database = database
        self.clock = clock
        self.index = InstanceIndex(database, clock)
        self.table = WorkitemTable(database, clock)
        self.subscriptions = SubscriptionTable(database, clock)
        self.events = EventQueue(database, clock)
        self.rung: list[None] = []
        self.announcements = Announcements(
            self.table, self.subscriptions, self.events, RULES, lambda: self.rung.append(None)
        )
        self.time = ProjectTime(self.index.study, shift_days)
        self.run_workitems = RunWorkitems(
            table=self.table,
            announcements=self.announcements,
            index=self.index,
            codes=codes or {},
            time=self.time,
            new_uid=new_uid,
            clock=clock,
        )
        self.runs = RunTable(database, clock, self.run_workitems.follow)
        self.releases = ReleaseTable(database, clock)
        self.ended: list[RunRow] = []
        self.desk = WorklistDesk(
            database=database,
            table=self.table,
            subscriptions=self.subscriptions,
            announcements=self.announcements,
            runs=ClaimedRuns(
                runs=self.runs,
                index=self.index,
                releases=self.releases,
                versions=AnnotationVersions(database, clock),
                clock=clock,
                claim_s=CLAIM_S,
                on_ended=self.ended.append,
            ),
            rules=RULES,
            identity=ServedIdentity(self.index, RULES, guards or {"default": None, "other": None}, self.time),
            time=self.time,
            new_uid=new_uid,
            clock=clock,
            limits=WorklistLimits(workitems=1000, looked_at=looked_at),
        )
        self.subscribers = SubscriptionDesk(
            database=database,
            table=self.table,
            subscriptions=self.subscriptions,
            announcements=self.announcements,
            rules=RULES,
        )

    def services(self, folder: Path, **changes: Any) -> WorklistServices:
        """What the web is handed."""
        channels = EventChannels(self.events, self.subscriptions, lambda: Bell(folder / "bells").listen("worklist"))
        return WorklistServices(self.desk, self.subscribers, channels, RULES, **changes)

    def told(self, ae_title: str, project: str = "default") -> list[tuple[int, str]]:
        """Event Type ID and state of what a subscriber has yet to be told."""
        return [
            (event.content["00001002"]["Value"][0], value(event.content, "00741000"))
            for event in self.events.pending(project, ae_title, 1000)
        ]


def value(attributes: Attributes, tag: str) -> Any:
    """The first value of an attribute, None where there is none."""
    return next(iter(attributes.get(tag, {}).get("Value", [])), None)


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def coded(code: str, scheme: str = "DCM", meaning: str = "A meaning") -> dict[str, Any]:
    return element(
        "SQ", {"00080100": element("SH", code), "00080102": element("SH", scheme), "00080104": element("LO", meaning)}
    )


def new_workitem(**changes: Any) -> dict[str, Any]:
    """A work item as a requester creates it; ``changes`` by tag with a leading t, None leaves one out."""
    attributes: dict[str, Any] = {
        "00080005": element("CS", "ISO_IR 192"),
        "00081195": element("UI"),
        "00741000": element("CS", "SCHEDULED"),
        "00741002": element("SQ"),
        "00741200": element("CS", "HIGH"),
        "00741202": element("LO", "readers"),
        "00741204": element("LO", "Look at it"),
        "00741210": element("SQ"),
        "00741216": element("SQ"),
        "00404005": element("DT", "20240301080000"),
        "00404018": coded("110005", meaning="Interpretation"),
        "00404021": element("SQ"),
        "00404025": element("SQ"),
        "00404026": element("SQ"),
        "00404027": element("SQ"),
        "00404041": element("CS", "READY"),
        "00400400": element("LT"),
        "00100010": element("PN"),
        "00100020": element("LO"),
        "00100030": element("DA"),
        "00100040": element("CS"),
        "00101002": element("SQ"),
        "00380010": element("LO"),
        "00380014": element("SQ"),
        "00081080": element("LO"),
        "00081084": element("SQ"),
        "0040A370": element("SQ"),
    }
    for name, changed in changes.items():
        attributes[name.removeprefix("t")] = changed
    return {tag: one for tag, one in attributes.items() if one is not None}


def performed(study_uid: str = "1.2.3", series_uid: str = "1.2.3.9", instance_uid: str = "1.2.3.9.1") -> dict[str, Any]:
    """What a performer says at the end: Unified Procedure Step Performed Procedure Sequence."""
    output = {
        "0040E020": element("CS", "DICOM"),
        "0020000D": element("UI", study_uid),
        "0020000E": element("UI", series_uid),
        "00081199": element(
            "SQ",
            {
                "00081150": element("UI", "1.2.840.10008.5.1.4.1.1.88.34"),
                "00081155": element("UI", instance_uid),
            },
        ),
    }
    item = {
        "00404028": coded("STATION1", "99TEST", "Station"),
        "00404029": element("SQ"),
        "00404030": element("SQ"),
        "00404050": element("DT", "20240301080500"),
        "00404051": element("DT", "20240301080900"),
        "00404019": coded("110005", meaning="Interpretation"),
        "00404033": element("SQ", output),
    }
    return {"00741216": element("SQ", item)}


def given_up() -> dict[str, Any]:
    """What a performer says who gives it up: Procedure Step Progress Information Sequence."""
    item = {
        "00404052": element("DT", "20240301080900"),
        "0074100E": coded("110513", meaning="Discontinued for unspecified reason"),
    }
    return {"00741002": element("SQ", item)}
