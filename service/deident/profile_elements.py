"""What a profile says about single elements, checked: nothing that carries identity can be kept by name."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.datadict import dictionary_VR, tag_for_keyword

from service.deident.attribute_table import AttributeRow, AttributeTable
from service.deident.options import FULL_DATES, MODIFIED_DATES
from service.deident.profile_document import Entry
from service.deident.rules import PROFILE_ACTIONS, Action
from service.errors import SettingsInvalid

TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "CS"})
SEARCHED_VRS = TEXT_VRS | {"AE", "UR"}
DATED_VRS = frozenset({"DA", "DT", "TM"})
FORMS: dict[Action, tuple[frozenset[str], str]] = {
    Action.MAP_UID: (frozenset({"UI"}), "UI"),
    Action.SHIFT: (frozenset({"DA", "DT"}), "DA and DT"),
    Action.WORDS: (TEXT_VRS, "text"),
    Action.TOKEN: (TEXT_VRS, "text"),
    Action.CODED_MEANING: (TEXT_VRS, "text"),
    Action.CLEAN: (TEXT_VRS, "text"),
    Action.SEARCH: (SEARCHED_VRS, "text"),
}
"""Which VRs an action is for, and how a message says so."""
NEEDED = frozenset({"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"})
"""Without these no object can be found again."""
NEEDED_ACTIONS = frozenset({Action.MAP_UID, Action.KEEP})


def element_actions(entries: Iterable[Entry], table: AttributeTable, options: frozenset[str]) -> dict[int, Action]:
    """Return the actions by tag.

    Raises
    ------
    SettingsInvalid : a keyword or an action is none, they do not go together, or identity would be kept
    """
    actions = {}
    for entry in entries:
        tag = tag_for_keyword(entry.key) or table.tag(entry.key)
        if tag is None:
            raise SettingsInvalid(f"{entry.where}: no such keyword in the data dictionary")
        action = PROFILE_ACTIONS.get(entry.value) if isinstance(entry.value, str) else None
        if action is None:
            raise SettingsInvalid(f"{entry.where}: {entry.value!r} is none of {', '.join(PROFILE_ACTIONS)}")
        row = table.row(tag)
        vr = (row.vr if row else dictionary_VR(tag)).split(" or ")[0]
        _check_form(entry, action, vr)
        if action in (Action.KEEP, Action.SEARCH):
            _check_kept(entry, row, options)
        if action is Action.KEEP:
            _check_unlooked(entry, vr, row, options)
        if action is Action.SHIFT and not options & {FULL_DATES, MODIFIED_DATES}:
            raise SettingsInvalid(f"{entry.where}: the profile neither keeps nor shifts dates ({MODIFIED_DATES})")
        actions[tag] = action
    return actions


def _check_form(entry: Entry, action: Action, vr: str) -> None:
    if vr == "PN" and action in (Action.KEEP, Action.SEARCH, Action.WORDS, Action.CLEAN):
        raise SettingsInvalid(f"{entry.where}: a person's name is not kept")
    vrs, words = FORMS.get(action, (frozenset(), ""))
    if vrs and vr not in vrs:
        raise SettingsInvalid(f"{entry.where}: {action.value} is for {words}, not {vr}")
    if action is Action.PSEUDONYM and entry.key not in ("PatientID", "PatientName"):
        raise SettingsInvalid(f"{entry.where}: only PatientID and PatientName can become the pseudonym")
    if vr == "SQ" and action in (Action.KEEP, Action.DUMMY):
        raise SettingsInvalid(f"{entry.where}: the items of a sequence are cleaned one by one; name their elements")
    if entry.key in NEEDED and action not in NEEDED_ACTIONS:
        raise SettingsInvalid(f"{entry.where}: no object is found again without it")


def _check_kept(entry: Entry, row: AttributeRow | None, options: frozenset[str]) -> None:
    """Refuse what Table E.1-1 would not keep with the profile's options."""
    if row is None or any(row.options.get(option) == "K" for option in options):
        return
    kept_by = [option for option, code in row.options.items() if code == "K"]
    hint = f"; {' or '.join(kept_by)} would keep it" if kept_by else ""
    raise SettingsInvalid(f"{entry.where}: it carries identity (Table E.1-1: {row.basic}){hint}")


def _check_unlooked(entry: Entry, vr: str, row: AttributeRow | None, options: frozenset[str]) -> None:
    """Refuse what a value must be looked at for, also where the table is silent."""
    if row is not None:
        return
    if vr in SEARCHED_VRS:
        raise SettingsInvalid(f'{entry.where}: any text may name the patient; "search" keeps what does not')
    if vr in DATED_VRS and FULL_DATES not in options:
        raise SettingsInvalid(f"{entry.where}: a real date beside none or shifted ones; {FULL_DATES} would keep it")
    if vr == "UI" and entry.key not in NEEDED and "retain_uids" not in options:
        raise SettingsInvalid(f"{entry.where}: a UID says which object it was; retain_uids would keep it")
