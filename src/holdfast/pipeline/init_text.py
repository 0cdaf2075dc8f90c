"""The words of a holdfast.toml that `init` writes, with the comments that explain it."""

from __future__ import annotations

from typing import Final

HEAD: Final = """\
# What Holdfast shall do with {file}: read it, correct it, then run:  holdfast run {config}
# {facts}
# Paths are relative to this file.
format = 1
name = {name}

[data]
file = {file_text}
{key}target = {target}
classes = {classes}
test_fraction = 0.2     # rows held out: no training sees them
seed = 0                # decides which rows are held out
"""

FEATURES: Final = """
# kind         real, integer, or category
# range        what the value may be, both ends included; a row outside is refused
# categories   for a category, in place of a range: every value that it may have
# range_source "public" if anyone may know the range or the categories; "data" if they were read from the records.
#              Private training refuses "data": write what you know from units, physics or law, and leave it out
# mutability   what someone who wants another answer could do: free, fixed, increase, decrease
# nullable     true if a value may be missing
[data.features]
"""

SETTINGS: Final = """
[train]
method = "private"      # or without a guarantee: "xgboost.XGBClassifier", "lightgbm.LGBMClassifier", or one of
                        # scikit-learn, such as "sklearn.ensemble.RandomForestClassifier", with its settings in
                        # params = {{ n_estimators = 50 }}; then take max_epsilon out, below
# model = "logistic"    # what private training makes: "logistic", "boosting" (a curve for each feature; bends),
                        # or "network" (needs PyTorch). Only "logistic" can be hardened and keep the guarantee
epsilon = 3.0           # the guarantee of this training; smaller is stronger
delta = 1e-5            # below one in the number of records

[privacy]
limit_epsilon = 8.0     # what all trainings on these records may cost together

[attack]
evasion_budget = {evasion_budget}   # share of its range by which a changeable number may be moved
category_changes = 1    # how many changeable categories may be switched
# source_class = {source_class}  # attack the rows of this class alone: those who want to pass as another
# costs = {{ {costly} = 2.0 }}  # what a move through all of its range, or a switch, costs an attacker,
# max_cost = {evasion_budget}  # who can pay so much for all changes together; what costs does not name is free
extraction_queries = 500
shadow_models = 64      # for membership inference; more make a stronger attack

[harden]
method = "adversarial"  # at the worst point of each row for linear models and trees of two classes; or "none"
epsilon = 3.0           # what the retraining may cost, if the training is private

[seal]
version = "1"
intended_use = {intended_use}
not_for = {not_for}
signing_key = "keys/signer.key"     # made with: holdfast keys
recipient = "keys/recipient.pub"    # whoever shall open the model; here, you

[serve]
host = "127.0.0.1"
port = 8460
unusual_use = "block"   # or "alert": what happens to a client whom the watch flags

[policy]                # what a model has to show before it is served
"""

DEMANDS: Final = {
    "max_epsilon": "take it out where the training is not private",
    "min_accuracy": "more than always naming the commonest class",
    "min_robust_accuracy": "under the attack of [attack]",
    "max_membership_advantage": "0 is guessing, 1 is certainty",
    "require": "evidence that has to be there; an audit must not contradict its claim",
}
