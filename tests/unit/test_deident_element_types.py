"""X/Z/D and the like are resolved by the Type that an element has in the object's IOD, at every level (PS3.15 E.3)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.rule_book import RuleBook
from service.deident.rules import Action
from tests.datasets import ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
SOP_CLASSES = (
    uid.CTImageStorage,
    uid.MRImageStorage,
    uid.PositronEmissionTomographyImageStorage,
    uid.UltrasoundMultiFrameImageStorage,
    uid.DigitalMammographyXRayImageStorageForPresentation,
    uid.DigitalXRayImageStorageForPresentation,
    uid.XRayAngiographicImageStorage,
    uid.SecondaryCaptureImageStorage,
    uid.SegmentationStorage,
    uid.Comprehensive3DSRStorage,
    uid.RTStructureSetStorage,
    uid.RTPlanStorage,
    uid.GrayscaleSoftcopyPresentationStateStorage,
    uid.KeyObjectSelectionDocumentStorage,
    uid.EncapsulatedPDFStorage,
    uid.TwelveLeadECGWaveformStorage,
)
STRICTNESS = {"1": 3, "1C": 3, "2": 2, "2C": 2, "3": 1}
NUMBERS = {"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "OB", "OD", "OF", "OL", "OV", "OW", "SQ"}
"""VRs of which an element that the table does not name is kept, or cleaned item by item."""


@pytest.fixture(scope="module")
def basic():
    return load_profile(PROFILES, "basic")


@pytest.fixture(scope="module")
def standard():
    """The module tables of PS3.3, as highdicom carries them."""
    folder = Path(importlib.util.find_spec("highdicom").submodule_search_locations[0]) / "_standard"
    names = ("module_attribute_map", "iod_module_map", "sop_class_iod_map")
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in names}


@pytest.mark.parametrize("sop_class", SOP_CLASSES, ids=lambda sop_class: sop_class.keyword)
def test_no_element_is_taken_for_less_than_its_type(basic, standard, sop_class):
    iod = standard["sop_class_iod_map"][sop_class]
    looked_at, weaker = 0, []
    for module in standard["iod_module_map"][iod]:
        for element in standard["module_attribute_map"].get(module["key"], []):
            tag = tag_for_keyword(element["keyword"])
            parent = tag_for_keyword(element["path"][-1]) if element["path"] else 0
            if tag is None or parent is None or element["type"] not in STRICTNESS:
                continue
            if basic.attributes.row(tag) is None and NUMBERS & set(dictionary_VR(tag).split(" or ")):
                continue
            looked_at += 1
            if STRICTNESS[basic.types.level(iod, parent).get(tag, "3")] < STRICTNESS[element["type"]]:
                weaker.append((element["keyword"], element["path"]))
    assert looked_at > 500
    assert weaker == []


RESOLVED = {
    "X": {"3": Action.REMOVE, "2": Action.EMPTY, "1": Action.DUMMY},
    "X/Z": {"3": Action.REMOVE, "2": Action.EMPTY, "1": Action.DUMMY},
    "X/D": {"3": Action.REMOVE, "2": Action.EMPTY, "1": Action.DUMMY},
    "X/Z/D": {"3": Action.REMOVE, "2": Action.EMPTY, "1": Action.DUMMY},
    "Z": {"3": Action.EMPTY, "2": Action.EMPTY, "1": Action.DUMMY},
    "Z/D": {"3": Action.EMPTY, "2": Action.EMPTY, "1": Action.DUMMY},
    "D": {"3": Action.DUMMY, "2": Action.DUMMY, "1": Action.DUMMY},
}


def test_an_action_code_is_resolved_by_type_in_every_iod(basic, standard):
    book, met = RuleBook(basic), set()
    texts = {tag: row for tag, row in basic.attributes.rows().items() if row.vr in ("LO", "SH", "ST", "DA", "TM")}
    for iod in sorted({standard["sop_class_iod_map"][sop_class] for sop_class in SOP_CLASSES}):
        for tag, row in texts.items():
            if tag not in basic.elements and tag >> 16 >= 8:
                kind = basic.types.level(iod, 0).get(tag, "3")
                assert book.rule(iod, 0, tag, row.vr).action is RESOLVED[row.basic][kind], (row.keyword, iod)
                met.add((row.basic, kind))
    assert len(met) >= 12


def test_references_that_the_table_would_remove_keep_new_uids(basic):
    image, reference = ct_slice(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, "1.2.3.4"
    image.SourceImageSequence = Sequence([reference])
    deidentifier = Deidentifier(basic, KeyFile.ephemeral().project_keys("p"))
    (kept,) = deidentifier.clean(image).data_set.SourceImageSequence
    assert kept.ReferencedSOPInstanceUID == deidentifier.map_uid("1.2.3.4")


def test_references_by_type_go_where_the_iod_lets_them():
    image, reference = ct_slice(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, "1.2.3.4"
    image.SourceImageSequence = Sequence([reference])
    strict = load_profile(PROFILES, "strict")
    cleaned = Deidentifier(strict, KeyFile.ephemeral().project_keys("p")).clean(image).data_set
    assert "SourceImageSequence" not in cleaned
