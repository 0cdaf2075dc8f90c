"""Models: the protocol, the encoding in front of them, and how they are kept."""

from holdfast.models.encoding import EncodedColumn, Encoding
from holdfast.models.linear import LinearModel, probabilities
from holdfast.models.onnx_model import OnnxModel, load_model
from holdfast.models.protocol import Model, StoredModel, Trainer, accuracy, predict
from holdfast.models.sklearn_model import fit_estimator

__all__ = [
    "EncodedColumn",
    "Encoding",
    "LinearModel",
    "Model",
    "OnnxModel",
    "StoredModel",
    "Trainer",
    "accuracy",
    "fit_estimator",
    "load_model",
    "predict",
    "probabilities",
]
