"""Datasets in other formats, out and in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service import __version__
from service.bootstrap.ground import Ground
from service.bootstrap.identity import NO_DEIDENTIFICATION, Identity
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores
from service.core.access import CallerKind
from service.core.records import Incoming, Outcome
from service.core.versions import VersionOrigin
from service.errors import BadRequest, SettingsInvalid

if TYPE_CHECKING:
    from service.core.archived import StudyRow
    from service.formats.annotation_import import AnnotationImport
    from service.formats.annotation_objects import Origin
    from service.formats.dataset_export import DatasetExport
    from service.formats.image_import import ImageImport
    from service.formats.intake import TakeIn
    from service.formats.labels import LabelMapping
    from service.formats.layouts import LayoutOptions
    from service.formats.map_import import MapImport


_EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_LETTERS: Final = 20
"""Of what stands for a patient whom the project calls by their name."""


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """A dataset that somebody wants.

    Parameters
    ----------
    labels : a file of labels, or the name of one below config/labels/
    only_labels : names of labels; empty for all of the file
    readers : names of users
    shares : of the parts, together 1
    with_identifiers : whether a project may be exported that keeps identity
    """

    project: str
    out: Path
    layout: str
    options: LayoutOptions
    labels: str = "default"
    only_labels: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    with_unmarked: bool = False
    shares: dict[str, float] = field(default_factory=lambda: {"train": 1.0})
    seed: int = 0
    name: str = ""
    description: str = ""
    licence: str = ""
    with_identifiers: bool = False


class Formats:
    """What writes datasets and reads them."""

    def __init__(self, ground: Ground, stores: Stores, identity: Identity, reception: Reception) -> None:
        self._ground = ground
        self._stores = stores
        self._identity = identity
        self._reception = reception

    def dataset_export(self, asked: DatasetRequest) -> DatasetExport:
        """What writes a dataset, not started.

        Raises
        ------
        SettingsInvalid : there is no such project, or the file of labels cannot be used
        BadRequest : what is asked cannot be done; says why
        FormatRefused : there is no such label
        InstanceNotFound : there is no such reader
        """
        from service.formats.dataset_export import DatasetExport, DatasetWords
        from service.formats.layouts import make_layout
        from service.formats.patient_split import PatientSplit
        from service.formats.selection import Selection

        self._check_project(asked)
        mapping = self.label_mapping(asked.labels)
        layout = make_layout(asked.layout, mapping.only(asked.only_labels), asked.options, asked.out)
        selection = Selection(
            project=asked.project,
            mapping=mapping,
            split=PatientSplit(asked.shares, asked.seed),
            patient_of=self._patient_of(asked.project),
            studies=asked.studies,
            annotators=frozenset(asked.annotators),
            readers=frozenset(self.account_of(name) for name in asked.readers),
            labels=asked.only_labels,
            modalities=frozenset(asked.modalities),
            with_unmarked=asked.with_unmarked,
        )
        profile = self._ground.settings.projects[asked.project].deidentify
        return DatasetExport(
            index=self._stores.instances,
            blobs=self._stores.blobs,
            selection=selection,
            layout=layout,
            words=DatasetWords(asked.name or asked.project, asked.description, asked.licence),
            out=asked.out,
            today=datetime.fromtimestamp(self._ground.clock(), UTC).date().isoformat(),
            source={"project": asked.project, "deidentification": profile},
        )

    def image_import(self, project: str) -> ImageImport:
        """What takes images of other formats into a project.

        Raises
        ------
        SettingsInvalid : there is no such project
        """
        from service.formats.image_import import ImageImport

        self._refuse_unknown(project)
        return ImageImport(self._take_in(project, ""))

    def annotation_import(
        self, project: str, origin: Origin, reader: str | None, replace: str = "", reason: str = ""
    ) -> AnnotationImport:
        """What takes masks and regions of other formats into a project.

        Parameters
        ----------
        reader : the user whose annotations they are; None for nobody's
        replace : SOP Instance UID of what they take the place of, or "latest"; "" where they stand beside it
        reason : why they do

        Raises
        ------
        SettingsInvalid : there is no such project
        BadRequest : there is no such user
        """
        from service.formats.annotation_import import AnnotationImport
        from service.formats.annotation_objects import AnnotationWriter
        from service.formats.replacing import Replacing
        from service.formats.series_finder import SeriesFinder

        self._refuse_unknown(project)
        author = "" if reader is None else self.account_of(reader)
        index = self._stores.instances
        replacing = None
        if replace:
            replacing = Replacing(
                wanted=replace,
                project=project,
                origin=VersionOrigin(author=author, stored_by=author or str(CallerKind.LOCAL)),
                made_by=origin.name,
                index=index,
                versions=self._stores.annotation_versions.of_study,
                blobs=self._stores.blobs,
            )
        return AnnotationImport(
            finder=SeriesFinder(index, self._stores.blobs, project),
            index=index,
            project=project,
            writer=AnnotationWriter(origin, self._identity.moved_now, __version__),
            take_in=self._take_in(project, author, reason),
            replacing=replacing,
        )

    def map_import(self, project: str, origin: Origin, reader: str | None) -> MapImport:
        """What takes parametric maps of other formats into a project.

        Parameters
        ----------
        reader : the user whose maps they are; None for nobody's

        Raises
        ------
        BadRequest : there is no such project
        LookupFailed : there is no such reader
        """
        from service.formats.map_import import MapImport, MapWriter
        from service.formats.series_finder import SeriesFinder

        self._refuse_unknown(project)
        author = "" if reader is None else self.account_of(reader)
        index = self._stores.instances
        return MapImport(
            finder=SeriesFinder(index, self._stores.blobs, project),
            index=index,
            project=project,
            writer=MapWriter(origin, self._identity.moved_now, __version__),
            take_in=self._take_in(project, author),
        )

    def _take_in(self, project: str, author: str, reason: str = "") -> TakeIn:
        """What takes encoded objects in, as those of any sender."""

        def take_in(contents: Sequence[bytes]) -> list[Outcome]:
            now = self._ground.clock()
            return self._reception.pipeline.process_batch(
                [
                    Incoming(
                        project=project,
                        sop_class_uid="",
                        sop_instance_uid="",
                        transfer_syntax_uid=_EXPLICIT_LITTLE_ENDIAN,
                        data_set=content,
                        source="file",
                        calling_ae_title="",
                        peer_address="",
                        received_at=now,
                        author=author,
                        stored_by=author or str(CallerKind.LOCAL),
                        reason=reason,
                    )
                    for content in contents
                ]
            )

        return take_in

    def label_mapping(self, labels: str) -> LabelMapping:
        """The labels of a file, or of a name below config/labels/.

        Raises
        ------
        SettingsInvalid : there is none, or it cannot be used
        """
        from service.formats.label_file import load_labels

        if labels.endswith(".toml") or "/" in labels:
            return load_labels(Path(labels))
        folder = self._ground.config / "labels"
        known = sorted(path.stem for path in folder.glob("*.toml"))
        if labels not in known:
            raise SettingsInvalid(f"there are no labels {labels!r} in {folder} (there are: {', '.join(known)})")
        return load_labels(folder / f"{labels}.toml")

    def account_of(self, user: str) -> str:
        """The account of a user, which stays theirs whatever they are called.

        Raises
        ------
        BadRequest : there is none
        """
        found = self._stores.accounts.user(user)
        if found is None:
            raise BadRequest(f"there is no user {user!r}: annogate user list")
        return found.id

    def _refuse_unknown(self, project: str) -> None:
        projects = self._ground.settings.projects
        if project not in projects:
            raise SettingsInvalid(f"there is no project {project!r} (there are: {', '.join(projects)})")

    def _check_project(self, asked: DatasetRequest) -> None:
        self._refuse_unknown(asked.project)
        projects = self._ground.settings.projects
        if projects[asked.project].deidentify == NO_DEIDENTIFICATION and not asked.with_identifiers:
            raise BadRequest(
                f"project {asked.project} keeps its objects as they come: a dataset of it would hold original UIDs, "
                "and what its pixels and labels say of patients. Say --with-identifiers if it may"
            )

    def _patient_of(self, project: str) -> Callable[[StudyRow], str]:
        """What stands for a patient in a dataset: never a Patient ID that somebody outside may know."""
        if self._ground.settings.projects[project].deidentify != NO_DEIDENTIFICATION:
            return lambda study: study.patient_id
        return lambda study: (study.patient_digest or sha256(study.study_uid.encode()).digest()).hex()[:_LETTERS]
