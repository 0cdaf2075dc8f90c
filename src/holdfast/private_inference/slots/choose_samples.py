"""The layout of a network program for batches: as `choose_networks.py`, but sample after sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from holdfast.errors import UnsupportedError, UsageError
from holdfast.he import MIN_FLOODING_BITS, KeyRequest, Parameters, bounds, precision, slots_bound
from holdfast.he.bounds import Bound
from holdfast.he.lane_transform import MIN_LANES, LaneGain, lane_elements
from holdfast.he.parameters import ERROR_BOUND
from holdfast.limits import MAX_BATCH_CIPHERTEXTS
from holdfast.private_inference.program import NetworkProgram
from holdfast.private_inference.slots.choice import DEGREE, key_cost, special_bits
from holdfast.private_inference.slots.network_circuit import SQUARE_PRIMES
from holdfast.private_inference.slots.sample_circuit import dense
from holdfast.private_inference.slots.sample_layout import SampleLayout

_MAGNITUDE: Final = 1.0
"""Largest absolute value of a number in a query."""
_WEIGHT_BITS: Final = 22
"""Of the scale of weights, but for those of the last map."""
_SCORE_MARGIN: Final = 1.25
"""What is above the largest score by this factor is garbage."""
_KEY_MARGIN: Final = 9
"""Bits that keep the noise of switching keys below that of rounding."""
_DECREASE: Final = 3
"""Bits by which the scale may be smaller after each squaring."""
_SLACK: Final = 1.01
"""Noise is taken to be a little more than the same sum says elsewhere, in another order; so is the mask."""
_ANSWER_BITS: Final = 31
_DEVIATIONS: Final = 5.0
"""The largest error of a score in standard deviations: passed by one of a million scores."""
_GOOD_ERROR, _WORST_ERROR = 2.0**-6, 2.0**-4
"""Of a score: what is aimed at, and what is accepted. Beyond the first, larger primes leave less room for keys."""
_LIMBS: Final = 10
"""Primes of a query, about."""
_MAX_WEIGHT_BYTES: Final = 400 * 10**6
"""Memory for the weights of all maps."""
_SCALES: Final = range(56, 110)
_HINT: Final = "compile it without batch: rows are then asked one by one"


def choose_sample_layout(program: NetworkProgram, *, width: int) -> SampleLayout:
    """The layout in which a network is asked for batches of rows of so many numbers.

    Raises:
        UnsupportedError: its inputs do not fit a query, its matrices are too large for memory, or its values are not
            exact enough.
    """
    if len(program.layers) < 2:
        raise UnsupportedError("a network of one affine map is a linear model", hint="compile it as a linear model")
    lanes = _lanes(program)
    best: tuple[SampleLayout, float] | None = None
    for layout, error in _layouts(program, lanes=lanes, width=width):
        if best is None or error < best[1]:
            best = layout, error
        if error <= _GOOD_ERROR:
            break
    if best is None or best[1] > _WORST_ERROR:
        raise UnsupportedError("the network's values leave no room for the scores of a batch", hint=_HINT)
    return best[0]


def _lanes(program: NetworkProgram) -> int:
    """Lanes, as few as fit a query: the fewer, the more samples."""
    lanes = MIN_LANES
    while -(-program.layers[0].n_inputs // lanes) > MAX_BATCH_CIPHERTEXTS:
        lanes *= 2
    weights = sum(-(-layer.n_outputs // (2 * lanes)) * -(-layer.n_inputs // lanes) for layer in program.layers)
    if weights * (2 * lanes - 1) * 2 * lanes * 8 * _LIMBS > _MAX_WEIGHT_BYTES:
        raise UnsupportedError(
            f"a network of {program.layers[0].n_inputs} inputs is too large for private batches", hint=_HINT
        )
    return lanes


def _layouts(program: NetworkProgram, *, lanes: int, width: int) -> Iterator[tuple[SampleLayout, float]]:
    """Layouts of growing scale, and the largest error of a score in each."""
    gains = [LaneGain.of(dense(layer), lanes=lanes) for layer in program.layers]
    for scale_bits in _SCALES:
        try:
            yield _layout(program, gains, scale_bits, lanes=lanes, width=width)
        except (UsageError, UnsupportedError):
            return


def _layout(
    program: NetworkProgram, gains: list[LaneGain], scale_bits: int, *, lanes: int, width: int
) -> tuple[SampleLayout, float]:
    magnitude = _SCORE_MARGIN * program.bounds[-1]
    weight_bits, mask_bits = _last_bits(program, gains[-1])
    room = math.log2(max(magnitude, 2.0**-10)) + 1.5
    bits, n_answer = _prime_bits(scale_bits, len(gains) - 1, room=room + weight_bits + mask_bits)
    special = special_bits(bits, hint=_HINT, margin=_KEY_MARGIN)
    parameters = Parameters.generate(DEGREE, bits=bits, special_bits=special)
    noise, scale = _noise(program, gains, parameters, scale=2.0**scale_bits, weight_scale=2.0**weight_bits)
    answer_scale = scale * 2.0 ** (weight_bits + mask_bits)
    masked = _SLACK * noise.deviation * 2.0**mask_bits
    n_positions = parameters.slots * -(-program.layers[-1].n_outputs // lanes)  # over all answers
    flood = math.ceil(MIN_FLOODING_BITS - 1 + math.log2((masked + 2 * ERROR_BOUND * DEGREE) * n_positions))
    exact = precision(parameters, n_answer, flood_bits=flood, answer_bits=_ANSWER_BITS, scale=answer_scale)
    layout = SampleLayout(
        parameters=parameters,
        key_request=KeyRequest(
            relinearise_level=len(bits) - 1, rotations=dict.fromkeys(lane_elements(parameters), len(bits))
        ),
        scale=2.0**scale_bits,
        magnitude=_MAGNITUDE,
        query_level=len(bits),
        answer_level=n_answer,
        answer_scale=answer_scale,
        answer_magnitude=magnitude,
        answer_bits=_ANSWER_BITS,
        flood_bits=flood,
        width=width,
        n_outputs=program.layers[-1].n_outputs,
        lanes=lanes,
        maps=len(gains),
        mask_scale=2.0**mask_bits,
        input_map=None if program.input_map is None else tuple(program.input_map.tolist()),
    )
    return layout, exact * _DEVIATIONS * math.sqrt(2 * parameters.slots / 3)


def _last_bits(program: NetworkProgram, gain: LaneGain) -> tuple[int, int]:
    """Bits of the scales of the last map's weights and of the mask: rounding either costs a score about 2^-10.

    A weight's 2·lanes coefficients, and the mask's N, are off by a twelfth in the mean square. The squares before the
    last map are taken to be a quarter of their bound.
    """
    square = max(program.bounds[-2] ** 2 / 4, 1.0)
    weights = math.sqrt(gain.inputs * (2 * gain.lanes - 1) * 2 * gain.lanes / 12) * square
    mask = math.sqrt(DEGREE / 12) * max(program.bounds[-1], 1.0)
    return math.ceil(10 + math.log2(weights)), math.ceil(10 + math.log2(mask))


def _prime_bits(scale_bits: int, hidden: int, *, room: float) -> tuple[list[int], int]:
    """Sizes of the primes, and how many of them are left for the answer."""
    dropped: list[int] = []
    for _ in range(hidden):
        drop = scale_bits + _DECREASE  # 2·scale to scale - _DECREASE
        dropped = [drop // 2, drop - drop // 2, _WEIGHT_BITS, *dropped]
        scale_bits -= _DECREASE
    answer = math.ceil(scale_bits + room)
    fewest = -(-answer // 50)
    choices = [[-(-answer // n)] * n + dropped for n in (fewest, fewest + 1)]
    bits = min(choices, key=lambda bits: key_cost(bits, margin=_KEY_MARGIN))
    return bits, len(bits) - len(dropped)


def _noise(
    program: NetworkProgram, gains: list[LaneGain], parameters: Parameters, *, scale: float, weight_scale: float
) -> tuple[Bound, float]:
    """The noise after the last map, and the scale before it; the same bounds as the evaluator's."""
    noise, level, rounding = bounds.fresh(parameters), parameters.max_level, bounds.rounding(parameters)
    for gain, bound in zip(gains[:-1], program.bounds, strict=False):
        prime = float(parameters.primes[level - 1])
        noise = gain.noise(noise, parameters=parameters, level=level, scale=prime)
        y = noise.scaled(1 / prime).with_fresh(rounding)
        message = slots_bound(parameters, magnitude=bound, scale=scale)
        both = y.canonical * y.canonical
        noise = y.times_unknown(message).scaled(2) + Bound.fixed(canonical=both, coefficient=both)
        noise = noise + bounds.switching(parameters, level - 1) + rounding
        scale *= scale
        for dropped in range(SQUARE_PRIMES):
            divisor = parameters.primes[level - 2 - dropped]
            noise, scale = noise.scaled(1 / divisor).with_fresh(rounding), scale / divisor
        level -= 1 + SQUARE_PRIMES
    return gains[-1].noise(noise, parameters=parameters, level=level, scale=weight_scale), scale
