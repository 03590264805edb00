"""Reading a structured report's content tree: what an item is called, what it says, and what stands below it."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.objects.concepts import same


def code_from(item: Dataset) -> Code:
    """A code sequence item as a code (PS3.3 8.8)."""
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue") or ""
    return Code(str(value), str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeMeaning", "")))


def first_code(item: Dataset, keyword: str) -> Code | None:
    """The first code of a code sequence, None where it is absent or empty."""
    items: list[Dataset] = list(item.get(keyword) or [])
    return code_from(items[0]) if items else None


def name_of(item: Dataset) -> Code | None:
    """The concept name of a content item."""
    return first_code(item, "ConceptNameCodeSequence")


def is_named(item: Dataset, concept: Code) -> bool:
    """Whether an item's concept name is this concept, as it is coded today or was before."""
    name = name_of(item)
    return name is not None and same(name, concept)


def children(item: Dataset, concept: Code | None = None) -> list[Dataset]:
    """The items below an item, all or those of one concept name."""
    below = list(item.get("ContentSequence") or ())
    return below if concept is None else [child for child in below if is_named(child, concept)]


def child(item: Dataset, concept: Code) -> Dataset | None:
    """The first item of a concept name below an item."""
    return next(iter(children(item, concept)), None)


def descendants(item: Dataset) -> Iterator[tuple[Dataset, Dataset]]:
    """Every item below the root with its parent, depth first, in the order of the document, however deep."""
    waiting = [(item, below) for below in reversed(children(item))]
    while waiting:
        parent, found = waiting.pop()
        yield parent, found
        waiting += [(found, below) for below in reversed(children(found))]


def depth_of(item: Dataset) -> int:
    """How many levels of items there are below an item."""
    depth, level = 0, children(item)
    while level:
        depth, level = depth + 1, [below for one in level for below in children(one)]
    return depth


def coded_child(item: Dataset, concept: Code) -> Code | None:
    """The value of the first CODE of a concept name below an item."""
    found = child(item, concept)
    return None if found is None else first_code(found, "ConceptCodeSequence")


def text_child(item: Dataset, concept: Code) -> str:
    """The text of the first TEXT of a concept name below an item, empty where there is none."""
    found = child(item, concept)
    return "" if found is None else str(found.get("TextValue", ""))


def template_of(item: Dataset) -> str:
    """The template identifier of a container, empty where it gives none."""
    items: list[Dataset] = list(item.get("ContentTemplateSequence") or [])
    return str(items[0].get("TemplateIdentifier", "")) if items else ""
