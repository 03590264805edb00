"""A called AE title is a project's own; callers are known by AE title and address."""

from __future__ import annotations

import pytest

from dicom_nodes.callers import Rejection
from service.ingest.callers import KnownCaller, ProjectCallers

TITLES = {"ANNOGATE": "default", "TRIAL": "trial"}
CT = KnownCaller("CT1", networks=("10.1.2.0/24", "192.0.2.7"), projects=("default",))


@pytest.mark.parametrize(
    ("calling", "called", "address", "answer"),
    [
        ("CT1", "ANNOGATE", "10.1.2.9", None),
        ("CT1", "ANNOGATE", "192.0.2.7", None),
        ("CT1", "ANNOGATE", "::ffff:10.1.2.9", None),
        ("CT1", "ANNOGATE", "10.1.3.9", Rejection.ADDRESS_NOT_ALLOWED),
        ("CT1", "TRIAL", "10.1.2.9", Rejection.CALLING_UNKNOWN),
        ("CT2", "ANNOGATE", "10.1.2.9", Rejection.CALLING_UNKNOWN),
        ("CT1", "NOBODY", "10.1.2.9", Rejection.CALLED_UNKNOWN),
    ],
)
def test_strict_node_admits_only_what_is_listed(
    calling: str, called: str, address: str, answer: Rejection | None
) -> None:
    assert ProjectCallers(TITLES, [CT], reject_unknown=True).admit(calling, called, address) is answer


def test_open_node_admits_unknown_callers_but_holds_known_ones_to_their_address() -> None:
    callers = ProjectCallers(TITLES, [CT], reject_unknown=False)
    assert callers.admit("ANYBODY", "TRIAL", "203.0.113.1") is None
    assert callers.admit("CT1", "ANNOGATE", "203.0.113.1") is Rejection.ADDRESS_NOT_ALLOWED


def test_called_title_finds_its_project() -> None:
    callers = ProjectCallers(TITLES, [], reject_unknown=False)
    assert (callers.project_of("TRIAL"), callers.project_of("OTHER")) == ("trial", None)
