"""The last look at an object before it leaves: the standard's rules, and nothing of the project in it any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from service.deident.date_shift import shifted_date, shifted_date_time
from service.deident.restoration import DUMMY_DATES, FIXED_DATES
from service.errors import ObjectInvalid

_DAY: Final = 8  # characters of a date that names its day
_TEXTS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})


def refuse_what_is_left(served: Dataset, leaving: Dataset, *, original_uids: Iterable[str], dates_move: bool) -> None:
    """Refuse an object with anything of the project in it.

    Parameters
    ----------
    served, leaving : the object as the project knows it, and as it is to leave
    original_uids : those of the served object's UIDs that stand for others, as they are served
    dates_move : whether the patient's dates were moved; then none may be the same in both

    Raises
    ------
    ObjectInvalid : names what is left and where, never a value
    """
    faults = [f"{keyword} is the project's" for keyword in _same_names(served, leaving)]
    mapped = set(original_uids)
    for element, path in _elements(leaving):
        texts = set(_texts(element))
        if element.VR == "UI" and texts & mapped:
            faults.append(f"{path} is a UID of the project")
    if dates_move:
        faults += [f"{path} was not moved back" for path in _dates_left(served, leaving)]
    if faults:
        raise ObjectInvalid("what would leave still holds something of the project: " + "; ".join(sorted(set(faults))))


def _same_names(served: Dataset, leaving: Dataset) -> Iterator[str]:
    """The pseudonym, wherever it stands."""
    pseudonym = str(served.get("PatientID", "") or "")
    if not pseudonym or pseudonym == str(leaving.get("PatientID", "") or ""):
        return
    for element, path in _elements(leaving):
        if element.VR in _TEXTS and any(pseudonym in text for text in _texts(element)):
            yield path


def _dates_left(served: Dataset, leaving: Dataset, path: str = "") -> Iterator[str]:
    for element in leaving:
        name = f"{path}{element.keyword or element.tag}"
        if element.tag not in served:
            continue
        if element.VR == "SQ":
            for one, other in zip(served[element.tag].value or (), element.value or (), strict=False):
                yield from _dates_left(one, other, f"{name}.")
        elif element.VR in ("DA", "DT") and int(element.tag) not in FIXED_DATES:
            both = set(_texts(element)) & set(_texts(served[element.tag]))
            if any(_moves(element.VR, text) for text in both - DUMMY_DATES):
                yield name


def _moves(vr: str, text: str) -> bool:
    """Whether a value says a day, so that the same one in both was left as it was."""
    move = shifted_date if vr == "DA" else shifted_date_time
    return len(text) >= _DAY and move(text, 1) not in (None, text)


def _elements(data_set: Dataset, path: str = "") -> Iterator[tuple[DataElement, str]]:
    for element in data_set:
        name = f"{path}{element.keyword or element.tag}"
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _elements(item, f"{name}.")
        else:
            yield element, name


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, MultiValue | list) else [str(value)]
