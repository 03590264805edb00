"""What is wrong with values that do not fit a shape, in words that name keys and quote nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError

from service.errors import BadRequest
from service.web.api.shapes import NO_NUL

# A body may be wrong in each of a hundred thousand places.
_MOST_NAMED, _LONGEST_KEY = 10, 64


@contextmanager
def refusing_misfits(model: type[BaseModel]) -> Iterator[None]:
    """Tell the caller, by its key, what a model refuses while this is open.

    Raises
    ------
    BadRequest : a key is unknown, absent, or has a value that does not fit
    """
    try:
        yield
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[:_MOST_NAMED]
        raise BadRequest("; ".join(dict.fromkeys(_words(model, item) for item in found))) from None


def _words(model: type[BaseModel], item: Any) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return f"there is no such key; there are {', '.join(model.model_fields)}"
    if kind == "json_invalid":
        return f"the body is no JSON: {context['error']}"
    place = ".".join(str(part)[:_LONGEST_KEY] for part in item["loc"]) or "the body"
    if kind == "value_error":
        return f"{place}: {context['error']}"
    if context.get("pattern") == NO_NUL:
        return f"{place}: a text holds no NUL character"
    return f"{place}: {item['msg'][0].lower()}{item['msg'][1:]}"
