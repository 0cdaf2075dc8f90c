"""A hardening that buys nothing is dropped: the first model is kept, and the evidence says so."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.pipeline import Project, SilentReporter
from holdfast.pipeline.runner import run


def test_a_hardening_that_bought_nothing_is_dropped_and_it_is_said(write: Callable[..., Project]) -> None:
    project = write()
    text = project.path.read_text()
    calm = "costs = { income = 1.0, home = 1.0 }\nmax_cost = 0.000001\nextraction_queries = 60"  # nobody can pay
    project.path.write_text(text.replace("extraction_queries = 60", calm))
    project = Project.read(project.path)
    run(project, reporter=SilentReporter(), until="harden")
    assert project.model("harden").digest == project.model("train").digest
    (tried,) = [item for item in project.evidence("harden") if item.kind == "hardening"]
    assert tried.subject == project.model("train").digest
    assert tried.figures["gain"].value <= 0
    (evaded,) = [item for item in project.evidence("attack") if item.kind == "evasion"]
    assert evaded.context["threat"]["costs"] == {"income": 1.0, "home": 1.0}
    assert "tried and dropped" in tried.title
    assert any("dropped" in caveat for caveat in tried.caveats)
