"""Every bound on what comes from outside, with its unit and its reason. Nothing here is an option."""

from __future__ import annotations

from typing import Final

# Tables
MAX_TABLE_BYTES: Final = 4 * 2**30
"""Bytes of a CSV or Parquet file; the table is held in memory several times over."""
MAX_ROWS: Final = 20_000_000
"""Rows of a table; a row digest of 16 bytes each still fits in memory."""
MAX_COLUMNS: Final = 10_000
"""Columns of a table; above it a header is more likely hostile or transposed than real."""
MAX_FIELD_CHARS: Final = 100_000
"""Characters of one text field; a longer one is an unclosed quote or an attack on memory."""
MAX_CATEGORIES: Final = 1_000
"""Categories of one feature; one-hot encoding makes a column of each."""
MAX_CLASSES: Final = 1_000
"""Classes of the target."""
MAX_NAME_CHARS: Final = 200
"""Characters of a column, class, category, model or client name."""

# Configuration and JSON
MAX_CONFIG_BYTES: Final = 8 * 2**20
"""Bytes of holdfast.toml; 10,000 features with their ranges fit."""
MAX_JSON_BYTES: Final = 64 * 2**20
"""Bytes of one JSON document inside a bundle; evidence with a figure per sample fits."""

# Bundles
MAX_BUNDLE_FILES: Final = 1_000
"""Files in one bundle."""
MAX_BUNDLE_BYTES: Final = 2 * 2**30
"""Bytes of one bundle; ONNX itself stops at 2 GiB."""
MAX_MANIFEST_BYTES: Final = 2**20
"""Bytes of manifest.json; a thousand files with the longest names fit."""
MAX_SIGNATURE_BYTES: Final = 1_024
"""Bytes of signature.json; it has one size, about 250."""
MAX_TEXT_BYTES: Final = 2**20
"""Bytes of a .txt or .md file in a bundle; people read it."""
MAX_SAFETENSORS_HEADER_BYTES: Final = 8 * 2**20
"""Bytes of the JSON header of a safetensors file; 50,000 tensors fit."""
MAX_SEALED_BYTES: Final = MAX_BUNDLE_BYTES + 4 * 2**20
"""Bytes of a sealed bundle; the largest bundle with its chunk tags, names and header fits."""
MAX_KEY_BYTES: Final = 16_384
"""Bytes of a key file; a PEM key of ours is below 400."""
MAX_PASSPHRASE_BYTES: Final = 1_000
"""Bytes of a passphrase in UTF-8; OpenSSL itself stops at 1,023."""

# Service
MAX_REQUEST_BYTES: Final = 16 * 2**20
"""Bytes of one HTTP request body."""
MAX_REQUEST_ROWS: Final = 10_000
"""Rows of one inference request."""
MAX_TOKEN_CHARS: Final = 256
"""Characters of a bearer token as sent."""
