"""Which words of a text are known to be harmless."""

from __future__ import annotations

from collections.abc import Sequence

from service.deident.name_forms import folded
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.text_cleaning.tokens import Token, camel_parts, pieces_of
from service.deident.text_cleaning.vocabulary import LONGEST_PHRASE, Vocabulary

UNKNOWN_WORD = "unknown word"
NUMBER = "number"
INITIAL = "initial"
DOUBTFUL_WORD = "doubtful word"
NUMBER_DIGITS = 3
"""A longer number could be somebody's, or a year."""
MOST_PIECES = 7
COUNTED_WORD = 5
NEAR = 3
"""How many characters stand between an initial and the name that it belongs to."""


class WordRule:
    """Judges words by a vocabulary.

    Parameters
    ----------
    vocabulary : the words that are known
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def verdicts(self, tokens: Sequence[Token], kind: TextKind) -> list[str]:
        """Return for each word the category under which it goes; an empty text when it may stay."""
        known: dict[str, str] = {}
        verdicts = []
        for number, token in enumerate(tokens):
            verdict = known.get(token.written)
            if verdict is None:
                verdict = known[token.written] = self._verdict(token, kind)
            if verdict == UNKNOWN_WORD and self._in_phrase(tokens, number, kind):
                verdict = ""
            verdicts.append(verdict)
        return verdicts

    def beside_names(self, text: str, tokens: Sequence[Token], verdicts: list[str], kind: TextKind) -> None:
        """Let single letters and doubtful words go beside a word that goes, or where they look like a name."""
        for number, token in enumerate(tokens):
            doubtful = self._vocabulary.doubts(token.plain) and not self._in_phrase(tokens, number, kind)
            if verdicts[number] or not (token.is_initial or doubtful):
                continue
            beside = [n for n in (number - 1, number + 1) if 0 <= n < len(tokens) and _close(text, tokens, number, n)]
            of_a_name = any(verdicts[n] not in ("", NUMBER) for n in beside)
            if doubtful:
                verdicts[number] = DOUBTFUL_WORD if of_a_name or _is_name_like(text, token, kind) else ""
            elif of_a_name or any(self._are_initials(text, tokens, min(number, n), kind) for n in beside):
                verdicts[number] = INITIAL

    def _are_initials(self, text: str, tokens: Sequence[Token], first: int, kind: TextKind) -> bool:
        a, b = tokens[first], tokens[first + 1]
        return (
            a.is_initial
            and b.is_initial
            and a.written.isupper()
            and b.written.isupper()
            and not text[a.end : b.start].strip(" .")
            and not self._in_phrase(tokens, first, kind)
        )

    def _verdict(self, token: Token, kind: TextKind) -> str:
        plain = token.plain
        if self._vocabulary.knows(plain, kind):
            return ""
        if plain.isalpha():
            single = len(plain) == 1 and plain.isascii()
            return "" if single or self._knows_camel(token.written, kind) else UNKNOWN_WORD
        pieces = pieces_of(plain)
        if not plain.isascii() or len(pieces) > MOST_PIECES:
            return UNKNOWN_WORD
        # Counters after a word are filled up with zeros: Image0001.
        digits = NUMBER_DIGITS + any(len(piece) >= COUNTED_WORD for piece in pieces if piece.isalpha())
        for piece in pieces:
            if piece.isdigit():
                if len(piece) > (digits if piece.startswith("0") else NUMBER_DIGITS):
                    return NUMBER
            elif not (len(piece) == 1 and piece.isalpha()) and not self._knows_piece(piece, token.written, kind):
                return UNKNOWN_WORD
        return ""

    def _knows_piece(self, piece: str, written: str, kind: TextKind) -> bool:
        if self._vocabulary.knows(piece, kind):
            return True
        as_written = [part for part in pieces_of(written) if folded(part) == piece]
        return bool(as_written) and all(self._knows_camel(part, kind) for part in as_written)

    def _knows_camel(self, written: str, kind: TextKind) -> bool:
        parts = camel_parts(written)
        return bool(parts) and all(len(part) > 1 and self._vocabulary.knows(folded(part), kind) for part in parts)

    def _in_phrase(self, tokens: Sequence[Token], number: int, kind: TextKind) -> bool:
        for length in range(2, LONGEST_PHRASE + 1):
            for start in range(max(0, number - length + 1), min(number, len(tokens) - length) + 1):
                if self._vocabulary.knows_phrase([t.plain for t in tokens[start : start + length]], kind):
                    return True
        return False


def _is_name_like(text: str, token: Token, kind: TextKind) -> bool:
    """Whether a word in a sentence has a capital, but does not begin it."""
    if kind is not TextKind.NARRATIVE or not token.written[0].isupper() or token.written.isupper():
        return False
    before = text[: token.start].rstrip(" ")
    return bool(before) and before[-1] not in ".!?:;\n\r"


def _close(text: str, tokens: Sequence[Token], one: int, other: int) -> bool:
    first, second = sorted((one, other))
    between = text[tokens[first].end : tokens[second].start]
    return len(between) <= NEAR and "\n" not in between
