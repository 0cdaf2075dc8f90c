"""Data at rest: encrypted on the disk, clear in memory, and names of persons replaced where they are not needed.

    keys        master keys, and the key services that wrap a file's own key under them
    sources     a key by the words that a person writes: a file, the environment, a key service
    tables      tables as encrypted Parquet files
    arrays      arrays in encrypted chunks, read where they are needed
    pseudonyms  identifiers replaced, the same way within a project alone
    rotation    another master key for a file, without encrypting it again

docs/data-protection.md has the formats to the byte.
"""

from holdfast.data.protect.arrays import EncryptedArray, EncryptedArrays, open_arrays, write_arrays
from holdfast.data.protect.keys import DEFAULT_PROJECT, DataKey, KeyService, ProjectKey
from holdfast.data.protect.pseudonyms import Pseudonyms
from holdfast.data.protect.rotation import rotate
from holdfast.data.protect.tables import write_table

__all__ = [
    "DEFAULT_PROJECT",
    "DataKey",
    "EncryptedArray",
    "EncryptedArrays",
    "KeyService",
    "ProjectKey",
    "Pseudonyms",
    "open_arrays",
    "rotate",
    "write_arrays",
    "write_table",
]
