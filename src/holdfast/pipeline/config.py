"""holdfast.toml: everything that a person decides about one model, checked when it is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator

from holdfast import limits
from holdfast.data import Schema
from holdfast.errors import ConfigError, InputError
from holdfast.files import read_bytes
from holdfast.near import did_you_mean
from holdfast.pipeline.sections import (
    METHODS,
    AttackSection,
    DataSection,
    HardenSection,
    Name,
    PrivacySection,
    SealSection,
    Section,
    ServeSection,
    TrainSection,
)
from holdfast.pipeline.wrong_entry import wrong_entry
from holdfast.policy import Policy

FILE_NAME = "holdfast.toml"

_MAX_DEPTH = 20
"""Tables and lists inside one another; a holdfast.toml needs five."""
_MAX_INTEGER = 2**63
"""The whole numbers that TOML speaks of fit in 64 bits; Python's reader takes larger ones."""


class ModelConfig(Section):
    """A holdfast.toml without `[data]`: about a model that was made elsewhere, and is sealed and served."""

    format: Annotated[Literal[1], Field(description="1")]
    name: Name
    seal: SealSection = SealSection()
    serve: ServeSection = ServeSection()
    policy: dict[str, Any] = Field(default_factory=dict)

    @field_validator("policy")
    @classmethod
    def _policy_has_known_names(cls, table: dict[str, Any]) -> dict[str, Any]:
        Policy.from_table(table)
        return table

    @property
    def demands(self) -> Policy:
        """The policy of `[policy]`."""
        return Policy.from_table(self.policy)


class Config(ModelConfig):
    """A whole holdfast.toml."""

    data: DataSection
    train: TrainSection = TrainSection()
    privacy: PrivacySection = PrivacySection()
    attack: AttackSection = AttackSection()
    harden: HardenSection = HardenSection()

    @property
    def schema(self) -> Schema:  # type: ignore[override]  # pydantic v1's deprecated name for json_schema
        """The schema of `[data]`.

        Raises:
            ConfigError: a feature, a class or a relation makes no sense.
        """
        features = [{"name": name, **fields} for name, fields in self.data.features.items()]
        return Schema.from_json(
            {
                "features": features,
                "target": self.data.target,
                "classes": self.data.classes,
                "relations": self.data.relations,
            }
        )


def read_config(path: Path) -> Config:
    """Read and check a holdfast.toml.

    Raises:
        ConfigError: the file is absent, not TOML, or says something that cannot be; the sentence names the place.
    """
    config = parse_config(_read_table(path), path=path)
    if "private-inference" in config.demands.require:
        raise ConfigError(
            f"{path}: [policy] requires private-inference, which a run measures after it has sealed the model",
            hint="it can be required where the model is served, if holdfast plan --seal has sealed it",
        )
    return config


def read_model_config(path: Path) -> ModelConfig:
    """Read and check a holdfast.toml that need not have `[data]`: a `Config` where it has.

    Raises:
        ConfigError: as `read_config`.
    """
    table = _read_table(path)
    return parse_config(table, path=path) if "data" in table else _parsed(ModelConfig, table, path=path)


def _read_table(path: Path) -> dict[str, Any]:
    make_one = "write one with: holdfast init FILE.csv --target COLUMN"
    if path.is_dir():
        raise ConfigError(
            f"expected a holdfast.toml at {path}, found a folder", hint=f"name the file: {path / FILE_NAME}"
        )
    try:
        data = read_bytes(path, max_bytes=limits.MAX_CONFIG_BYTES, what="a holdfast.toml")
    except InputError as error:
        raise ConfigError(str(error), hint=make_one) from None
    if not data.strip():
        raise ConfigError(f"expected a holdfast.toml at {path}, found an empty file", hint=make_one)
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from None
    except ValueError as error:  # a TOMLDecodeError, or of a number with thousands of digits
        raise ConfigError(f"{path} is not TOML: {error}", hint=_mend(data.decode("utf-8"), error)) from None
    except RecursionError:
        raise ConfigError(f"{path} is not TOML that can be read: its values are nested too deeply") from None


