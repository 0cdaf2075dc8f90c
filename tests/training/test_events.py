"""Events refuse what cannot be accounted for, and survive JSON."""

from __future__ import annotations

import json
import math

import pytest

from holdfast.errors import UsageError, WireError
from holdfast.training import NoisySums, SampledSums
from holdfast.training.account.events import Event, event_from_json

EVENTS: tuple[Event, ...] = (
    NoisySums(noise_multiplier=3.25, count=60, width=31),
    SampledSums(noise_multiplier=1.1, sampling_rate=0.017, count=2_000, width=92_000),
    SampledSums(noise_multiplier=1.1, sampling_rate=1.0, count=1, width=1),
)


@pytest.mark.parametrize(
    ("noise", "count", "width"),
    [(0.0, 1, 1), (-1.0, 1, 1), (math.nan, 1, 1), (math.inf, 1, 1), (1.0, 0, 1), (1.0, 1, 0)],
)
def test_an_event_without_noise_or_numbers_is_refused(noise: float, count: int, width: int) -> None:
    with pytest.raises(UsageError):
        NoisySums(noise_multiplier=noise, count=count, width=width)
    with pytest.raises(UsageError):
        SampledSums(noise_multiplier=noise, sampling_rate=0.1, count=count, width=width)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.0000001, math.nan, math.inf])
def test_a_sampling_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="sampling rate above 0 and at most 1"):
        SampledSums(noise_multiplier=1.0, sampling_rate=rate, count=1, width=1)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_survives_json(event: Event) -> None:
    assert event_from_json(json.loads(json.dumps(event.to_json()))) == event


@pytest.mark.parametrize("event", EVENTS)
def test_a_strange_event_is_refused(event: Event) -> None:
    document = event.to_json()
    strange = [{}, None, [], document | {"mechanism": "laplace"}, document | {"mechanism": ["gaussian"]}]
    strange += [document | {"count": 1.0}, document | {"count": 0}, document | {"noise_multiplier": "3"}]
    strange += [document | {"noise_multiplier": 3}, document | {"shuffled": True}, document | {"width": True}]
    strange += [{name: value for name, value in document.items() if name != missing} for missing in document]
    for other in strange:
        with pytest.raises(WireError):
            event_from_json(other)


def test_a_sampled_event_is_not_read_as_one_without_sampling() -> None:
    document = EVENTS[1].to_json()
    with pytest.raises(WireError):
        event_from_json(document | {"mechanism": "gaussian"})
    with pytest.raises(WireError):
        event_from_json(EVENTS[0].to_json() | {"mechanism": "poisson-sampled-gaussian"})
