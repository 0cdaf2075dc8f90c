"""The command that compiles a model for asking under encryption, and says what that takes and tells."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from holdfast import limits
from holdfast.cli.sealing import Sealing
from holdfast.cli.terminal import say
from holdfast.data import Feature, Matrix, Schema, columns_of, features_from_frame, read_table
from holdfast.errors import DataError, InputError, UsageError, WireError
from holdfast.evidence import canonical_json
from holdfast.files import read_bytes, write_atomic
from holdfast.http import read_arrays
from holdfast.models import LinearModel, OnnxModel, load_model
from holdfast.private_inference import PlanReport, PrivatePlan, compile_private, report_plan, top_class

PUBLIC_FILE: Final = "plan.json"
SECRET_FILE: Final = "secret.safetensors"

_MODEL_IN_A_BUNDLE: Final = "model.onnx"
_KILO: Final = 1000
_WIDTH: Final = 110


def plan_model(
    path: Path,
    *,
    data: Path,
    target: str | None,
    classes: tuple[str, ...] | None,
    out: Path | None,
    seal: Path | None,
    batch: bool,
    as_json: bool,
) -> None:
    """Compile, compare with the clear model, measure, and report; seal the plan by the configuration `seal`.

    Raises:
        UnsupportedError: the model cannot be compiled, or its plan is not near enough to it.
        InputError: there is no model, or no rows, at these paths.
        ConfigError: the configuration cannot be one.
        UsageError: a file is where the folder of the plan should be.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"expected a folder for the plan at {out}, found a file", hint="name another folder")
    model, sealing = _model(path), None if seal is None else Sealing.read(seal)
    schema = sealing.schema if sealing else None
    if schema is not None and classes is None and isinstance(model, Path):
        classes = schema.classes
    X, columns = _rows(data, schema if isinstance(model, Path) else model.schema, target=target)
    plan = compile_private(model, X=X, classes=classes, batch=batch)
    report = report_plan(plan, X=X)
    if out is not None:
        _write(plan, out)
    sealed = sealing.seal(plan, columns) if sealing else ()
    if as_json:
        say(canonical_json(asdict(report) | {"plan": plan.public.digest}).decode())
        return
    for line in _lines(report) + _labels(plan, X, data, target=schema.target if schema else target):
        say(line)
    if out is not None:
        say(f"wrote {out / PUBLIC_FILE}, for clients, and {out / SECRET_FILE}, for the service alone")
    for line in sealed:
        say(line)


def _model(path: Path) -> LinearModel | OnnxModel | Path:
    """A model that Holdfast wrote, by itself or in a bundle's folder; any other file is the compiler's to read."""
    if path.is_dir():
        path /= _MODEL_IN_A_BUNDLE
    if not path.is_file():
        raise InputError(f"expected a model at {path}, found no file there")
    if path.suffix == ".holdfast":
        raise InputError(
            f"expected a model at {path}, found a sealed bundle",
            hint="open it first, with the key that it is sealed to: holdfast open SEALED --to FOLDER; then plan FOLDER",
        )
    if path.suffix == ".onnx":
        try:
            return load_model(read_bytes(path, max_bytes=limits.MAX_BUNDLE_BYTES, what="a model"))
        except WireError:
            return path
    return path


def _rows(data: Path, schema: Schema | None, *, target: str | None) -> tuple[Matrix, tuple[Feature, ...]]:
    """The rows as the model takes them, and their columns: by a schema, or else all but the target, as numbers.

    Of an archive, whose bytes are taken to 0 to 1, there are no columns.
    """
    if data.suffix == ".npz":
        array = read_arrays(data)
        return np.asarray(array.reshape(len(array), -1) / (255.0 if array.dtype == np.uint8 else 1.0)), ()
    frame = read_table(data)
    if schema is not None:
        return features_from_frame(frame, schema), schema.features
    if target is not None:
        if target not in frame.columns:
            raise DataError(f"expected a column {target!r} in {data}, it is not there")
        frame = frame.drop(columns=target)
    for name, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column):
            raise DataError(
                f"expected numbers in the columns of {data}, {name!r} holds text",
                hint="write each text as the number that the model takes for it; --target COLUMN leaves out the column"
                " that the model predicts; with --seal CONFIG, [data] in CONFIG says which number a text stands for",
            )
    return frame.to_numpy(dtype=np.float64), columns_of(frame)


def _write(plan: PrivatePlan, out: Path) -> None:
    write_atomic(out / PUBLIC_FILE, canonical_json(plan.public.to_json()))
    write_atomic(out / SECRET_FILE, plan.secret.to_bytes(), private=True)


def _lines(report: PlanReport) -> list[str]:
    """The report for a person: what it is, what it costs, how near it is to the model, what it tells."""
    lines = _paragraph("model", f"{report.kind}, {report.memory_bytes / 2**20:,.0f} MB in the service")
    for name, layout in report.layouts.items():
        rows = f"{layout.rows} rows" if layout.rows > 1 else "one row"
        expected = "" if layout.predicted_ms is None else f" (predicted {layout.predicted_ms:,.1f} ms)"
        lines += _paragraph(
            name,
            f"{rows}: query {_size(layout.query_bytes)}, answer {_size(layout.answer_bytes)}, keys"
            f" {_size(layout.key_bytes)} once; {layout.server_ms:,.1f} ms in the service{expected} and"
            f" {layout.client_ms:,.1f} ms with the client, measured on this machine",
        )
    if (measured := report.measured) is not None:
        lines += _paragraph(
            "agreement",
            f"{measured.same_class} of {measured.rows} rows have the model's own class, scores differ by at"
            f" most {measured.worst_error:.2g}; {measured.encrypted_rows} rows were asked under encryption, which added"
            f" at most {measured.encrypted_error:.2g}",
        )
    lines += _paragraph("security", report.security)
    for sentence in report.leakage.splitlines():
        lines += _paragraph("leakage", sentence)
    for note in report.notes:
        if note not in report.leakage:
            lines += _paragraph("note", note)
    return lines


def _labels(plan: PrivatePlan, X: Matrix, data: Path, *, target: str | None) -> list[str]:
    """The classes in the plan's order, and how often they are what the table says: reversed names show nowhere else."""
    classes = plan.public.classes
    if not classes:
        return []
    lines = _paragraph("classes", ", ".join(f"{i} = {name}" for i, name in enumerate(classes)))
    table = read_table(data) if data.suffix != ".npz" else None
    if table is None or target not in table.columns:
        return lines
    top = top_class(plan.clear_scores(X), plan.public.link, classes=len(classes))
    share = float((np.array(classes)[top] == table[target].astype(str).to_numpy()).mean())
    doubt = "" if share > 1 / len(classes) else "; are the classes in the model's own order?"
    return lines + _paragraph("labels", f"{share:.0%} of the rows have the class that {target!r} names{doubt}")


def _paragraph(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{label + ':':<11}", subsequent_indent=" " * 11)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / _KILO**2:,.1f} MB" if n_bytes >= _KILO**2 else f"{n_bytes / _KILO:,.1f} KB"
