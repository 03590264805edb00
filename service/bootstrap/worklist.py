"""The worklist: work items, who is told of them, and the work items of annotators' runs."""

from __future__ import annotations

import tomllib
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from service import audit_events
from service.archive.database import Connection
from service.archive.workitem_events import EventQueue
from service.archive.workitem_subscriptions import SubscriptionTable
from service.archive.workitems import WorkitemTable
from service.bootstrap.cleaning import Cleaning
from service.bootstrap.ground import DAY_S, OUTBOX_BELL, Ground
from service.bootstrap.stores import Stores
from service.core.archived import RunRow
from service.core.implementation import random_uid
from service.core.search import Attributes
from service.core.workitem import code
from service.core.workitem_rules import WorkitemRules
from service.settings import Settings, config_directory

if TYPE_CHECKING:
    from service.web.dicomweb.ups_services import WorklistServices
    from service.worklist.announcements import Announcements
    from service.worklist.claimed_runs import ClaimedRuns
    from service.worklist.desk import WorklistDesk
    from service.worklist.project_time import ProjectTime
    from service.worklist.run_workitems import RunWorkitems
    from service.worklist.subscription_desk import SubscriptionDesk

log = structlog.get_logger("annogate.worklist")

WORKLIST_BELL = "worklist"
"""Rung when somebody has to be told something."""


class Worklist:
    """What UPS-RS stands on; the work items of runs follow them in every process that changes runs."""

    def __init__(self, ground: Ground, stores: Stores, cleaning: Cleaning) -> None:
        self._ground = ground
        self._stores = stores
        self._cleaning = cleaning
        self._settings = ground.settings.worklist

    @cached_property
    def rules(self) -> WorkitemRules:
        """What may be said in a work item: tables of the standard, those of the program where the operator has none."""
        own = self._ground.config / "worklist"
        return WorkitemRules.load(own if own.is_dir() else config_directory(Settings()) / "worklist")

    @cached_property
    def table(self) -> WorkitemTable:
        """Work items."""
        return WorkitemTable(self._stores.database, self._ground.clock)

    @cached_property
    def subscriptions(self) -> SubscriptionTable:
        """Who is subscribed to them."""
        return SubscriptionTable(self._stores.database, self._ground.clock)

    @cached_property
    def events(self) -> EventQueue:
        """What subscribers have yet to be told."""
        return EventQueue(self._stores.database, self._ground.clock)

    @cached_property
    def time(self) -> ProjectTime:
        """What tells moments as projects do."""
        from service.worklist.project_time import ProjectTime

        return ProjectTime(self._stores.instances.study, self._cleaning.shift_days)

    @cached_property
    def announcements(self) -> Announcements:
        """What tells them."""
        from service.worklist.announcements import Announcements

        return Announcements(self.table, self.subscriptions, self.events, self.rules, self._ground.ring(WORKLIST_BELL))

    @cached_property
    def desk(self) -> WorklistDesk:
        """Where work items are created, claimed and ended."""
        from service.worklist.desk import WorklistDesk, WorklistLimits
        from service.worklist.served_identity import ServedIdentity

        stores = self._stores
        return WorklistDesk(
            database=stores.database,
            table=self.table,
            subscriptions=self.subscriptions,
            announcements=self.announcements,
            runs=self._claimed_runs,
            rules=self.rules,
            identity=ServedIdentity(stores.instances, self.rules, self._cleaning.cleaners, self.time),
            time=self.time,
            new_uid=random_uid,
            clock=self._ground.clock,
            limits=WorklistLimits(self._settings.workitems),
        )

    @property
    def _claimed_runs(self) -> ClaimedRuns:
        """Runs that somebody outside performs."""
        from service.worklist.claimed_runs import ClaimedRuns

        return ClaimedRuns(
            runs=self._stores.runs,
            index=self._stores.instances,
            releases=self._stores.releases,
            versions=self._stores.annotation_versions,
            clock=self._ground.clock,
            claim_s=self._settings.claim_hours * 3600.0,
            on_ended=self._run_ended,
        )

    def _run_ended(self, run: RunRow) -> None:
        """Somebody outside ended a run: what it made may leave."""
        from service.jobs.run_end import RunEnd

        # Without the reason, which is in the performer's own words.
        log.info("run.ended", run=run.id, annotator=run.annotator, state=str(run.state))
        self._stores.audit.record(audit_events.of_run(run, RunEnd(run.state)))
        self._ground.bell.ring(OUTBOX_BELL)

    @cached_property
    def subscription_desk(self) -> SubscriptionDesk:
        """Where subscriptions begin and end."""
        from service.worklist.subscription_desk import SubscriptionDesk

        return SubscriptionDesk(
            database=self._stores.database,
            table=self.table,
            subscriptions=self.subscriptions,
            announcements=self.announcements,
            rules=self.rules,
            most=self._settings.subscribers,
        )

    def services(self) -> WorklistServices:
        """What UPS-RS is handed; its event channels end with the process."""
        from service.web.dicomweb.event_channels import EventChannels
        from service.web.dicomweb.ups_services import WorklistServices

        channels = EventChannels(
            self.events,
            self.subscriptions,
            lambda: self._ground.bell.listen(WORKLIST_BELL),
            most=self._settings.channels,
        )
        self._ground.opened.callback(channels.close)
        return WorklistServices(self.desk, self.subscription_desk, channels, self.rules)

    def follow_run(self, run: RunRow, connection: Connection) -> None:
        """Bring the work item of a run to where the run is."""
        self._run_workitems.follow(run, connection)

    @cached_property
    def _run_workitems(self) -> RunWorkitems:
        from service.worklist.run_workitems import RunWorkitems

        return RunWorkitems(
            table=self.table,
            announcements=self.announcements,
            index=self._stores.instances,
            codes=self._codes(),
            time=self.time,
            new_uid=random_uid,
            clock=self._ground.clock,
        )

    def _codes(self) -> dict[str, Attributes]:
        """Scheduled Workitem Codes that annotators' files name; the files are checked where annotators are loaded."""
        found = {}
        for path in (self._ground.config / "annotators").glob("*.toml"):
            said = tomllib.loads(path.read_text(encoding="utf-8")).get("workitem")
            if isinstance(said, dict):
                found[path.stem] = code(str(said["value"]), str(said["scheme"]), str(said["meaning"]))
        return found

    def tidy(self) -> None:
        """Forget work items that ended long ago, and events that nobody came for."""
        now = self._ground.clock()
        settings = self._settings
        self.table.forget(now - settings.keep_days * DAY_S, now - settings.lock_days * DAY_S)
        self.events.trim(now - settings.event_days * DAY_S, settings.events)
