"""A de-identification profile: which options of PS3.15 Annex E apply, and what the project adds to them.

Profiles are TOML files that a privacy officer can read; the tables of the standard stand beside them. Whatever a
profile says that is unknown, contradicts itself or would keep identity is refused when it is loaded, in words.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from service.deident.attribute_table import AttributeTable
from service.deident.content_item_table import ContentItemTable
from service.deident.element_types import ElementTypes
from service.deident.rules import PROFILE_ACTIONS, Action
from service.deident.safe_words import SafeWords
from service.errors import SettingsInvalid

MODIFIED_DATES = "retain_longitudinal_modified_dates"
FULL_DATES = "retain_longitudinal_full_dates"

OPTION_CODES = {
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    FULL_DATES: ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    MODIFIED_DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_recognizable_visual_features": ("113102", "Clean Recognizable Visual Features Option"),
}
"""CID 7050 (PS3.16): the code that says that an option was applied."""
NOT_OFFERED = {
    "retain_safe_private": "private elements are removed whole",
    "clean_descriptors": "descriptors are removed, not cleaned",
    "clean_graphics": "graphics are removed, not cleaned",
    "clean_pixel_data": "text in pixels is not removed",
    "clean_recognizable_visual_features": "faces are not removed",
}
"""Options that this version refuses, since a stamp must only say what was done."""
SETTINGS = {
    "burned_in_annotation": ("refuse", "pass"),
    "references": ("mapped", "by-type"),
    "encapsulated_documents": ("placeholder", "refuse"),
    "times": ("keep", "remove"),
}
SECTIONS = {"title", "extends", "options", "rules", "elements", "words", "content_text"}
VR_OF_ACTION = {Action.MAP_UID: {"UI"}, Action.SHIFT: {"DA", "DT"}}
TEXT_VRS = {"SH", "LO", "ST", "LT", "UT", "UC", "CS"}


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the pass over a header works by.

    Parameters
    ----------
    options : columns of Table E.1-1 that apply
    settings : the ``[rules]`` of the profile, each with its default
    elements : actions by tag that stand before the table's
    words : what free text may consist of to be kept
    content_text : what becomes of the text of a content item, by (scheme, code) of its concept
    """

    name: str
    title: str
    options: frozenset[str]
    settings: dict[str, str]
    elements: dict[int, Action]
    words: SafeWords
    content_text: dict[tuple[str, str], Action]
    attributes: AttributeTable
    types: ElementTypes
    content_items: ContentItemTable

    def applied_codes(self) -> list[tuple[str, str]]:
        """Return the codes of CID 7050 that are true of this profile, the Basic Profile first."""
        codes = [code for option, code in OPTION_CODES.items() if option in self.options]
        return [("113100", "Basic Application Confidentiality Profile"), *sorted(codes)]

    @property
    def temporal_information(self) -> str:
        """The value of Longitudinal Temporal Information Modified (0028,0303)."""
        if FULL_DATES in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if MODIFIED_DATES in self.options else "REMOVED"


def load_profile(directory: Path, name: str) -> Profile:
    """Read a profile, those that it extends, and the tables of the standard beside it.

    Raises
    ------
    SettingsInvalid : with each line of thought: the file, the key and what is wrong with it
    """
    documents = _with_ancestors(directory, name)
    table = AttributeTable.load(directory / "ps3.15-e1.csv")
    options = _options(documents, table)
    return Profile(
        name=name,
        title=str(documents[-1][1].get("title", name)),
        options=options,
        settings=_settings(documents),
        elements=_elements(documents, table, options),
        words=_words(documents),
        content_text=_content_text(documents),
        attributes=table,
        types=ElementTypes.load(directory / "element-types.json"),
        content_items=ContentItemTable.load(directory / "ps3.15-e3.4-1.csv"),
    )


