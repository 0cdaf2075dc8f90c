"""What was done with the records, as frozen values: trainers emit them, the accountant and the ledger read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from holdfast.errors import UsageError, WireError


@dataclass(frozen=True, kw_only=True)
class NoisySums:
    """An event: sums over all records, each with Gaussian noise, released one after the other.

    Args:
        noise_multiplier: standard deviation of the noise over the L2 bound on one record's contribution.
        count: how many such sums.
        width: how many numbers each has.
    """

    noise_multiplier: float
    count: int
    width: int

    def __post_init__(self) -> None:
        """Refuse an event without noise; that one has no guarantee."""
        _check_sums(self.noise_multiplier, self.count, self.width)

    def to_json(self) -> dict[str, Any]:
        """The event as JSON; `event_from_json` is its inverse."""
        return {"mechanism": "gaussian", **_numbers(self)}


@dataclass(frozen=True, kw_only=True)
class SampledSums:
    """An event: sums with Gaussian noise, each over a fresh Poisson sample of the records.

    In each sum every record takes part with probability `sampling_rate`, independently of all others and of what was
    sampled before. Nothing else may be entered as this event: shuffled batches of one size are no Poisson samples.

    Args:
        noise_multiplier: standard deviation of the noise over the L2 bound on one record's contribution.
        sampling_rate: above 0 and at most 1.
        count: how many such sums.
        width: how many numbers each has.
    """

    noise_multiplier: float
    sampling_rate: float
    count: int
    width: int

    def __post_init__(self) -> None:
        """Refuse an event without noise, and a rate that is none."""
        _check_sums(self.noise_multiplier, self.count, self.width)
        if not 0 < self.sampling_rate <= 1:
            raise UsageError(f"expected a sampling rate above 0 and at most 1, got {self.sampling_rate}")

    def to_json(self) -> dict[str, Any]:
        """The event as JSON; `event_from_json` is its inverse."""
        return {"mechanism": "poisson-sampled-gaussian", "sampling_rate": float(self.sampling_rate), **_numbers(self)}


Event = NoisySums | SampledSums

_LARGEST_NOISE: Final = 1e100
"""Its square, and that of its reciprocal, times any number of sums are still floats."""
_LARGEST_NUMBER: Final = 2**53
"""Of sums, and of numbers in a sum."""

_KINDS: Final[dict[str, type[NoisySums] | type[SampledSums]]] = {
    "gaussian": NoisySums,
    "poisson-sampled-gaussian": SampledSums,
}
_TYPES: Final = {"noise_multiplier": float, "sampling_rate": float, "count": int, "width": int}


def event_from_json(document: object) -> Event:
    """Read an event back.

    Raises:
        WireError: the document is no event that this version can account for.
    """
    kind = _KINDS.get(document["mechanism"]) if isinstance(document, dict) and _names_mechanism(document) else None
    if not isinstance(document, dict) or kind is None:
        raise WireError(f"expected an event of one of {', '.join(_KINDS)}, got {document!r:.200}")
    fields = {name: document[name] for name in document if name != "mechanism"}
    if set(fields) != set(kind.__dataclass_fields__):
        raise WireError(f"expected an event with {', '.join(kind.__dataclass_fields__)}, got {document!r:.200}")
    if wrong := [name for name, value in fields.items() if type(value) is not _TYPES[name]]:
        raise WireError(f"expected {wrong[0]} of an event as {_TYPES[wrong[0]].__name__}, got {document!r:.200}")
    try:
        return kind(**fields)
    except UsageError as error:
        raise WireError(str(error)) from None


def _names_mechanism(document: dict[Any, Any]) -> bool:
    return isinstance(document.get("mechanism"), str)


def _numbers(event: Event) -> dict[str, Any]:
    return {"noise_multiplier": float(event.noise_multiplier), "count": event.count, "width": event.width}


def _check_sums(noise_multiplier: float, count: int, width: int) -> None:
    if not 1 / _LARGEST_NOISE <= noise_multiplier <= _LARGEST_NOISE:
        raise UsageError(
            f"a noisy sum needs a noise multiplier above 0, from {1 / _LARGEST_NOISE:g} to {_LARGEST_NOISE:g}, "
            f"got {noise_multiplier}"
        )
    if any(type(number) is not int or not 1 <= number <= _LARGEST_NUMBER for number in (count, width)):
        raise UsageError(f"noisy sums are 1 or more of 1 or more numbers, got {count!r} of {width!r}")
