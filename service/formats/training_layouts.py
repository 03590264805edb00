"""Datasets of volumes in the forms that nnU-Net and MONAI read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from service.errors import BadRequest, FormatRefused
from service.formats.case import Case, label_image
from service.formats.case_record import CaseRecord, DatasetDescription, Json, Records
from service.formats.labels import Label
from service.formats.layout import CaseFiles, Layout
from service.formats.staged_file import DatasetFolder, WrittenFile
from service.formats.volume_layouts import NIFTI, write_image, write_label_image

_NNUNET_FOLDER: Final = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+", re.ASCII)


def consecutive(labels: tuple[Label, ...]) -> Mapping[str, int]:
    """Numbers from 1 on without a gap, in the order of the mapping's own: what training tools ask for."""
    return {label.name: number for number, label in enumerate(labels, start=1)}


def _folder_of(part: str, *, is_marked: bool) -> str:
    """Where a case goes: what has no labels cannot be trained with."""
    return "Ts" if part == "test" or not is_marked else "Tr"


def _write(case: Case, labels: tuple[Label, ...], channel: str, files: CaseFiles) -> None:
    folder = _folder_of(case.part, is_marked=case.findings is not None)
    if case.findings is not None:
        image = label_image(case, labels, consecutive(labels))
        write_label_image(case, f"labels{folder}/{case.name}{NIFTI}", image, files)
    write_image(case, f"images{folder}/{case.name}{channel}{NIFTI}", files)


def _only_modality(records: Records) -> str:
    found = sorted({record.modality for record in records()})
    if len(found) > 1:
        raise FormatRefused(
            f"the cases are of {' and '.join(found)}, and one channel holds one modality: choose with --modality"
        )
    return found[0] if found else ""


class NnunetLayout(Layout):
    """An nnU-Net v2 dataset, one channel: imagesTr, labelsTr, imagesTs, labelsTs, dataset.json, splits_final.json.

    Training and validation share imagesTr; ``splits_final.json`` says which case is which, by patient, and belongs into
    the dataset's folder below nnUNet_preprocessed.
    """

    name = "nnunet"

    @staticmethod
    def check_folder(name: str) -> None:
        """Refuse a folder that nnU-Net would not find.

        Raises
        ------
        BadRequest : it is not called so
        """
        if not _NNUNET_FOLDER.fullmatch(name):
            raise BadRequest(f"nnU-Net looks for folders such as Dataset042_Lungs; {name!r} is none: name it so")

    def write(self, case: Case, files: CaseFiles) -> Any:
        """The image as channel 0."""
        _write(case, self.labels, "_0000", files)

    def finish(self, dataset: DatasetDescription, records: Records, folder: DatasetFolder) -> list[WrittenFile]:
        """dataset.json, and the split where there is one."""
        training = [record for record in map(_brief, records()) if record["folder"] == "Tr"]
        document = {
            "channel_names": {"0": _only_modality(records) or "noNorm"},
            "labels": {"background": 0, **consecutive(dataset.labels)},
            "numTraining": len(training),
            "file_ending": NIFTI,
            "name": dataset.name,
            "description": dataset.description,
            "licence": dataset.licence,
        }
        written = [folder.write_bytes("dataset.json", _pretty(document))]
        parts = {part: [one["case"] for one in training if one["part"] == part] for part in ("train", "validation")}
        if parts["validation"]:
            split = [{"train": parts["train"], "val": parts["validation"]}]
            written.append(folder.write_bytes("splits_final.json", _pretty(split)))
        return written


def _brief(record: CaseRecord) -> dict[str, str]:
    folder = _folder_of(record.part, is_marked=record.is_marked)
    return {"case": record.case, "part": record.part, "folder": folder}


class DecathlonLayout(Layout):
    """A dataset in the form of the Medical Segmentation Decathlon: dataset.json as MONAI's data lists read it."""

    name = "monai"

    def write(self, case: Case, files: CaseFiles) -> Any:
        """The image and, where somebody looked at it, its labels."""
        _write(case, self.labels, "", files)

    def finish(self, dataset: DatasetDescription, records: Records, folder: DatasetFolder) -> list[WrittenFile]:
        """dataset.json: training, validation and test; a case without labels is for testing."""
        lists: dict[str, list[Json]] = {"training": [], "validation": [], "test": []}
        for record in records():
            entry = {"image": f"./{record.path_of('image')}"}
            if labels := record.path_of("labels"):
                entry["label"] = f"./{labels}"
            part = record.part if record.is_marked else "test"
            lists["training" if part == "train" else part].append(entry)
        numbers = consecutive(dataset.labels)
        document = {
            "name": dataset.name,
            "description": dataset.description,
            "licence": dataset.licence,
            "tensorImageSize": "3D",
            "modality": {"0": _only_modality(records)},
            "labels": {"0": "background", **{str(number): name for name, number in numbers.items()}},
            "numTraining": len(lists["training"]),
            "numValidation": len(lists["validation"]),
            "numTest": len(lists["test"]),
            **lists,
        }
        return [folder.write_bytes("dataset.json", _pretty(document))]


def _pretty(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
