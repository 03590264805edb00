"""Vocabulary and patterns are data: what they hold, and what is refused when they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.text_cleaning.patterns import Patterns
from service.deident.text_cleaning.vocabulary import Vocabulary
from service.errors import SettingsInvalid

NAMES = """
allen anna ann anders andersson becker bianchi braun carlos carmen christian clara conti costa dolores donna dubois
dunn ernst ferrari frances franco fischer garcia george gomez greene gruber hahn hans hartmann hoffmann hugo ivanov
jack janssen jennifer john johnson jones juan karl koch kowalski kruger kumar laura lee leonardo lewis lopez luca
maria martin martinez mary meyer michael miller moore moretti mueller murphy nagy nguyen novak olga oliver olsen
patel paul pedro peters petra pierre popov richter robert robinson rodriguez rossi roy russo sanchez santos schmidt
schneider schulz silva singh smith sofia stefan stein steiner susanne suzuki tanaka taylor thomas tim tom tran ute
vida violet visser wagner walker walter wang waters weber weiss werner wilhelm williams wilson wolf wright yamamoto
yilmaz zhang zimmermann
"""


@pytest.fixture(scope="module")
def vocabulary(repository) -> Vocabulary:
    return Vocabulary.load(repository / "config" / "text" / "vocabulary")


@pytest.mark.parametrize("kind", TextKind)
def test_names_of_people_are_not_known(vocabulary, kind):
    assert [name for name in NAMES.split() if vocabulary.knows(name, kind) and not vocabulary.doubts(name)] == []


@pytest.mark.parametrize(
    "name", ["brown", "green", "white", "black", "young", "long", "short", "small", "stone", "may"]
)
def test_words_that_people_are_called_are_no_descriptors(vocabulary, name):
    assert not vocabulary.knows(name, TextKind.DESCRIPTOR)
    assert not vocabulary.knows(name, TextKind.LABEL)
    assert vocabulary.doubts(name)


@pytest.mark.parametrize("phrase", ["long axis", "white matter", "small bowel", "t1 dixon", "x ray", "weber b"])
def test_such_words_are_known_beside_others(vocabulary, phrase):
    assert vocabulary.knows_phrase(phrase.split(), TextKind.DESCRIPTOR)


@pytest.mark.parametrize("word", ["kniegelenksaufnahme", "schulterubersicht", "schultern", "lesions", "lungenherd"])
def test_words_are_known_with_endings_and_put_together(vocabulary, word):
    assert vocabulary.knows(word, TextKind.DESCRIPTOR)


def vocabulary_of(folder: Path, text: str) -> Vocabulary:
    (folder / "words.toml").write_text(text, encoding="utf-8")
    return Vocabulary.load(folder)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("wordz = 1", "wordz: no such key"),
        ("words = 1", "words: texts of words"),
        ('[words]\nen = "a.b"', "not made of letters"),
        ('kinds = ["novel"]', "kinds: a list of descriptor"),
        ('phrases = ["one"]', "two words, or three"),
        ("doubtful = 3", "doubtful: a text"),
        ("no toml", "words.toml"),
    ],
)
def test_a_bad_vocabulary_is_refused_in_words(tmp_path, text, complaint):
    with pytest.raises(SettingsInvalid, match=complaint):
        vocabulary_of(tmp_path, text)


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(SettingsInvalid, match="no vocabulary"):
        Vocabulary.load(tmp_path)


def test_words_are_known_for_the_kinds_that_a_file_names(tmp_path):
    vocabulary = vocabulary_of(tmp_path, 'kinds = ["label"]\n[words]\nxx = "Ünding"')
    assert vocabulary.knows("unding", TextKind.LABEL)
    assert vocabulary.knows("uending", TextKind.LABEL)
    assert not vocabulary.knows("unding", TextKind.NARRATIVE)


def pattern(**entry: str) -> str:
    entry = {"category": "date", "reason": "a day", "expression": r"\d{1,2}"} | entry
    return "[[identifying]]\n" + "\n".join(f"{key} = '{value}'" for key, value in entry.items())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (pattern(expression=r"\d+"), "without bound"),
        (pattern(expression=r"(a|b)*c"), "without bound"),
        (pattern(expression=r"\d{3,}"), "without bound"),
        (pattern(expression=r"(x)\1"), "without bound"),
        (pattern(expression=r"(?:\d{1,3}x){1,99}"), "a group more than"),
        (pattern(expression=r"x{1,9999}"), "more than 400 times"),
        (pattern(expression="("), "not a regular expression"),
        (pattern(expression="%weekdays%"), "no list is called"),
        (pattern(case="upper"), "case: ignore or exact"),
        (pattern(takes="nothing"), "takes: match or text"),
        (pattern(colour="red"), "colour: no such key"),
        (pattern(category=""), "a pattern without category"),
        ("[lists]\nmonth = 3", "lists: texts"),
        ("[[identifying_]]", "no such section"),
        ("[[[", "patterns.toml"),
    ],
)
def test_bad_patterns_are_refused_in_words(tmp_path, text, complaint):
    file = tmp_path / "patterns.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=complaint):
        Patterns.load(file)


def test_missing_patterns_are_refused(tmp_path):
    with pytest.raises(SettingsInvalid, match=r"patterns\.toml"):
        Patterns.load(tmp_path / "patterns.toml")


def test_what_may_repeat_a_bounded_number_of_times_is_taken(tmp_path):
    file = tmp_path / "patterns.toml"
    file.write_text(pattern(expression=r"[*+]{1,3}+(?:\d{2}){1,3}"), encoding="utf-8")
    assert [(found.start, found.end) for found in Patterns.load(file).identifying_in("a *+1234")] == [(2, 8)]
