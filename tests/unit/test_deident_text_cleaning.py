"""Free text: what is known to be harmless stays, all else goes."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from service.deident.element_values import Encoding
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import CleanedText, TextKind
from service.deident.text_cleaning.patterns import Patterns
from service.deident.text_cleaning.text_cleaner import LONGEST_REMEMBERED, REMEMBERED_TEXTS, TextCleaner
from service.deident.text_cleaning.vocabulary import Vocabulary

NOBODY = OwnValues((), ())


@pytest.fixture(scope="module")
def cleaner(repository) -> TextCleaner:
    return TextCleaner.load(repository / "config" / "text")


def own(**values: object) -> OwnValues:
    header = Dataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return OwnValues.of(header, Encoding())


@pytest.mark.parametrize(
    "text",
    [
        "CT THORAX",
        "t2_tse_sag 3 mm",
        "Head^Routine (Adult)",
        "Ax T1 FLAIR +C",
        "HWS seitlich",
        "Kniegelenk rechts a.p.",
        "Schädelübersicht",
        "rachis lombaire de profil",
        "columna cervical lateral",
        "ginocchio destro",
        "knie links staand",
        "ep2d_diff_b50_400_800_ADC",
        "Image0001",
        "512 x 512 px",
    ],
)
def test_words_of_radiology_stay(cleaner, text):
    cleaned = cleaner.clean(text, NOBODY, TextKind.DESCRIPTOR)
    assert (cleaned.text, cleaned.reason, cleaned.taken) == (text, "", ())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CT THORAX Testperson", "CT THORAX"),
        ("CT THORAX 20.03.1950", "CT THORAX"),
        ("CT THORAX 1950-03-20 nativ", "CT THORAX nativ"),
        ("MR Knie Dr. Hand", "MR Knie"),
        ("CT Abdomen 20MAR1950", "CT Abdomen"),
        ("CT Abdomen March 20th, 1950", "CT Abdomen"),
        ("Thorax MRN: 47-11", "Thorax"),
        ("Thorax 4711080", "Thorax"),
        ("Knie rechts, 14:35 Uhr", "Knie rechts"),
        ("Knie tel. 030 1234567", "Knie"),
        ("Knie a.b@c.example", "Knie"),
        ("Knie 97 years", "Knie"),
        ("Knie St. Elsewhere Hospital", "Knie"),
    ],
)
def test_what_may_identify_goes_and_the_rest_stays(cleaner, text, left):
    cleaned = cleaner.clean(text, NOBODY, TextKind.DESCRIPTOR)
    assert cleaned.text == left
    assert cleaned.reason
    assert cleaned.taken


@pytest.mark.parametrize("text", ["Doe", "Testperson, Xaver Quentin", "4711", "Jane X. Doe in Nirgendwo"])
def test_a_text_of_nothing_known_goes_whole(cleaner, text):
    assert cleaner.clean(text, NOBODY, TextKind.DESCRIPTOR).text is None


def test_a_known_word_goes_where_the_patient_is_called_so(cleaner):
    assert cleaner.clean("CT HAND", own(PatientName="Hand^Xaver"), TextKind.DESCRIPTOR).text == "CT"
    assert cleaner.clean("CT HAND", NOBODY, TextKind.DESCRIPTOR).text == "CT HAND"


class CountingRecogniser:
    """Finds nothing, and knows how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def names_in(self, text: str) -> list[tuple[int, int]]:
        self.asked += 1
        return []


def test_the_texts_of_a_series_are_cleaned_once(repository):
    recogniser = CountingRecogniser()
    cleaner = TextCleaner.load(repository / "config" / "text", recogniser)
    patients = [own(PatientName="Doe^Jane"), own(PatientName="Thorax^Xaver")]
    for _ in range(3):
        texts = [cleaner.clean("CT Thorax", patient, TextKind.DESCRIPTOR).text for patient in patients]
        assert texts == ["CT Thorax", "CT"]
    # Once for anybody, once for whom it names.
    assert recogniser.asked == 2


def test_no_more_texts_are_remembered_than_a_series_has(repository):
    recogniser = CountingRecogniser()
    cleaner = TextCleaner.load(repository / "config" / "text", recogniser)
    for number in [*range(REMEMBERED_TEXTS + 1), 0]:
        cleaner.clean(f"CT {'head ' * number}"[:1000], NOBODY, TextKind.DESCRIPTOR)
    long_text = "head " * LONGEST_REMEMBERED
    cleaner.clean(long_text, NOBODY, TextKind.DESCRIPTOR)
    asked = recogniser.asked
    cleaner.clean(long_text, NOBODY, TextKind.DESCRIPTOR)
    assert recogniser.asked == asked + 1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The patient was seen by Dr. Testperson at the clinic.", "The patient was seen by _ at the _."),
        ("Comparison: CT of 20.03.2019, no change.", "Comparison: CT of _, no change."),
        ("The lesion may have grown. Will Testperson follow?", "The lesion may have grown. _ follow?"),
        ("no fracture\nTestperson", "no fracture\n_"),
    ],
)
def test_sentences_show_where_words_went(cleaner, text, left):
    assert cleaner.clean(text, NOBODY, TextKind.NARRATIVE).text == left


@pytest.mark.parametrize(
    "text", ["caf\ufffd thorax", "thorax\x1b$B", "撮影 胸部", "грудная клетка", "CT \N{GRINNING FACE} of qwx"]
)
def test_what_cannot_be_read_goes(cleaner, text):
    left = cleaner.clean(text, NOBODY, TextKind.DESCRIPTOR).text or ""
    assert left.isascii()
    assert left.isprintable()


def test_a_pattern_may_take_the_whole_text(tmp_path, repository):
    patterns = tmp_path / "patterns.toml"
    patterns.write_text(
        "[[identifying]]\ncategory = 'note'\nreason = 'private notes go'\nexpression = 'private'\ntakes = 'text'\n"
    )
    cleaner = TextCleaner(Vocabulary.load(repository / "config" / "text" / "vocabulary"), Patterns.load(patterns))
    cleaned = cleaner.clean("CT Thorax private", NOBODY, TextKind.DESCRIPTOR)
    assert (cleaned.text, cleaned.reason, cleaned.taken) == (None, "private notes go", (("note", 1),))


def test_a_result_does_not_show_what_it_holds():
    assert "Testperson" not in repr(CleanedText("Testperson"))
