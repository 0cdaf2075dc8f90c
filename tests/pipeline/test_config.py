"""holdfast.toml: what it may say, and the one sentence for what it may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import ConfigError
from holdfast.pipeline import Project, read_config

BAD = [
    ("format = 1", "format = 2", "format"),
    ('name = "loans"', 'name = "../loans"', "name"),
    ('name = "loans"', "", "name: field required"),
    ("test_fraction = 0.25", "test_fraction = 1.5", "data.test_fraction: .*got '1.5'"),
    ("test_fraction = 0.25", 'test_fraction = "a"', "data.test_fraction"),
    ('classes = ["no", "yes"]', 'classes = ["no"]', "2 to 1000 different classes"),
    ("range = [0, 100]", "range = [100, 0]", "'income' needs a range"),
    ("range = [0, 100]", "range = [0, 100, 200]", "'income' needs range"),
    ("range = [0, 100]", "range = [0, inf]", "'income' needs a range"),
    ('kind = "real"', 'kind = "float"', "'income' needs kind to be one of real, integer, category, got 'float'"),
    ('mutability = "fixed"', 'mutability = "never"', "'age' needs mutability"),
    ("nullable = true", "nullabel = true", "'home' has nullabel"),
    ("epsilon = 2.0", "epsilon = 0", "train.epsilon: .*got '0'"),
    ("epsilon = 2.0", "epsilon = nan", "train.epsilon"),
    ("shadow_models = 8", "shadow_models = 1", "attack.shadow_models"),
    ("shadow_models = 8", "shadows = 8", "attack.shadows: extra inputs are not permitted"),
    ("min_accuracy = 0.5", "min_acuracy = 0.5", "does not know 'min_acuracy'"),
    ("min_accuracy = 0.5", 'min_accuracy = "high"', "min_accuracy must be a number"),
    ("min_accuracy = 0.5", 'require = "data-checks"', "require must be a list"),
    ("[policy]", "[polcy]", "polcy"),
    ("[policy]", "[policy", "is not TOML"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), BAD, ids=[f"{new or 'no ' + old}" for old, new, _ in BAD])
def test_a_wrong_entry_is_named_in_one_sentence(
    write: Callable[..., Project], old: str, new: str, sentence: str
) -> None:
    path = write().path
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=sentence) as refused:
        read_config(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found no file") as refused:
        read_config(tmp_path / "holdfast.toml")
    assert "holdfast init" in refused.value.hint


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 8"):
        read_config(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(b"#" * (8 * 2**20 + 1))
    with pytest.raises(ConfigError, match="at most"):
        read_config(path)


def test_settings_that_are_left_out_have_the_documented_values(write: Callable[..., Project]) -> None:
    config = write().config
    assert config.serve.port == 8460
    assert config.serve.unusual_use == "block"
    assert config.attack.evasion_budget == 0.05
