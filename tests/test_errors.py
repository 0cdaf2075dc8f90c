"""The error tree is the one that its docstring draws, and every error is one sentence with a hint."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from holdfast import errors
from holdfast.errors import HoldfastError

CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if item.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Each class of the docstring's tree with its parent."""
    parents: dict[str, str] = {}
    path: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w+(?:Error|Fault))\b", line)
        if match:
            depth, name = len(match[1]), match[2]
            above = [path[d] for d in sorted(path) if d < depth]
            if above:
                parents[name] = above[-1]
            path = {d: n for d, n in path.items() if d < depth} | {depth: name}
    return parents


def test_the_tree_is_the_one_that_the_docstring_draws() -> None:
    real = {item.__name__: item.__bases__[0].__name__ for item in CLASSES if item is not HoldfastError}
    assert drawn() == real
    assert len(real) == 12


@pytest.mark.parametrize("item", CLASSES)
def test_every_error_is_caught_as_ours_and_keeps_its_hint(item: type[HoldfastError]) -> None:
    error = item("expected one, got two", hint="give one")
    assert isinstance(error, HoldfastError)
    assert (str(error), error.hint) == ("expected one, got two", "give one")
    assert item("expected one, got two").hint == ""
    assert item.__doc__


@pytest.mark.parametrize("item", CLASSES)
def test_an_error_survives_the_way_back_from_a_worker_process(item: type[HoldfastError]) -> None:
    again = pickle.loads(pickle.dumps(item("expected one, got two", hint="give one")))  # noqa: S301 - our own bytes
    assert type(again) is item
    assert (str(again), again.hint) == ("expected one, got two", "give one")


def test_tampering_is_no_kind_of_bad_input() -> None:
    assert not issubclass(errors.IntegrityError, errors.InputError)
    assert not issubclass(errors.InputError, errors.IntegrityError)
    assert not issubclass(HoldfastError, ValueError)
