"""``annogate import`` and ``annogate export``: what comes in and goes out as files."""

from __future__ import annotations

import click

from service.cli.dataset_export import export_dataset
from service.cli.dataset_import import import_coco, import_images, import_map, import_masks
from service.cli.identity import export_crosswalk, import_patients


@click.group("import")
def import_group() -> None:
    """What comes in as files: images and annotations of other formats, who is the same patient."""


@click.group("export")
def export_group() -> None:
    """What goes out as files: datasets for training, the crosswalk."""


import_group.add_command(import_images)
import_group.add_command(import_masks)
import_group.add_command(import_coco)
import_group.add_command(import_map)
import_group.add_command(import_patients)
export_group.add_command(export_dataset)
export_group.add_command(export_crosswalk)
