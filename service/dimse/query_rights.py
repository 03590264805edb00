"""Who may query and retrieve which project over DIMSE, and where objects of a project may be sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from dicom_nodes.service_port import Caller
from service.core.archive_query import ServedResults

Askers = Literal["known", "anybody", "nobody"]


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """What a project lets DIMSE callers have.

    Parameters
    ----------
    served : which results of ours they get
    destinations : by AE title, the names of the peers that C-MOVE may send to
    """

    served: ServedResults = field(default_factory=ServedResults)
    destinations: Mapping[str, str] = field(default_factory=dict)


class QueryRights:
    """Decides over callers; who may call at all has been decided before.

    Parameters
    ----------
    project_titles : called AE title → project
    callers : by calling AE title, the projects that a known caller may query; an empty set is any
    access : what a project lets them have; asked when somebody first queries it
    askers : whether unknown callers may query too, or nobody may
    """

    def __init__(
        self,
        project_titles: Mapping[str, str],
        callers: Mapping[str, frozenset[str]],
        access: Callable[[str], ProjectAccess],
        askers: Askers = "known",
    ) -> None:
        self._project_titles = dict(project_titles)
        self._callers = dict(callers)
        self._access = access
        self._known: dict[str, ProjectAccess] = {}
        self._askers = askers

    def may_query(self, caller: Caller) -> bool:
        """Whether the caller may query the project that it called."""
        project = self.project_of(caller)
        if project is None or self._askers == "nobody":
            return False
        granted = self._callers.get(caller.calling_ae_title)
        if granted is None:
            return self._askers == "anybody"
        return not granted or project in granted

    def project_of(self, caller: Caller) -> str | None:
        """The project behind the called AE title."""
        return self._project_titles.get(caller.called_ae_title)

    def access(self, project: str) -> ProjectAccess:
        """What a project lets callers have."""
        if project not in self._known:
            self._known[project] = self._access(project)
        return self._known[project]
