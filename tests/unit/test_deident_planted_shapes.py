"""No identity survives in an object of any shape, in any character set, under any profile."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.errors import IdentityNotRemovable
from tests.planted_files import FORMS, decoded_texts, own_values_in
from tests.planted_identity import FAMILY, GIVEN, IDENTIFIER
from tests.planted_shapes import CHARACTER_SETS, KEPT_TEXT, WIDE_NAME, Shape, ShapePlanter, shapes
from tests.planted_values import Tokens
from tests.standard_attributes import TABLE

KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
PROFILES = sorted(path.stem for path in TABLE.parent.glob("*.toml"))


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def cleaners() -> dict[str, Deidentifier]:
    return {name: Deidentifier(load_profile(TABLE.parent, name), KEYS) for name in PROFILES}


def head(encoder, codec: str) -> dict[int, bytes]:
    name = f"{FAMILY}^{GIVEN}={WIDE_NAME}" if codec != "latin-1" else f"{FAMILY}^{GIVEN}"
    values = {
        0x00080005: ("CS", CHARACTER_SETS[codec]),
        0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.88.33"),
        0x00080018: ("UI", b"1.2.826.0.1.3680043.77.7.3"),
        0x0020000D: ("UI", b"1.2.826.0.1.3680043.77.7.1"),
        0x0020000E: ("UI", b"1.2.826.0.1.3680043.77.7.2"),
        0x00100010: ("PN", name.encode(codec)),
        0x00100020: ("LO", IDENTIFIER.encode()),
    }
    return {tag: encoder.element(tag, vr, value) for tag, (vr, value) in values.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    profile=st.sampled_from(PROFILES),
    form=st.sampled_from(["explicit", "implicit", "big-endian"]),
    codec=st.sampled_from(sorted(CHARACTER_SETS)),
    shape=shapes(3),
)
def test_no_shape_hides_identity(cleaners, profile, form, codec, shape):
    encoder = FORMS[form].encoder
    tokens = Tokens(codec=codec, step_days=400 * 10)
    planter = ShapePlanter(encoder, tokens, codec, load_profile(TABLE.parent, profile).options)
    header = encoder.read(encoder.data_set(planter.level(shape, top=True) | head(encoder, codec)))
    try:
        cleaned = cleaners[profile].clean(header).data_set
    except IdentityNotRemovable:
        assert profile == "strict", "only the strictest profile holds objects with overlays"
        return
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = encoder.implicit, encoder.little
    write_dataset(stream, cleaned)
    content = stream.getvalue()
    after = encoder.read(content)
    after.file_meta = FileMetaDataset()
    texts = "\n".join(decoded_texts(after))
    left = tokens.left_in(content) + own_values_in(content) + tokens.left_in_text(texts)
    assert left == []
    # In Latin-1 the header cannot say how the name is written in ideographs, and nobody knows it from elsewhere.
    assert codec == "latin-1" or WIDE_NAME.split("^")[0] not in texts


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    profile=st.sampled_from(PROFILES), texts=st.lists(st.sampled_from(KEPT_TEXT), min_size=1, max_size=8, unique=True)
)
def test_what_another_patient_may_keep_goes(cleaners, profile, texts):
    """The same words, kept for somebody else a moment before, are searched again for the patient that they name."""
    encoder = FORMS["explicit"].encoder
    planter = ShapePlanter(encoder, Tokens())
    shape = Shape((), tuple(texts), (), (), (), (), (), "", ())
    elements = planter.level(shape, top=True)
    other = head(encoder, "utf-8") | {
        0x00100010: encoder.element(0x00100010, "PN", b"Somebody^Else"),
        0x00100020: encoder.element(0x00100020, "LO", b"OTHER-1"),
    }
    contents = []
    for person in (other, other, head(encoder, "utf-8")):
        cleaned = cleaners[profile].clean(encoder.read(encoder.data_set(elements | person)))
        stream = DicomBytesIO()
        stream.is_implicit_VR, stream.is_little_endian = False, True
        write_dataset(stream, cleaned.data_set)
        contents.append(stream.getvalue() + (cleaned.encoded or b""))
    assert own_values_in(contents[2]) == []
    assert contents[0] == contents[1]
