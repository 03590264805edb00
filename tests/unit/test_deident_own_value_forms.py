"""A patient's own values are found however a text writes them, and cleaned text holds none of them."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from pathlib import Path
from time import process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from service.deident.element_values import Encoding, decoded_forms, text_codecs
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.text_cleaning.text_cleaner import TextCleaner

CLEANER = TextCleaner.load(Path(__file__).resolve().parents[2] / "config" / "text")
HARMLESS = [
    "CT Thorax",
    "MR Knie links",
    "Abdomen nativ",
    "left lung",
    "T2 tse sag",
    "no fracture",
    "3 mm",
    "Schädel ap",
]
SEPARATORS = st.sampled_from([" ", "", ", ", "^", "_", "-", ".", "  ", ". ", "/", "\n", "\t"])
# Names that no word of radiology contains, so that a find is a find.
PART = st.text("bdfghjkqvwxyz", min_size=3, max_size=9).map(str.capitalize)
PLACE = st.sampled_from(HARMLESS)


def own(**values: object) -> OwnValues:
    header = Dataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return OwnValues.of(header, Encoding())


def joined(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if c.isalnum())


@st.composite
def written_name(draw, family: str, given_name: str, middle: str) -> str:
    """Draw a way to write a name that holds one of its parts at least."""
    separator = draw(SEPARATORS)
    forms = [
        [family, given_name],
        [given_name, family],
        [family, given_name[0]],
        [given_name[0], family],
        [given_name, middle[0], family],
        [family, given_name[0] + middle[0]],
        [family],
        [given_name],
    ]
    parts = draw(st.sampled_from(forms))
    # Without a separator a short part beside an initial can be told from nothing else but by its capitals.
    written = separator.join(parts)
    return draw(st.sampled_from([str, str.upper, str.lower, spaced, accented]))(written)


def spaced(text: str) -> str:
    return " ".join(text.replace(" ", ""))


def accented(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(c + "\N{COMBINING ACUTE ACCENT}" if c.isalpha() else c for c in text))


@given(PART, PART, PART, st.data(), PLACE, PLACE, st.sampled_from(TextKind))
def test_a_name_does_not_survive_in_any_dress(family, given_name, middle, data, before, after, kind):
    values = own(PatientName=f"{family}^{given_name}^{middle}")
    written = data.draw(written_name(family, given_name, middle))
    text = f"{before} {written} {after}"
    assert values.found_in([text])
    left = joined(CLEANER.clean(text, values, kind).text or "")
    assert family.casefold() not in left
    assert given_name.casefold() not in left


@given(st.from_regex(r"[A-Z]{0,3}0{0,3}[1-9][0-9]{3,8}", fullmatch=True), st.data(), PLACE, st.sampled_from(TextKind))
def test_an_identifier_does_not_survive(identifier, data, place, kind):
    values = own(PatientID=identifier)
    digits = identifier.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    bare = digits.lstrip("0")
    forms = [identifier, identifier.lower(), bare] if len(bare) > 4 or bare == identifier else [identifier]
    form = data.draw(st.sampled_from([*forms, "00" + bare] if bare == identifier or len(bare) > 4 else forms))
    separator = data.draw(st.sampled_from(["", "-", ".", " ", "/", "_"]))
    cut = data.draw(st.integers(1, len(form) - 1))
    text = f"{place} {form[:cut]}{separator}{form[cut:]} {place}"
    assert values.found_in([text])
    assert bare not in joined(CLEANER.clean(text, values, kind).text or "")


MONTHS = {
    3: ["Mar", "MAR", "March", "März", "Maerz", "mars", "marzo", "maart"],
    10: ["Oct", "Okt.", "octubre", "ottobre"],
}


def date_forms(day: date) -> list[str]:
    y, m, d = day.year, day.month, day.day
    forms = [
        f"{d:02}.{m:02}.{y}",
        f"{d}.{m}.{y}",
        f"{y}-{m:02}-{d:02}",
        f"{m:02}/{d:02}/{y}",
        f"{m}/{d}/{y % 100:02}",
        f"{d:02}.{m:02}.{y % 100:02}",
        f"{y}{m:02}{d:02}",
        f"{d:02}{m:02}{y}",
        f"{y % 100:02}{m:02}{d:02}",
        f"{y}. {m}. {d}",
        f"{y}年{m}月{d}日",
    ]
    for name in MONTHS[m]:
        forms += [f"{d}{name}{y}", f"{name} {d}, {y}", f"{d}. {name} {y}", f"{y} {name} {d}", f"{d} de {name} de {y}"]
    return [*forms, f"{MONTHS[m][0]} {d}th, {y}"]


@pytest.mark.parametrize("day", [date(1950, 3, 20), date(2008, 10, 3)])
@pytest.mark.parametrize("kind", TextKind)
def test_a_birth_date_does_not_survive_in_any_form(day, kind):
    values = own(PatientBirthDate=day.strftime("%Y%m%d"))
    for form in date_forms(day):
        text = f"CT Thorax, geb. {form} nativ"
        assert values.found_in([text]), form
        left = CLEANER.clean(text, values, kind).text or ""
        assert str(day.year) not in left, form
        assert not re.search(r"\d", left), form


@pytest.mark.parametrize(
    "text",
    [
        "20.03.1951",
        "1950-03-21",
        "21 March 1950",
        "March 1950",
        "20 mm, 3 x 19 cm",
        "in 2050",
        "maart 20",
        "TE 50, 3.20",
    ],
)
def test_other_dates_are_not_the_patients(text):
    assert not own(PatientBirthDate="19500320").found_in([text])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Doe^John^Q", ["DOE J", "J.DOE", "JDOE", "DOEJQ", "DOEJOHN", "John  Q Doe", "scanDoe2", "D.O.E.", "doe_2"]),
        ("Wu^Li", ["WU LI", "LiWu", "wu, li", "Li-Wu", "WU L", "L. Wu", "liwu"]),
        ("Müller^Jörg", ["Mueller", "MUELLER JOERG", "Muller", "müller", "Mu\u0308ller"]),
        ("Mueller^Joerg", ["Müller", "MÜLLER", "Jörg M."]),
        ("Sørensen^Åse", ["Soerensen", "Sorensen", "SØRENSEN", "Aase"]),
        ("Łęcki^Żaneta", ["Lecki", "LECKI ZANETA"]),
        ("O'Hara^Xaver", ["OHara", "O’Hara", "o hara", "Ohara X"]),
        ("von der Heide-Klum^Xaver", ["Heide", "heide klum", "HeideKlum", "Klum-Heide"]),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", ["山田", "山田太郎", "やまだ", "太郎 様", "YAMADA T"]),
        ("Hong^Gildong=洪^吉洞=홍^길동", ["洪吉洞", "홍길동", "길동", "Hong G."]),
        ("Smith^Ann\\Jones^Ann", ["ann jones", "SMITH"]),
    ],
)
def test_names_are_found_as_people_write_them(name, texts):
    header = Dataset()
    header.PatientName = name.split("\\")
    values = OwnValues.of(header, Encoding())
    for text in texts:
        assert values.found_in([text]), text
        assert values.spans_in(text), text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Doe^John", "Doering"),
        ("Doe^John", "does no joint"),
        ("von der Heide^X", "von der Hand"),
        ("Wu^Li", "LI knee"),
        ("Ann^Lee", "planning sleeve"),
        ("Hand^Xaver", "handle"),
    ],
)
def test_words_that_only_hold_a_short_name_are_not_it(name, text):
    assert not own(PatientName=name).found_in([text])


@pytest.mark.parametrize(
    ("identifier", "texts"),
    [
        ("PAT-0012345", ["12345", "0012345", "pat0012345", "PAT 0012345", "PAT/12345"]),
        ("815", ["815", "00815", "815.", "no815"]),
        ("AB12", ["AB-12", "ab 12", "AB12."]),
    ],
)
def test_identifiers_are_found_with_other_zeros_and_separators(identifier, texts):
    for text in texts:
        assert own(PatientID=identifier).found_in([text]), text
        assert own(AccessionNumber=identifier).found_in([text]), text


def test_a_short_number_is_not_put_together_of_others():
    values = own(PatientID="123", PatientBirthDate="20010101")
    assert values.found_in(["no. 0123"])
    assert not values.found_in(["1.23 mm", "12 3", "1.1.1", "1 1 1"])


def test_numbers_of_orders_and_lines_of_an_address_are_found():
    values = own(
        StudyID="S-918273",
        PlacerOrderNumberImagingServiceRequest="918274",
        RequestedProcedureID="CT THORAX 1",
        PatientAddress="Testweg 15, 99999 Nirgendwo",
        PatientTelecomInformation="mailto:testperson@house.example",
    )
    texts = ("order s918273", "918274", "am Testweg 15 wohnhaft", "99999 Nirgendwo", "mailto testperson@house.example")
    assert all(values.found_in([text]) for text in texts)
    assert not values.found_in(["CT Thorax 1"])


def test_what_stands_for_an_operators_name_is_not_looked_for():
    values = own(OperatorsName="RADIOLOGY^Xaverius", PatientName="Qxz^Yw")
    assert not values.found_in(["Radiology System"])
    assert values.found_in(["by xaverius"])


def test_a_telephone_number_is_found_with_another_prefix():
    values = own(PatientTelephoneNumbers="+49 30 12345678")
    assert values.found_in(["call 030/1234 5678"])
    assert not values.found_in(["call 030/1234 5679"])


def test_other_identifiers_are_found_value_by_value():
    item = Dataset()
    item.PatientID = "OTHER-4711"
    values = own(OtherPatientIDsSequence=Sequence([item]), OtherPatientNames=["Alt^Xaver", "Neu^Xaver"])
    assert all(values.found_in([text]) for text in ("other4711", "Alt, X.", "neu x"))


def test_names_are_read_in_their_character_set():
    header = Dataset()
    encoding = Encoding(text=text_codecs(["", "ISO 2022 IR 87"]) or ())
    header.PatientName = "Yamada^Tarou=山田^太郎"
    assert OwnValues.of(header, encoding).found_in(["撮影 山田"])


@pytest.mark.parametrize("said", [[], ["ISO_IR 100"], ["ISO_IR 192"], ["ISO_IR 999"], ["", "ISO 2022 IR 87"]])
@pytest.mark.parametrize("name_in", ["utf-8", "latin-1"])
@pytest.mark.parametrize("text_in", ["utf-8", "latin-1"])
def test_no_character_set_that_is_not_the_real_one_hides_a_name(said, name_in, text_in):
    encoding = Encoding(text=text_codecs(said) or ("iso8859",))
    name = "Jürgensön^Zoë".encode(name_in)
    header = Dataset()
    header[0x00100010] = RawDataElement(Tag(0x00100010), "PN", len(name), name, 0, False, True)
    values = OwnValues.of(header, encoding)
    for text in ("for Jürgensön", "ZOË"):
        value = text.encode(text_in)
        assert values.found_in_value(value, encoding, decoded_forms(value, encoding)), text


def test_a_text_of_a_million_characters_is_not_searched_but_goes():
    values = OwnValues(["doe"], ["12345"])
    assert not values.found_in(["x" * 1_000_000])
    assert values.found_in(["x" * 1_000_001])


@given(st.text(max_size=60), st.sampled_from(TextKind))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_cleaning_again_changes_nothing(text, kind):
    values = own(PatientName="Doe^John", PatientID="0012345")
    once = CLEANER.clean(text, values, kind).text
    assert once is None or len(once) <= len(text)
    assert once is None or CLEANER.clean(once, values, kind).text == once


PIECES = (
    "CT head hand Kniegelenk links 3 1.5 mm 12 20.03. 1950 march Doe john q J. 47 11 x T2 tse Dr. ( ) , - _ no 19 the"
)
WORDS = st.sampled_from(PIECES.split())


@given(st.lists(WORDS, max_size=14).map(" ".join), st.sampled_from(TextKind))
def test_what_comes_to_stand_beside_each_other_is_looked_at_again(text, kind):
    values = own(PatientName="Doe^John", PatientID="4711", PatientBirthDate="19500320")
    once = CLEANER.clean(text, values, kind).text
    assert once is None or not values.found_in([once])
    assert once is None or CLEANER.clean(once, values, kind).text == once


@given(st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=8).map("; ".join), st.sampled_from(TextKind))
def test_harmless_text_survives_unchanged(text, kind):
    assert CLEANER.clean(text, own(PatientName="Qxzdoe^Jqhn", PatientID="918273"), kind).text == text


@pytest.mark.parametrize(
    "piece",
    ["1", "1.1.", "a", "20.03.1950 ", "a@", "march 1 ", "Dr. ", "(1,2", "john", "d o e ", "山田", "rue a ", "-1 "],
)
def test_time_grows_with_the_text_alone(piece):
    values = own(PatientName="Doe^John", PatientID="11111", PatientBirthDate="19500320")
    text = (piece * 50_000)[:50_000]
    before = process_time()
    CLEANER.clean(text, values, TextKind.NARRATIVE)
    # A third of a second; what grew with the square took a quarter of a minute.
    assert process_time() - before < 8


def test_a_text_beyond_all_measure_goes():
    assert CLEANER.clean("head " * 250_000, OwnValues((), ()), TextKind.NARRATIVE).text is None
