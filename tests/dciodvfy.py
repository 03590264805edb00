"""What dciodvfy (dicom3tools) says of an object."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pydicom.dataset import Dataset

from tests.patience import PATIENCE_S


def errors_in(data_set: Dataset, folder: Path) -> list[str]:
    """Its lines that begin with Error; the object is written into the folder."""
    path = folder / f"{data_set.SOPInstanceUID}.dcm"
    data_set.save_as(path, enforce_file_format=True)
    told = subprocess.run(
        ["/usr/bin/dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    lines = (told.stdout + told.stderr).splitlines()
    assert lines, "dciodvfy names the IOD at least"
    return [line for line in lines if line.startswith("Error")]
