"""Poison for training data, to try out what finds it and what withstands it.

    clean data ── flip_labels | badnets | label_consistent | feature_collision ──> Poisoned
    Poisoned ── train ── backdoor_success ──> BackdoorResult

What finds poison is `holdfast.data` (`run_checks`, `check_images`), what withstands it `holdfast.training`
(`train_partitioned`); they meet these attacks in a data set and know nothing of them.
"""

from typing import TYPE_CHECKING

from holdfast.attacks.poisoning.poisoned import Poisoned, badnets, flip_labels, label_consistent
from holdfast.attacks.poisoning.success import BackdoorResult, Classifier, backdoor_success
from holdfast.attacks.poisoning.triggers import PictureTrigger, TableTrigger, Trigger, checkerboard, rare_pair
from holdfast.deferred import deferred

if TYPE_CHECKING:
    from holdfast.attacks.poisoning.collision import feature_collision
else:
    __getattr__ = deferred(__name__, {"collision": ("feature_collision",)})  # it needs PyTorch

__all__ = [
    "BackdoorResult",
    "Classifier",
    "PictureTrigger",
    "Poisoned",
    "TableTrigger",
    "Trigger",
    "backdoor_success",
    "badnets",
    "checkerboard",
    "feature_collision",
    "flip_labels",
    "label_consistent",
    "rare_pair",
]
