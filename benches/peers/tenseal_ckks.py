"""TenSEAL: Microsoft SEAL's CKKS from Python. One thread, as its vectors are not safe for more.

Its answers leave as they are: not re-randomised, not flooded, at full length, so they tell the key's owner about the
model. Ours are masked, so the comparison is in the peer's favour.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tenseal
from numpy.typing import NDArray

from peers.measure import Arrays, Figures, main, median_ms, peak_memory, same_class

Weights = NDArray[np.float64]


class Setting:
    """A client's keys, and the server's half as it arrives over the wire."""

    def __init__(self, degree: int, bits: list[int], *, scale_bits: int) -> None:
        self.client = tenseal.context(tenseal.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=bits, n_threads=1)
        self.client.global_scale = 2.0**scale_bits
        self.client.generate_galois_keys()
        public = self.client.copy()
        public.make_context_public()
        upload = public.serialize()
        self.key_bytes = len(upload)
        self.server = tenseal.context_from(upload)

    def measure(
        self,
        evaluate: Callable[[tenseal.CKKSVector], tenseal.CKKSVector],
        queries: list[tenseal.CKKSVector],
        expected: Weights,
        *,
        repeats: int,
    ) -> Figures:
        """Server time for the first query, its sizes, and the agreement on all of them; expected (rows, outputs)."""
        sent = [query.serialize() for query in queries]

        def serve(query: bytes) -> bytes:
            return bytes(evaluate(tenseal.ckks_vector_from(self.server, query)).serialize())

        server_ms = median_ms(lambda: serve(sent[0]), repeats=repeats)
        answers = [serve(query) for query in sent]
        scores = np.array([tenseal.ckks_vector_from(self.client, answer).decrypt() for answer in answers])
        scores = scores[:, : expected.shape[1]]
        return {
            "server": server_ms,
            "query": len(sent[0]),
            "answer": len(answers[0]),
            "keys": self.key_bytes,
            "memory": peak_memory(),
            "agreement": same_class(scores, expected),
            "worst error": float(np.abs(scores - expected).max()),
            "rows": len(sent),
        }


def logistic(case: Arrays) -> Figures:
    """A dot product at N = 8192, log2 Q = 160, scale 2^40: about the precision of ours. It needs rotation keys."""
    setting = Setting(8192, [60, 40, 60], scale_bits=40)
    weights, bias = case["W0"][0].tolist(), case["b0"].tolist()
    queries = [tenseal.ckks_vector(setting.client, row) for row in case["X"]]
    return setting.measure(lambda x: x.dot(weights) + bias, queries, case["expected"], repeats=40)


def mlp(case: Arrays) -> Figures:
    """Affine maps with squarings between them, at N = 16384.

    The biases ride in the matrices, as the weights of a lane that is always 1: adding a plain vector between two
    `mm` gives wrong values in 0.3.18, because the padding behind the vector is not padding afterwards.
    """
    n_layers = sum(name.startswith("W") for name in case)
    matrices = [with_bias(case[f"W{i}"], case[f"b{i}"], last=i == n_layers - 1) for i in range(n_layers)]
    setting = Setting(16384, [60, *[40] * (2 * n_layers - 1), 60], scale_bits=40)
    queries = [tenseal.ckks_vector(setting.client, [*row, 1.0]) for row in case["X"][:1]]

    def evaluate(x: tenseal.CKKSVector) -> tenseal.CKKSVector:
        for i, matrix in enumerate(matrices):
            x = (x.square() if i else x).mm(matrix)
        return x

    return setting.measure(evaluate, queries, case["expected"][:1], repeats=1)


def with_bias(weights: Weights, bias: Weights, *, last: bool) -> list[list[float]]:
    """(in + 1, out) or, unless it is the last, (in + 1, out + 1): the lane of ones goes on."""
    matrix = np.vstack([weights.T, bias])
    if not last:
        ones = np.zeros((len(matrix), 1))
        ones[-1] = 1
        matrix = np.hstack([matrix, ones])
    return [list(map(float, row)) for row in matrix]


def tutorial_cnn(case: Arrays) -> Figures:
    """The network of TenSEAL's own tutorial on MNIST: conv 7x7 stride 3 with 4 channels, square, 64, square, 10.

    The weights are drawn at random, as time does not depend on them; trained ones reach about 97.5 % on MNIST. The
    expected scores are the same network's in the clear.
    """
    rng = np.random.default_rng(0)
    kernels, bias = rng.normal(0, 1 / 7, (4, 7, 7)), rng.normal(0, 0.1, 4)
    dense = [(rng.normal(0, 1 / 16, (256, 64)), rng.normal(0, 0.1, 64)), (rng.normal(0, 1 / 8, (64, 10)), np.zeros(10))]
    setting = Setting(8192, [31, 26, 26, 26, 26, 26, 26, 31], scale_bits=26)
    images = case["X"][:3].reshape(-1, 28, 28)
    encoded = [tenseal.im2col_encoding(setting.client, image.tolist(), 7, 7, 3) for image in images]
    windows = encoded[0][1]

    def evaluate(x: tenseal.CKKSVector) -> tenseal.CKKSVector:
        channels = [x.conv2d_im2col(k.tolist(), windows) + float(b) for k, b in zip(kernels, bias, strict=True)]
        x = tenseal.CKKSVector.pack_vectors(channels)
        for weights, offset in dense:
            x = x.square().mm(weights.tolist()) + offset.tolist()
        return x

    expected = np.array([clear_cnn(image, kernels, bias, dense) for image in images])
    return setting.measure(evaluate, [vector for vector, _ in encoded], expected, repeats=5)


def clear_cnn(image: Weights, kernels: Weights, bias: Weights, dense: list[tuple[Weights, Weights]]) -> Weights:
    """The tutorial's network on one image (28, 28): ten scores."""
    patches = np.lib.stride_tricks.sliding_window_view(image, (7, 7))[::3, ::3]
    x = (np.einsum("ijkl,ckl->cij", patches, kernels) + bias[:, None, None]).ravel()
    for weights, offset in dense:
        x = x**2 @ weights + offset
    return np.asarray(x)


if __name__ == "__main__":
    main({"logistic": logistic, "mlp-784": mlp, "cnn-mnist": tutorial_cnn})
