"""Objects of a study that refer to each other still find each other, whichever comes first, under every profile."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.pydicom_reading import read_leniently
from service.core.records import OutcomeKind
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import Profile, load_profile
from tests.datasets import encode
from tests.ingest_house import IngestHouse
from tests.referring_objects import own_uids, references, referring_objects
from tests.standard_attributes import TABLE

KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
PROFILES = sorted(path.stem for path in TABLE.parent.glob("*.toml"))
WITHOUT_REFERENCES = {"strict"}
"""Profiles that take references away where the IOD lets them: what is left of them must still hold."""
NAMES = tuple(referring_objects())
ORDERS = [order for number, order in enumerate(permutations(NAMES)) if number % 101 == 0]
"""Fifty of the 5,040 orders, spread over all."""


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@cache
def profile_named(name: str) -> Profile:
    return load_profile(TABLE.parent, name)


def cleaned_in(order: tuple[str, ...], profile: Profile) -> dict[str, Dataset]:
    """What becomes of all objects when they come in some order to a gateway that has seen nothing yet."""
    cleaner = Deidentifier(profile, KEYS)
    objects = referring_objects()
    return {name: cleaner.clean(objects[name]).data_set for name in order}


def all_uids(objects: dict[str, Dataset]) -> dict[str, str]:
    """What each UID of an object stands for: which object's, and which of its UIDs."""
    known: dict[str, str] = {}
    for name in NAMES:
        for keyword, uid in own_uids(objects[name]).items():
            known.setdefault(uid, f"{keyword} of {name}")
    return known


def graph(objects: dict[str, Dataset]) -> dict[str, str]:
    """What each reference to an object of the study leads to, by where it stands."""
    known = all_uids(objects)
    return {
        f"{name}: {path}": known[uid]
        for name, data_set in objects.items()
        for path, uid in references(data_set)
        if uid in known
    }


def test_the_study_is_full_of_references():
    found = graph(referring_objects())
    assert len(found) > 30
    assert len({place.split(":")[0] for place in found}) == 5


@pytest.mark.parametrize("profile", PROFILES)
def test_references_hold_in_every_order(profile):
    before = graph(referring_objects())
    for order in ORDERS:
        objects = cleaned_in(order, profile_named(profile))
        after = graph(objects)
        if profile in WITHOUT_REFERENCES:
            assert after.items() <= before.items()
        else:
            assert after == before
        assert set(all_uids(objects)).isdisjoint(all_uids(referring_objects()))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_order_changes_nothing(profile):
    first, *others = (
        {name: encode(one) for name, one in cleaned_in(o, profile_named(profile)).items()} for o in ORDERS[::10]
    )
    for other in others:
        assert other == first


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - WITHOUT_REFERENCES))
def test_what_is_tracked_is_the_same_in_all_objects(profile):
    objects = cleaned_in(NAMES, profile_named(profile))
    segment = objects["segmentation"].SegmentSequence[0].TrackingUID
    tracked = {uid for path, uid in references(objects["report"]) if path.endswith(".UID")}
    assert tracked == {segment}
    assert not segment.startswith("1.2.826.")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.permutations(NAMES))
def test_ingest_archives_them_in_any_order(tmp_path_factory, order):
    house = IngestHouse(tmp_path_factory.mktemp("house"))
    objects = referring_objects()
    outcomes = {name: house.pipeline.process(house.incoming(encode(objects[name]), "research")) for name in order}
    assert {outcome.kind for outcome in outcomes.values()} == {OutcomeKind.ARCHIVED}
    assert len({outcome.study_uid for outcome in outcomes.values()}) == 1
    rows = {name: house.index.find("research", outcome.sop_instance_uid) for name, outcome in outcomes.items()}
    stored = {name: dcmread(house.blobs.path(row.blob.key), stop_before_pixels=True) for name, row in rows.items()}
    house.close()
    assert graph(stored) == graph(referring_objects())