def _mend(text: str, error: ValueError) -> str:
    """What to do about text that is no TOML: about its line, or first of all where it is no configuration at all."""
    place = re.search(r"at line (\d+)", str(error))
    lines = text.split("\n")
    if not any(re.match(r"\s*(\[|[\w\"'.-]+\s*=)", line) for line in lines):
        return "to write one for a table or pictures: holdfast init FILE --target COLUMN"
    wrong = lines[int(place[1]) - 1].strip() if place and int(place[1]) <= len(lines) else ""
    if re.match(r"[\w.-]+\s*=\s*[A-Za-z_]", wrong):
        key, _, value = wrong.partition("#")[0].partition("=")
        return f'a text stands in double quotes: {key.strip()} = "{value.strip():.60}"'
    return f"mend this line: {wrong:.100}" if wrong else "look for a bracket or a quote that is not closed"


def parse_config(table: Mapping[str, Any], *, path: Path) -> Config:
    """Check a table read from `path`; see `read_config`."""
    config = _parsed(Config, table, path=path)
    try:
        config.schema  # noqa: B018 - a schema that makes no sense is found here and not half way through a run
        _check_training(config.train)
        _check_attack(config)
        _check_policy_can_be_met(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from None
    return config


_ConfigT = TypeVar("_ConfigT", bound=ModelConfig)


def _parsed(kind: type[_ConfigT], table: Mapping[str, Any], *, path: Path) -> _ConfigT:
    _check_values(table, path=path)
    try:
        return kind.model_validate(dict(table))
    except ValidationError as error:
        wrong = wrong_entry(kind, error)
        raise ConfigError(f"{path}: {wrong}", hint=wrong.hint) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from None


def _check_training(train: TrainSection) -> None:
    """Refuse methods that there are not, and options of the other way of training."""
    if train.method not in METHODS and not train.method.startswith("sklearn."):
        raise ConfigError(
            f"expected [train] method to be {', '.join(METHODS)} or sklearn.MODULE.CLASS, got {train.method[:100]!r}",
            hint=did_you_mean(train.method, METHODS, cutoff=0.3),
        )
    if train.is_private and train.params:
        raise ConfigError(
            f"[train] params ({', '.join(train.params)}) are for other classifiers, private training has none",
            hint='take them out, or name a classifier as the method in place of "private"',
        )
    if not train.is_private and "model" in train.model_fields_set:
        raise ConfigError(
            f"[train] model {train.model!r} is for private training, the method is {train.method!r}",
            hint='take it out, or say method = "private"',
        )


def _check_attack(config: Config) -> None:
    """Refuse a class that is none, and prices that mean nothing."""
    attack, classes = config.attack, config.data.classes
    if attack.source_class is not None and attack.source_class not in classes:
        raise ConfigError(
            f"expected [attack] source_class of {', '.join(classes)}, got {attack.source_class!r}",
            hint=did_you_mean(attack.source_class, classes),
        )
    if strange := [name for name in attack.costs if name not in config.data.features]:
        raise ConfigError(
            f"[attack] costs name {strange[0]!r}, which is no feature of [data]",
            hint=did_you_mean(strange[0], config.data.features),
        )
    if bool(attack.costs) != (attack.max_cost is not None):
        raise ConfigError(
            "[attack] costs and max_cost mean something together only, got one of them",
            hint="give what changes cost, by feature (others cost nothing), and what an attacker can pay altogether",
        )


def _check_policy_can_be_met(config: Config) -> None:
    """Refuse to demand what this training cannot have, before anything is done in vain."""
    demands, train = config.demands, config.train
    of_private = {"max_epsilon", "privacy-guarantee", "privacy-audit"} & {*demands.limits, *demands.require}
    if of_private and not train.is_private:
        raise ConfigError(
            f"[policy] demands a privacy guarantee, and [train] method {train.method!r} gives none",
            hint=f'take {" and ".join(sorted(of_private))} out of [policy], or say method = "private"',
        )
    if "hardening" in demands.require and train.is_private and train.model != "logistic":
        raise ConfigError(
            f"[policy] requires hardening, which private training of model {train.model!r} does not have",
            hint='take it out of [policy], or say model = "logistic"',
        )


def _check_values(value: object, *, path: Path, depth: int = 0) -> None:
    """Refuse values that are nested too deeply, or too large to be shown in a sentence."""
    if depth > _MAX_DEPTH:
        raise ConfigError(f"{path} nests its values more than {_MAX_DEPTH} deep")
    if isinstance(value, int) and not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise ConfigError(f"{path} has a whole number of more than 64 bits")
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for part in parts:
        _check_values(part, path=path, depth=depth + 1)
