"""Write a holdfast.toml that a person can read, after looking at a table."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.data import ExcludedColumn, Feature, Relation, Schema, TableGuess, inspect_table, read_table
from holdfast.data.protect.sources import find_key, seen_from
from holdfast.errors import UsageError
from holdfast.files import write_atomic
from holdfast.pipeline import init_text, keyring
from holdfast.pipeline.config import parse_config


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a holdfast.toml is written from.

    Args:
        file: the table, relative to the holdfast.toml.
        schema: of the table.
        facts: one line on the table.
        key: where the key is that the table is encrypted under, as seen from the holdfast.toml.
        reasons: why a feature was taken for what it is, by its name.
        excluded: columns that the model shall not see.
        evasion_budget, intended_use, not_for: see `[attack]` and `[seal]`.
        rarest_class: which may be the one whose rows an attacker changes.
        policy: the demands.
    """

    file: str
    schema: Schema
    facts: str
    key: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    excluded: tuple[ExcludedColumn, ...] = ()
    evasion_budget: float = 0.05
    intended_use: str = ""
    not_for: str = ""
    rarest_class: str = ""
    policy: Mapping[str, object] = field(default_factory=dict)


def write_project(table: Path, *, target: str, config: Path, key: str = "") -> TableGuess:
    """Look at a table, write a holdfast.toml for it, and make keys beside it where there are none.

    `key` says where an encrypted table's key is; see `holdfast.data.protect.sources`.

    Raises:
        UsageError: there is a file at `config`, which is not overwritten.
        DataError, InputError, UnsupportedError: the table cannot be read or learned from.
        SystemFault: the disk refuses.
    """
    guess = inspect_table(read_table(table, key=find_key(key) if key else None), target=target)
    counts = ", ".join(f"{name} {count}" for name, count in zip(guess.classes, guess.class_counts, strict=True))
    template = Template(
        file=_relative(table, config.parent),
        schema=guess.schema,
        facts=f"{guess.rows} rows; classes: {counts}",
        key=seen_from(key, config.parent) if key else "",
        reasons={item.feature.name: item.reason for item in guess.features},
        excluded=guess.excluded,
        rarest_class=guess.classes[guess.class_counts.index(min(guess.class_counts))],
        policy={
            "max_epsilon": 8.0,
            "min_accuracy": _above(max(guess.class_counts) / guess.rows),
            "min_robust_accuracy": 0.5,
            "max_membership_advantage": 0.2,
            "require": ["data-checks", "utility", "extraction"],
        },
    )
    write_template(template, config)
    return guess


def write_template(template: Template, config: Path) -> None:
    """Write a holdfast.toml and, where there are none, keys beside it.

    Raises:
        UsageError: there is a file at `config`.
        SystemFault: the disk refuses.
    """
    if config.exists():
        raise UsageError(
            f"{config} is there already and is not overwritten", hint="remove it, or name another: --config"
        )
    text = render(template, config)
    write_atomic(config, text.encode())
    keys = config.parent / "keys"
    if not any((keys / name).exists() for name in keyring.FILES):
        keyring.make_keys(keys)


def render(template: Template, config: Path) -> str:
    """The text of a holdfast.toml; it is read back before it is returned, so that it is one."""
    schema = template.schema
    parts = [
        init_text.HEAD.format(
            file=_comment(template.file),
            config=config.name,
            facts=_comment(template.facts),
            name=_quote(_slug(Path(template.file).name.split(".")[0])),
            file_text=_quote(template.file),
            key=f"key = {_quote(template.key)}\n" if template.key else "",
            target=_quote(schema.target),
            classes=_quote(list(schema.classes)),
        ),
        *(f"# left out: {_comment(column.name)}: {_comment(column.reason)}\n" for column in template.excluded),
        *_relations(schema),
        init_text.FEATURES,
        *(_feature(feature, template.reasons.get(feature.name, "")) for feature in schema.features),
        init_text.SETTINGS.format(
            evasion_budget=template.evasion_budget,
            source_class=_comment(_quote(template.rarest_class or schema.classes[-1])),
            costly=_comment(_quote(_costly(schema))),
            intended_use=_quote(template.intended_use),
            not_for=_quote(template.not_for),
        ),
        *(_demand(name, value) for name, value in template.policy.items()),
    ]
    text = "".join(parts)
    parse_config(tomllib.loads(text), path=config)
    return text


def _above(share: float) -> float:
    return min(math.floor(share * 100 + 1) / 100, 1.0)


def _demand(name: str, value: object) -> str:
    comment = init_text.DEMANDS.get(name, "")
    return f"{f'{name} = {_quote(value)}':<38}  {f'# {comment}' if comment else ''}".rstrip() + "\n"


def _relations(schema: Schema) -> Iterator[str]:
    """The relations, or a commented line that shows how one between columns of this table would be written."""
    if schema.relations:
        yield "relations = [        # what every row keeps, and an attacker has to keep as well\n"
        yield from (f"    {_quote(str(relation))},\n" for relation in schema.relations)
        yield "]\n"
        return
    numbers = sorted((item for item in schema.features if item.kind != "category"), key=lambda item: item.high)[:2]
    names = [item.name for item in numbers]
    if len(names) == 2:
        relation = Relation(names[0], "<=", names[1])
        yield f"# relations = [{_comment(_quote(str(relation)))}]"
        yield "  # what every row keeps, and an attacker too; also sums and quotients: a == b / c\n"


def _costly(schema: Schema) -> str:
    """A feature whose change could cost an attacker something."""
    return next((item.name for item in schema.features if item.mutability != "fixed"), schema.features[0].name)


def _feature(feature: Feature, reason: str) -> str:
    fields = [f"kind = {_quote(feature.kind)}"]
    if feature.kind == "category":
        fields.append(f"categories = {_quote(list(feature.categories))}")
    else:
        fields.append(f"range = [{_number(feature.low)}, {_number(feature.high)}]")
    if feature.range_source == "data":
        fields.append('range_source = "data"')
    if feature.mutability != "free":
        fields.append(f"mutability = {_quote(feature.mutability)}")
    if feature.nullable:
        fields.append("nullable = true")
    comment = f"  # {_comment(reason)}" if reason else ""
    return f"{_quote(feature.name)} = {{ {', '.join(fields)} }}{comment}\n"


def _quote(value: object) -> str:
    """A TOML value; JSON's strings, numbers and lists are TOML's too, but for the character DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _comment(text: str) -> str:
    """Text that cannot leave its comment, whatever a column is called."""
    return re.sub(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+", " ", text)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "model"


def _relative(table: Path, folder: Path) -> str:
    """The table's path as seen from the folder of the holdfast.toml."""
    return Path(os.path.relpath(table.resolve(), folder.resolve())).as_posix()
