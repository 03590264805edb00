"""Copies of the key file: made, read back, remembered; and what is told when there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from service.archive.vault_keys import VaultKeyTable
from service.deident.keys import KeyFile
from service.errors import BadRequest, KeysMissing

COMMAND = "annogate vault backup-key DEST"
NEVER = f"the key file was never backed up; without it nothing leads back from what is served ({COMMAND})"


class KeyBackups:
    """Looks after copies of one key file.

    Parameters
    ----------
    key_path : the key file
    data_directory : where no copy belongs: what takes the data takes it as well
    """

    def __init__(self, key_path: Path, data_directory: Path, table: VaultKeyTable) -> None:
        self._key_path = key_path
        self._data_directory = data_directory
        self._table = table

    def make(self, destination: Path) -> Path:
        """Copy the key file, read the copy back, and note it; the copy's place.

        Parameters
        ----------
        destination : a file that is not there yet, or a directory, where the copy is named by its content

        Raises
        ------
        BadRequest : it lies with the data, cannot be written, or is something else
        KeysMissing : the key file cannot be read, or the copy does not read back
        """
        keys = KeyFile.load(self._key_path)
        place = destination / f"annogate-{keys.content_digest[:12]}.key" if destination.is_dir() else destination
        if place.resolve().is_relative_to(self._data_directory.resolve()):
            raise BadRequest("the copy would lie with the data: what loses one loses the other; name another place")
        try:
            keys.copy_to(place)
        except FileExistsError as error:
            raise BadRequest(f"{place} is there already and holds something else; nothing was written") from error
        except OSError as error:
            raise BadRequest(f"{place} cannot be written: {error.strerror}") from error
        self._table.record_backup(keys.content_digest)
        return place

    def notice(self) -> str:
        """Say what is wrong with the backup of the key file; nothing when the last copy holds what the file holds."""
        last = self._table.last_backup()
        if last is None:
            return NEVER
        try:
            digest = KeyFile.load(self._key_path).content_digest
        except KeysMissing as error:
            return str(error)
        if digest == last.key_file_digest:
            return ""
        at = datetime.fromtimestamp(last.at, UTC).strftime("%Y-%m-%d")
        return f"the key file has changed since its last backup of {at}; make another ({COMMAND})"
