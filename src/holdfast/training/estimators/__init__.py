"""Private estimators in the shape of scikit-learn: the same words, and an epsilon.

Each one plans its noisy sums from what is public, enters them in a ledger, and only then looks at a record. Take
`DPLogisticRegression` first; `DPGradientBoostingClassifier` bends, and stays a sum of one curve for each feature;
`DPMLPClassifier` (PyTorch) is imported from `holdfast.training.estimators.mlp`.
"""

from holdfast.training.estimators.boosting import DPGradientBoostingClassifier
from holdfast.training.estimators.linear import DPLinearRegression
from holdfast.training.estimators.logistic import DPLogisticRegression

__all__ = ["DPGradientBoostingClassifier", "DPLinearRegression", "DPLogisticRegression"]
