"""A de-identification profile: which options of PS3.15 Annex E apply, and what the project adds to them.

Profiles are TOML files that a privacy officer can read; the tables of the standard stand beside them. Whatever a
profile says that is unknown, contradicts itself or would keep identity is refused when it is loaded, in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.deident.attribute_table import AttributeTable
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.coding_schemes import CodingSchemes
from service.deident.content_item_table import ContentItemTable
from service.deident.descriptors import DescriptorCleaning
from service.deident.element_types import ElementTypes
from service.deident.known_kinds import KnownKinds
from service.deident.options import (
    BASIC_PROFILE,
    CLEANING_OPTIONS,
    FULL_DATES,
    MODIFIED_DATES,
    OPTION_CODES,
    PIXEL_OPTIONS,
    SAFE_PRIVATE,
)
from service.deident.profile_document import ProfileDocument
from service.deident.profile_elements import element_actions
from service.deident.rules import Action
from service.deident.safe_private import SafePrivate
from service.deident.safe_words import SafeWords
from service.deident.text_cleaning.name_recogniser import NameRecogniser
from service.deident.text_cleaning.text_cleaner import TextCleaner
from service.errors import SettingsInvalid

SETTINGS = {
    "options": ("allowed", "none"),
    "burned_in_annotation": ("refuse", "pass"),
    "references": ("mapped", "by-type"),
    "encapsulated_documents": ("placeholder", "refuse"),
    "times": ("keep", "remove"),
    "other_text": ("search", "by-type"),
    "overlays": ("remove", "refuse"),
}
"""The [rules] with what each may say, the default first."""
STANDARD_LIST = "standard"
"""The list of Table E.3.10-1, which holds when a profile names none."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the pass over a header works by.

    Parameters
    ----------
    options : those that apply: columns of Table E.1-1, and the two that are about pixels
    settings : the ``[rules]`` of the profile, each with its default
    elements : actions by tag that stand before the table's
    words : what free text may consist of to be kept
    content_text : what becomes of the text of a content item, by (scheme, code) of its concept
    private : private elements that are kept; empty without the option
    texts : cleans texts; None where the profile drops them
    comments : what may stay of the comments in compressed frames, in every profile
    schemes : whose codes are nobody's free text
    kinds : UIDs that name a kind and are the same for everybody
    """

    name: str
    title: str
    options: frozenset[str]
    settings: dict[str, str]
    elements: dict[int, Action]
    words: SafeWords
    content_text: dict[tuple[str, str], Action]
    private: SafePrivate
    texts: DescriptorCleaning | None
    comments: HarmlessComments
    attributes: AttributeTable
    types: ElementTypes
    content_items: ContentItemTable
    schemes: CodingSchemes
    kinds: KnownKinds

    def applied_codes(self) -> list[tuple[str, str]]:
        """Return the codes of CID 7050 that are true of every object of this profile, the Basic Profile first.

        Those of the options about pixels are not among them: they are true of an object only once its own pixels
        were cleaned.
        """
        applied = self.options.difference(PIXEL_OPTIONS)
        return [BASIC_PROFILE, *sorted(code for option, code in OPTION_CODES.items() if option in applied)]

    @property
    def temporal_information(self) -> str:
        """The value of Longitudinal Temporal Information Modified (0028,0303)."""
        if FULL_DATES in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if MODIFIED_DATES in self.options else "REMOVED"

    @property
    def edition(self) -> str:
        """The edition of Table E.1-1 that the profile works by."""
        return self.attributes.edition


def load_profile(
    directory: Path, name: str, text_directory: Path | None = None, recogniser: NameRecogniser | None = None
) -> Profile:
    """Read a profile, those that it extends, and the tables of the standard beside it.

    Parameters
    ----------
    directory : the profiles and tables
    text_directory : what is known of texts; when not given, ``text`` beside the profiles
    recogniser : finds names in texts, beside the vocabulary

    Raises
    ------
    SettingsInvalid : with each line of thought: the file, the key and what is wrong with it
    """
    document = ProfileDocument.read(directory, name)
    table = AttributeTable.load(directory / "ps3.15-e1.csv")
    settings = _settings(document)
    options = _options(document, table, settings)
    schemes = CodingSchemes.load(directory / "coding-schemes.csv")
    return Profile(
        name=name,
        title=document.title,
        options=options,
        settings=settings,
        elements=element_actions(document.entries("elements"), table, options),
        words=_words(document),
        content_text=_content_text(document),
        private=_private(document, directory, options),
        texts=_texts_cleaner(text_directory or directory.parent / "text", options, recogniser),
        comments=HarmlessComments.load(text_directory or directory.parent / "text"),
        attributes=table,
        types=ElementTypes.load(directory / "element-types.json"),
        content_items=ContentItemTable.load(directory / "ps3.15-e3.4-1.csv"),
        schemes=schemes,
        kinds=KnownKinds.load(directory / "known-kinds.csv", schemes.uids),
    )


def _options(document: ProfileDocument, table: AttributeTable, settings: dict[str, str]) -> frozenset[str]:
    chosen: dict[str, bool] = {}
    for entry in document.entries("options"):
        if entry.key not in OPTION_CODES:
            raise SettingsInvalid(f"{entry.where}: no such option ({', '.join(OPTION_CODES)})")
        if not isinstance(entry.value, bool):
            raise SettingsInvalid(f"{entry.where}: true or false, not {entry.value!r}")
        if entry.value and entry.key not in (*table.columns, *PIXEL_OPTIONS):
            raise SettingsInvalid(f"{entry.where}: Table E.1-1 has no such column")
        if entry.value and settings["options"] == "none":
            raise SettingsInvalid(f'{entry.where}: contradicts rules.options = "none"')
        chosen[entry.key] = entry.value
    options = frozenset(key for key, value in chosen.items() if value)
    if {MODIFIED_DATES, FULL_DATES} <= options:
        raise SettingsInvalid(f"profile {document.name}: options: dates cannot be kept both full and modified")
    return options


def _settings(document: ProfileDocument) -> dict[str, str]:
    settings = {key: allowed[0] for key, allowed in SETTINGS.items()}
    for entry in document.entries("rules"):
        if entry.key not in SETTINGS:
            raise SettingsInvalid(f"{entry.where}: no such rule ({', '.join(SETTINGS)})")
        if entry.value not in SETTINGS[entry.key]:
            raise SettingsInvalid(f"{entry.where}: {entry.value!r} is none of {', '.join(SETTINGS[entry.key])}")
        settings[entry.key] = entry.value
    return settings


def _words(document: ProfileDocument) -> SafeWords:
    lists: dict[str, list[str]] = {"list": [], "terms": [], "patterns": [], "tools": []}
    for entry in document.entries("words"):
        if entry.key not in lists:
            raise SettingsInvalid(f"{entry.where}: no such key (list, terms, patterns, tools)")
        lists[entry.key] += _texts(entry.where, entry.value)
    return SafeWords(lists["list"], lists["patterns"], lists["terms"], lists["tools"])


def _texts(where: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise SettingsInvalid(f"{where}: a list of texts")
    return value


def _content_text(document: ProfileDocument) -> dict[tuple[str, str], Action]:
    allowed = {a.value: a for a in (Action.SEARCH, Action.DUMMY, Action.WORDS, Action.TOKEN, Action.CLEAN)}
    actions = {}
    for entry in document.entries("content_text"):
        scheme, colon, code = entry.key.partition(":")
        if not colon or not scheme or not code:
            raise SettingsInvalid(f"{entry.where}: a concept is written SCHEME:CODE")
        if entry.value not in allowed:
            raise SettingsInvalid(f"{entry.where}: {entry.value!r} is none of {', '.join(allowed)}")
        actions[(scheme, code)] = allowed[entry.value]
    return actions


def _texts_cleaner(
    directory: Path, options: frozenset[str], recogniser: NameRecogniser | None
) -> DescriptorCleaning | None:
    if not options & CLEANING_OPTIONS:
        return None
    return DescriptorCleaning(TextCleaner.load(directory, recogniser))


def _private(document: ProfileDocument, directory: Path, options: frozenset[str]) -> SafePrivate:
    lists = [STANDARD_LIST]
    for entry in document.entries("private"):
        if entry.key != "lists":
            raise SettingsInvalid(f"{entry.where}: no such key (lists)")
        if SAFE_PRIVATE not in options:
            raise SettingsInvalid(f"{entry.where}: has no effect without options.{SAFE_PRIVATE}")
        lists = _texts(entry.where, entry.value)
        if not lists:
            raise SettingsInvalid(f"{entry.where}: names no list; turn options.{SAFE_PRIVATE} off instead")
    return SafePrivate.load(directory, lists) if SAFE_PRIVATE in options else SafePrivate()
