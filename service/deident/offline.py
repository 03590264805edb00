"""De-identification of files without a server: what ``annogate deid`` does.

Files are taken one after the other, so that their number does not matter; a bad one is reported and the next goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.condensed import DEFAULT_HELD
from service.deident.code_streams.frame_comments import decisions_on, without_comments
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.decision_values import with_values
from service.deident.deidentifier import Deidentifier
from service.deident.dicom_file import OpenFile, read_dicom, with_new_pixels, write_dicom
from service.deident.keys import KeyFile
from service.deident.overlay_bits import without_overlay_bits
from service.deident.pixel_bytes import PixelBytes
from service.deident.pixel_look import PixelLook
from service.deident.pixel_rest import frames_of, refuse_pixel_rest
from service.deident.pixels.pixel_outcome import BlackenedPixels, PixelOutcome
from service.deident.pixels.pixel_outcome import OutcomeKind as PixelKind
from service.deident.profile import load_profile
from service.deident.rules import Decision
from service.deident.seen_header import header_copy, header_without_text
from service.deident.separate_pixel_cleaner import LookLimits, SeparatePixelCleaner
from service.deident.text_cleaning.name_recogniser import NameRecogniser
from service.errors import PixelsNeedPerson

if TYPE_CHECKING:
    from service.deident.offline_faces import OfflineFaces
    from service.deident.pixels.pixel_cleaner import PixelCleaning

PROJECT = "offline"


class FileStatus(StrEnum):
    """What became of one file."""

    WRITTEN = "written"
    LISTED = "listed"
    """What would happen was listed; nothing was written."""
    REFUSED = "refused"


class Values(StrEnum):
    """Which values decisions carry."""

    NONE = "none"
    AFTER = "after"
    BOTH = "both"
    """Those before cleaning as well: identity, for the caller's own eyes."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file and what became of it; ``reason`` holds no value of the patient's, ``decisions`` only when asked for.

    ``source`` is the path that the caller named, which may hold identity; it is for the caller's own eyes. ``pixels``
    says what became of the pixels; None where the profile does not clean them, or there are none.
    """

    source: Path
    status: FileStatus
    written: Path | None = None
    reason: str = ""
    elements_removed: int = 0
    elements_replaced: int = 0
    decisions: tuple[Decision, ...] = ()
    pixels: PixelKind | None = None
    regions_blackened: int = 0


def offline_deidentifier(
    profiles: Path, profile_name: str, key_file: Path | None = None, recogniser: NameRecogniser | None = None
) -> Deidentifier:
    """Return what cleans files: with the keys of a key file, made when missing, or with keys that are forgotten.

    With a key file the same input gives the same output again, also in another run. A recogniser finds names in texts
    besides words and patterns.

    Raises
    ------
    SettingsInvalid : the profile is refused
    KeysMissing : the key file is damaged, or others may read it
    """
    profile = load_profile(profiles, profile_name, recogniser=recogniser)
    if key_file is None:
        keys = KeyFile.ephemeral()
    elif key_file.exists():
        keys = KeyFile.load(key_file)
    else:
        keys = KeyFile.create(key_file)
    return Deidentifier(profile, keys.project_keys(PROJECT))


def offline_pixel_cleaner(devices: Path, limits: LookLimits, threads: int = 1) -> SeparatePixelCleaner:
    """Return what looks at pixels, by the files under config/devices; to be closed.

    Parameters
    ----------
    threads : of text recognition

    Raises
    ------
    SettingsInvalid : something in the files is unknown, named in words
    """
    from service.deident.pixels.pixel_cleaner import load_pixel_cleaner

    cleaner = SeparatePixelCleaner(partial(load_pixel_cleaner, devices, threads), limits)
    cleaner.check()
    return cleaner


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files named, and those below the directories named, in order; hidden ones are left out."""
    for path in paths:
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.is_file())
            yield from sorted(file for file in found if not file.name.startswith("."))
        else:
            yield path


