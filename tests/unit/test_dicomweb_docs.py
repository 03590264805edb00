"""What docs/dicomweb.md lists is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.core.search import SEARCH_KEYS, Level


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "dicomweb.md").read_text()


@pytest.mark.parametrize("level", list(Level))
def test_search_keys_are_listed(page: str, level: Level) -> None:
    (row,) = re.findall(rf"^\| {level.name.lower()} \| (.*) \|$", page, re.MULTILINE)
    assert row.split(", ") == [key.keyword for key in SEARCH_KEYS if key.level is level]


def test_failure_reasons_are_listed(page: str) -> None:
    from dicom_nodes.errors import InstanceUnreadable, SopClassMismatch, SopClassNotSupported, StorageExhausted
    from service.errors import (
        ContentConflict,
        FramesNotReadable,
        IdentityNotRemovable,
        InstanceInTrash,
        PatientMismatch,
        PixelRestFound,
        PixelsNeedPerson,
        TransferSyntaxNotSupported,
    )
    from service.ingest.series_awaited import SeriesAwaited
    from service.web.dicomweb.stow import StudyMismatch

    errors = (
        *(InstanceUnreadable, SopClassMismatch, SopClassNotSupported, StorageExhausted, ContentConflict),
        *(IdentityNotRemovable, PatientMismatch, TransferSyntaxNotSupported, StudyMismatch),
        *(PixelsNeedPerson, SeriesAwaited, PixelRestFound, FramesNotReadable, InstanceInTrash),
    )
    listed = {int(code, 16) for code in re.findall(r"^\| (0x[0-9A-F]{4}) \|", page, re.MULTILINE)}
    assert listed == {error.dimse_status for error in errors} | {0x0110}
