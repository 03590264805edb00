"""The whole configuration, and what must fit among its sections."""

from __future__ import annotations

from pydantic import Field, model_validator

from service.settings.commitment import CommitmentSettings
from service.settings.delivery import DeliverySettings
from service.settings.dicom import CallerSettings, DicomSettings, PeerSettings
from service.settings.http import HttpSettings
from service.settings.ingest import IngestSettings
from service.settings.processing import JobSettings, LogSettings, PixelSettings, StorageSettings, TextSettings
from service.settings.projects import ProjectSettings
from service.settings.pull import PullSettings
from service.settings.query import QuerySettings
from service.settings.values import Name, Section
from service.settings.worklist import WorklistSettings


class Settings(Section):
    """The whole configuration."""

    storage: StorageSettings = StorageSettings()
    dicom: DicomSettings = DicomSettings()
    callers: dict[Name, CallerSettings] = Field(default_factory=dict)
    commitment: CommitmentSettings = CommitmentSettings()
    query: QuerySettings = QuerySettings()
    http: HttpSettings = HttpSettings()
    ingest: IngestSettings = IngestSettings()
    jobs: JobSettings = JobSettings()
    pixels: PixelSettings = PixelSettings()
    text: TextSettings = TextSettings()
    projects: dict[Name, ProjectSettings] = Field(default_factory=dict)
    peers: dict[Name, PeerSettings] = Field(default_factory=dict)
    delivery: DeliverySettings = DeliverySettings()
    pull: PullSettings = PullSettings()
    worklist: WorklistSettings = WorklistSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _one_project_at_least(self) -> Settings:
        projects = dict(self.projects) or {"default": ProjectSettings()}
        if "default" in projects and not projects["default"].ae_titles:
            own = projects["default"].model_copy(update={"ae_titles": (self.dicom.ae_title,)})
            projects["default"] = own
        # Frozen against everyone but the validator that completes it.
        object.__setattr__(self, "projects", projects)
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Settings:
        wrong = []
        owners: dict[str, str] = {}
        for name, project in self.projects.items():
            for title in project.ae_titles:
                if title in owners:
                    wrong.append(f"projects.{name}.ae_titles: {title} is taken by project {owners[title]}")
                owners.setdefault(title, name)
            wrong += [
                f"projects.{name}.{key}: there is no peer {peer!r} in [peers]"
                for key in ("deliver_to", "move_to")
                for peer in getattr(project, key)
                if peer not in self.peers
            ]
        wrong += [
            f"query.callers: there is no caller {caller!r} in [callers]"
            for caller in self.query.callers
            if caller not in self.callers
        ]
        wrong += self._misrouted()
        wrong += [
            f"pull.{key}.{name}: there is no {what} {name!r}"
            for key, what, named, known in (
                ("retrieve", "peer", self.pull.retrieve, self.peers),
                ("priors", "project", self.pull.priors, self.projects),
            )
            for name in named
            if name not in known
        ]
        wrong += [
            f"projects.{name}.priors.{annotator}.peer: there is no peer {priors.peer!r} in [peers]"
            for name, project in self.projects.items()
            for annotator, priors in project.priors.items()
            if priors.peer not in self.peers
        ]
        wrong += [
            f"pull.priors.{name}.peer: there is no peer {priors.peer!r} in [peers]"
            for name, priors in self.pull.priors.items()
            if priors.peer not in self.peers
        ]
        for name, caller in self.callers.items():
            wrong += [
                f"callers.{name}.projects: there is no project {project!r}"
                for project in caller.projects
                if project not in self.projects
            ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _misrouted(self) -> list[str]:
        """Rules that name a project that is none, or their own; peers to count that are none."""
        uncounted = [
            f"projects.{name}.count_peer: there is no peer {project.count_peer!r} in [peers]"
            for name, project in self.projects.items()
            if project.count_peer is not None and project.count_peer not in self.peers
        ]
        untold = [
            f"projects.{name}.tell_availability_to: there is no peer {peer!r} in [peers]"
            for name, project in self.projects.items()
            for peer in project.tell_availability_to
            if peer not in self.peers
        ]
        return (
            uncounted
            + untold
            + [
                f"projects.{name}.rules: rule {rule.name} names project {rule.project!r}, "
                + ("which is its own" if rule.project == name else "and there is none of that name")
                for name, project in self.projects.items()
                for rule in project.rules
                if rule.project is not None and (rule.project == name or rule.project not in self.projects)
            ]
        )

    @property
    def rejects_unknown_callers(self) -> bool:
        """Whether a calling AE title that is not configured is rejected: by default as soon as one is."""
        if self.dicom.unknown_callers is not None:
            return self.dicom.unknown_callers == "reject"
        return bool(self.callers)
