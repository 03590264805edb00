"""The lists of the instances that an object refers to: they go when nothing in it refers to any (PS3.3 C.12.2).

Common Instance Reference names, series by series, what is referred to elsewhere in the object: Type 1C, required where
there are references and out of place where there are none. Where a presentation state names its images by Referenced
Series Sequence (PS3.3 C.11.11) it is of Type 1, and no list of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.deident.element_values import Element, is_empty

INSTANCE_LISTS = frozenset({0x00081115, 0x00081200})
"""Referenced Series Sequence, Studies Containing Other Referenced Instances Sequence."""
REFERENCED_INSTANCE = 0x00081155


def refers_to_instances(elements: Mapping[int, Element]) -> bool:
    """Whether elements other than the lists name an instance, at any depth.

    Parameters
    ----------
    elements : of one clean data set, by tag: what is left of its sequences is parsed
    """
    waiting = [_inside(element) for tag, element in elements.items() if tag not in INSTANCE_LISTS]
    while waiting:
        for item in waiting.pop():
            named = item.get_item(REFERENCED_INSTANCE, keep_deferred=True)
            if named is not None and not is_empty(named):
                return True
            waiting += [_inside(element) for _, element in item.items()]
    return False


def _inside(element: Element) -> Iterable[Dataset]:
    return element.value if isinstance(element.value, Sequence) else ()
