"""Remembering what was worked out before, without growing for ever."""

from __future__ import annotations

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def remember(memory: dict[Key, Value], key: Key, value: Value, limit: int) -> Value:
    """Keep a value and return it; a memory that is full starts anew."""
    if len(memory) >= limit:
        memory.clear()
    memory[key] = value
    return value
