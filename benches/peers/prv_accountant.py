"""prv-accountant on Poisson-sampled Gaussian sums: epsilon with the bounds that it gives for its own error."""

from __future__ import annotations

import time

from prv_accountant import PoissonSubsampledGaussianMechanism, PRVAccountant

from peers.measure import Arrays, Figures, main

EPSILON_ERROR = 0.005
"""What it is asked to keep its error in epsilon below; its own default is 0.1."""
DELTA_ERROR = 1e-3
"""And in delta, as a share of it; its own default."""


def settings(arrays: Arrays) -> Figures:
    """For each setting (sampling rate, noise multiplier, steps, delta): its bounds on epsilon, and the time."""
    bounds, times = [], []
    for rate, noise, steps, delta in arrays["settings"]:
        start = time.perf_counter()
        accountant = PRVAccountant(
            prvs=[PoissonSubsampledGaussianMechanism(noise_multiplier=noise, sampling_probability=rate)],
            max_self_compositions=[int(steps)],
            eps_error=EPSILON_ERROR,
            delta_error=DELTA_ERROR * delta,
        )
        bounds.append([float(b) for b in accountant.compute_epsilon(delta=delta, num_self_compositions=[int(steps)])])
        times.append(1000 * (time.perf_counter() - start))
    return {"bounds": bounds, "ms": times}


if __name__ == "__main__":
    main({"settings": settings})
