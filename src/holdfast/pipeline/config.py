"""holdfast.toml: everything that a person decides about one model, checked when it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from holdfast import limits
from holdfast.data import Schema
from holdfast.errors import ConfigError, InputError
from holdfast.files import read_bytes
from holdfast.policy import Policy

FILE_NAME = "holdfast.toml"

Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]


_MAX_DEPTH = 20
"""Tables and lists inside one another; a holdfast.toml needs five."""
_MAX_INTEGER = 2**63
"""The whole numbers that TOML speaks of fit in 64 bits; Python's reader takes larger ones."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSection(_Section):
    """`[data]`: the table, its target, and what its columns mean."""

    file: str
    target: str
    classes: list[str]
    features: dict[str, dict[str, Any]]
    relations: list[str] = []
    test_fraction: Share = 0.2
    seed: int = 0


class TrainSection(_Section):
    """`[train]`: `method = "private"` with a budget, or any scikit-learn classifier by its full name, without one."""

    method: str = "private"
    epsilon: Annotated[float, Field(gt=0, le=10)] = 3.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    params: dict[str, Any] = {}
    seed: int = 0

    @property
    def is_private(self) -> bool:
        """Whether the training carries a privacy guarantee."""
        return self.method == "private"


class PrivacySection(_Section):
    """`[privacy]`: what may be spent on the records altogether, over all trainings."""

    limit_epsilon: Annotated[float, Field(gt=0, le=10)] = 8.0


class AttackSection(_Section):
    """`[attack]`: how hard the model is attacked."""

    evasion_budget: Share = 0.05
    category_changes: Annotated[int, Field(ge=0, le=100)] = 1
    extraction_queries: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    shadow_models: Annotated[int, Field(ge=8, le=10_000)] = 64
    seed: int = 0


class HardenSection(_Section):
    """`[harden]`: whether to retrain against the evasion found, and what that may spend."""

    method: Literal["adversarial", "none"] = "adversarial"
    epsilon: Annotated[float, Field(gt=0, le=10)] = 3.0


class SealSection(_Section):
    """`[seal]`: the version, what the model is for, and where the keys are."""

    version: Name = "1"
    intended_use: str = ""
    not_for: str = ""
    signing_key: str = "keys/signer.key"
    recipient: str = "keys/recipient.pub"


class ServeSection(_Section):
    """`[serve]`: where the service listens, and what a new client may ask."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8460
    query_budget: Annotated[int, Field(ge=1)] = 10_000
    unusual_use: Literal["alert", "block"] = "block"


class ModelConfig(_Section):
    """A holdfast.toml without `[data]`: about a model that was made elsewhere, and is sealed and served."""

    format: Literal[1]
    name: Name
    seal: SealSection = SealSection()
    serve: ServeSection = ServeSection()
    policy: dict[str, Any] = {}

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
    try:
        data = read_bytes(path, max_bytes=limits.MAX_CONFIG_BYTES, what="a holdfast.toml")
    except InputError as error:
        raise ConfigError(str(error), hint="write one with: holdfast init FILE.csv --target COLUMN") from None
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from None
    except ValueError as error:  # a TOMLDecodeError, or of a number with thousands of digits
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not TOML that can be read: its values are nested too deeply") from None


def parse_config(table: Mapping[str, Any], *, path: Path) -> Config:
    """Check a table read from `path`; see `read_config`."""
    config = _parsed(Config, table, path=path)
    try:
        config.schema  # noqa: B018 - a schema that makes no sense is found here and not half way through a run
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
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"][:1].lower() + first["msg"][1:]
        got = "" if first["type"] == "missing" else f", got {str(first['input'])[:60]!r}"
        raise ConfigError(f"{path}: {place}: {reason}{got}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from None


def _check_policy_can_be_met(config: Config) -> None:
    """Refuse to demand a privacy guarantee of a training that has none, before anything is done in vain."""
    demands = config.demands
    if not config.train.is_private and ("max_epsilon" in demands.limits or "privacy-guarantee" in demands.require):
        raise ConfigError(
            f"[policy] demands a privacy guarantee, and [train] method {config.train.method!r} gives none",
            hint='take max_epsilon out of [policy], or say method = "private"',
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
