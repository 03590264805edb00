"""De-identification of files without a server: what ``annogate deid`` does.

Files are taken one after the other, so that their number does not matter; a bad one is reported and the next goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dicom_nodes.errors import GatewayError
from service.deident.deidentifier import Deidentifier
from service.deident.dicom_file import read_dicom, write_dicom
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.rules import Decision

PROJECT = "offline"


class FileStatus(StrEnum):
    """What became of one file."""

    WRITTEN = "written"
    LISTED = "listed"
    """What would happen was listed; nothing was written."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file and what became of it; ``reason`` and ``decisions`` hold no value of the patient's.

    ``source`` is the path that the caller named, which may hold identity; it is for the caller's own eyes.
    """

    source: Path
    status: FileStatus
    written: Path | None = None
    reason: str = ""
    elements_removed: int = 0
    elements_replaced: int = 0
    decisions: tuple[Decision, ...] = ()


def offline_deidentifier(profiles: Path, profile_name: str, key_file: Path | None = None) -> Deidentifier:
    """Return what cleans files: with the keys of a key file, made when missing, or with keys that are forgotten.

    With a key file the same input gives the same output again, also in another run.

    Raises
    ------
    SettingsInvalid : the profile is refused
    KeysMissing : the key file is damaged, or others may read it
    """
    profile = load_profile(profiles, profile_name)
    if key_file is None:
        keys = KeyFile.ephemeral()
    elif key_file.exists():
        keys = KeyFile.load(key_file)
    else:
        keys = KeyFile.create(key_file)
    return Deidentifier(profile, keys.project_keys(PROJECT))


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files named, and those below the directories named, in order; hidden ones are left out."""
    for path in paths:
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.is_file())
            yield from sorted(file for file in found if not file.name.startswith("."))
        else:
            yield path


def deidentify_files(
    paths: Iterable[Path], deidentifier: Deidentifier, directory: Path | None, *, explain: bool = False
) -> Iterator[FileResult]:
    """De-identify files into a directory, which is made when missing, or list what would happen.

    Parameters
    ----------
    paths : files and directories
    directory : where the clean files go, named by their new SOP Instance UIDs; None writes nothing
    explain : whether results carry a decision for each element
    """
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    for path in files_below(paths):
        try:
            yield _deidentify(path, deidentifier, directory, explain=explain)
        except GatewayError as error:
            yield FileResult(path, FileStatus.REFUSED, reason=str(error))
        except FileExistsError:
            reason = "another file with the same SOP Instance UID was written before"
            yield FileResult(path, FileStatus.REFUSED, reason=reason)
        except OSError as error:
            yield FileResult(path, FileStatus.REFUSED, reason=error.strerror or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one file of many; its own words could quote a value
            yield FileResult(path, FileStatus.REFUSED, reason=f"cannot be cleaned ({type(error).__name__})")


def _deidentify(path: Path, deidentifier: Deidentifier, directory: Path | None, *, explain: bool) -> FileResult:
    with path.open("rb") as stream:
        source = read_dicom(stream)
        cleaned = deidentifier.clean(source.header, explain=explain)
        written = None if directory is None else write_dicom(directory, source, cleaned.data_set)
    return FileResult(
        source=path,
        status=FileStatus.LISTED if directory is None else FileStatus.WRITTEN,
        written=written,
        elements_removed=cleaned.elements_removed,
        elements_replaced=cleaned.elements_replaced,
        decisions=cleaned.decisions,
    )
