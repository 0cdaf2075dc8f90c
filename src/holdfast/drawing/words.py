"""Numbers and names as people read them. Plain text only; escaping is the template's."""

from __future__ import annotations

import math
from typing import Any, Final

from holdfast.evidence import Bound, Figure
from holdfast.rounding import outward

BOUND_WORDS: Final[dict[Bound, str]] = {
    "estimate": "estimate",
    "upper": "upper bound",
    "lower": "lower bound",
}

_NAMES: Final = {
    "auc": "AUC",
    "mcc": "MCC",
    "epsilon": "ε (epsilon)",
    "delta": "δ (delta)",
    "tpr_at_1pct_fpr": "TPR at 1 % FPR",
    "tpr_at_01pct_fpr": "TPR at 0.1 % FPR",
    "own_epsilon": "ε of this step alone",
    "epsilon_claimed": "ε that the training claims",
    "epsilon_lower": "ε that the audit shows",
    "contradicts": "Contradicts the claim (1 is yes)",
    "advantage_of_rmia": "Advantage of RMIA",
    "advantage_of_rmia_offline": "Advantage of RMIA, offline",
    "advantage_of_lira_offline": "Advantage of LiRA, offline",
    "advantage_of_loss": "Advantage of the loss alone",
    "max_score": "Score of the member that stands out most",
    "membership_auc": "Membership AUC",
    "membership_auc_after": "Membership AUC after",
    "membership_auc_before": "Membership AUC before",
    "robust_mcc": "MCC under attack",
}
_MINUS: Final = "\u2212"
_BYTE_UNITS: Final = ("B", "kB", "MB", "GB")
_MAX_UNIT: Final = 24
"""Characters of a unit; a longer one is none."""
_MAX_TEXT: Final = 300
"""Characters of one context value that the report shows; the evidence in the bundle has all of it."""


def figure_name(name: str, unit: str) -> str:
    """A figure's name as words, without the unit that its value carries: `server_ms` becomes "Server"."""
    return humanise(name.removesuffix(f"_{unit}") if unit in ("ms", "bytes") else name)


def humanise(name: str) -> str:
    """A figure's or a kind's name as words: `robust_accuracy` becomes "Robust accuracy"."""
    if name in _NAMES:
        return _NAMES[name]
    text = name.replace("_", " ").replace("-", " ").replace("[", " (").replace("]", ")").strip()
    return text[:1].upper() + text[1:]


def number(value: float) -> str:
    """At most four significant digits; thousands apart; very small numbers in powers of ten."""
    if value < 0:
        return _MINUS + number(-value)
    if value == int(value) and value < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    if value >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if 0.9995 <= value < 1:
        return f"{value:.6g}"
    if value >= 0.001:
        return f"{value:.{3 if value < 1 else 2}f}" if value < 100 else f"{value:.1f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}\u00a0\u00d7\u00a010{_superscript(int(exponent))}"


def quantity(figure: Figure) -> str:
    """The figure's value with its unit, a bound rounded the way it errs; bytes as kB or MB (powers of 1000)."""
    if figure.unit in ("bytes", "B"):
        return _bytes(figure.value, figure.bound)
    shown = number(outward(figure.value, places=_places(figure.value), bound=figure.bound))
    return f"{shown}\u00a0{figure.unit[:_MAX_UNIT]}" if figure.unit else shown


def share(figure: Figure) -> str:
    """A figure between 0 and 1 in per cent, a bound rounded the way it errs."""
    close = {"upper": 0.9995 <= figure.value < 1, "lower": 0 < figure.value < 0.0005}.get(figure.bound, False)
    between = 0.0005 <= figure.value < 0.9995
    return percent(outward(figure.value, places=3, bound=figure.bound) if between or close else figure.value)


def signed(value: float) -> str:
    """A difference with its sign, to three decimals."""
    return f"{value:+.3f}".replace("-", _MINUS)


def sentence(text: Any) -> str:
    """A text from evidence as a sentence: its first letter large, a full stop at its end."""
    words = plain(text)
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?", "…", ")")) else ".") if words else ""


def percent(value: float) -> str:
    """A share between 0 and 1 in per cent, to one decimal; all and none are said of exactly all and none only."""
    if 0.9995 <= value < 1:
        return "over 99.9\u00a0%"
    if 0 < value < 0.0005:
        return "under 0.1\u00a0%"
    return f"{value * 100:.1f}".removesuffix(".0") + "\u00a0%"


def judged_quantity(figure: Figure) -> str:
    """The figure's value, and in words what it is where it is not an estimate."""
    return f"{quantity(figure)} ({BOUND_WORDS[figure.bound]})" if figure.bound != "estimate" else quantity(figure)


def interval(figure: Figure) -> str:
    """The interval as "0.91 to 0.96 (95 %)"; empty where none was measured."""
    if figure.low is None or figure.high is None:
        return ""
    ends = [_bytes(end) if figure.unit in ("bytes", "B") else number(end) for end in (figure.low, figure.high)]
    sure = f" ({figure.confidence * 100:g}\u00a0%)" if figure.confidence is not None else ""
    return f"{ends[0]} to {ends[1]}{sure}"


def duration(seconds: float) -> str:
    """A time span in the unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}\u00a0ms"
    return f"{seconds:.1f}\u00a0s" if seconds < 120 else f"{seconds / 60:.1f}\u00a0min"


def short_digest(digest: str) -> str:
    """The first twelve hexadecimal digits, enough to tell models of one project apart."""
    return digest.removeprefix("sha256:")[:12]


def plain(value: Any) -> str:
    """A JSON value as a short text; long ones are cut and say so."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value) if abs(value) != float("inf") and value == value else str(value)
    if isinstance(value, dict):
        text = "; ".join(f"{humanise(str(name))}: {plain(item)}" for name, item in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(plain(item) for item in value) or "none"
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT].rstrip() + " … (cut here)"


def _places(value: float) -> int:
    """The decimal places that `number` shows."""
    size = abs(value)
    if size >= 100 or size == int(size):
        return 0 if size >= 1000 or size == int(size) else 1
    if size >= 0.001:
        return 2 if size >= 1 else 6 if size >= 0.9995 else 3
    return 1 - math.floor(math.log10(size))


def _bytes(value: float, bound: Bound = "estimate") -> str:
    step = 0
    while abs(value) >= 1000 and step < len(_BYTE_UNITS) - 1:
        value, step = value / 1000, step + 1
    places = 1 if step else 0
    return f"{outward(value, places=places, bound=bound):.{places}f}\u00a0{_BYTE_UNITS[step]}"


def _superscript(value: int) -> str:
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
