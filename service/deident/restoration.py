"""The way back of one object: from the project's UIDs, patient, study and dates to those that came in.

What was made inside the project (a segmentation, a report, a key object, a presentation state, a structure set)
refers to images by the UIDs under which they are served, and its dates are in the project's time. What leaves carries
the original ones, at every depth. The object's own UIDs are nobody else's and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from service.deident.date_shift import shifted_date, shifted_date_time
from service.deident.dummies import VALUES
from service.deident.patient_study import STAMP_TAGS, TIME_ZONE, is_patient_or_study_attribute
from service.deident.stamps import DE_IDENTIFYING_EQUIPMENT
from service.deident.uid_map import is_own_form

FIXED_DATES = frozenset({0x00080106, 0x00080107, 0x0040DB06, 0x0040DB07, 0x00181204, 0x00181205})
"""Dates that were never moved: versions of context groups and templates, manufacture and installation."""
CONTRIBUTING_EQUIPMENT, PURPOSE = 0x0018A001, 0x0040A170
CODE_VALUE, CODE_SCHEME = 0x00080100, 0x00080102
DUMMY_DATES = frozenset({VALUES["DA"], VALUES["DT"]})


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """An object that may leave.

    Parameters
    ----------
    data_set : with the original UIDs, patient, study and dates
    unresolved : UIDs in it that have the form of ours and no way back: they refer to what never came in
    replaced : the project's UIDs that stood in it where original ones stand now
    days : by how many days its dates were moved forward again
    """

    data_set: Dataset = field(repr=False)
    unresolved: tuple[str, ...]
    replaced: frozenset[str] = frozenset()
    days: int = 0


def uids_of(data_set: Dataset) -> set[str]:
    """Return every UID in a data set, at every depth."""
    return {uid for element in _elements(data_set) if element.VR == "UI" for uid in _texts(element)}


def restored(
    data_set: Dataset, shared: Dataset, original_uids: Mapping[str, str], days: int, own_uids: Iterable[str] = ()
) -> Restored:
    """Return a data set with everything original in place of what the project put there.

    Parameters
    ----------
    data_set : as it is served; not changed
    shared : the original patient and study attributes, those that are to stand in the object
    original_uids : the old UID of each new one, as far as they are known (``uids_of`` says which are asked for)
    days : by how many days the patient's dates were moved back
    own_uids : UIDs that the object brought itself, beside those of the instance and its series
    """
    back = _level(data_set, original_uids, days)
    _take_stamps_off(back)
    for tag in [tag for tag in back.keys() if is_patient_or_study_attribute(tag) or tag in STAMP_TAGS]:  # noqa: SIM118
        del back[tag]
    back.decode()  # before the character set changes under texts that are not decoded yet
    for element in shared:
        # The object's own times are in its own zone, where it names one.
        if element.tag != TIME_ZONE or TIME_ZONE not in back:
            back[element.tag] = element
    own = {str(data_set.get("SOPInstanceUID", "")), str(data_set.get("SeriesInstanceUID", "")), *own_uids}
    known = set(original_uids) | set(original_uids.values()) | own
    unresolved = sorted(uid for uid in uids_of(back) - known if is_own_form(uid))
    replaced = frozenset(new for new, old in original_uids.items() if new != old)
    return Restored(back, tuple(unresolved), replaced, days)


def _level(source: Dataset, original_uids: Mapping[str, str], days: int) -> Dataset:
    back = Dataset()
    for element in source:
        back[element.tag] = _element(element, original_uids, days)
    return back


def _element(element: DataElement, original_uids: Mapping[str, str], days: int) -> DataElement:
    if element.VR == "SQ":
        items = [_level(item, original_uids, days) for item in element.value or ()]
        sequence = DataElement(element.tag, "SQ", Sequence(items))
        sequence.is_undefined_length = element.is_undefined_length
        return sequence
    if element.VR == "UI":
        return _changed(element, [original_uids.get(uid, uid) for uid in _texts(element)])
    if element.VR in ("DA", "DT") and days and int(element.tag) not in FIXED_DATES:
        return _changed(element, [_moved(element.VR, text, days) for text in _texts(element)])
    return element


def _changed(element: DataElement, values: list[str]) -> DataElement:
    if values == _texts(element):
        return element
    return DataElement(element.tag, element.VR, values if len(values) > 1 else values[0])


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if value is None or value == "":
        return []
    return [str(one) for one in value] if isinstance(value, MultiValue | list) else [str(value)]


def _moved(vr: str, text: str, days: int) -> str:
    if text in DUMMY_DATES:
        return text
    move = shifted_date if vr == "DA" else shifted_date_time
    moved = move(text, -days)
    return text if moved is None else moved


def _elements(data_set: Dataset) -> Iterator[DataElement]:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _elements(item)
        else:
            yield element


def _take_stamps_off(data_set: Dataset) -> None:
    """Remove the item that says who de-identified the object: what leaves is not de-identified any more."""
    if CONTRIBUTING_EQUIPMENT not in data_set:
        return
    items = [item for item in data_set[CONTRIBUTING_EQUIPMENT].value if not _is_ours(item)]
    if items:
        data_set[CONTRIBUTING_EQUIPMENT] = DataElement(CONTRIBUTING_EQUIPMENT, "SQ", Sequence(items))
    else:
        del data_set[CONTRIBUTING_EQUIPMENT]


def _is_ours(item: Dataset) -> bool:
    value, scheme, _ = DE_IDENTIFYING_EQUIPMENT
    codes = item[PURPOSE].value if PURPOSE in item else ()
    purposes = [(str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", ""))) for code in codes]
    return (value, scheme) in purposes and item.get("Manufacturer") == "Annogate"
