"""Which of a project's instances somebody sees: readers see nothing of what other readers marked."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.access import Caller, Role


@dataclass(frozen=True, slots=True)
class View:
    """What somebody sees of a project; its images always.

    Parameters
    ----------
    reader : the account whose annotations alone are seen; None where everybody's are
    results : whether the results of models are seen
    """

    reader: str | None = None
    results: bool = True


EVERYTHING = View()


def view_of(caller: Caller, *, readers_see_models: bool) -> View:
    """What a caller sees of a project, by their role.

    A reader who saw another's marks, or with ``readers_see_models`` off a model's, would not read on their own.
    """
    return View(caller.account, readers_see_models) if caller.role is Role.READER else EVERYTHING
