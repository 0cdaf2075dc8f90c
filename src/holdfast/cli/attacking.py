"""The command `attack`: the attacks of a project, their results in the formats of others, and a gate for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.cli.terminal import reporter, say
from holdfast.cli.verdict import conclude
from holdfast.errors import ConfigError, UsageError
from holdfast.evidence import Evidence, canonical_json
from holdfast.files import write_atomic
from holdfast.pipeline.config import read_config
from holdfast.policy import ABOUT_ATTACKS, Policy, judge


def attack_and_tell(config: Path, *, gate: bool, sarif: Path | None, html: Path | None, json: Path | None) -> None:
    """Run up to the attacks, write what was asked for, then judge.

    Args:
        config: the holdfast.toml.
        gate: whether the demands of the policy on attacks decide the exit code.
        sarif: where the results go as one SARIF log.
        html: the folder for a page for each result.
        json: where the results go as one list of evidence.

    Raises:
        ConfigError: a gate was asked for, and the policy demands nothing of attacks.
        UsageError: a result is to be written where it cannot be.
        PolicyError: the gate does not let the model pass; the files are written.
    """
    settings = read_config(config)
    _check_places([path for path in (sarif, json) if path is not None], html)
    demands = settings.demands.about(ABOUT_ATTACKS)
    if gate:
        _check_gate(demands)
    from holdfast.drawing.evidence_page import evidence_page
    from holdfast.pipeline.project import Project
    from holdfast.pipeline.runner import run
    from holdfast.sarif import sarif_log

    project = Project(config, settings)
    with reporter() as telling:
        run(project, reporter=telling, until="attack")
    evidence = project.evidence("attack")
    verdict = judge(demands, evidence, model_digest=project.model("train").digest)
    if sarif is not None:
        _write(sarif, canonical_json(sarif_log(evidence, verdict=verdict)))
    if json is not None:
        _write(json, canonical_json([item.to_json() for item in evidence]))
    if html is not None:
        for name, item in zip(page_names(evidence), evidence, strict=True):
            _write(html / f"{name}.html", evidence_page(item).encode())
    if gate:
        conclude(verdict)


def page_names(evidence: Sequence[Evidence]) -> Iterator[str]:
    """The kind of each result, numbered from the second of a kind on."""
    seen: Counter[str] = Counter()
    for item in evidence:
        seen[item.kind] += 1
        yield item.kind if seen[item.kind] == 1 else f"{item.kind}-{seen[item.kind]}"


def _check_gate(demands: Policy) -> None:
    if not demands.limits and not demands.require:
        raise ConfigError(
            "expected a demand on attacks in [policy] to decide a gate by, found none",
            hint="set min_robust_accuracy, max_membership_advantage or max_extraction_fidelity",
        )


def _check_places(files: list[Path], folder: Path | None) -> None:
    """Refuse what cannot be written to, before the attacks take their time."""
    for path in files:
        if path.is_dir():
            raise UsageError(
                f"expected a file to write to at {path}, found a folder", hint=f"such as {path / 'attacks.json'}"
            )
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError(f"expected a folder for pages at {folder}, found a file", hint="name another folder")


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, content, private=True)  # record by record, results tell about people
    say(f"wrote {path}")
