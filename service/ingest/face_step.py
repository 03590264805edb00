"""Faces in head CT and MR on their way into a project that removes them (PS3.15 E.3.2): series wait until whole."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from service.deident.faces.face_finder import FaceFinder, SeriesImage
from service.deident.faces.face_policy import FacePolicy
from service.deident.pixel_bytes import PixelBytes
from service.deident.pixels.pixel_cleaner import PixelCleaning
from service.deident.pixels.pixel_outcome import OutcomeKind, Region
from service.deident.seen_header import header_copy
from service.errors import IdentityNotRemovable
from service.ingest.parsing import ParsedInstance
from service.ingest.pixel_step import SeenInstance, with_pixels
from service.ingest.series_awaited import SeriesAwaited


class FaceStep:
    """Removes the faces of a project's images.

    Parameters
    ----------
    policy : which images may show a face
    finder : finds the face of a series
    cleaning : blackens where it was
    key : the project's; without it nobody tells from a digest which series it is of
    """

    def __init__(self, policy: FacePolicy, finder: FaceFinder, cleaning: PixelCleaning, key: bytes) -> None:
        self._policy = policy
        self._finder = finder
        self._cleaning = cleaning
        self._key = key

    def hold(self, parsed: ParsedInstance) -> None:
        """Have an image wait that may show a face.

        Raises
        ------
        SeriesAwaited : it may
        """
        if parsed.pixels is not None and self._policy.may_show_face(header_copy(parsed.header)):
            digest = hmac.digest(self._key, b"faces" + parsed.series_uid.encode("ascii"), hashlib.sha256)
            raise SeriesAwaited(digest.hex())

    def find(self, series: Sequence[ParsedInstance]) -> list[tuple[Region, ...]]:
        """Return for each image of a series where its face is.

        Raises
        ------
        IdentityNotRemovable : it cannot be found; says why
        """
        images = [
            SeriesImage(
                header_copy(one.header), PixelBytes(one.pixels.value if one.pixels else b""), one.transfer_syntax_uid
            )
            for one in series
        ]
        return self._finder.find(images)

    def remove(self, seen: SeenInstance, regions: Sequence[Region]) -> SeenInstance:
        """Return an image without its face.

        Raises
        ------
        IdentityNotRemovable : its pixels cannot be changed; says why
        """
        parsed = seen.parsed
        if not regions or parsed.pixels is None:
            return SeenInstance(parsed, seen.look, free_of_faces=True, outcome=seen.outcome)
        source = PixelBytes(parsed.pixels.value)
        outcome = self._cleaning.apply(header_copy(parsed.header), source, parsed.transfer_syntax_uid, regions)
        if outcome.kind is not OutcomeKind.BLACKENED or outcome.blackened is None:
            raise IdentityNotRemovable(f"faces cannot be removed: {outcome.reason}")
        return SeenInstance(
            with_pixels(parsed, parsed.pixels, outcome.blackened),
            seen.look,
            free_of_faces=True,
            outcome=str(outcome.kind),
        )
