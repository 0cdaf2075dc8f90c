"""Plots draw what was measured: checked against independent counts, and inside their frame."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve
from tests.every_result import every_result

from holdfast.drawing import plots
from holdfast.drawing.bars import bars, before_after, changed_features, intervals
from holdfast.drawing.bounds import certified_radii
from holdfast.drawing.chart import WIDTH, Axis, Frame, Plot
from holdfast.drawing.evidence_plots import plots_of
from holdfast.drawing.security import security_curve
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import clopper_pearson
from holdfast.report.kinds import anchor_of
from holdfast.report.verdict import BULLET_WIDTH, bullet

from .report_example import BEFORE, MODEL, evasion, example, extraction, membership, privacy, private_inference, utility

FLAGS = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60).filter(
    lambda pairs: 0 < sum(member for _, member in pairs) < len(pairs)
)


def coordinates(plot: Plot) -> list[tuple[float, float]]:
    """Every x, y pair of every line, area and box."""
    text = " ".join(mark.attributes["d"] for mark in plot.marks if mark.tag == "path")
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", text)]
    for box in (mark.attributes for mark in plot.marks if mark.tag == "rect"):
        x, y, width, height = (float(box[name]) for name in ("x", "y", "width", "height"))
        points += [(x, y), (x + width, y + height)]
    return points


@given(FLAGS)
def test_the_roc_is_that_of_scikit_learn_ties_included(pairs: list[tuple[int, bool]]) -> None:
    scores, members = [float(score) for score, _ in pairs], [member for _, member in pairs]
    fpr, tpr, _ = roc_curve(members, scores, drop_intermediate=False)
    np.testing.assert_allclose(plots.roc(scores, members), np.column_stack([fpr, tpr]))
    area = np.trapezoid(*np.array(plots.roc(scores, members)).T[::-1])
    assert area == pytest.approx(roc_auc_score(members, scores))


def all_plots() -> list[Plot]:
    made = [
        plots.privacy_budget([privacy(BEFORE, 3.0, ("train",)), privacy(MODEL, 4.37, ("train", "harden"))], limit=8.0),
        plots.membership_roc(membership()),
        plots.membership_scores(membership()),
        security_curve(
            evasion(MODEL, 0.95, 1.9), before=evasion(BEFORE, 0.96, 4.6), limit=0.8, other_name="before hardening"
        ),
        plots.extraction_curve(extraction(), limit=0.95),
        bars(private_inference(), unit="bytes", title="sizes", label="kB"),
        intervals(utility(MODEL, 0.95)),
        before_after([("accuracy", Figure(value=0.9), Figure(value=0.8, low=0.7, high=0.9))]),
        *(plot for result in every_result().values() for plot in plots_of(result._printed())),
    ]
    assert None not in made
    return [plot for plot in made if plot is not None]


@pytest.mark.parametrize("plot", all_plots(), ids=lambda plot: plot.title)
def test_every_line_stays_inside_its_frame(plot: Plot) -> None:
    points = coordinates(plot)
    assert points
    assert all(0 <= x <= WIDTH and 0 <= y <= plot.frame.height for x, y in points)


def test_the_share_found_without_a_false_alarm_is_counted_right() -> None:
    item = Evidence(
        kind="membership-inference",
        subject=MODEL,
        subject_kind="model",
        title="t",
        figures={},
        samples={"score": [5, 4, 3, 2, 1], "member": [1, 1, 0, 1, 0]},
    )
    plot = plots.membership_roc(item)
    assert plot is not None
    assert "66.7\u00a0% of the members" in plot.summary


@pytest.mark.parametrize(
    "samples",
    [
        {},
        {"score": [1.0, 2.0]},
        {"score": [1.0, 2.0], "member": [1, 1]},
        {"member": [1, 0]},
    ],
)
def test_a_membership_plot_without_both_groups_is_not_drawn(samples: dict[str, list[float]]) -> None:
    item = replace(membership(), samples=samples)
    assert plots.membership_roc(item) is None
    assert plots.membership_scores(item) is None


def test_scores_that_are_all_equal_make_no_histogram_and_an_honest_roc() -> None:
    item = replace(membership(), samples={"score": [1.0] * 4, "member": [1, 0, 1, 0]})
    assert plots.membership_scores(item) is None
    assert plots.membership_roc(item) is not None


def test_the_histograms_are_shares_of_their_group() -> None:
    plot = plots.membership_scores(membership())
    assert plot is not None
    areas = [mark for mark in plot.marks if mark.css.startswith("area")]
    base = float(plot.frame.at((0, 0))[1])
    full = base - float(plot.frame.at((0, plot.frame.y.high))[1])
    for area in areas:
        points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", area.attributes["d"])]
        heights = [(base - y) / full * plot.frame.y.high for _, y in points[1:-1:2]]
        assert sum(heights) == pytest.approx(1.0, abs=0.01)


def test_uses_of_the_records_stack_up_to_the_total() -> None:
    plot = plots.privacy_budget([privacy(BEFORE, 3.0, ("a",)), privacy(MODEL, 4.5, ("a", "b"))], limit=None)
    assert plot is not None
    boxes = [mark.attributes for mark in plot.marks if mark.tag == "rect"]
    widths = [float(box["width"]) for box in boxes]
    assert widths[0] / sum(widths) == pytest.approx(3.0 / 4.5, abs=0.005)
    assert [label for _, label in plot.legend] == ["1 a: +3", "2 b: +1.50"]


def test_a_total_that_falls_is_not_stacked() -> None:
    assert plots.privacy_budget([privacy(BEFORE, 5.0, ("a",)), privacy(MODEL, 3.0, ("a",))], limit=None) is None


@pytest.mark.parametrize("curve", [None, 3, "x", [], {"budgets": [0.1]}, {"budgets": ["a"], "robust_accuracy": [None]}])
def test_a_curve_that_is_none_is_not_drawn(curve: object) -> None:
    item = replace(evasion(MODEL, 0.9, 1.0), context={"curve": curve})
    assert security_curve(item, before=None, limit=None, other_name="") is None
    assert plots.extraction_curve(replace(extraction(), context={"curve": curve}), limit=None) is None


def test_figures_without_intervals_or_of_no_size_make_no_plot() -> None:
    item = replace(utility(MODEL, 0.9), figures={"a": Figure(value=0.5), "b": Figure(value=0, unit="ms")})
    assert intervals(item) is None
    assert bars(item, unit="ms", title="t", label="l") is None
    assert before_after([("x", Figure(value=3.0), Figure(value=4.0))]) is None


def told(name: str) -> Evidence:
    return every_result()[name]._printed()


def test_the_band_of_a_security_curve_is_the_exact_interval_of_the_rows_counted() -> None:
    item = told("EvasionResult")
    plot = security_curve(item)
    assert plot is not None
    (band,) = (mark for mark in plot.marks if mark.css == "area a")
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", band.attributes["d"])]
    share, rows = item.context["curve"]["robust_accuracy"], int(item.figures["rows"].value)
    expected = [clopper_pearson(round(value * rows), rows) for value in share]
    assert len(points) == 2 * len(share)
    for (_, y), (low, _) in zip(points, expected, strict=False):
        assert y == pytest.approx(float(plot.frame.at((0, low))[1]))
    unknown = replace(item, figures={name: figure for name, figure in item.figures.items() if name != "rows"})
    plain_plot = security_curve(unknown)
    assert plain_plot is not None
    assert not any(mark.css.startswith("area") for mark in plain_plot.marks)
    assert "bands" not in plain_plot.caption


def test_the_axis_of_a_security_curve_says_what_may_change() -> None:
    item = evasion(MODEL, 0.95, 1.9)
    for unit, label in (("of range", "per feature"), ("Linf", "per pixel"), ("degrees", "degrees")):
        plot = security_curve(replace(item, figures={**item.figures, "budget": Figure(value=0.05, unit=unit)}))
        assert plot is not None
        assert label in plot.frame.x.label


def test_no_curve_is_drawn_where_only_the_whole_budget_was_tried() -> None:
    item = told("EvasionResult")
    curve = {"budgets": [0.0, 0.1, 0.2], "robust_accuracy": [0.9, 0.9, 0.1]}
    assert security_curve(replace(item, context={"curve": curve})) is None
    untouched = {**curve, "robust_accuracy": [0.9, 0.9, 0.9]}
    assert security_curve(replace(item, context={"curve": untouched})) is not None


def test_the_listed_are_drawn_by_place_and_parted_at_the_share_that_chance_explains() -> None:
    item = told("RiskList")
    listed = replace(item, samples={"q_value": [0.001, 0.04, 0.2, 1.0]})
    plot = plots.membership_risks(listed)
    assert plot is not None
    assert [mark.css for mark in plot.marks] == ["line limit", "dot a", "dot a", "dot b", "dot b"]
    assert plot.summary == "2 of the 4 members listed have a q-value of at most 0.05."
    assert plots.membership_risks(replace(item, samples={})) is None
    assert plots.membership_risks(replace(item, context={})) is None


def test_certified_accuracy_falls_at_every_radius_from_what_is_right_to_nothing() -> None:
    item = told("SmoothedCertificate")
    (plot,) = plots_of(item)
    (line,) = (mark for mark in plot.marks if mark.css == "line a")
    heights = [float(point.split(",")[1]) for point in line.attributes["d"][1:].split("L")]
    assert heights == sorted(heights)
    right = sum(item.samples["correct"]) / len(item.samples["correct"])
    assert heights[0] == pytest.approx(float(plot.frame.at((0, right))[1]), abs=0.1)
    assert heights[-1] == pytest.approx(float(plot.frame.at((0, 0))[1]))
    assert certified_radii(replace(item, samples={})) is None


@pytest.mark.parametrize("changed", [None, 3, "x", [], [3], [{"name": "a"}], [{"name": "a", "rows": "b"}]])
def test_changed_features_that_are_none_are_not_drawn(changed: object) -> None:
    item = replace(told("EvasionResult"), context={"changed_features": changed})
    assert changed_features(item) is None


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_on_their_axis_and_are_not_many(low: float, span: float) -> None:
    axis = Axis("", low, low + span)
    ticks = [value for value, _ in axis.ticks()]
    slack = 1e-6 * span + 1e-9 * abs(low)
    assert 3 <= len(ticks) <= 11
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)


def test_a_log_axis_has_a_tick_per_decade() -> None:
    assert [label for _, label in Axis("", 0.001, 1, log=True).ticks()] == ["0.001", "0.01", "0.1", "1"]
    assert Axis("", 0.01, 1, log=True).fraction(0.1) == pytest.approx(0.5)
    assert Axis("", 0.01, 1, log=True).fraction(0.0) == 0.0


def test_a_greater_value_is_drawn_higher() -> None:
    frame = Frame(Axis("", 0, 1), Axis("", 0, 1))
    assert float(frame.at((0, 0.9))[1]) < float(frame.at((0, 0.1))[1])


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0, 10), st.sampled_from(["at most", "at least"]))
def test_the_small_picture_shows_the_dot_on_the_right_side_of_the_limit(
    value: float, limit: float, half: float, side: str
) -> None:
    for figure in (Figure(value=value), Figure(value=value, low=value - half, high=value + half)):
        marks = {mark.css: mark.attributes for mark in bullet(figure, limit, side=side)}
        dot, line = float(marks["dot a"]["cx"]), float(marks["limit"]["d"][1:].split(",")[0])
        assert 0 <= dot <= BULLET_WIDTH
        assert 0 <= line <= BULLET_WIDTH
        assert (dot - line) * (value - limit) >= 0


@given(st.text(max_size=30))
def test_an_anchor_is_made_of_plain_letters(name: str) -> None:
    assert re.fullmatch("[a-z0-9][a-z0-9-]*", anchor_of(name))


def test_the_example_draws_every_kind_of_plot() -> None:
    assert len(example().evidence) == 12
