"""In which form a result leaves: objects in several are one result written more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.core.archived import InstanceRow
from service.core.deliveries import ANY_FORM, BINARY, FURTHER_KINDS, LABEL_MAP, SentKind
from service.delivery.peer_rules import PeerRules

_PREFERRED: Final = (BINARY, LABEL_MAP)
"""What archives have taken for years comes first."""
_SEGMENTATIONS: Final = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_REPORTS: Final = tuple(f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (11, 22, 33, 34, 35))
"""Basic Text, Enhanced, Comprehensive, Comprehensive 3D and Extensible SR (PS3.4 B.5)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which objects go to a peer, in order, and what a person should know of that, in words."""

    uids: tuple[str, ...]
    words: str = ""


def classes_of(rows: Iterable[InstanceRow]) -> list[str]:
    """SOP classes, each once."""
    return list(dict.fromkeys(row.sop_class_uid for row in rows))


def chosen_objects(
    objects: Mapping[str, Sequence[str]],
    rows: Mapping[str, InstanceRow],
    rules: PeerRules,
    takes: Callable[[str], bool],
) -> Choice:
    """What of a result goes to a peer: segmentation and report in the form that it takes, then what it gets beside.

    Where it does not take the segmentation or the report, what it gets instead of them goes, the first kind that it
    takes and the result has. Where there is no such kind they are offered all the same, and the peer's answer says so.

    Parameters
    ----------
    objects : SOP Instance UIDs by form
    rows : of all of them
    takes : whether the peer takes objects of a SOP class
    """

    def taken(uid: str) -> bool:
        return takes(rows[uid].sop_class_uid)

    wanted = {
        form: [uid for uid in uids if _kind_of(rows[uid].sop_class_uid) in (None, *rules.objects)]
        for form, uids in objects.items()
        if form not in FURTHER_KINDS
    }
    result = chosen_form(wanted, rows, rules.segmentation, takes, in_part=bool(rules.instead))
    further = [kind for kind in FURTHER_KINDS if kind in rules.objects and kind in objects]
    refused = [uid for uid in result if _kind_of(rows[uid].sop_class_uid) is not None and not taken(uid)]
    stand_in = next((one for one in rules.instead if one in objects and all(map(taken, objects[one]))), None)
    words = ""
    if refused and stand_in is not None:
        result = [uid for uid in result if uid not in refused]
        further = [kind for kind in FURTHER_KINDS if kind in (*further, stand_in)]
        kinds = sorted({str(_kind_of(rows[uid].sop_class_uid)) for uid in refused})
        words = f"the peer does not take {' and '.join(kinds)}; it got {stand_in} instead"
    return Choice((*result, *(uid for kind in further for uid in objects[kind])), words)


def chosen_form(
    objects: Mapping[str, Sequence[str]],
    rows: Mapping[str, InstanceRow],
    wanted: str,
    takes: Callable[[str], bool],
    *,
    in_part: bool = False,
) -> list[str]:
    """The segmentation and report that go to a peer, in order.

    Parameters
    ----------
    objects : SOP Instance UIDs by form
    rows : of all of them
    wanted : the form that the settings ask for, or "auto"
    takes : whether the peer takes objects of a SOP class
    in_part : whether a form serves of which the peer takes a part alone
    """
    forms = [form for form in (*_PREFERRED, *objects) if form in objects and form != ANY_FORM]
    forms = list(dict.fromkeys(forms))
    if wanted in forms:
        forms = [wanted]
    counts = {form: sum(takes(rows[uid].sop_class_uid) for uid in objects[form]) for form in forms}
    fitting = [form for form in forms if counts[form] == len(objects[form])]
    if in_part and not fitting:
        fitting = [form for form in forms if counts[form] == max(counts.values())]
    # Where none fits the first is offered all the same: the peer's answer says what it does not take.
    chosen = (fitting or forms)[:1]
    return [uid for form in (*chosen, ANY_FORM) for uid in objects.get(form, ())]


def _kind_of(sop_class_uid: str) -> SentKind | None:
    """What of a result an object is; None for what leaves for every peer, such as a note that takes a result back."""
    if sop_class_uid in _SEGMENTATIONS:
        return SentKind.SEGMENTATION
    return SentKind.REPORT if sop_class_uid in _REPORTS else None
