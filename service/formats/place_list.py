"""Which file belongs to which series: the tables that an export writes, read back."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from service.errors import BadRequest, FormatRefused
from service.formats.mask_files import stem_of

_CHANNEL: Final = "_0000"


@dataclass(frozen=True, slots=True)
class PicturePlace:
    """The image behind a picture, as served."""

    series_uid: str
    sop_instance_uid: str
    frame: int


@dataclass(frozen=True, slots=True)
class CaseList:
    """Series by case (tables/cases.csv), or one series for whatever comes.

    Parameters
    ----------
    only : the series of every file, where there is but one
    """

    series: Mapping[str, str] = field(default_factory=dict)
    only: str = ""

    @classmethod
    def read(cls, file: Path) -> CaseList:
        """A CSV file with the columns case and series_uid.

        Raises
        ------
        BadRequest : it has not
        """
        return cls({row["case"]: row["series_uid"] for row in _rows(file, {"case", "series_uid"})})

    def series_of(self, file: Path) -> str:
        """The series of a file: by its own name, or that of its folder.

        Raises
        ------
        FormatRefused : nobody says which it is
        """
        if self.only:
            return self.only
        for name in (stem_of(file), stem_of(file).removesuffix(_CHANNEL), file.parent.name):
            if name in self.series:
                return self.series[name]
        raise FormatRefused(f"no case of the list is called {stem_of(file)}: name the file so, or say --series")


@dataclass(frozen=True, slots=True)
class PictureList:
    """Images by picture (tables/pictures.csv)."""

    places: Mapping[str, PicturePlace]

    @classmethod
    def read(cls, file: Path) -> PictureList:
        """A CSV file with the columns file, series_uid, sop_instance_uid and frame.

        Raises
        ------
        BadRequest : it has not
        """
        places: dict[str, PicturePlace] = {}
        for row in _rows(file, {"file", "series_uid", "sop_instance_uid", "frame"}):
            if not row["frame"].isdecimal():
                raise BadRequest(f"{file.name}: frame {row['frame']!r} of {row['file']} is no number")
            place = PicturePlace(row["series_uid"], row["sop_instance_uid"], int(row["frame"]))
            places[_short(row["file"])] = place
        return cls(places)

    def place_of(self, file: str | Path) -> PicturePlace:
        """The image behind a picture, known by its folder and its name.

        Raises
        ------
        FormatRefused : it is not in the list
        """
        found = self.places.get(_short(str(file)))
        if found is None:
            raise FormatRefused(f"{_short(str(file))} is not in the list of pictures")
        return found


def _short(path: str) -> str:
    """The last folder and the name: what images/CASE/0001.png and masks/CASE/0001.png share."""
    return "/".join(PurePosixPath(path).parts[-2:])


def _rows(file: Path, columns: Iterable[str]) -> list[dict[str, Any]]:
    wanted = set(columns)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"{file}: it cannot be read as CSV in UTF-8") from error
    if not rows or wanted - set(rows[0]) or any(row[name] is None for row in rows for name in wanted):
        raise BadRequest(f"{file}: it has rows with the columns {', '.join(sorted(wanted))}")
    return rows
