"""A room's names, loaded when they are first used (PEP 562), so that a command pays only for what it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def deferred(room: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The `__getattr__` of a room: it loads the module that a name is from, and keeps all names from there.

    All of them at once, because a module may have the name of one of its functions, and would stand in its place.

    Args:
        room: the package, by its `__name__`.
        homes: the modules in it, each with the names that the room offers from there.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        home = home_of[name]
        module = import_module(f"{room}.{home}")
        kept = {each: getattr(module, each) for each in homes[home]}
        vars(sys.modules[room]).update(kept)
        return kept[name]

    return load
