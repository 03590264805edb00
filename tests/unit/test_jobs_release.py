"""What may leave for the PACS, and what never does."""

from __future__ import annotations

import itertools

import pytest

from service.core.release import Held, may_leave, why_held


@pytest.mark.parametrize(("approve", "approved"), list(itertools.product(["person", "automatic"], [True, False])))
def test_demonstrator_never_leaves_without_leave(approve, approved):
    held = may_leave(demonstrator=True, allow_demonstrator=False, approve=approve, approved=approved)
    assert held is Held.DEMONSTRATOR


@pytest.mark.parametrize("demonstrator", [True, False])
def test_unapproved_result_waits_for_a_person(demonstrator):
    held = may_leave(demonstrator=demonstrator, allow_demonstrator=True, approve="person", approved=False)
    assert held is Held.NOT_APPROVED


@pytest.mark.parametrize(("approve", "approved"), [("person", True), ("automatic", False), ("automatic", True)])
def test_approved_or_automatic_result_leaves(approve, approved):
    assert may_leave(demonstrator=False, allow_demonstrator=False, approve=approve, approved=approved) is None


@pytest.mark.parametrize(
    ("project", "held"),
    [
        ({"demonstrator": True, "allow_demonstrator": False}, Held.DEMONSTRATOR),
        ({"demonstrator": True}, Held.NOT_APPROVED),
        ({"approve": "automatic", "has_target": False}, Held.NO_TARGET),
        ({"approve": "automatic"}, Held.NO_DELIVERY),
    ],
)
def test_every_result_has_a_reason_to_stay_while_nothing_delivers(project, held):
    asked = {"demonstrator": False, "allow_demonstrator": True, "approve": "person", "has_target": True}
    assert why_held(**(asked | project)) is held
