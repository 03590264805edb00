"""A work item as it is searched and shown: what its row says, and what is held of the run that it stands for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from service.core import workitem as tags
from service.core.archived import InstanceRow
from service.core.ports import InstanceReader
from service.core.records import ObjectKind
from service.core.search import Attributes
from service.core.workitem import UPS_PUSH, Workitem, WorkitemState, items


def matched_attributes(workitem: Workitem) -> Attributes:
    """Its attributes with those that stand in columns."""
    return workitem.attributes | {
        tags.CHARACTER_SET: {"vr": "CS", "Value": ["ISO_IR 192"]},
        tags.SOP_CLASS_UID: {"vr": "UI", "Value": [UPS_PUSH]},
        tags.SOP_INSTANCE_UID: {"vr": "UI", "Value": [workitem.workitem_uid]},
        tags.STATE: {"vr": "CS", "Value": [str(workitem.state)]},
    }


class ShownWorkitems:
    """Completes work items by what the archive holds at this moment, so that nothing is kept twice."""

    def __init__(self, index: InstanceReader) -> None:
        self._index = index

    def show(self, workitem: Workitem, root: str, *, with_instances: bool) -> Attributes:
        """All of a work item.

        Parameters
        ----------
        root : the project's DICOMweb address, with which retrieval addresses begin
        with_instances : whether each instance that a run looks at and makes is named, or its series alone
        """
        shown = matched_attributes(workitem)
        if workitem.run_id is None:
            return dict(sorted(shown.items()))
        rows = self._index.instances_of(workitem.project, workitem.study_uid) if with_instances else []
        images = [row for row in rows if row.kind is ObjectKind.IMAGE and row.series_uid == workitem.series_uid]
        source = _referenced(workitem.study_uid, workitem.series_uid, images, root)
        shown[tags.INPUT_INFORMATION] = {"vr": "SQ", "Value": [source]}
        made = [row for row in rows if row.run_id == workitem.run_id]
        if made and workitem.state is WorkitemState.COMPLETED and workitem.performer == tags.GATEWAY:
            shown[tags.PERFORMED] = _with_output(shown, workitem.study_uid, made, root)
        return dict(sorted(shown.items()))


def _with_output(shown: Attributes, study_uid: str, made: Sequence[InstanceRow], root: str) -> dict[str, object]:
    by_series: dict[str, list[InstanceRow]] = defaultdict(list)
    for row in made:
        by_series[row.series_uid].append(row)
    output = [_referenced(study_uid, series_uid, rows, root) for series_uid, rows in by_series.items()]
    performed = items(shown, tags.PERFORMED) or [{}]
    said = dict(sorted((performed[0] | {tags.OUTPUT_INFORMATION: {"vr": "SQ", "Value": output}}).items()))
    return {"vr": "SQ", "Value": [said]}


def _referenced(study_uid: str, series_uid: str, rows: Sequence[InstanceRow], root: str) -> Attributes:
    """One item of the Referenced Instances and Access Macro (PS3.3 Table 10-3b)."""
    item: Attributes = {
        "0020000D": {"vr": "UI", "Value": [study_uid]},
        "0020000E": {"vr": "UI", "Value": [series_uid]},
        "0040E020": {"vr": "CS", "Value": ["DICOM"]},
        "0040E025": {
            "vr": "SQ",
            "Value": [{"00081190": {"vr": "UR", "Value": [f"{root}/studies/{study_uid}/series/{series_uid}"]}}],
        },
    }
    if rows:
        item["00081199"] = {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [row.sop_class_uid]},
                    "00081155": {"vr": "UI", "Value": [row.sop_instance_uid]},
                }
                for row in rows
            ],
        }
    return dict(sorted(item.items()))
