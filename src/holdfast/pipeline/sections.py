"""The sections of a holdfast.toml, each with its defaults; `config` puts them together and checks them as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
PrivateModel = Literal["logistic", "boosting", "network"]
"""What private training makes: see `holdfast.training.estimators`."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]


class Section(BaseModel):
    """What all sections have in common: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSection(Section):
    """`[data]`: the table, the key that it is encrypted under, its target, and what its columns mean."""

    file: str
    key: str = ""
    target: str
    classes: list[str]
    features: dict[str, dict[str, Any]]
    relations: list[str] = []
    test_fraction: Share = 0.2
    seed: int = 0


class TrainSection(Section):
    """`[train]`: `method = "private"` with a budget, or any scikit-learn classifier by its full name, without one."""

    method: str = "private"
    model: PrivateModel = "logistic"
    epsilon: Annotated[float, Field(gt=0, le=10)] = 3.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    params: dict[str, Any] = {}
    seed: int = 0

    @property
    def is_private(self) -> bool:
        """Whether the training carries a privacy guarantee."""
        return self.method == "private"


class PrivacySection(Section):
    """`[privacy]`: what may be spent on the records altogether, over all trainings."""

    limit_epsilon: Annotated[float, Field(gt=0, le=10)] = 8.0


class AttackSection(Section):
    """`[attack]`: how hard the model is attacked, and what changes cost an attacker."""

    evasion_budget: Share = 0.05
    category_changes: Annotated[int, Field(ge=0, le=100)] = 1
    costs: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    max_cost: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    extraction_queries: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    shadow_models: Annotated[int, Field(ge=8, le=10_000)] = 64
    seed: int = 0


class HardenSection(Section):
    """`[harden]`: whether to retrain against the evasion found, and what that may spend."""

    method: Literal["adversarial", "none"] = "adversarial"
    epsilon: Annotated[float, Field(gt=0, le=10)] = 3.0


class SealSection(Section):
    """`[seal]`: the version, what the model is for, and where the keys are."""

    version: Name = "1"
    intended_use: str = ""
    not_for: str = ""
    signing_key: str = "keys/signer.key"
    recipient: str = "keys/recipient.pub"


class ServeSection(Section):
    """`[serve]`: where the service listens, and what a new client may ask."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8460
    query_budget: Annotated[int, Field(ge=1)] = 10_000
    unusual_use: Literal["alert", "block"] = "block"
