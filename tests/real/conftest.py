"""What tests of real images share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import config

from service.core.pydicom_reading import read_leniently


@pytest.fixture
def lenient() -> Iterator[None]:
    """As the gateway reads; put back afterwards, since it is pydicom's one setting for the process."""
    before = config.settings.reading_validation_mode
    read_leniently()
    yield
    config.settings.reading_validation_mode = before
