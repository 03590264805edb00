"""What ingest must know of a project, as plain values."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum

from service.ingest.cleaning import ProjectCleaner
from service.ingest.face_step import FaceStep
from service.ingest.pixel_step import PixelStep


class ConflictRule(StrEnum):
    """What becomes of a UID that comes again with other content."""

    KEEP_FIRST = "keep-first"
    REPLACE = "replace"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class ProjectRules:
    """One project's way of taking objects in.

    Parameters
    ----------
    cleaner : None where ``deidentify = "none"``: objects are kept byte for byte
    pixels : looks at pixels; None where the profile does not clean them
    faces : removes faces from heads; None where the profile does not ask for it
    digest_key : the project's; without it nobody tells from a digest what was digested
    """

    name: str
    cleaner: ProjectCleaner | None
    digest_key: bytes = field(repr=False)
    on_conflict: ConflictRule = ConflictRule.KEEP_FIRST
    drop_sop_classes: frozenset[str] = frozenset()
    pixels: PixelStep | None = None
    faces: FaceStep | None = None

    def patient_digest(self, patient_id: str, issuer: str) -> bytes:
        """What tells two patients of a project that keeps identity apart, without naming them."""
        parts = b"".join(len(part).to_bytes(4, "big") + part for part in (issuer.encode(), patient_id.encode()))
        return hmac.digest(self.digest_key, b"patient" + parts, hashlib.sha256)