def _with_ancestors(directory: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    chain: list[tuple[str, dict[str, Any]]] = []
    wanted: str | None = name
    while wanted is not None:
        if not isinstance(wanted, str) or not wanted.replace("-", "").replace("_", "").isalnum():
            raise SettingsInvalid(f"{wanted!r} is not the name of a profile")
        if wanted in [seen for seen, _ in chain]:
            raise SettingsInvalid(f"profile {wanted}: extends itself")
        path = directory / f"{wanted}.toml"
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            known = ", ".join(sorted(file.stem for file in directory.glob("*.toml")))
            raise SettingsInvalid(f"there is no profile {wanted!r}; there are: {known}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"profile {wanted}: {error}") from error
        for key in document:
            if key not in SECTIONS:
                raise SettingsInvalid(f"profile {wanted}: {key}: no such section ({', '.join(sorted(SECTIONS))})")
        chain.append((wanted, document))
        wanted = document.get("extends")
    return chain[::-1]


def _section(documents: list[tuple[str, dict[str, Any]]], section: str) -> list[tuple[str, str, Any]]:
    """Return (profile, key, value) of a section, ancestors first."""
    found = []
    for name, document in documents:
        table = document.get(section, {})
        if not isinstance(table, dict):
            raise SettingsInvalid(f"profile {name}: {section} is not a table")
        found += [(name, key, value) for key, value in table.items()]
    return found


def _options(documents: list[tuple[str, dict[str, Any]]], table: AttributeTable) -> frozenset[str]:
    chosen: dict[str, bool] = {}
    for name, key, value in _section(documents, "options"):
        if key not in OPTION_CODES:
            raise SettingsInvalid(f"profile {name}: options.{key}: no such option ({', '.join(OPTION_CODES)})")
        if not isinstance(value, bool):
            raise SettingsInvalid(f"profile {name}: options.{key}: true or false, not {value!r}")
        if value and key in NOT_OFFERED:
            raise SettingsInvalid(f"profile {name}: options.{key}: not offered by this version: {NOT_OFFERED[key]}")
        if value and key not in table.columns:
            raise SettingsInvalid(f"profile {name}: options.{key}: Table E.1-1 has no such column")
        chosen[key] = value
    options = frozenset(key for key, value in chosen.items() if value)
    if {MODIFIED_DATES, FULL_DATES} <= options:
        raise SettingsInvalid(f"profile {documents[-1][0]}: options: dates cannot be kept both full and modified")
    return options


def _settings(documents: list[tuple[str, dict[str, Any]]]) -> dict[str, str]:
    settings = {key: allowed[0] for key, allowed in SETTINGS.items()}
    for name, key, value in _section(documents, "rules"):
        if key not in SETTINGS:
            raise SettingsInvalid(f"profile {name}: rules.{key}: no such rule ({', '.join(SETTINGS)})")
        if value not in SETTINGS[key]:
            raise SettingsInvalid(f"profile {name}: rules.{key}: {value!r} is none of {', '.join(SETTINGS[key])}")
        settings[key] = value
    return settings


def _elements(
    documents: list[tuple[str, dict[str, Any]]], table: AttributeTable, options: frozenset[str]
) -> dict[int, Action]:
    elements = {}
    for name, keyword, word in _section(documents, "elements"):
        where = f"profile {name}: elements.{keyword}"
        tag = tag_for_keyword(keyword) or table.tag(keyword)
        if tag is None:
            raise SettingsInvalid(f"{where}: no such keyword in the data dictionary")
        action = PROFILE_ACTIONS.get(word)
        if action is None:
            raise SettingsInvalid(f"{where}: {word!r} is none of {', '.join(PROFILE_ACTIONS)}")
        row = table.row(tag)
        _check_element(where, action, row.vr if row else dictionary_VR(tag), keyword)
        if action in (Action.KEEP, Action.SEARCH) and row is not None:
            keeping = [option for option in options if row.options.get(option) == "K"]
            if not keeping:
                kept_by = [option for option, code in row.options.items() if code == "K"]
                hint = f"; {' or '.join(kept_by)} would keep it" if kept_by else ""
                raise SettingsInvalid(f"{where}: it carries identity (Table E.1-1: {row.basic}){hint}")
        elements[tag] = action
    return elements


def _check_element(where: str, action: Action, vr: str, keyword: str) -> None:
    if vr == "PN" and action in (Action.KEEP, Action.SEARCH, Action.WORDS):
        raise SettingsInvalid(f"{where}: a person's name is not kept")
    if action in VR_OF_ACTION and vr not in VR_OF_ACTION[action]:
        raise SettingsInvalid(f"{where}: {action.value} is for {' and '.join(sorted(VR_OF_ACTION[action]))}, not {vr}")
    if action in (Action.WORDS, Action.TOKEN, Action.CODED_MEANING) and vr not in TEXT_VRS:
        raise SettingsInvalid(f"{where}: {action.value} is for text, not {vr}")
    if action is Action.PSEUDONYM and keyword not in ("PatientID", "PatientName"):
        raise SettingsInvalid(f"{where}: only PatientID and PatientName can become the pseudonym")


def _words(documents: list[tuple[str, dict[str, Any]]]) -> SafeWords:
    lists: dict[str, list[str]] = {"list": [], "terms": [], "patterns": []}
    for name, key, value in _section(documents, "words"):
        if key not in lists:
            raise SettingsInvalid(f"profile {name}: words.{key}: no such key (list, terms, patterns)")
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise SettingsInvalid(f"profile {name}: words.{key}: a list of texts")
        lists[key] += value
    return SafeWords(lists["list"], lists["patterns"], lists["terms"])


def _content_text(documents: list[tuple[str, dict[str, Any]]]) -> dict[tuple[str, str], Action]:
    allowed = {a.value: a for a in (Action.SEARCH, Action.DUMMY, Action.WORDS, Action.TOKEN)}
    actions = {}
    for name, key, word in _section(documents, "content_text"):
        scheme, colon, code = key.partition(":")
        if not colon or not scheme or not code:
            raise SettingsInvalid(f"profile {name}: content_text.{key}: a concept is written SCHEME:CODE")
        if word not in allowed:
            raise SettingsInvalid(f"profile {name}: content_text.{key}: {word!r} is none of {', '.join(allowed)}")
        actions[(scheme, code)] = allowed[word]
    return actions
