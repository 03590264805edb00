"""Labels of a dataset: their names and numbers, and which coded findings they stand for (config/labels/)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from service.core.codes import Code
from service.core.findings import Finding
from service.errors import FormatRefused

DEFAULT_COLOUR: Final = (255, 160, 0)
LARGEST_NUMBER: Final = 65535


@dataclass(frozen=True, slots=True)
class Label:
    """One label.

    Parameters
    ----------
    number : what stands for it in label images; 0 is the background
    types : the codes under which it is found; the first is the one to write
    site, laterality : what a finding has to have beside its type, where given
    texts : patterns of a finding's label, in small letters
    over : names of labels that it lies over
    """

    name: str
    number: int
    category: Code
    types: tuple[Code, ...]
    site: Code | None = None
    laterality: Code | None = None
    texts: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    colour: tuple[int, int, int] = DEFAULT_COLOUR

    def fits(self, finding: Finding) -> int:
        """How much of a finding speaks for this label; 0 where it is another thing."""
        by_text = any(fnmatchcase(finding.label.casefold(), text) for text in self.texts)
        by_type = any(_same(one, finding.type) for one in self.types)
        if not (by_text or by_type):
            return 0
        asked = [(self.site, finding.site), (self.laterality, finding.laterality)]
        if any(wanted is not None and (has is None or not _same(wanted, has)) for wanted, has in asked):
            return 0
        return 1 + sum(wanted is not None for wanted, _ in asked) + 3 * by_text


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """All labels of a dataset, by number.

    Parameters
    ----------
    source : where it was read, for messages
    ignored : types of findings that no dataset has
    digest : SHA-256 of what was read, hexadecimal
    """

    labels: tuple[Label, ...]
    source: str
    ignored: tuple[Code, ...] = ()
    digest: str = ""

    def of(self, finding: Finding) -> Label | None:
        """The label of a finding; None where it is to be left out.

        Raises
        ------
        FormatRefused : no label stands for it, or two do
        """
        fits = [(label.fits(finding), label) for label in self.labels]
        best = max((fit for fit, _ in fits), default=0)
        if best == 0 and any(_same(one, finding.type) for one in self.ignored):
            return None
        found = [label for fit, label in fits if fit == best > 0]
        if len(found) == 1:
            return found[0]
        words = _words(finding)
        if not found:
            raise FormatRefused(f"{words} is not mapped to a label: add it to {self.source}, or to its [ignore]")
        names = " and ".join(label.name for label in found)
        raise FormatRefused(f"{words} fits {names} alike: tell them apart in {self.source} by site or laterality")

    def named(self, name: str) -> Label:
        """The label of a name.

        Raises
        ------
        FormatRefused : there is none
        """
        return self._one([label for label in self.labels if label.name == name], f"label {name!r}")

    def numbered(self, number: int) -> Label:
        """The label of a number.

        Raises
        ------
        FormatRefused : there is none
        """
        return self._one([label for label in self.labels if label.number == number], f"number {number}")

    def only(self, names: Sequence[str]) -> tuple[Label, ...]:
        """The labels of these names, or all where none is given, by number.

        Raises
        ------
        FormatRefused : there is none of a name
        """
        wanted = [self.named(name) for name in names] or self.labels
        return tuple(sorted(set(wanted), key=lambda label: label.number))

    def _one(self, found: list[Label], what: str) -> Label:
        if not found:
            known = ", ".join(f"{label.number} {label.name}" for label in self.labels)
            raise FormatRefused(f"there is no {what} in {self.source} (there are: {known})")
        return found[0]


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _same(one: Code, other: Code) -> bool:
    return (one.value, one.scheme) == (other.value, other.scheme)


def _words(finding: Finding) -> str:
    """A finding by its codes; its label may be a reader's own words, and stays where it is."""
    code = finding.type
    words = f"({code.value}, {code.scheme}, {code.meaning})" if code.value else "a finding without a code"
    site = f" at ({finding.site.value}, {finding.site.scheme})" if finding.site is not None else ""
    side = f", {finding.laterality.meaning}" if finding.laterality is not None else ""
    return words + site + side
