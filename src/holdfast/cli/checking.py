"""The command `check` beyond a project: what changed since a manifest or an earlier table, and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from holdfast import limits
from holdfast.cli.arguments import PICTURES
from holdfast.cli.terminal import say
from holdfast.data import Dataset, Manifest, build_manifest, compare, load
from holdfast.data.image_checks import check_images
from holdfast.data.images import Images, load_images
from holdfast.data.profile import Profile
from holdfast.data.protect import ProjectKey
from holdfast.data.protect.tables import is_encrypted
from holdfast.data.shift import find_shift, shift_findings, tell_apart
from holdfast.data.value_diff import changed_values
from holdfast.errors import IntegrityError, UsageError, WireError
from holdfast.evidence import canonical_json
from holdfast.files import read_bytes, write_atomic
from holdfast.pipeline import Project

TABLES = (".csv", ".csv.gz", ".parquet")


def check_pictures(path: Path) -> None:
    """Say what is wrong with the pictures of an NPZ archive, and write their manifest beside it."""
    images = load_images(path)
    say(f"{len(images)} pictures, classes {', '.join(images.classes)}")
    checks = check_images(images, rng=np.random.default_rng(0))
    grave = [finding for finding in checks.findings if finding.severity != "info"]
    for finding in grave:
        say(f"{finding}{f' ({finding.first_rows})' if finding.rows else ''}")
    if not grave:
        say("nothing that has to be mended")
    manifest = path.with_suffix(".manifest.json")
    write_atomic(manifest, canonical_json(build_manifest(images).to_json()), private=True)
    say(f"wrote {manifest}")


def compare_with(subject: Path, against: Path) -> None:
    """Say what changed in a project's table, or in pictures, since a manifest or an earlier version of the file.

    Raises:
        IntegrityError: something did.
    """
    project = None if subject.suffix == PICTURES else Project.read(subject)
    data: Dataset | Images = load_images(subject) if project is None else project.data
    earlier = _earlier(against, data, key=project.data_key if project else None)
    difference = compare(_manifest(against) if earlier is None else build_manifest(earlier), data)
    if isinstance(data, Dataset):
        _say_shift(data, earlier, against)
    if isinstance(data, Dataset) and isinstance(earlier, Dataset):
        for line in changed_values(earlier, data, difference):
            say(line)
    if not difference.same:
        kind = "table is not the one" if isinstance(data, Dataset) else "pictures are not those"
        raise IntegrityError(f"the {kind} of {against}: {difference}")
    say(f"no row has changed since {against}")


def _earlier(against: Path, data: Dataset | Images, *, key: ProjectKey | None) -> Dataset | Images | None:
    """The earlier version itself, where it was given in place of its manifest; in the clear, or under the same key."""
    name = against.name.lower()
    if not name.endswith((*TABLES, PICTURES)):
        return None
    if isinstance(data, Dataset) and name.endswith(TABLES):
        return load(against, data.schema, key=key if against.is_file() and is_encrypted(against) else None)
    if isinstance(data, Images) and name.endswith(PICTURES):
        return load_images(against)
    raise UsageError(f"expected a manifest or an earlier version of the same kind, got {against.name!r}")


def _say_shift(data: Dataset, earlier: Dataset | Images | None, against: Path) -> None:
    """Say which columns shifted, where the profile lies beside the manifest, and how far both tables differ."""
    beside = against.with_name("profile.json")
    if earlier is None and beside.is_file():
        profile = Profile.from_json(_json(beside, "a profile", limits.MAX_JSON_BYTES))
        for finding in shift_findings(find_shift(profile, data)):
            say(str(finding))
    if isinstance(earlier, Dataset):
        figure = tell_apart(earlier, data, rng=np.random.default_rng(0))
        say(
            f"a classifier tells the two versions apart in {figure.value:.0%} of unseen rows "
            f"({figure.low:.0%} to {figure.high:.0%}; 50% is guessing)"
        )


def _manifest(path: Path) -> Manifest:
    return Manifest.from_json(_json(path, "a manifest", limits.MAX_DATA_MANIFEST_BYTES))


def _json(path: Path, what: str, max_bytes: int) -> Any:
    data = read_bytes(path, max_bytes=max_bytes, what=what)
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise WireError(f"expected {what} at {path}, found something that is not JSON") from None
