"""The sections of a holdfast.toml, each with its defaults; `config` puts them together and checks them as a whole.

A field's description completes the sentence "expected it to be …": see `wrong_entry`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1, description="a number above 0 and below 1")]
Epsilon = Annotated[float, Field(gt=0, le=10, description="a number above 0 and up to 10")]
Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(description="a text")]
FilePath = Annotated[
    str,
    Field(
        pattern=r"^/*[^\x00-\x1f/]{1,200}(/+[^\x00-\x1f/]{1,200})*/*$",
        description="the path of a file, as a text of one line",
    ),
]
Seed = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]
PrivateModel = Literal["logistic", "boosting", "network"]
"""What private training makes: see `holdfast.training.estimators`."""
METHODS = ("private", "xgboost.XGBClassifier", "lightgbm.LGBMClassifier")
"""What trains, beside the classifiers of scikit-learn by their full names."""
Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$",
        description="a name of a-z, 0-9, dots, dashes and underscores, as a text",
    ),
]


class Section(BaseModel):
    """What all sections have in common: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSection(Section):
    """`[data]`: the table, the key that it is encrypted under, its target, and what its columns mean."""

    file: FilePath
    key: Annotated[str, Field(description='a text, such as "file:PATH"')] = ""
    target: Annotated[str, Field(description="the name of a column, as a text")]
    classes: Annotated[list[str], Field(description="a list of texts")]
    features: Annotated[
        dict[str, dict[str, Any]], Field(description='a table, such as { kind = "real", range = [0, 1] }')
    ]
    relations: Annotated[list[str], Field(description='a list of texts, such as "a <= b"')] = []
    test_fraction: Share = 0.2
    seed: Seed = 0


class TrainSection(Section):
    """`[train]`: `method = "private"` with a budget, or without one a classifier by its full name."""

    method: Annotated[str, Field(description='"private", or the name of a classifier')] = "private"
    model: Annotated[PrivateModel, Field(description='"logistic", "boosting" or "network"')] = "logistic"
    epsilon: Epsilon = 3.0
    delta: Share = 1e-5
    params: Annotated[dict[str, Any], Field(description="a table, such as { n_estimators = 50 }")] = {}
    seed: Seed = 0

    @property
    def is_private(self) -> bool:
        """Whether the training carries a privacy guarantee."""
        return self.method == "private"


class PrivacySection(Section):
    """`[privacy]`: what may be spent on the records altogether, over all trainings."""

    limit_epsilon: Epsilon = 8.0


class AttackSection(Section):
    """`[attack]`: how hard the model is attacked, whose rows are changed, and what that costs an attacker."""

    evasion_budget: Share = 0.05
    category_changes: Annotated[int, Field(ge=0, le=100, description="a whole number from 0 to 100")] = 1
    costs: Annotated[dict[str, Price], Field(description="a number above 0 for each feature that it names")] = {}
    source_class: Annotated[str | None, Field(description="one of the classes of [data]")] = None
    max_cost: Annotated[Price | None, Field(description="a number above 0")] = None
    extraction_queries: Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")] = 500
    shadow_models: Annotated[int, Field(ge=8, le=10_000, description="a whole number from 8 to 10000")] = 64
    seed: Seed = 0


class HardenSection(Section):
    """`[harden]`: whether to retrain against the evasion found, and what that may spend."""

    method: Annotated[Literal["adversarial", "none"], Field(description='"adversarial" or "none"')] = "adversarial"
    epsilon: Epsilon = 3.0


class SealSection(Section):
    """`[seal]`: the version, what the model is for, and where the keys are."""

    version: Name = "1"
    intended_use: Text = ""
    not_for: Text = ""
    signing_key: FilePath = "keys/signer.key"
    recipient: FilePath = "keys/recipient.pub"


class ServeSection(Section):
    """`[serve]`: where the service listens, and what a new client may ask."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="a whole number from 0 to 65535")] = 8460
    query_budget: Annotated[int, Field(ge=1, description="a whole number from 1")] = 10_000
    unusual_use: Annotated[Literal["alert", "block"], Field(description='"alert" or "block"')] = "block"
