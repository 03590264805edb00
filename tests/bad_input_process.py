"""Takes one bad file in, within a limit on memory, and says on standard output what became of it and what it cost."""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.dicom_file import FileBytes
from service.deident.keys import KeyFile
from service.deident.offline import deidentify_files
from service.deident.profile import load_profile
from tests.ingest_house import IngestHouse
from tests.standard_attributes import TABLE


def main(how: str, path: Path, folder: Path, limit_mib: int, transfer_syntax_uid: str) -> None:
    read_leniently()
    resource.setrlimit(resource.RLIMIT_AS, (limit_mib << 20, limit_mib << 20))
    begun = time.monotonic()
    if how == "file":
        cleaner = Deidentifier(load_profile(TABLE.parent, "default"), KeyFile.ephemeral().project_keys("p"))
        (result,) = deidentify_files([path], cleaner, folder / "out")
        said = {"status": str(result.status), "reason": result.reason}
    else:
        house = IngestHouse(folder)
        with path.open("rb") as stream:
            incoming = house.incoming(b"", "research", transfer_syntax_uid)
            outcome = house.pipeline.process(replace(incoming, data_set=FileBytes.whole(stream.fileno())))
        house.close()
        said = {"status": str(outcome.kind), "reason": outcome.reason}
    # Not ru_maxrss: that begins with what the process that started this one held.
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024
    sys.stdout.write(json.dumps(said | {"seconds": time.monotonic() - begun, "peak_mib": peak}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    sys.stdout.flush()
    os._exit(0)  # what was taken in is not taken apart again: it may be nested thousands of levels deep
