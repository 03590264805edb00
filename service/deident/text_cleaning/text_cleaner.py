"""The cleaner: what is known to be harmless stays, all else goes, and when in doubt the whole text.

Four things take words out: the patient's own values, a recogniser of names if there is one, patterns, and not being in
the vocabulary. What is left is looked at again until nothing more goes, since words that come to stand beside each
other may be a date or a name. Time grows with the text alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from service.deident.own_value_search import Span, merged
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import CleanedText, TextKind
from service.deident.text_cleaning.name_recogniser import NameRecogniser, NamesNotRecognised
from service.deident.text_cleaning.patterns import Found, Patterns
from service.deident.text_cleaning.tokens import Token, covered, rebuilt, tokens_of
from service.deident.text_cleaning.vocabulary import Vocabulary
from service.deident.text_cleaning.word_rule import UNKNOWN_WORD, WordRule

OWN_VALUE = "own value"
RECOGNISED_NAME = "recognised name"
NO_ANSWER = "the recogniser of names gave no answer"
LONGEST_TEXT = 1_000_000
MOST_ROUNDS = 8
REMEMBERED_TEXTS = 512
LONGEST_REMEMBERED = 1024
NOBODY = OwnValues((), ())
FEWEST_UNKNOWN = 2
"""One unknown word does not make a text that nobody understands."""


class TextCleaner:
    """Cleans texts of all kinds; may be shared by threads.

    Parameters
    ----------
    vocabulary : the words that may stay
    patterns : what goes wherever it stands
    recogniser : finds names by a model; what it finds goes as well
    """

    def __init__(self, vocabulary: Vocabulary, patterns: Patterns, recogniser: NameRecogniser | None = None) -> None:
        self._words = WordRule(vocabulary)
        self._patterns = patterns
        self._recogniser = recogniser
        self._remembered: WeakKeyDictionary[OwnValues, dict[tuple[str, TextKind], CleanedText]] = WeakKeyDictionary()
        self._anybodys: dict[tuple[str, TextKind], tuple[CleanedText, tuple[str, ...]]] = {}

    @classmethod
    def load(cls, directory: Path, recogniser: NameRecogniser | None = None) -> TextCleaner:
        """Read vocabulary and patterns from a directory, ``config/text``.

        Raises
        ------
        SettingsInvalid : a file is wrong, in words
        """
        return cls(Vocabulary.load(directory / "vocabulary"), Patterns.load(directory / "patterns.toml"), recogniser)

    def clean(self, text: str, own_values: OwnValues, kind: TextKind) -> CleanedText:
        """Return what of a text may stay; what is asked again is remembered, since a series repeats its texts.

        Parameters
        ----------
        text : one value, decoded
        own_values : of the patient whom it is about
        """
        if len(text) > LONGEST_REMEMBERED:
            return self._clean(text, own_values, kind)
        remembered = self._remembered.get(own_values)
        if remembered is None:
            remembered = self._remembered[own_values] = {}
        cleaned = remembered.get((text, kind))
        if cleaned is None:
            cleaned = self._clean(text, own_values, kind)
            if cleaned.reason == NO_ANSWER:
                return cleaned
            if len(remembered) >= REMEMBERED_TEXTS:
                remembered.clear()
            remembered[(text, kind)] = cleaned
        return cleaned

    def _clean(self, text: str, own_values: OwnValues, kind: TextKind) -> CleanedText:
        if len(text) > LONGEST_REMEMBERED:
            return self._in_rounds(text, own_values, kind, [])
        anybodys = self._anybodys.get((text, kind))
        if anybodys is None:
            seen: list[str] = []
            cleaned = self._in_rounds(text, NOBODY, kind, seen)
            if cleaned.reason == NO_ANSWER:
                return cleaned
            if len(self._anybodys) >= REMEMBERED_TEXTS:
                self._anybodys.clear()
            anybodys = self._anybodys[(text, kind)] = cleaned, tuple(seen)
        cleaned, looked_at = anybodys
        # Who has no value of their own in what was looked at on the way gets what anybody gets.
        return self._in_rounds(text, own_values, kind, []) if own_values.found_in(looked_at) else cleaned

    def _in_rounds(self, text: str, own_values: OwnValues, kind: TextKind, seen: list[str]) -> CleanedText:
        """Clean a text until nothing more goes; ``seen`` takes what was looked at on the way."""
        seen.append(text)
        if len(text) > LONGEST_TEXT:
            return CleanedText(None, "the text is too long to be cleaned")
        try:
            names = [] if self._recogniser is None else self._recogniser.names_in(text)
        except NamesNotRecognised:
            return CleanedText(None, NO_ANSWER)
        taken: Counter[str] = Counter()
        current = text
        for _ in range(MOST_ROUNDS):
            before = current
            reason, current = self._round(before, own_values, kind, names, taken)
            if reason:
                return CleanedText(None, reason, _counts(taken))
            seen.append(current)
            if current == before:
                return self._settled(text, current, own_values, taken)
            names = []
        return CleanedText(None, "the text does not come to rest", _counts(taken))

    def _settled(self, text: str, current: str, own_values: OwnValues, taken: Counter[str]) -> CleanedText:
        if own_values.found_in([current]):
            return CleanedText(None, "one of the patient's own values stands in it", _counts(taken))
        if current == text:
            return CleanedText(text)
        if not any(_is_word(token) for token in tokens_of(current)):
            return CleanedText(None, "no word is left of it", _counts(taken))
        return CleanedText(current, "words went that may identify", _counts(taken))

    def _round(
        self, text: str, own_values: OwnValues, kind: TextKind, names: Sequence[Span], taken: Counter[str]
    ) -> tuple[str, str]:
        """Return why the whole text goes, or an empty text and what is left of it."""
        tokens = tokens_of(text)
        harmless = merged((found.start, found.end) for found in self._patterns.harmless_in(text))
        by_pattern = [found for found in self._patterns.identifying_in(text) if not _within(found, harmless)]
        whole = next((found.pattern for found in by_pattern if found.pattern.takes_text), None)
        if whole is not None:
            taken[whole.category] += 1
            return whole.reason, ""
        verdicts = self._words.verdicts(tokens, kind)
        for number, (verdict, safe) in enumerate(zip(verdicts, covered(tokens, harmless), strict=True)):
            verdicts[number] = "" if safe else verdict
        for category, spans in self._spans(text, own_values, names, by_pattern):
            for number, hit in enumerate(covered(tokens, spans)):
                verdicts[number] = category if hit else verdicts[number]
        unknown = verdicts.count(UNKNOWN_WORD)
        known = sum(_is_word(token) and not verdict for token, verdict in zip(tokens, verdicts, strict=True))
        self._words.beside_names(text, tokens, verdicts, kind)
        taken.update(verdict for verdict in verdicts if verdict)
        if unknown >= FEWEST_UNKNOWN and unknown > kind.unknown_share * (unknown + known):
            return "most of its words are unknown", ""
        if not any(verdicts):
            return "", text
        return "", rebuilt(text, tokens, [not verdict for verdict in verdicts], kind.gap)

    def _spans(
        self, text: str, own_values: OwnValues, names: Sequence[Span], by_pattern: Sequence[Found]
    ) -> list[tuple[str, list[Span]]]:
        """Return what goes by category, the strongest last."""
        categories: dict[str, list[Span]] = {}
        for found in by_pattern:
            categories.setdefault(found.pattern.category, []).append((found.start, found.end))
        spans = [(category, merged(places)) for category, places in categories.items()]
        spans.append((RECOGNISED_NAME, merged(names)))
        if own_values.found_in([text]):
            spans.append((OWN_VALUE, own_values.spans_in(text)))
        return spans


def _within(found: Found, harmless: Sequence[Span]) -> bool:
    number = bisect_right(harmless, (found.start, found.end))
    return any(start <= found.start and found.end <= end for start, end in harmless[max(number - 1, 0) : number + 1])


def _is_word(token: Token) -> bool:
    return len(token.plain) > 1 and not token.plain.isdigit()


def _counts(taken: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(taken.items()))
