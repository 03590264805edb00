"""Datasets of tables alone: measurements and labels without an image."""

from __future__ import annotations

from typing import Any

from service.formats.case import Case
from service.formats.layout import CaseFiles, Layout


class CsvLayout(Layout):
    """``tables/*.csv``."""

    name = "csv"

    def write(self, case: Case, files: CaseFiles) -> Any:
        """Nothing of a case but its rows."""


class ParquetLayout(CsvLayout):
    """``tables/*.parquet``."""

    name = "parquet"
    tables_as_parquet = True
