"""Studies fetched from peers: who asks for them, and what fetches them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from service import audit_events
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.ground import DAY_S, STUDIES_BELL, Ground
from service.bootstrap.identity import NO_DEIDENTIFICATION, Identity
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores
from service.deident.sealed_note import NoteSeal
from service.errors import InstanceNotFound, SettingsInvalid

if TYPE_CHECKING:
    from service.archive.pulls import PullTable
    from service.core.pulls import PullRow
    from service.fetching.annotator_priors import AnnotatorPriors
    from service.fetching.desk import OriginalStudy, PullDesk
    from service.fetching.pull_runner import PullRunner
    from service.fetching.puller import Puller
    from service.fetching.request import PullNotes
    from service.fetching.source import Stop, StudySource
    from service.fetching.study_fetch import ProjectIntake, StudyFetch
    from service.ingest.spool_backlog import SpoolBacklog

PULLS_BELL: Final = "pulls"
_PATIENT_ID: Final = "00100020"
_ISSUER: Final = "00100021"
_STUDY_DATE: Final = "00080020"


class Fetching:
    """The parts of pull."""

    def __init__(
        self, ground: Ground, stores: Stores, identity: Identity, reception: Reception, peers: DimsePeers
    ) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._stores = stores
        self._identity = identity
        self._reception = reception
        self._peers = peers
        self._looking = threading.Lock()

    @cached_property
    def pull_table(self) -> PullTable:
        """Requests and what they came to."""
        from service.archive.pulls import PullTable

        return PullTable(self._stores.database, self._ground.clock)

    @cached_property
    def pull_desk(self) -> PullDesk:
        """Where studies are asked for."""
        from service.fetching.desk import Priors, PullDesk

        return PullDesk(
            table=self.pull_table,
            notes=self._notes,
            projects=tuple(self._settings.projects),
            peers=tuple(self._settings.peers),
            original_of=self._original_of,
            priors={
                project: Priors(priors.peer, priors.studies) for project, priors in self._settings.pull.priors.items()
            },
            on_request=self._requested,
            clock=self._ground.clock,
        )

    @cached_property
    def annotator_priors(self) -> AnnotatorPriors:
        """What annotators ask for."""
        from service.fetching.annotator_priors import AnnotatorPriors
        from service.fetching.desk import Priors

        return AnnotatorPriors(
            wanted={
                (project, annotator): Priors(
                    wanted.peer, wanted.studies, wanted.days, wanted.same_modality, wanted.same_body_part
                )
                for project, section in self._settings.projects.items()
                for annotator, wanted in section.priors.items()
            },
            desk=self.pull_desk,
            pulls=self.pull_table,
            runs=self._stores.runs,
            series_of=self._stores.instances.series_of,
            on_release=self._ground.ring(STUDIES_BELL),
        )

    @cached_property
    def puller(self) -> Puller:
        """What works on requests."""
        from service.fetching.puller import Puller

        return Puller(
            table=self.pull_table,
            notes=self._notes,
            source_of=self._source_of,
            fetch_of=self._fetch_of,
            served_uid={name: partial(self._served_uid, name) for name in self._settings.projects},
            owner=self._ground.owner,
            attempts=self._settings.pull.attempts,
            clock=self._ground.clock,
            on_end=lambda pull: self._stores.audit.record(audit_events.of_pull(str(pull.state), pull)),
        )

    def runner(self) -> PullRunner:
        """What works on requests until it is stopped."""
        from service.fetching.pull_runner import PullRunner

        return PullRunner(self.puller, self.ask_for_priors, self._settings.jobs.sweep_s)

    def ask_for_priors(self) -> None:
        """Ask for the priors of studies that completed in the last day, and for those that annotators wait for."""
        self.pull_desk.request_due_priors(DAY_S, audit_events.GATEWAY)
        self.annotator_priors.work(audit_events.GATEWAY)

    def _requested(self, pull: PullRow) -> None:
        self._stores.audit.record(audit_events.of_pull("requested", pull))
        self._ground.ring(PULLS_BELL)()

    @cached_property
    def _notes(self) -> PullNotes:
        from service.fetching.request import PullNotes

        return PullNotes(NoteSeal(self._ground.key_file.sealing_key("pull")))

    def _source_of(self, pull: PullRow) -> StudySource:
        titles = self._settings.projects[pull.project].ae_titles
        if not titles or pull.peer not in self._settings.peers:
            raise SettingsInvalid("the project has no AE title, or the peer is no longer in [peers]")
        peer = self._settings.peers[pull.peer]
        if peer.protocol == "dicomweb" and peer.dicomweb_url is not None:
            from service.fetching.dicomweb_source import DicomwebSource

            authorization = ""
            if peer.authorization_file is not None:
                authorization = peer.authorization_file.read_text(encoding="utf-8").strip()
            return DicomwebSource(
                str(peer.dicomweb_url),
                authorization,
                lambda: self._reception.spool,
                peer.ae_title,
                titles[0],
                clock=self._ground.clock,
            )
        from service.fetching.dimse_source import DimseSource

        way = self._settings.pull.retrieve.get(pull.peer, "auto")
        address, settings = self._peers.address(pull.peer), self._peers.calling(pull.peer)
        return DimseSource(address, settings, lambda: self._reception.spool, titles[0], way)

    def _fetch_of(
        self, pull: PullRow, source: StudySource, stop: Stop, on_progress: Callable[[int, int], None]
    ) -> StudyFetch:
        from service.archive.held_instances import HeldInstances
        from service.fetching.pace import Pace
        from service.fetching.study_fetch import PullStopped, StudyFetch

        sleeping = threading.Event()

        def rest(seconds: float) -> None:
            if stop():
                raise PullStopped
            sleeping.wait(seconds)

        return StudyFetch(
            source=source,
            project=self._intake_of(pull.project),
            held=HeldInstances(self._stores.database),
            pace=Pace(self._settings.pull.objects_per_minute, self._ground.clock),
            rest=rest,
            stop=stop,
            wait_s=self._settings.pull.wait_s,
            clock=self._ground.clock,
            on_progress=on_progress,
        )

    def _intake_of(self, project: str) -> ProjectIntake:
        from dicom_nodes.storage_classes import storage_classes
        from service.fetching.study_fetch import ProjectIntake

        dropped = frozenset(self._settings.projects[project].drop_sop_classes)
        taken = storage_classes(self._settings.dicom.extra_sop_classes) - dropped
        return ProjectIntake(
            project, partial(self._served_uid, project), taken.__contains__, partial(self._is_pending, project)
        )

    def _is_pending(self, project: str) -> bool:
        """Whether objects are in the spool, or registered and not yet through; in the order in which they move."""
        with self._looking:
            backlog = self._backlog.oldest_at(project)
        return backlog is not None or self._stores.intake.oldest_pending_at(project) is not None

    @cached_property
    def _backlog(self) -> SpoolBacklog:
        return self._reception.new_spool_backlog()

    def _served_uid(self, project: str, uid: str) -> str:
        deidentifier = self._identity.deidentifiers[project]
        return uid if deidentifier is None else deidentifier.map_uid(uid)

    def _original_of(self, project: str, study_uid: str) -> OriginalStudy:
        from service.fetching.desk import OriginalStudy

        held = self._stores.instances.study(project, study_uid)
        if held is None:
            raise InstanceNotFound("there is no such study")
        if self._settings.projects[project].deidentify == NO_DEIDENTIFICATION:
            return OriginalStudy(study_uid, held.patient_id, "", held.study_date)
        vault, store = self._identity.vault(project), self._stores.vault_store
        study, uid = store.get(project, "study", study_uid), store.get(project, "uid", study_uid)
        if study is None or uid is None:
            raise InstanceNotFound("the vault does not know whose study it is")
        value = vault.open(study)
        person, elements = value.get("person", {}), value.get("elements", {})
        return OriginalStudy(
            str(vault.open(uid)["uid"]),
            _first(person, _PATIENT_ID),
            _first(person, _ISSUER),
            _first(elements, _STUDY_DATE),
        )


def _first(elements: dict[str, dict[str, list[object]]], tag: str) -> str:
    values = elements.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip()
