"""Which of the configured projects the present caller sees."""

from __future__ import annotations

from dicom_nodes.errors import CallerNotAllowed
from service.core.access import Caller
from service.web.services import WebServices


def visible_projects(services: WebServices, caller: Caller) -> list[str]:
    """The configured projects that a caller may reach, the default one first."""
    names = [name for name in services.projects if caller.may_reach(name)]
    return sorted(names, key=lambda name: (name != services.default_project, name))


def chosen_project(services: WebServices, caller: Caller, asked: str | None) -> str:
    """The project that is asked for, or the first that the caller sees.

    Raises
    ------
    CallerNotAllowed : it is not granted or there is none such, which only somebody with every project may tell apart
    """
    names = visible_projects(services, caller)
    if not names:
        raise CallerNotAllowed("no project of this gateway is granted to you")
    if asked is None:
        return names[0]
    if asked not in names:
        raise CallerNotAllowed("this project is not among those granted")
    return asked
