"""Serving: one model, who may ask it and how much, who asks strangely, and a log of it all. No web framework.

store       the database
access      tokens and budgets
anchor      where the log ends
audit       the log that cannot be rewritten unnoticed
profile     what normal traffic looks like
watch       who asks as nobody with real rows would
trial       how well the watch does on this model
reactions   what is done about it
refusals    strangers at the door
keyring     clients' public keys for private inference
contents    what a bundle holds for the service
answers     what it answers with
service     the steps that every request takes
"""

from holdfast.serving.access import Access, Client, Restriction
from holdfast.serving.answers import EncryptedAnswer, Prediction
from holdfast.serving.audit import AuditEntry, AuditHead, AuditLog, read_audit, verify_audit
from holdfast.serving.contents import plan_files, read_watch_profile, watch_files
from holdfast.serving.keyring import UnknownKeyError
from holdfast.serving.profile import WatchProfile, calibrate
from holdfast.serving.reactions import Reaction, Reactions, RecordedAlert
from holdfast.serving.service import Service
from holdfast.serving.store import Store
from holdfast.serving.trial import WatchTrial, try_watch
from holdfast.serving.watch import Alert, Watch

__all__ = [
    "Access",
    "Alert",
    "AuditEntry",
    "AuditHead",
    "AuditLog",
    "Client",
    "EncryptedAnswer",
    "Prediction",
    "Reaction",
    "Reactions",
    "RecordedAlert",
    "Restriction",
    "Service",
    "Store",
    "UnknownKeyError",
    "Watch",
    "WatchProfile",
    "WatchTrial",
    "calibrate",
    "plan_files",
    "read_audit",
    "read_watch_profile",
    "try_watch",
    "verify_audit",
    "watch_files",
]
