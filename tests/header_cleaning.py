"""Headers as they are read, and what cleans them: shared by the tests of what becomes of a header."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.vault import Vault
from tests.datasets import as_file

PROFILES = Path(__file__).parents[1] / "config" / "profiles"
KEY_FILE = KeyFile.ephemeral()


def deidentifier(profile: str = "default", project: str = "p", key_file: KeyFile = KEY_FILE) -> Deidentifier:
    """Return what cleans by a profile, with a vault that leads back."""
    return Deidentifier(load_profile(PROFILES, profile), key_file.project_keys(project), Vault(key_file, project))


def raw(data_set: Dataset, transfer_syntax_uid: str = "1.2.840.10008.1.2.1") -> Dataset:
    """Return a data set as it is after reading: elements not yet converted."""
    return dcmread(BytesIO(as_file(data_set, transfer_syntax_uid)))


def item(**values: object) -> Dataset:
    """Make an item of a sequence."""
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set
