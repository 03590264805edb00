"""The script that fetches the viewer takes the pinned package whole, or nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = b"const viewer = 1;\n" * 1000
FILES = {
    "package/package.json": b"{}",
    "package/LICENSE": b"MIT",
    "package/dist/index.html": b"<!doctype html>",
    "package/dist/assets/app.js": SCRIPT,
    "package/dist/../../../escaped.txt": b"out",
    "/package/dist/absolute.txt": b"out",
}


class Workshop:
    """A copy of the script beside a pin of its own, and a package to be installed."""

    def __init__(self, folder: Path, script: Path) -> None:
        self.here = folder / "viewer"
        self.here.mkdir()
        shutil.copy(script, self.here / "install")
        self.archive = folder / "package.tgz"
        self.archive.write_bytes(_package(FILES))
        (self.here / "VERSION").write_text("9.9.9\n")
        self.pin(hashlib.sha256(self.archive.read_bytes()).hexdigest())
        self.dist = self.here / "dist"

    def pin(self, digest: str) -> None:
        (self.here / "SHA256").write_text(f"{digest}  package.tgz\n")

    def install(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self.here / "install"), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _package(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("package/dist/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        package.addfile(link)
    return buffer.getvalue()


@pytest.fixture
def workshop(tmp_path: Path, repository: Path) -> Workshop:
    return Workshop(tmp_path, repository / "viewer" / "install")


def test_pinned_package_is_unpacked(workshop: Workshop) -> None:
    assert workshop.install("--archive", str(workshop.archive)).returncode == 0
    assert (workshop.dist / "index.html").read_bytes() == b"<!doctype html>"
    assert (workshop.dist / "assets" / "app.js").read_bytes() == SCRIPT


def test_nothing_is_written_outside_and_no_link_is_made(workshop: Workshop, tmp_path: Path) -> None:
    workshop.install("--archive", str(workshop.archive))
    names = {path.name for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()}
    assert names == {"package.tgz", "install", "VERSION", "SHA256", "index.html", "app.js", "app.js.gz", "LICENSE"}


def test_large_script_has_a_compressed_copy(workshop: Workshop) -> None:
    workshop.install("--archive", str(workshop.archive))
    assert gzip.decompress((workshop.dist / "assets" / "app.js.gz").read_bytes()) == SCRIPT


def test_other_package_is_refused_and_nothing_changes(workshop: Workshop) -> None:
    workshop.pin("0" * 64)
    refused = workshop.install("--archive", str(workshop.archive))
    assert refused.returncode == 1
    assert "SHA-256" in refused.stderr
    assert not workshop.dist.exists()


def test_newer_viewer_takes_the_place_of_the_old_one(workshop: Workshop) -> None:
    workshop.dist.mkdir()
    (workshop.dist / "index.html").write_text("old")
    (workshop.dist / "old.js").write_text("old")
    assert workshop.install("--archive", str(workshop.archive)).returncode == 0
    assert not (workshop.dist / "old.js").exists()


def test_folder_that_holds_something_else_is_left_alone(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    refused = workshop.install("--archive", str(workshop.archive), "--into", str(tmp_path / "home"))
    assert refused.returncode == 1
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_repositorys_own_pin_is_one(repository: Path) -> None:
    digest, name = (repository / "viewer" / "SHA256").read_text().split()
    version = (repository / "viewer" / "VERSION").read_text().strip()
    assert len(bytes.fromhex(digest)) == 32
    assert name == f"ohif-app-{version}.tgz"
