"""Arrows point one way: tests → service → dicom_nodes, and inside service from the edges to the core."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("service", "dicom_nodes")

# What a room may import of the project. The longest prefix of a module's own name decides.
ROOMS: dict[str, tuple[str, ...]] = {
    "dicom_nodes": ("dicom_nodes",),
    "service.errors": ("dicom_nodes.errors",),
    "service.core": ("service.core", "service.errors", "dicom_nodes.errors"),
    "service.deident": (
        "service.deident",
        "service.__version__",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.archive": ("service.archive", "service.core", "service.errors", "dicom_nodes.errors"),
    "service.voxels": ("service.voxels", "service.core", "service.errors"),
    "service.annotators": (
        "service.annotators",
        "service.voxels",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.reading": ("service.reading", "service.voxels", "service.core", "service.errors", "dicom_nodes.errors"),
    "service.objects": ("service.objects", "service.core", "service.errors", "dicom_nodes.errors"),
    # Is handed the archive through the core's ports.
    "service.formats": (
        "service.formats",
        "service.objects",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.versions": (
        "service.versions",
        "service.reading",
        "service.objects",
        "service.archive",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.ingest": (
        "service.ingest",
        "service.archive",
        "service.deident",
        "service.core",
        "service.errors",
        "dicom_nodes",
    ),
    "service.jobs": (
        "service.jobs",
        "service.annotators",
        "service.objects",
        "service.archive",
        "service.deident",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.worklist": (
        "service.worklist",
        "service.archive",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.custody": (
        "service.custody",
        "service.objects",
        "service.archive",
        "service.deident",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
    ),
    "service.web": (
        "service.web",
        "service.worklist",
        "service.custody",
        "service.delivery",
        "service.fetching",
        "service.ingest",
        "service.jobs",
        "service.objects",
        "service.versions",
        "service.reading",
        "service.archive",
        "service.core",
        "service.errors",
        "dicom_nodes.errors",
        "service.__version__",
    ),
    "service.settings": ("service.settings", "service.core", "service.errors", "dicom_nodes.errors"),
    # What the node answers from the archive: query, retrieve, storage commitment.
    "service.dimse": (
        "service.dimse",
        "service.archive",
        "service.deident",
        "service.core",
        "service.errors",
        "dicom_nodes",
    ),
    # Results on their way out, and studies fetched from peers.
    "service.delivery": (
        "service.delivery",
        "service.custody",
        "service.objects",
        "service.archive",
        "service.deident",
        "service.core",
        "service.errors",
        "dicom_nodes",
    ),
    "service.fetching": (
        "service.fetching",
        "service.ingest",
        "service.archive",
        "service.deident",
        "service.core",
        "service.errors",
        "dicom_nodes",
    ),
    # The one place that wires everything, and what starts it.
    "service.data_directory": ("service.errors",),
    "service.log": (),
    "service.audit_events": (
        *("service.archive", "service.core", "service.dimse", "service.fetching", "service.ingest", "service.jobs"),
        "dicom_nodes",
    ),
    "service.bootstrap": (
        "service.bootstrap",
        *("service.data_directory", "service.log", "service.audit_events", "service.settings", "service.errors"),
        *("service.web", "service.ingest", "service.jobs", "service.annotators", "service.objects"),
        *(
            "service.custody",
            "service.dimse",
            "service.delivery",
            "service.fetching",
            "service.worklist",
            "service.versions",
        ),
        *(
            "service.formats",
            "service.archive",
            "service.deident",
            "service.core",
            "service.__version__",
            "dicom_nodes",
        ),
    ),
    "service.runtime": ("service", "dicom_nodes"),
    "service.demo": ("service", "dicom_nodes"),
    "service.cli": ("service", "dicom_nodes"),
    "service": ("service.__version__",),
}

# Each outside library has one home; the rest of the project does not know it.
HOMES: dict[str, tuple[str, ...]] = {
    "flask": ("service.web",),
    "werkzeug": ("service.web",),
    "wsproto": ("service.web",),
    "gunicorn": ("service.runtime",),
    "click": ("service.cli",),
    "rich": ("service.cli",),
    "highdicom": ("service.objects",),
    "nibabel": ("service.formats",),
    "pyarrow": ("service.formats",),
    "sqlalchemy": ("service.archive",),
    "alembic": ("service.archive",),
    "pynetdicom": ("dicom_nodes",),
    "argon2": ("service.web",),
    "pydantic": ("service.settings", "service.web.api", "service.annotators", "service.deident"),
    "SimpleITK": ("service.annotators", "service.voxels"),
    "cv2": ("service.deident.pixels",),
    "onnxruntime": ("service.deident.pixels",),
    "scipy": ("service.annotators", "service.deident.faces"),
    "skimage": ("service.annotators", "service.deident.faces"),
}

# Their tables are read as data, whether or not anything imports them.
READ_AS_DATA = {"highdicom"}

# The core's vocabulary.
CORE_LIBRARIES = {"numpy", "pydicom"}


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str) -> set[str]:
    """Every imported name, those within functions and for type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def longest(table: dict[str, tuple[str, ...]], module: str) -> tuple[str, ...]:
    rooms = [room for room in table if module == room or module.startswith(room + ".")]
    return table[max(rooms, key=len)]


def under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def violations(module: str, source: str) -> list[str]:
    """The imports of one module that its room may not make."""
    found = []
    for name in sorted(imports_of(source)):
        top = name.split(".", maxsplit=1)[0]
        if top in PACKAGES:
            if not under(name, longest(ROOMS, module)):
                found.append(f"{module} imports {name}")
        elif top in HOMES and not under(module, HOMES[top]):
            found.append(f"{module} imports {name}, whose home is {' and '.join(HOMES[top])}")
        elif under(module, ("service.core",)) and top not in sys.stdlib_module_names | CORE_LIBRARIES:
            found.append(f"{module} imports {name}: the core knows no such library")
    return found


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_module_imports_only_what_its_room_may(path: Path) -> None:
    assert violations(name_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("dicom_nodes.listener", "from service.settings import Settings"),
        ("service.core.findings", "import flask"),
        ("service.core.findings", "from service.archive import schema"),
        ("service.archive.instances", "from service.deident.vault import Vault"),
        ("service.deident.vault", "from service.archive.database import Database"),
        ("service.annotators.lungs", "from service.web.app import create_app"),
        ("service.web.app", "import sqlalchemy"),
        ("service.ingest.pipeline", "def late():\n    from service.bootstrap import build"),
        ("service.core.volume", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import highdicom"),
    ],
)
def test_planted_violation_is_found(module: str, line: str) -> None:
    assert violations(module, line)


def test_every_outside_library_of_the_table_is_used() -> None:
    used = {name.split(".", maxsplit=1)[0] for path in modules() for name in imports_of(path.read_text())}
    assert set(HOMES) - READ_AS_DATA <= used
