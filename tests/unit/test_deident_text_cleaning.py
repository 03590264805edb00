"""Free text: what is known to be harmless stays, all else goes."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from service.deident.element_values import Encoding
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.text_cleaning.text_cleaner import TextCleaner

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
