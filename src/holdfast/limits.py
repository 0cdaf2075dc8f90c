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
MAX_WHOLE: Final = 2**53
"""The largest whole number of a feature's range; above it a float64 skips whole numbers, and changes go unseen."""
MAX_MAGNITUDE: Final = 1e150
"""The largest number of a feature's range; sums and products of two still fit a float64."""
MAX_DATA_MANIFEST_BYTES: Final = 512 * 2**20
"""Bytes of a data set's manifest; 20 million row digests of 16 bytes fit in base64."""

MAX_PIXELS: Final = 2**24
"""Pixels of one picture; more than any model takes, and decompressing it does not fill the memory."""

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

# Private training
MIN_EPSILON: Final = 0.01
"""Below it the noise hides any pattern in the largest table."""
MAX_EPSILON: Final = 10.0
"""Above it one record may change the odds 22,000-fold, which should not be called private."""
MIN_DELTA: Final = 1e-12
"""Below it the 65 bits to which noise is exact no longer do."""
MAX_STEPS: Final = 1_000
"""Noisy steps of one training; 60 do, and each costs noise in all others."""
MAX_ENCODED_WIDTH: Final = 2**14
"""Encoded columns in private training; up to it, sums of squares are exact."""
MAX_LEDGER_ENTRIES: Final = 10_000
"""Uses of the records in one privacy ledger."""
MAX_GROUP_SIZE: Final = 100
"""Records of one person; with more than that in a table, they are better made into one."""
MAX_SGD_STEPS: Final = 1_000_000
"""Steps of one DP-SGD training; those of the largest published ones are below 100,000."""
MAX_CLIP_NORM: Final = 1e6
"""Clipping norms up to it, and down to its reciprocal, keep every sum within the range of a 32-bit float."""
MAX_MICRO_BATCH: Final = 4_096
"""Records whose gradients are summed in floating point; rounding takes 6.8 % of the clipping norm there."""
MAX_CHECKPOINT_BYTES: Final = 16 * 2**30
"""Bytes of a checkpoint; 1,000 million weights with an optimizer's two moments fit."""
MAX_PARTITIONS: Final = 10_000
"""Partitions, and so models, of one ensemble against poison; the paper's largest is 3,000."""

# Attacks
MAX_SHADOW_ANSWERS: Final = 2**27
"""Shadows times records; as float64 they take 1 GiB, and attacks need a few arrays of that size."""
MAX_SHADOW_FILE_BYTES: Final = 2 * 2**30
"""Bytes of kept answers of shadow models; `MAX_SHADOW_ANSWERS` of them take half."""

MAX_KEPT_BYTES: Final = 8 * 2**30
"""Bytes of a kept evasion; 10,000 changed pictures of 224 x 224 x 3 as float32 take 6 GB."""

# Service
MAX_REQUEST_BYTES: Final = 16 * 2**20
"""Bytes of one HTTP request body."""
MAX_REQUEST_ROWS: Final = 10_000
"""Rows of one inference request."""
MAX_TOKEN_CHARS: Final = 256
"""Characters of a bearer token as sent."""
MAX_QUERY_BUDGET: Final = 10**9
"""Rows in one grant of a query budget; a client that needs more is granted it again."""
MAX_KEY_SET_BYTES: Final = 64 * 2**20
"""Bytes of a client's keys for one layout of a plan, in parts of at most `MAX_REQUEST_BYTES`; ours stay below 40 MB."""
MAX_QUERY_BYTES: Final = 96 * 2**20
"""Bytes of one private query; a batch of 1,000 images takes about 70 MB."""
MAX_LARGE_BODIES_AT_ONCE: Final = 2
"""Bodies above `MAX_REQUEST_BYTES` that are received at the same time; only private batches are so large."""
MAX_KEYS_PER_CLIENT: Final = 4
"""Key sets that the service keeps for a client, half uploaded ones included; the one used longest ago makes room."""
MAX_KEY_BYTES_PER_CLIENT: Final = 2 * MAX_KEY_SET_BYTES
"""Bytes of all key sets of a client on the service's disk; two of the largest fit, or four of ours."""
MAX_KEY_STORE_BYTES: Final = 8 * 2**30
"""Bytes of all key sets on the service's disk; 200 clients with 40 MB each fit."""
MAX_PREPARED_KEY_BYTES: Final = 384 * 2**20
"""Bytes of key sets that a worker holds in memory ready for use; with plan and queries it stays below 1 GB."""
MAX_PRIVATE_AT_ONCE: Final = 2
"""Private queries computed at the same time in a worker; each may hold a key set that has no place in memory."""
MAX_WORKERS: Final = 64
"""Processes of one service."""
MAX_REQUESTS_AT_ONCE: Final = 256
"""Requests in progress; each may hold a body of `MAX_REQUEST_BYTES` in memory, few do."""
MAX_REQUESTS_PER_CLIENT: Final = 4
"""Requests of one client in progress; no client can take the places of all others."""
MAX_BODIES_PARSED_AT_ONCE: Final = 2
"""JSON bodies turned into rows at the same time; one of `MAX_REQUEST_BYTES` takes about 200 MB meanwhile."""
MAX_REQUEST_LISTS: Final = 100_000
"""Lists and objects in the JSON of one request; 10,000 nested rows fit, and so do tensors of 10,000 features."""
MAX_CONNECTIONS: Final = 1_024
"""Open connections, idle ones included."""
REQUEST_BODY_TIMEOUT_S: Final = 30
"""Seconds in which a request's body has to arrive; a slower sender would keep its place for free."""
STOP_TIMEOUT_S: Final = 15
"""Seconds that a stopping service gives the requests in progress."""
THROTTLED_ROWS_PER_MINUTE: Final = 6
"""Rows a minute for a client that the watch throttles: enough for a person at a screen, useless for an extraction."""

# Watch
MAX_WATCH_ROWS: Final = 128
"""Past rows that the watch remembers of each client, to see rows that lie close to one another."""
MAX_WATCH_BYTES: Final = 128 * 2**10
"""Bytes of those rows; a wide schema gets fewer of them."""
MAX_WATCHED_CLIENTS: Final = 4_096
"""Clients that the watch follows at once; the one seen longest ago is forgotten first."""
MAX_WATCH_WIDTH: Final = 256
"""Encoded columns up to which the watch models how they go together; above it, each by itself."""

# Private inference
MAX_CIPHERTEXTS: Final = 80
"""Ciphertexts of one private query, and of one answer; 80 of 192 KiB stay below MAX_REQUEST_BYTES."""
MAX_BATCH_CIPHERTEXTS: Final = 128
"""Ciphertexts of one private batch of a network, and of its answer; 98 of 0.7 MB stay below MAX_QUERY_BYTES."""
MAX_PENDING_QUERIES: Final = 1_000
"""Private queries of one client session without an answer; above it the oldest is given up."""
