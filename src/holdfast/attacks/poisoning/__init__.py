"""Poison for training data, to try out what finds it and what withstands it.

    clean data ── flip_labels | badnets | label_consistent ──> Poisoned ── train ── backdoor_success ──> BackdoorResult

What finds poison is `holdfast.data` (`run_checks`, `check_images`), what withstands it `holdfast.training`
(`train_partitioned`); they meet these attacks in a data set and know nothing of them.
"""

from holdfast.attacks.poisoning.poisoned import Poisoned, badnets, flip_labels, label_consistent
from holdfast.attacks.poisoning.success import BackdoorResult, Classifier, backdoor_success
from holdfast.attacks.poisoning.triggers import PictureTrigger, TableTrigger, Trigger, checkerboard, rare_pair

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
    "flip_labels",
    "label_consistent",
    "rare_pair",
]
