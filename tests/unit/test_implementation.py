"""One Implementation Class UID (PS3.7 D.3.3.2): in associations and in every file that is written."""

from __future__ import annotations

from pydicom import dcmread

from dicom_nodes.listener import IMPLEMENTATION_CLASS_UID as OF_ASSOCIATIONS
from service.core.implementation import IMPLEMENTATION_CLASS_UID
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import deidentify_files
from service.deident.profile import load_profile
from service.demo.phantom import generate_phantom
from service.settings import Settings, config_directory


def test_associations_name_the_implementation_that_files_name():
    assert OF_ASSOCIATIONS == IMPLEMENTATION_CLASS_UID


def test_phantom_and_file_cleaned_offline_name_it(tmp_path):
    source = generate_phantom(1, tmp_path / "in", slices=10, rows=64).files[0]
    profile = load_profile(config_directory(Settings()) / "profiles", "default")
    keys = KeyFile.ephemeral().project_keys("offline")
    (result,) = deidentify_files([source], Deidentifier(profile, keys), tmp_path / "out")
    written = {str(dcmread(path).file_meta.ImplementationClassUID) for path in (source, result.written)}
    assert written == {IMPLEMENTATION_CLASS_UID}
