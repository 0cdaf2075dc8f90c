"""The attacks on the rows of a table, one after the other: what one leaves undecided the next one tries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.attacks.oracle import Oracle
from holdfast.attacks.security_curve import CURVE_REACH, TOLERANCE
from holdfast.attacks.tables.differentiable import Differentiable
from holdfast.attacks.tables.gradient import climb
from holdfast.attacks.tables.linear import smallest_flips
from holdfast.attacks.tables.search import Found, search
from holdfast.attacks.tables.standing import EXACT, GRADIENT, SEARCH, Standing
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees import attackable, feasible_flips
from holdfast.data import Dataset, Labels
from holdfast.errors import UnsupportedError
from holdfast.models import LinearModel, OnnxModel, predict


@dataclass(frozen=True, eq=False)
class TableAttack:
    """How rows are attacked: by the weights where there are any, along gradients, and by search what still stands."""

    oracle: Oracle
    gradients: Differentiable | None
    data: Dataset
    threat: FeasibleChange
    max_queries: int

    @property
    def asks_only(self) -> bool:
        """Whether the model is a black box: neither weights, trees nor gradients are known."""
        model = self.oracle.model
        return not isinstance(model, LinearModel) and not attackable(model) and self.gradients is None

    def run(self, rows: Labels, standing: Standing, rng: np.random.Generator) -> None:
        """Attack some rows and note what was found."""
        try:
            left = self._by_weights(rows, standing)
            left = self._by_trees(left, standing)
            left = self._by_gradients(left, standing, rng)
            self._by_search(left, standing, rng)
        except UnsupportedError as error:
            done = f"{int(standing.done.sum())} of {len(standing.done)} rows are done"
            where = f"while rows {rows[0]} to {rows[-1]} of those attacked were changed; {done}"
            raise UnsupportedError(f"{error}, {where}", hint=error.hint) from error
        standing.done[rows] = True

    def _by_weights(self, rows: Labels, standing: Standing) -> Labels:
        """Exactly, if the model is linear; what it leaves undecided comes back."""
        if not isinstance(self.oracle.model, LinearModel):
            return rows
        flips = smallest_flips(self.oracle.model, self.data.X[rows], self.data.y[rows], self.threat)
        flipped = predict(self.oracle.model, flips.X) != self.data.y[rows]
        standing.distance[rows] = np.where(flips.undecided & ~flipped, np.inf, flips.distance)
        inside = flipped & (flips.distance <= self.threat.budget + TOLERANCE)
        standing.searched[rows] = flips.undecided  # of several wrong classes one may be nearer
        standing.X[rows[inside]], standing.finder[rows[inside]] = flips.X[inside], EXACT
        left: Labels = rows[flips.undecided & ~inside]
        return left

    def _by_trees(self, rows: Labels, standing: Standing) -> Labels:
        """Exactly, if the model is made of trees; rows of which a flip within the budget is in doubt come back."""
        model, threat = self.oracle.model, self.threat
        if not isinstance(model, OnnxModel) or not attackable(model):
            return rows
        left = self._by_trees_within(model, rows, min(1.0, CURVE_REACH * threat.budget), standing)
        if len(left) == 0:
            return left
        again = self._by_trees_within(model, left, threat.budget, standing)
        beyond = threat.budget + 2 * TOLERANCE  # of the others no more is known than that they stand within the budget
        standing.distance[left] = np.minimum(standing.distance[left], beyond)
        return again

    def _by_trees_within(self, model: OnnxModel, rows: Labels, within: float, standing: Standing) -> Labels:
        threat = self.threat
        flips = feasible_flips(model, self.data.X[rows], self.data.y[rows], threat, within=within)
        inside = flips.distance <= threat.budget + TOLERANCE
        standing.distance[rows] = np.where(flips.undecided & ~inside, flips.at_least, flips.distance)
        standing.X[rows[inside]], standing.finder[rows[inside]] = flips.X[inside], EXACT
        in_doubt = ~inside & (flips.at_least <= threat.budget + TOLERANCE)
        return rows[in_doubt]

    def _by_gradients(self, rows: Labels, standing: Standing, rng: np.random.Generator) -> Labels:
        """Along the gradients, if there are any; what still stands comes back."""
        if self.gradients is None or len(rows) == 0:
            return rows
        X, y = self.data.X[rows], self.data.y[rows]
        found = climb(self.oracle, self.gradients, X, y, threat=self.threat, rng=rng)
        self._enter(rows, found, standing, GRADIENT)
        return rows[~found.flipped]

    def _by_search(self, rows: Labels, standing: Standing, rng: np.random.Generator) -> None:
        """By asking for probabilities."""
        if len(rows) == 0:
            return
        X, y = self.data.X[rows], self.data.y[rows]
        found = search(self.oracle, X, y, threat=self.threat, max_queries=self.max_queries, rng=rng)
        self._enter(rows, found, standing, SEARCH)

    def _enter(self, rows: Labels, found: Found, standing: Standing, finder: int) -> None:
        standing.queries[rows] += found.queries
        standing.searched[rows] = True
        moved = self.threat.distance(self.data.X[rows], found.X, self.data.schema)
        standing.distance[rows] = np.where(found.flipped, moved, np.inf)
        flipped = rows[found.flipped]
        standing.X[flipped], standing.finder[flipped] = found.X[found.flipped], finder
