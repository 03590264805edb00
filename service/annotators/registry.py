"""The annotators by name, each set up from config/annotators/NAME.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydicom.uid import generate_uid

from service.annotators.bones import BoneParameters, BonesAnnotator
from service.annotators.hotspots import HotspotParameters, HotspotsAnnotator
from service.annotators.lungs import LungParameters, LungsAnnotator
from service.annotators.nodules import NoduleParameters, NodulesAnnotator
from service.annotators.outside import OutsideAnnotator, OutsideParameters
from service.annotators.parameters import Strict
from service.core.annotator import Annotator
from service.errors import SettingsInvalid

NewUid = Callable[[], str]
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

# Which class a file's ``kind`` sets up, and the parameters that it takes.
KINDS: dict[str, tuple[type[Strict], Callable[[str, Any, NewUid], Annotator]]] = {
    "bones": (BoneParameters, BonesAnnotator),
    "hotspots": (HotspotParameters, HotspotsAnnotator),
    "lungs": (LungParameters, LungsAnnotator),
    "nodules": (NoduleParameters, NodulesAnnotator),
    "outside": (OutsideParameters, OutsideAnnotator),
}


def random_uid() -> str:
    """A UID that nobody had before (PS3.5 B.2)."""
    return str(generate_uid(prefix=None))


def load_annotators(directory: Path, names: Iterable[str], new_uid: NewUid = random_uid) -> dict[str, Annotator]:
    """Set up the named annotators.

    Parameters
    ----------
    directory : holds NAME.toml for each
    new_uid : makes the tracking UIDs of findings

    Raises
    ------
    SettingsInvalid : there is no such file, or it does not say what it should; every fault is named
    """
    annotators: dict[str, Annotator] = {}
    faults: list[str] = []
    for name in names:
        try:
            annotators[name] = _load(directory, name, new_uid)
        except SettingsInvalid as err:
            faults.append(str(err))
    if faults:
        raise SettingsInvalid("; ".join(faults))
    return annotators


def _load(directory: Path, name: str, new_uid: NewUid) -> Annotator:
    if not NAME.fullmatch(name):
        raise SettingsInvalid(f"annotators: {name!r} is not the name of an annotator")
    path = directory / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in directory.glob("*.toml"))) or "none"
        raise SettingsInvalid(f"annotators: there is no {path.name} (there are: {known})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingsInvalid(f"annotators/{path.name}: {err}") from err
    kind = table.get("kind")
    if kind not in KINDS:
        raise SettingsInvalid(f"annotators/{path.name}: kind: {kind!r} is none of {', '.join(KINDS)}")
    model, annotator = KINDS[kind]
    try:
        parameters = model.model_validate(table)
    except ValidationError as err:
        raise SettingsInvalid("; ".join(_words(path.name, fault) for fault in err.errors())) from err
    return annotator(name, parameters, new_uid)


def _words(file: str, fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"annotators/{file}: {place}: unknown key"
    if fault["type"] == "missing":
        return f"annotators/{file}: {place}: missing"
    return f"annotators/{file}: {place}: {fault['msg'][:1].lower()}{fault['msg'][1:]} (it is {fault['input']!r})"
