"""The viewer as it lies on disk: OHIF's built pages, under the names that its build compiled in."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

# Not served: deployment files of other hosts, source maps, the public demo's configurations (ours is generated), and
# the service worker, whose script would load a library from another host. `init-service-worker.js` only unregisters.
_WITHHELD = {"index.html", "app-config.js", "google.js", "sw.js", "serve.json", "_headers", "_redirects", "LICENSE"}
_WITHHELD_SUFFIXES = {".map", ".gz"}

# The few types of the build; the host's own table may lack some, and a wrong one keeps a browser from compiling.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jsonc": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webapp": "application/x-web-app-manifest+json",
    ".woff2": "font/woff2",
    ".xml": "text/xml; charset=utf-8",
}
_HASHED = re.compile(r"(?:^|[./])[0-9a-f]{16}\.(?:js|wasm|woff2)$")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the viewer; ``immutable`` when its name carries a hash of its content."""

    path: Path
    media_type: str
    compressed: Path | None
    immutable: bool


class ViewerDistribution:
    """The files of an unpacked viewer that may be asked for; read once, when it is opened.

    Parameters
    ----------
    directory : holds ``index.html`` and what it asks for
    """

    def __init__(self, directory: Path) -> None:
        self.index_page = (directory / "index.html").read_bytes()
        self._assets = {name: _asset(path) for name, path in _files(directory)}

    @classmethod
    def find(cls, directory: Path | None) -> ViewerDistribution | None:
        """The viewer in a directory, or none where it was not installed."""
        if directory is None or not (directory / "index.html").is_file():
            return None
        return cls(directory)

    @property
    def names(self) -> frozenset[str]:
        """What may be asked for, relative to the root of the web address."""
        return frozenset(self._assets)

    def asset(self, name: str) -> Asset:
        """The file of a name out of ``names``."""
        return self._assets[name]

    def inline_script_hashes(self) -> list[str]:
        """The scripts written into the page, as a Content-Security-Policy names them."""
        scripts = _INLINE_SCRIPT.findall(self.index_page.decode("utf-8"))
        digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
        return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def _files(directory: Path) -> list[tuple[str, Path]]:
    found = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and name not in _WITHHELD and path.suffix not in _WITHHELD_SUFFIXES:
            found.append((name, path))
    return found


def _asset(path: Path) -> Asset:
    compressed = path.with_name(path.name + ".gz")
    return Asset(
        path,
        _MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        compressed if compressed.is_file() else None,
        _HASHED.search(path.name) is not None,
    )
