"""What a format is to a dataset: it writes the files of a case, and those of the whole when all cases are there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from service.formats.case import Case
from service.formats.case_record import DatasetDescription, Json, Records
from service.formats.labels import Label
from service.formats.staged_file import DatasetFolder, Sink, WrittenFile
from service.formats.tables import Table


class CaseFiles:
    """The files of one case on their way; all of them are forgotten when the case cannot be written.

    Parameters
    ----------
    folder : the dataset's
    """

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self.written: list[tuple[str, WrittenFile]] = []

    def write(self, role: str, path: str, fill: Callable[[Sink], None], *, compressed: bool = False) -> None:
        """Write one file."""
        self.written.append((role, self._folder.write(path, fill, compressed=compressed)))

    def write_bytes(self, role: str, path: str, content: bytes) -> None:
        """Write one file that is in memory."""
        self.write(role, path, lambda sink: sink.write(content))

    def forget(self) -> None:
        """Remove what was written."""
        for _, file in self.written:
            self._folder.remove(file.path)
        self.written.clear()


class Layout(ABC):
    """One format of a dataset.

    Parameters
    ----------
    labels : those that the dataset may hold, by number
    """

    name: ClassVar[str]
    tables_as_parquet: ClassVar[bool] = False
    tables: ClassVar[tuple[Table, ...]] = ()
    """Those that it has beside the ones of every dataset."""

    def __init__(self, labels: tuple[Label, ...]) -> None:
        self.labels = labels

    @property
    def options(self) -> Json:
        """What bears on the files beside the case and the labels."""
        return {}

    @abstractmethod
    def write(self, case: Case, files: CaseFiles) -> Any:
        """Write the files of a case; what is returned, as JSON, comes back in its record.

        Raises
        ------
        FormatRefused : the format cannot hold it
        """

    def finish(self, dataset: DatasetDescription, records: Records, folder: DatasetFolder) -> list[WrittenFile]:  # noqa: ARG002 (most formats have nothing to add)
        """Write the format's own files of the whole.

        Raises
        ------
        FormatRefused : the format cannot hold these cases together
        """
        return []
