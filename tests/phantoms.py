"""Phantoms as volumes, drawn once a process: coarser than a scanner's, so that they are quick."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path

from pydicom.dataset import Dataset

from service.annotators.registry import load_annotators
from service.core.annotator import Annotator, AnnotatorResult
from service.core.stored_pixels import decode_pixels
from service.core.volume import Volume
from service.core.volume_building import build_volumes
from service.demo.pet_phantom import PetPhantom, generate_pet_phantom
from service.demo.phantom import Phantom, generate_phantom

ANNOTATORS = Path(__file__).resolve().parent.parent / "config" / "annotators"


def volume_from(data_sets: Sequence[Dataset]) -> Volume:
    """The one volume of data sets that carry their pixels."""
    built = build_volumes(data_sets, lambda index: decode_pixels(data_sets[index]))
    assert list(built.refused) == []
    (volume,) = built.volumes
    return volume


@cache
def thorax(seed: int) -> tuple[Phantom, Volume]:
    """A thorax of 50 slices of 320 × 320."""
    phantom = generate_phantom(seed, slices=50, rows=320)
    return phantom, volume_from(phantom.data_sets)


@cache
def pet(seed: int) -> tuple[PetPhantom, Volume]:
    """A PET in Bq/ml."""
    phantom = generate_pet_phantom(seed)
    return phantom, volume_from(phantom.data_sets)


def annotator(name: str) -> Annotator:
    """A shipped annotator whose tracking UIDs are 2.25.1, 2.25.2 …"""
    numbers = count(1)
    return load_annotators(ANNOTATORS, [name], lambda: f"2.25.{next(numbers)}")[name]


@cache
def marked(name: str, seed: int) -> AnnotatorResult:
    """What a shipped annotator says of the thorax of a seed."""
    return annotator(name).annotate(thorax(seed)[1])