def deidentify_files(
    paths: Iterable[Path],
    deidentifier: Deidentifier,
    directory: Path | None,
    *,
    pixels: PixelCleaning | None = None,
    faces: OfflineFaces | None = None,
    explain: bool = False,
    values: Values = Values.NONE,
    header_limit: int = DEFAULT_HELD,
) -> Iterator[FileResult]:
    """De-identify files into a directory, which is made when missing, or list what would happen.

    Parameters
    ----------
    paths : files and directories
    directory : where the clean files go, named by their new SOP Instance UIDs; None writes nothing
    pixels : looks at pixels where the profile cleans them; without it headers alone are cleaned, and stamped so
    faces : finds and removes faces where the profile asks for it; without it nothing is said to have lost one
    explain : whether results carry a decision for each element
    values : which values the decisions carry
    header_limit : what may be held of a file beside its pixels, in bytes
    """
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    files: Iterable[Path] = files_below(paths)
    if faces is not None and deidentifier.removes_faces:
        files = list(files)
        faces.look(files)
    for path in files:
        try:
            yield _deidentify(
                path, deidentifier, directory, pixels, faces, header_limit, explain=explain, values=values
            )
        except GatewayError as error:
            yield FileResult(path, FileStatus.REFUSED, reason=str(error))
        except FileExistsError:
            reason = "another file with the same SOP Instance UID was written before"
            yield FileResult(path, FileStatus.REFUSED, reason=reason)
        except OSError as error:
            yield FileResult(path, FileStatus.REFUSED, reason=error.strerror or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one file of many; its own words could quote a value
            yield FileResult(path, FileStatus.REFUSED, reason=f"cannot be cleaned ({type(error).__name__})")


def _deidentify(
    path: Path,
    deidentifier: Deidentifier,
    directory: Path | None,
    pixels: PixelCleaning | None,
    faces: OfflineFaces | None,
    header_limit: int,
    *,
    explain: bool,
    values: Values,
) -> FileResult:
    with path.open("rb") as stream:
        source = read_dicom(stream, header_limit)
        if source.pixels is not None and not source.pixels.encapsulated:
            refuse_pixel_rest(source.pixel_value, source.header)
            source = _without_overlay_bits(source)
        outcome = None
        if pixels is not None and deidentifier.cleans_pixels and source.pixels is not None:
            outcome = _looked_at(source, pixels)
            source = _as_seen(source, outcome)
        no_face = False
        if pixels is not None and faces is not None:
            source, no_face = faces.without_face(path, source, pixels)
        source, blanked = _without_comments(source, deidentifier.harmless_comments)
        cleaned = deidentifier.clean(source.header, explain=explain, aside=source.aside)
        look = PixelLook.NONE if outcome is None else PixelLook.of(outcome.kind)
        if look or no_face:
            cleaned = deidentifier.with_clean_pixels(cleaned, look=look, faces_removed=no_face)
        written = None if directory is None else write_dicom(directory, source, cleaned.data_set, cleaned.encoded)
        before = source.header if values is Values.BOTH else None
        after = None if values is Values.NONE else cleaned.data_set
        decisions = with_values(cleaned.decisions + (blanked if explain else ()), before, after)
    return FileResult(
        source=path,
        status=FileStatus.LISTED if directory is None else FileStatus.WRITTEN,
        written=written,
        elements_removed=cleaned.elements_removed,
        elements_replaced=cleaned.elements_replaced,
        decisions=decisions,
        pixels=None if outcome is None else outcome.kind,
        regions_blackened=len(outcome.regions) if outcome is not None else 0,
    )


def _looked_at(source: OpenFile, pixels: PixelCleaning) -> PixelOutcome:
    """How the look at a file's pixels ended.

    Raises
    ------
    PixelsNeedPerson : nobody but a person can decide; with the reason
    """
    value = PixelBytes(source.pixel_value)
    outcome = pixels.examine(header_copy(source.header), value, str(source.transfer_syntax_uid))
    if outcome.kind is PixelKind.NEEDS_PERSON:
        raise PixelsNeedPerson(f"its pixels are for a person to decide on: {outcome.reason}")
    return outcome


def _without_overlay_bits(source: OpenFile) -> OpenFile:
    """The file without overlay planes in unused bits of its native pixels; the same where there are none."""
    cleared = without_overlay_bits(source.header, PixelBytes(source.pixel_value), str(source.transfer_syntax_uid))
    return source if cleared is None else with_new_pixels(source, cleared)


def _without_comments(source: OpenFile, harmless: HarmlessComments) -> tuple[OpenFile, tuple[Decision, ...]]:
    """The file without comments in its compressed frames, and what to say of them; the same where there are none."""
    if source.pixels is None or not source.pixels.encapsulated:
        return source, ()
    syntax = str(source.transfer_syntax_uid)
    value = without_comments(source.pixel_value, syntax, frames_of(source.header), harmless)
    if value is None:
        return source, ()
    blanked = with_new_pixels(source, BlackenedPixels(PixelBytes(value), syntax, True, Dataset()))
    return blanked, decisions_on(value)


def _as_seen(source: OpenFile, outcome: PixelOutcome) -> OpenFile:
    """The file with the pixels that may be kept, and what its header has to say about them."""
    if outcome.blackened is not None:
        source = with_new_pixels(source, outcome.blackened)
    return replace(source, header=header_without_text(source.header)) if outcome.free_of_text else source
