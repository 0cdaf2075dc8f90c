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
recorder    every request's entry in the log
key_files   clients' keys for private inference, on the disk
keyring     the same, checked, some in memory
contents    what a bundle holds for the service
private_plan  the private plan in it, beside a model or as the model
description what a client may know of it
private_desk  what it takes to answer encrypted rows
private_tally how many of them a client has asked
answers     what it answers with
service     the steps that every request takes
"""

from holdfast.serving.access import Access
from holdfast.serving.answers import EncryptedAnswer, Prediction
from holdfast.serving.audit import AuditLog
from holdfast.serving.audit_chain import AuditEntry, AuditHead
from holdfast.serving.audit_check import read_audit, verify_audit
from holdfast.serving.clients import Client, Restriction
from holdfast.serving.contents import read_watch_profile, watch_files
from holdfast.serving.keyring import UnknownKeyError
from holdfast.serving.private_plan import plan_evidence, plan_files
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
    "plan_evidence",
    "plan_files",
    "read_audit",
    "read_watch_profile",
    "try_watch",
    "verify_audit",
    "watch_files",
]
