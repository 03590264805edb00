"""How far an export came: a record for each study, written when all of its files are on disk.

A run that was killed is repeated: what has a record that still holds is kept, the rest is written again, to the same
bytes. A record holds no longer when anything changed that the study's files were made from.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from service.errors import BadRequest
from service.formats.case_record import CaseRecord
from service.formats.staged_file import DatasetFolder, WrittenFile
from service.formats.study_cases import NoCase

STATE: Final = ".annogate-export"
MANIFEST: Final = "manifest.json"
_PLAN: Final = f"{STATE}/plan.json"


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What became of a study; ``digest`` is over everything that its files were made from."""

    study_uid: str
    digest: str
    cases: tuple[CaseRecord, ...]
    no_cases: tuple[NoCase, ...]

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it failed; what failed is tried again."""
        return not any(one.is_fault for one in self.no_cases)

    @property
    def files(self) -> Iterator[WrittenFile]:
        """Every file of its cases."""
        return (file for case in self.cases for _, file in case.files)


class ExportState:
    """The records of a dataset's folder.

    Parameters
    ----------
    folder : the dataset's
    """

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._state = folder.root / STATE

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other exports out of the folder meanwhile, and remove what a kill left.

        Raises
        ------
        BadRequest : another one writes into it, or it holds something else
        """
        root = self._folder.root
        if root.exists() and not root.is_dir():
            raise BadRequest(f"{root} is a file; a dataset needs a folder")
        if root.is_dir() and not self._state.is_dir() and any(root.iterdir()):
            raise BadRequest(f"{root} holds something else already: name an empty folder, or one of an earlier export")
        self._state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadRequest(f"another export is writing into {root}") from None
            self._folder.remove_parts()
            yield
        finally:
            os.close(descriptor)

    def begin(self, options: dict[str, Any], today: str) -> str:
        """Note what is exported; the day on which an export with these options was begun here, ISO 8601."""
        try:
            plan = json.loads((self._folder.root / _PLAN).read_bytes())
        except (OSError, ValueError):
            plan = {}
        # As JSON has them: a tuple is a list there.
        if plan.get("options") == json.loads(json.dumps(options)):
            return str(plan["created"])
        self._folder.write_bytes(_PLAN, _encoded({"options": options, "created": today}))
        self._folder.sync([_PLAN])
        return today

    def record(self, study_uid: str) -> StudyRecord | None:
        """What is known of a study; None where there is no record, or none that can be read."""
        return _read(self._folder.root / self._place(study_uid))

    def keep(self, record: StudyRecord) -> None:
        """Write a study's record, after its files, and remove files that an older record names and it does not."""
        before = self.record(record.study_uid)
        self._folder.sync(file.path for file in record.files)
        place = self._place(record.study_uid)
        self._folder.write_bytes(place, _encoded(asdict(record)))
        self._folder.sync([place])
        if before is not None:
            kept = {file.path for file in record.files}
            self._remove(file for file in before.files if file.path not in kept)

    def forget_others(self, study_uids: Iterable[str]) -> bool:
        """Remove records and files of every other study; whether there was one."""
        wanted = {self._name(uid) for uid in study_uids}
        others = [path for path in self._records() if path.stem not in wanted]
        for path in others:
            if (record := _read(path)) is not None:
                self._remove(record.files)
            path.unlink()
        return bool(others)

    def invalidate(self) -> None:
        """Take the dataset's manifest away: what it lists is about to change."""
        self._folder.remove(MANIFEST)

    def records(self) -> Iterator[StudyRecord]:
        """Every study's record, by its name."""
        for path in self._records():
            if (record := _read(path)) is not None:
                yield record

    def _remove(self, files: Iterable[WrittenFile]) -> None:
        for file in files:
            self._folder.remove(file.path)

    def _records(self) -> list[Path]:
        return sorted((self._state / "studies").glob("*.json"))

    def _place(self, study_uid: str) -> str:
        return f"{STATE}/studies/{self._name(study_uid)}.json"

    @staticmethod
    def _name(study_uid: str) -> str:
        return hashlib.sha256(study_uid.encode()).hexdigest()[:32]


def _encoded(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _read(path: Path) -> StudyRecord | None:
    try:
        document = json.loads(path.read_bytes())
        return StudyRecord(
            document["study_uid"],
            document["digest"],
            tuple(_case(case) for case in document["cases"]),
            tuple(NoCase(**one) for one in document["no_cases"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _case(document: dict[str, Any]) -> CaseRecord:
    files = tuple((role, WrittenFile(**file)) for role, file in document["files"])
    shape, spacing = tuple(document["shape"]), tuple(document["spacing_mm"])
    return CaseRecord(**document | {"files": files, "shape": shape, "spacing_mm": spacing})
