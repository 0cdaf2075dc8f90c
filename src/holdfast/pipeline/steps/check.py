"""Look for what is wrong with the data, and make the manifest that tells later which rows changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from holdfast.data import build_manifest, run_checks
from holdfast.data.profile import build_profile
from holdfast.evidence import canonical_json
from holdfast.files import write_atomic
from holdfast.pipeline.project import Project, write_evidence
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.trainers import enter_exact_use


def check(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `manifest.json`, `profile.json` and `evidence.json`."""
    data = project.data
    enter_exact_use(project, "check", note="data checks on all rows")
    rng = np.random.default_rng(project.config.data.seed)
    checks = run_checks(data, rng=rng, frame=project.read_table(), progress=advance)
    manifest = build_manifest(data)
    write_atomic(folder / "manifest.json", canonical_json(manifest.to_json()), private=True)
    write_atomic(folder / "profile.json", canonical_json(build_profile(data).to_json()), private=True)
    evidence = replace(checks.to_evidence(), subject=manifest.root)  # salted, so that no guess at a row can be tested
    write_evidence(folder / "evidence.json", [evidence])
    facts = f"{len(data)} rows, {len(data.schema.features)} features, classes {', '.join(data.schema.classes)}"
    grave = [finding for finding in checks.findings if finding.severity != "info"]
    lines = [f"{finding}{f' (rows {finding.first_rows})' if finding.rows else ''}" for finding in grave]
    if any(finding.rows for finding in grave):
        lines.append(f"rows are counted from 0; more of each are in {project.out.name}/check/evidence.json")
    return facts, *(lines or ("nothing that has to be mended",))
