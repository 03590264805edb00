"""The one place where what the web edge looks up becomes what the present caller may see.

Views, pages and DICOMweb are handed these in place of the index and the search. They look as the caller whose request
is being answered, so none of them can forget to; what a request stores is stored as theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.access import Role
from service.core.archived import InstanceRow, SeriesRow, StudyRow, StudySummary
from service.core.ports import InstanceReader
from service.core.records import Incoming, Outcome
from service.core.search import InstanceSearcher, SearchKey, SearchPage, SearchQuery
from service.core.view import View, view_of
from service.ingest.direct_intake import BeginIntake
from service.web.guard import present_caller
from service.web.services import WebServices

ViewOfProject = Callable[[str], View]


@dataclass(frozen=True, slots=True)
class CallersInstances:
    """Implements `service.core.ports.InstanceReader` for whoever makes the request."""

    index: InstanceReader
    view: ViewOfProject

    def seen_by(self, view: View) -> InstanceReader:
        """The same as somebody else sees it."""
        return self.index.seen_by(view)

    def find(self, project: str, sop_instance_uid: str) -> InstanceRow | None:
        """The instance held under a UID."""
        return self._of(project).find(project, sop_instance_uid)

    def study(self, project: str, study_uid: str) -> StudyRow | None:
        """The study held under a UID."""
        return self._of(project).study(project, study_uid)

    def series_of(self, project: str, study_uid: str) -> list[SeriesRow]:
        """The series of a study, by number."""
        return self._of(project).series_of(project, study_uid)

    def instances_of(
        self, project: str, study_uid: str, series_uid: str | None = None, *, visible_only: bool = True
    ) -> list[InstanceRow]:
        """The instances of a study or of one series, by series and instance number."""
        return self._of(project).instances_of(project, study_uid, series_uid, visible_only=visible_only)

    def metadata_of(
        self,
        project: str,
        study_uid: str,
        series_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        visible_only: bool = True,
    ) -> list[bytes]:
        """The cached metadata of the same instances in the same order."""
        seen = self._of(project)
        return seen.metadata_of(project, study_uid, series_uid, sop_instance_uid, visible_only=visible_only)

    def studies(
        self, project: str, *, state: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[StudySummary]:
        """Studies, the newest first."""
        return self._of(project).studies(project, state=state, limit=limit, offset=offset)

    def _of(self, project: str) -> InstanceReader:
        return self.index.seen_by(self.view(project))


@dataclass(frozen=True, slots=True)
class CallersSearch:
    """Implements `service.core.search.InstanceSearcher` for whoever makes the request."""

    search_all: InstanceSearcher
    view: ViewOfProject

    def search(self, query: SearchQuery) -> SearchPage:
        """Find what matches every condition."""
        return self.search_all.search(replace(query, view=self.view(query.project)))

    def added_keys(self) -> Mapping[tuple[int, ...], SearchKey | None]:
        """Attributes that were made searchable."""
        return self.search_all.added_keys()


def seen_by_callers(services: WebServices) -> WebServices:
    """The same collaborators, which show each caller what they may see and store in their name."""
    dicomweb = services.dicomweb

    def view(project: str) -> View:
        return view_of(present_caller(), readers_see_models=project not in services.blind_to_models)

    return replace(
        services,
        instances=CallersInstances(services.instances, view),
        view=view,
        worklist=replace(services.worklist, view=view),
        dicomweb=replace(
            dicomweb,
            index=CallersInstances(dicomweb.index, view),
            search=CallersSearch(dicomweb.search, view),
            store=lambda batch: _stored(dicomweb.store, batch),
        ),
    )


def _stored(store: BeginIntake, batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
    caller = present_caller()
    author = caller.account if caller.role is Role.READER else ""
    return store([replace(incoming, author=author, stored_by=caller.stores_as) for incoming in batch])
