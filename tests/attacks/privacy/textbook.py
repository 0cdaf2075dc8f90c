"""Attacks on membership as the papers write them, record by record: slow, and independent of ours."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from holdfast.attacks.privacy import Shadows


def example(rng: np.random.Generator, *, shadows: int, records: int, memory: float = 1.0) -> tuple[np.ndarray, Shadows]:
    """A target's logits and those of shadows, where training moves a logit up; records differ in mean and spread."""
    inside = rng.random((shadows, records)).argsort(axis=0) < shadows // 2
    mean, spread = 2 * rng.standard_normal(records), rng.uniform(0.5, 2, records)
    logits = mean + spread * rng.standard_normal((shadows, records)) + memory * inside
    target = mean + spread * rng.standard_normal(records) + memory * (rng.random(records) < 0.5)
    return target, Shadows(logits=logits, inside=inside)


def lira_online(target: np.ndarray, shadows: Shadows, *, per_record: bool) -> list[float]:
    """Carlini et al. 2022, algorithm 1; the variance is that of the record, or pooled over all of them."""
    deviation = {side: _pooled_deviation(shadows, side=side) for side in (True, False)}
    scores = []
    for i in range(len(target)):
        log_density = {}
        for side in (True, False):
            answers = shadows.logits[shadows.inside[:, i] == side, i]
            scale = answers.std(ddof=1) if per_record else deviation[side]
            log_density[side] = stats.norm.logpdf(target[i], answers.mean(), scale)
        scores.append(float(log_density[True] - log_density[False]))
    return scores


def lira_offline(target: np.ndarray, shadows: Shadows, *, per_record: bool) -> list[float]:
    """The one-sided test of section IV.C: 1 - Pr[Z > answer] under the Gaussian of the shadows without the record."""
    scores = []
    for i in range(len(target)):
        answers = shadows.logits[~shadows.inside[:, i], i]
        scale = answers.std(ddof=1) if per_record else _pooled_deviation(shadows, side=False)
        scores.append(1 - float(stats.norm.sf(target[i], answers.mean(), scale)))
    return scores


def _pooled_deviation(shadows: Shadows, *, side: bool) -> float:
    squares, freedom = 0.0, 0
    for i in range(shadows.inside.shape[1]):
        answers = shadows.logits[shadows.inside[:, i] == side, i]
        squares += float(((answers - answers.mean()) ** 2).sum())
        freedom += len(answers) - 1
    return math.sqrt(squares / freedom)


def rmia(target: np.ndarray, shadows: Shadows, *, offline_a: float | None) -> list[float]:
    """Zarifzadeh et al. 2024, algorithm 1, gamma = 1, with all other records as the population z."""
    ratios = []
    for i in range(len(target)):
        ins = [_sigmoid(v) for v in shadows.logits[shadows.inside[:, i], i]]
        outs = [_sigmoid(v) for v in shadows.logits[~shadows.inside[:, i], i]]
        p_out = sum(outs) / len(outs)
        if offline_a is None:
            p_x = (sum(ins) / len(ins) + p_out) / 2
        else:
            p_x = ((1 + offline_a) * p_out + (1 - offline_a)) / 2
        ratios.append(_sigmoid(target[i]) / p_x)
    others = len(ratios) - 1
    return [sum(x / z > 1 for j, z in enumerate(ratios) if j != i) / others for i, x in enumerate(ratios)]


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
