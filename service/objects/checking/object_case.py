"""One object that is judged, with what is known around it; what several rules read of it is read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pydicom.dataset import Dataset

from service.objects.checking.frame_table import FrameTable, frame_table_of
from service.objects.checking.iod_rules import ItemChecks
from service.objects.checking.references import Reference, references_of
from service.objects.iod_tables import iod_of
from service.objects.known_instances import FindKnown, KnownInstances, instance_uids_in
from service.objects.rule_catalogue import RuleCatalogue


@dataclass(frozen=True, eq=False)
class ObjectCase:
    """What the rules are given.

    Parameters
    ----------
    surroundings : what is known, or what finds it once it is known what the object refers to
    has_pixels : False where the pixel data are kept elsewhere
    """

    data_set: Dataset
    surroundings: KnownInstances | FindKnown
    catalogue: RuleCatalogue
    has_pixels: bool = True

    @cached_property
    def iod(self) -> str:
        """The IOD's name, empty where no table has it."""
        return iod_of(self.sop_class_uid) or ""

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID."""
        return str(self.data_set.get("SOPClassUID", ""))

    @cached_property
    def known(self) -> KnownInstances:
        """The instances around it."""
        if isinstance(self.surroundings, KnownInstances):
            return self.surroundings
        return self.surroundings(frozenset(one.sop_instance_uid for one in self.references) | self.predecessors)

    @cached_property
    def references(self) -> frozenset[Reference]:
        """Every reference to an instance."""
        return frozenset(references_of(self.data_set, self.frames))

    @cached_property
    def predecessors(self) -> frozenset[str]:
        """UIDs of the earlier versions that it names."""
        return frozenset(
            uid
            for study in self.data_set.get("PredecessorDocumentsSequence") or ()
            for series in study.get("ReferencedSeriesSequence") or ()
            for uid in instance_uids_in(series.get("ReferencedSOPSequence"))
        )

    @cached_property
    def checks(self) -> ItemChecks:
        """The object against the tables of its IOD."""
        return ItemChecks(self.data_set, has_pixels=self.has_pixels)

    @cached_property
    def frames(self) -> FrameTable:
        """Its functional groups."""
        return frame_table_of(self.checks)

    @cached_property
    def is_tiled_full(self) -> bool:
        """Whether frames stand in the order of their tiles and have no group of their own (PS3.3 C.7.6.17.3)."""
        return str(self.data_set.get("DimensionOrganizationType", "")) == "TILED_FULL"
