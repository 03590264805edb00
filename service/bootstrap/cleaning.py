"""How each project's objects are cleaned on their way in: header, pixels, faces."""

from __future__ import annotations

from functools import cached_property, partial

from service.archive.study_dates import StudyDates
from service.bootstrap.ground import GIBIBYTE, Ground
from service.bootstrap.identity import Identity
from service.bootstrap.stores import Stores
from service.deident.deidentifier import Deidentifier
from service.deident.faces.face_finder import FaceFinder
from service.deident.faces.face_policy import FacePolicy
from service.deident.separate_pixel_cleaner import LookLimits, SeparatePixelCleaner
from service.ingest.cleaning import ProjectCleaner
from service.ingest.face_step import FaceStep
from service.ingest.pixel_step import PixelStep
from service.ingest.project_rules import ConflictRule, ProjectRules


class Cleaning:
    """The rules of every project, with what carries them out."""

    def __init__(self, ground: Ground, stores: Stores, identity: Identity) -> None:
        self._ground = ground
        self._stores = stores
        self._identity = identity

    @cached_property
    def cleaners(self) -> dict[str, ProjectCleaner | None]:
        """What takes the patient out of each project's objects; None where they are kept as they come."""
        stores = self._stores
        return {
            name: ProjectCleaner(
                deidentifier, self._identity.vault(name), stores.vault_store, name, StudyDates(stores.instances)
            )
            if deidentifier
            else None
            for name, deidentifier in self._identity.deidentifiers.items()
        }

    def shift_days(self, project: str, patient_id: str) -> int:
        """By how many days a project moves back the dates of a patient, named as served."""
        deidentifier = self._identity.deidentifiers[project]
        return 0 if deidentifier is None else deidentifier.shift_days_of_pseudonym(patient_id)

    @cached_property
    def pixel_cleaner(self) -> SeparatePixelCleaner:
        """What looks at pixels, in a process of its own that starts with the first look."""
        from service.deident.pixels.pixel_cleaner import load_pixel_cleaner

        pixels = self._ground.settings.pixels
        cleaner = SeparatePixelCleaner(
            partial(load_pixel_cleaner, self._ground.config / "devices", pixels.threads),
            LookLimits(pixels.look_limit_s, int(pixels.memory_limit_gib * GIBIBYTE), pixels.idle_s),
            self._ground.scratch.keep,
        )
        self._ground.opened.callback(cleaner.close)
        return cleaner

    def pixel_step(self, deidentifier: Deidentifier | None) -> PixelStep | None:
        """What looks at the pixels of a project's objects; None where its profile does not ask for it."""
        if deidentifier is None or not deidentifier.cleans_pixels:
            return None
        self.pixel_cleaner.check()
        return PixelStep(self.pixel_cleaner)

    def _face_step(self, project: str, deidentifier: Deidentifier | None) -> FaceStep | None:
        """What removes faces from a project's images; None where its profile does not ask for it."""
        if deidentifier is None or not deidentifier.removes_faces:
            return None
        policy = FacePolicy.load(self._ground.config / "faces.toml")
        return FaceStep(policy, FaceFinder(), self.pixel_cleaner, self._digest_key(project))

    @property
    def removes_faces(self) -> bool:
        """Whether some project's profile asks for it."""
        return any(rules.faces is not None for rules in self.project_rules.values())

    @cached_property
    def project_rules(self) -> dict[str, ProjectRules]:
        """How each project takes objects in."""
        deidentifiers = self._identity.deidentifiers
        return {
            name: ProjectRules(
                name=name,
                cleaner=self.cleaners[name],
                digest_key=self._digest_key(name),
                on_conflict=ConflictRule(project.on_conflict),
                drop_sop_classes=frozenset(project.drop_sop_classes),
                pixels=self.pixel_step(deidentifiers[name]),
                faces=self._face_step(name, deidentifiers[name]),
            )
            for name, project in self._ground.settings.projects.items()
        }

    def _digest_key(self, project: str) -> bytes:
        return self._ground.key_file.project_keys(project).digest_key
