"""In which form a result leaves: objects in several are one result written more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from service.core.archived import InstanceRow
from service.core.deliveries import ANY_FORM, BINARY, LABEL_MAP

_PREFERRED: Final = (BINARY, LABEL_MAP)
"""What archives have taken for years comes first."""


def classes_of(rows: Iterable[InstanceRow]) -> list[str]:
    """SOP classes, each once."""
    return list(dict.fromkeys(row.sop_class_uid for row in rows))


def chosen_form(
    objects: Mapping[str, Sequence[str]],
    rows: Mapping[str, InstanceRow],
    wanted: str,
    takes: Callable[[str], bool],
) -> list[str]:
    """The objects that go to a peer, in order.

    Parameters
    ----------
    objects : SOP Instance UIDs by form
    rows : of all of them
    wanted : the form that the settings ask for, or "auto"
    takes : whether the peer takes objects of a SOP class
    """
    forms = [form for form in (*_PREFERRED, *objects) if form in objects and form != ANY_FORM]
    forms = list(dict.fromkeys(forms))
    if wanted in forms:
        forms = [wanted]
    fitting = [form for form in forms if all(takes(rows[uid].sop_class_uid) for uid in objects[form])]
    # Where none fits the first is offered all the same: the peer's answer says what it does not take.
    chosen = (fitting or forms)[:1]
    return [uid for form in (*chosen, ANY_FORM) for uid in objects.get(form, ())]
