"""Remembered UIDs are what pynetdicom makes of them itself."""

from __future__ import annotations

import pytest
from pydicom.uid import UID
from pynetdicom import presentation, utils

from dicom_nodes.checked_uids import remember_checked_uids, set_uid

VALUES = ["1.2.840.10008.1.2", b"1.2.840.10008.1.2\0", UID("1.2.3"), "", None, "not one", "1." * 40 + "1", 7, b"\xff"]


def outcome(function, value, **options):  # type: ignore[no-untyped-def]
    try:
        made = function(value, "Abstract Syntax", **options)
    except Exception as error:  # noqa: BLE001 -- whatever the original raises
        return type(error), str(error)
    return type(made), made


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("options", [{}, {"validate": False}, {"allow_empty": False}, {"allow_none": False}], ids=repr)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_remembered_uid_is_what_the_original_makes(value: object, options: dict[str, bool]) -> None:
    expected = outcome(utils.set_uid, value, **options)
    assert [outcome(set_uid, value, **options) for _ in range(2)] == [expected] * 2


def test_pynetdicom_uses_it_once_a_node_was_made() -> None:
    remember_checked_uids()
    remember_checked_uids()
    assert presentation.set_uid is set_uid
