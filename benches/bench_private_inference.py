"""Private linear prediction beside TenSEAL's CKKS: one row of 30 features, two classes, one process, one thread.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; the ratio is peer
over ours, above 1 where ours is less. Times are medians; run it with OMP_NUM_THREADS=1 on a machine at rest.

TenSEAL computes an approximate score and sends it back as it is: not re-randomised, not flooded, so its answer tells
the key's owner about the weights. Ours is exact and masked, so the comparison is in the peer's favour. Its figures are
for N = 8192, log2 Q = 160, scale 2^40, which gives about the same precision; a dot product there needs rotation keys.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from holdfast.private_inference import ClientKey, Evaluator, PrivateSession, compile_linear

N_FEATURES = 30
REPEATS = 40
PEER = "TenSEAL CKKS"


def median_ms(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def client_ms(session: PrivateSession, evaluator: Evaluator, key: ClientKey, E: np.ndarray) -> float:
    """Encryption and decryption; each answer can be decrypted once, so as many are made beforehand."""
    answers = iter([evaluator.answer(session.encrypt(E), key=key) for _ in range(REPEATS + 1)])
    return median_ms(lambda: session.encrypt(E)) + median_ms(lambda: session.decrypt(next(answers)))


def ours(coef: np.ndarray, intercept: np.ndarray, E: np.ndarray) -> dict[str, float]:
    plan = compile_linear(coef, intercept, classes=["negative", "positive"])
    session, evaluator = PrivateSession(plan.public), Evaluator(plan)
    key = evaluator.load_key(session.public_key_bytes())
    query = session.encrypt(E[:1])
    batch = session.encrypt(E)
    return {
        "server time, one row": median_ms(lambda: evaluator.answer(query, key=key)),
        "client time, one row": client_ms(session, evaluator, key, E[:1]),
        "client keys": median_ms(lambda: PrivateSession(plan.public)),
        "server time per row, 16 rows": median_ms(lambda: evaluator.answer(batch, key=key)) / len(E),
        "query, one row": len(query),
        "answer, one row": len(evaluator.answer(query, key=key)),
        "keys uploaded once": len(session.public_key_bytes()),
    }


def peer(coef: np.ndarray, intercept: np.ndarray, E: np.ndarray) -> dict[str, float]:
    import tenseal

    def context() -> tenseal.Context:
        made = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 60], n_threads=1)
        made.global_scale = 2**40
        made.generate_galois_keys()
        return made

    client = context()
    public = client.copy()
    public.make_context_public()
    upload = public.serialize()
    server = tenseal.context_from(upload)
    query = tenseal.ckks_vector(client, E[0]).serialize()
    weights, bias = coef[0].tolist(), intercept.tolist()

    def serve() -> bytes:
        answer: bytes = (tenseal.ckks_vector_from(server, query).dot(weights) + bias).serialize()
        return answer

    answer = serve()

    def one_client() -> None:
        tenseal.ckks_vector(client, E[0]).serialize()
        tenseal.ckks_vector_from(client, answer).decrypt()

    return {
        "server time, one row": median_ms(serve),
        "client time, one row": median_ms(one_client),
        "client keys": median_ms(context),
        "server time per row, 16 rows": median_ms(serve),
        "query, one row": len(query),
        "answer, one row": len(answer),
        "keys uploaded once": len(upload),
    }


def main() -> None:
    rng = np.random.default_rng(0)
    coef, intercept = rng.normal(size=(1, N_FEATURES)), rng.normal(size=1)
    E = rng.uniform(-1, 1, (16, N_FEATURES))
    mine = ours(coef, intercept, E)
    try:
        theirs = peer(coef, intercept, E)
    except ImportError as error:
        print(json.dumps({"bench": "private_inference", "skipped": PEER, "reason": str(error)}))
        theirs = {}
    for case, value in mine.items():
        other = theirs.get(case)
        line = {
            "bench": "private_inference",
            "case": case,
            "ours": round(value, 3),
            "peer": None if other is None else round(other, 3),
            "peer_name": PEER,
            "ratio": None if other is None else round(other / value, 2),
            "unit": "ms" if "time" in case or case == "client keys" else "bytes",
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
