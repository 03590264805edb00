"""Nothing that a reader's tool writes about a patient stays in an annotation, but for its UIDs."""

from __future__ import annotations

import io
from datetime import date

import pytest
from pydicom import dcmread

from service.core.records import ObjectKind, OutcomeKind
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse
from tests.planted_files import FORMS, identity_in_file, planted_data_set
from tests.planted_identity import FAMILY, GIVEN, IDENTIFIER
from tests.planted_objects import ObjectPlanter
from tests.planted_values import Tokens
from tests.unit.test_deident_planted_attributes import SOP_CLASSES

ANNOTATIONS = ("SEG", "SR", "RTSTRUCT", "GSPS", "KO")
OPTIONS = frozenset(
    {"retain_longitudinal_modified_dates", "retain_patient_characteristics", "clean_structured_content"}
)


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def served(house):
    """The study as it is served, of the patient whose values are planted."""
    image = ct_slice(1, patient_name=f"{FAMILY}^{GIVEN}", patient_id=IDENTIFIER)
    return house.pipeline.process(house.incoming(image, "research"))


@pytest.mark.parametrize("repeat_patient", [False, True], ids=["tokens", "own values"])
@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_no_annotation_holds_identity(house, served, kind, repeat_patient):
    # Dates after the study's: those before it were copied from the project's own images, and stay.
    tokens = Tokens(step_days=4001, first_day=date(2100, 1, 1), without=frozenset({"UI", "DA", "DT"}))
    form = FORMS["explicit"]
    planter = ObjectPlanter(
        SOP_CLASSES[kind],
        form.encoder,
        OPTIONS,
        tokens,
        repeat_patient=repeat_patient,
        depth=2,
        study_uid=served.study_uid,
    )
    content = planted_data_set(planter.make(), form, pixels=kind == "SEG")
    assert len(tokens.left_in(content)) > 100
    outcome = house.pipeline.process(house.incoming(content, "research"))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")
    row = house.index.find("research", outcome.sop_instance_uid)
    assert (row.kind, outcome.study_uid) == (ObjectKind.ANNOTATION, served.study_uid)
    stored = house.blobs.path(row.blob.key).read_bytes()
    assert identity_in_file(stored, dcmread(io.BytesIO(stored)), tokens) == []


@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_no_date_of_a_readers_tool_stays(house, served, kind):
    every = frozenset({"UI", "LO", "SH", "PN", "LT", "ST", "UT", "UC", "UR", "AE", "CS", "OB", "OW", "UN", "TM"})
    tokens = Tokens(step_days=1, first_day=date(2100, 1, 1), without=every)
    form = FORMS["explicit"]
    made = ObjectPlanter(SOP_CLASSES[kind], form.encoder, OPTIONS, tokens, depth=2, study_uid=served.study_uid).make()
    assert tokens.count < 365, "the shortest shift must not turn one date into another"
    outcome = house.pipeline.process(house.incoming(planted_data_set(made, form, pixels=kind == "SEG"), "research"))
    assert outcome.kind is OutcomeKind.ARCHIVED
    stored = house.blobs.path(house.index.find("research", outcome.sop_instance_uid).blob.key).read_bytes()
    assert tokens.left_in(stored) == []
