"""What private training refuses before anything is spent: what is not public, and what it cannot be trained on."""

from __future__ import annotations

import numpy as np

from holdfast import limits
from holdfast.data import Dataset, Schema, check_features
from holdfast.errors import ConfigError, DataError, UnsupportedError, UsageError
from holdfast.models import Encoding


def check_schema(schema: Schema) -> None:
    """Check that nothing in a schema was read from the records, and that private sums are exact for it.

    Raises:
        ConfigError: it has ranges or categories that were read from the records.
        UnsupportedError: it encodes to more columns than private training takes.
    """
    if names := schema.ranges_from_data:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise ConfigError(
            f"private training needs public ranges and categories, those of {shown} were read from the records",
            hint='write them from what anyone may know (units, physics, law), with range_source = "public"',
        )
    if (width := Encoding(schema).width) > limits.MAX_ENCODED_WIDTH:
        raise UnsupportedError(
            f"private training takes up to {limits.MAX_ENCODED_WIDTH} encoded columns, the schema has {width}",
            hint="leave out categories or features",
        )


def check_records(data: Dataset, *, delta: float) -> None:
    """Check that `train_private` will take these records, before anything is spent on them.

    Raises:
        DataError, UsageError: as `train_private` would.
    """
    if len(data) == 0:
        raise DataError("expected records to train on, got none")
    check_delta(delta, rows=len(data))
    check_features(data.X, data.schema)
    absent = np.setdiff1d(np.arange(len(data.schema.classes)), data.y)
    if len(absent):
        raise DataError(f"class {data.schema.classes[int(absent[0])]!r} has no record to train on")


def check_delta(delta: float, *, rows: int) -> None:
    """Refuse a delta that the publication of a whole record would meet.

    Raises:
        UsageError: it is not below one in the number of records.
    """
    if delta * rows >= 1:
        raise UsageError(
            f"delta {delta:g} is not below one in the number of records ({rows}): "
            "a mechanism that publishes a whole record would meet it",
            hint=f"take a delta of at most {0.1 / rows:.0e}",
        )
