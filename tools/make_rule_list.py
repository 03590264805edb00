"""Make docs/validation.md's list of rules anew from config/validation/rules.toml: ``python tools/make_rule_list.py``.

A test fails while the two differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.objects.rule_catalogue import OnArrival, RuleCatalogue, shipped_catalogue

HEAD: Final = "| rule | | from others | holds | what to do | clause |\n| --- | --- | --- | --- | --- | --- |\n"
PAGE: Final = Path("docs") / "validation.md"
_ARRIVES: Final = {
    OnArrival.LIST: "listed",
    OnArrival.REFUSE: "refused",
    OnArrival.REFUSE_IF_MADE_HERE: "refused if made here",
}


def rule_list(catalogue: RuleCatalogue) -> str:
    """The table, a row for each rule in the order of the catalogue."""
    rows = (
        (name, rule.severity.lower(), _ARRIVES[rule.on_arrival], rule.says, rule.remedy, rule.clause)
        for name, rule in catalogue.rules.items()
    )
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def with_list(page: str, table: str) -> str:
    """The page with the table in place of the one that it has.

    Raises
    ------
    ValueError : it has none
    """
    start = page.index(HEAD)
    end = page.find("\n\n", start)
    return page[:start] + table + ("" if end < 0 else page[end + 1 :])


def main() -> None:
    """Write the page."""
    path = Path(__file__).resolve().parents[1] / PAGE
    page = path.read_text(encoding="utf-8")
    path.write_text(with_list(page, rule_list(shipped_catalogue())), encoding="utf-8")


if __name__ == "__main__":
    main()
