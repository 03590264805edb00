"""Parameters of the built-in annotators: data from config/annotators/NAME.toml, checked before anything runs."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.core.codes import Code
from service.core.findings import AlgorithmIdentification

Channel = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Channel, Channel, Channel]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

MANUFACTURER = "Annogate"


class Strict(BaseModel):
    """Refuses keys that it does not know; cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeParameters(Strict):
    """A coded concept as configuration writes it."""

    value: Annotated[str, Field(min_length=1, max_length=16)]
    scheme: Annotated[str, Field(min_length=1, max_length=16)]
    meaning: Annotated[str, Field(min_length=1, max_length=64)]

    @property
    def code(self) -> Code:
        """The concept."""
        return Code(self.value, self.scheme, self.meaning)


class AnnotatorParameters(Strict):
    """What every built-in annotator is told.

    ``kind`` names the built-in annotator that the file sets up; ``title`` is what people read; ``family`` is a code of
    PS3.16 CID 7162; ``category`` and ``type`` code what is marked (CID 7150, 7151).
    """

    kind: str
    title: Annotated[str, Field(min_length=1, max_length=48)]
    family: CodeParameters
    category: CodeParameters
    type: CodeParameters
    colours: Annotated[tuple[Colour, ...], Field(min_length=1)]

    def colour(self, number: int) -> tuple[int, int, int]:
        """Colour of the finding with this number, from 0; they repeat."""
        return self.colours[number % len(self.colours)]

    def said(self) -> dict[str, str]:
        """The numbers that decide a result, as the algorithm identification of the result states them."""
        skipped = {"kind", "title", "family", "category", "type", "colours", "site"}
        return {key: str(value) for key, value in self.model_dump().items() if key not in skipped}


def identify(parameters: AnnotatorParameters, version: str) -> AlgorithmIdentification:
    """How an annotator's results are signed.

    The Device UID is derived from the version and every parameter: as IHE AIR asks, what would mark differently has
    another one. All built-in annotators are demonstrators.
    """
    digest = hashlib.sha256(f"{parameters.kind} {version} {parameters.model_dump_json()}".encode()).digest()
    return AlgorithmIdentification(
        name=f"{parameters.title} (demonstrator)",
        version=version,
        manufacturer=MANUFACTURER,
        family=parameters.family.code,
        device_uid=f"2.25.{int.from_bytes(digest[:16], 'big')}",
        parameters=parameters.said(),
        demonstrator=True,
    )
