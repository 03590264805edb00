"""What may leave for the PACS, and what never does."""

from __future__ import annotations

import itertools

import pytest

from service.core.release import Held, ReleaseRules, may_leave


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
    ("rules", "annotator", "approved", "held"),
    [
        ({}, "nodules", True, Held.DEMONSTRATOR),
        ({"allow_demonstrator": True}, "nodules", True, None),
        ({}, "triage", False, Held.NOT_APPROVED),
        ({}, "triage", True, None),
        ({"approve": "automatic"}, "triage", False, None),
        ({"deliver_to": ()}, "triage", True, Held.NO_TARGET),
        ({"deliver_to": ()}, "nodules", True, Held.DEMONSTRATOR),
        ({}, "an annotator that is not configured any more", True, Held.DEMONSTRATOR),
    ],
)
def test_project_says_what_keeps_a_result(rules, annotator, approved, held):
    project = ReleaseRules(**({"deliver_to": ("pacs",), "serious": frozenset({"triage"})} | rules))
    assert project.why_held(annotator, approved=approved) is held
