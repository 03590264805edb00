"""Rules of Key Object Selection beyond the rows of its template (PS3.16 TID 2010)."""

from __future__ import annotations

from collections.abc import Iterator

from service.objects.checking.object_case import ObjectCase
from service.objects.checking.template_tables import template_book
from service.objects.content_tree import name_of
from service.objects.rule_catalogue import Breach


def key_object_breaches(case: ObjectCase) -> Iterator[Breach]:
    """The title."""
    book, title = template_book(), name_of(case.data_set)
    if title is None or book.concept_of(title) not in book.roots["2010"]:
        yield "KO-TITLE", f"{title.meaning if title else 'no title'} is none of CID 7010"
