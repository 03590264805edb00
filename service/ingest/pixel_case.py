"""What a person is told of an object whose pixels they are to decide on: where to look, never what it read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from service.deident.pixels.pixel_outcome import Region, RegionOrigin
from service.errors import BadRequest, PixelsNeedPerson
from service.ingest.sealed_file import erase_sealed, read_sealed, write_sealed

# The edges draw and list regions, and know ingest alone.
__all__ = ["MOST_REGIONS", "SUFFIX", "PixelCase", "PixelCaseFiles", "PixelsFound", "Region"]

SUFFIX: Final = ".regions"
MOST_REGIONS: Final = 500


@dataclass(frozen=True, slots=True)
class PixelCase:
    """The size of an object's pixels and what was found in them.

    Parameters
    ----------
    regions : what was found or named by a rule; empty where nobody could look
    """

    rows: int
    columns: int
    frames: int
    regions: tuple[Region, ...] = ()

    def checked(self, drawn: Sequence[Region]) -> tuple[Region, ...]:
        """Regions as a person drew them, cut to the image.

        Raises
        ------
        BadRequest : one lies outside of the image or names a frame that there is not, or there are too many
        """
        if len(drawn) > MOST_REGIONS:
            raise BadRequest(f"there are more than {MOST_REGIONS} regions; blacken larger ones")
        return tuple(self._cut(region, number) for number, region in enumerate(drawn, 1))

    def _cut(self, region: Region, number: int) -> Region:
        left, top = max(region.x, 0), max(region.y, 0)
        right, bottom = min(region.x + region.width, self.columns), min(region.y + region.height, self.rows)
        if right <= left or bottom <= top:
            raise BadRequest(f"region {number} is empty or lies outside of the image")
        if region.frame is not None and not 1 <= region.frame <= self.frames:
            raise BadRequest(f"region {number} names a frame that there is not")
        cut = replace(region, x=left, y=top, width=right - left, height=bottom - top)
        return replace(cut, origin=RegionOrigin.PERSON)


class PixelsFound(PixelsNeedPerson):
    """An object's pixels wait for a person, who is told this case."""

    def __init__(self, message: str, case: PixelCase) -> None:
        super().__init__(message)
        self.case = case


class PixelCaseFiles:
    """Sealed files beside the objects in quarantine, one for each whose pixels wait for a person.

    Where a text stood on a screen can tell which machine made it, so this is kept as the object is.
    """

    def __init__(self, directory: Path, sealing_key: bytes) -> None:
        self._directory = directory
        self._sealing_key = sealing_key

    def write(self, quarantine_id: str, case: PixelCase) -> None:
        """Keep a case, in the place of an earlier one."""
        regions = [
            [region.x, region.y, region.width, region.height, region.frame, region.origin] for region in case.regions
        ]
        content = {"rows": case.rows, "columns": case.columns, "frames": case.frames, "regions": regions}
        write_sealed(self._path(quarantine_id), [json.dumps(content).encode()], self._sealing_key)

    def read(self, quarantine_id: str) -> PixelCase | None:
        """The case of an object; None where there is none.

        Raises
        ------
        KeysMissing : the key file does not fit
        """
        try:
            content = json.loads(read_sealed(self._path(quarantine_id), self._sealing_key)[:])
        except FileNotFoundError:
            return None
        regions = tuple(
            Region(x, y, width, height, frame, RegionOrigin(origin))
            for x, y, width, height, frame, origin in content["regions"]
        )
        return PixelCase(content["rows"], content["columns"], content["frames"], regions)

    def erase(self, quarantine_id: str) -> None:
        """Make a case unreadable for good; nothing happens when there is none."""
        erase_sealed(self._path(quarantine_id))

    def _path(self, quarantine_id: str) -> Path:
        return self._directory / f"{quarantine_id}{SUFFIX}"
