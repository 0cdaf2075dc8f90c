"""What a run will need, looked for before its first step: a table, a way to train, keys, room in the privacy ledger."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from holdfast.custody import Recipient, RecipientKey, SigningKey
from holdfast.errors import BudgetError, CredentialError, InputError
from holdfast.pipeline import keyring
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.plain_models import estimator_of
from holdfast.pipeline.steps.trainers import open_ledger, private_trainer


def check_ready(project: Project, *, due: Collection[str]) -> None:
    """Refuse a run that would fail in a later step, after all the work before it.

    Args:
        project: to be carried out.
        due: the names of the steps that have to be done.

    Raises:
        InputError: no table, or no key, where holdfast.toml says; or a file that is none.
        CredentialError: the table's key is not to be had, or the passphrase of a key file is missing or wrong.
        ConfigError, UnsupportedError: the method of training is none, or not installed.
        BudgetError: the trainings would cost more than the privacy ledger has left.
        DataError: private training would refuse the records.
    """
    if not due:
        return
    if not project.table_path.is_file():
        raise InputError(
            f"expected the table of [data] file at {project.table_path}, found no file there",
            hint="paths in a holdfast.toml are relative to it",
        )
    if {"seal", "rehearse"} & {*due}:
        _check_keys(project)
    if project.config.train.is_private:
        _check_budget(project, due)
    elif {"train", "attack", "harden"} & {*due}:
        estimator_of(project.config.train)


def _check_keys(project: Project) -> None:
    """The two keys that sealing takes, and the recipient's own where it lies beside them, for the rehearsal."""
    signing, recipient = project.key_files
    for name, path in (("signing_key", signing), ("recipient", recipient)):
        if not path.is_file():
            present = any((path.parent / file).exists() for file in keyring.FILES)
            make = f"holdfast keys {path.parent}"
            raise InputError(
                f"expected the key of [seal] {name} at {path}, found no file there",
                hint=f"bring it back, or move the other keys away and make new ones with: {make}"
                if present
                else f"make keys with: {make}",
            )
    own = recipient.with_suffix(".key")
    try:
        SigningKey.load(signing, passphrase=keyring.passphrase())
        Recipient.load(recipient)
        if own.exists():
            RecipientKey.load(own, passphrase=keyring.passphrase())
    except CredentialError as error:
        hint = error.hint or f"set {keyring.PASSPHRASE_VARIABLE} to the passphrase that the keys were made with"
        raise CredentialError(str(error), hint=hint) from None


def _check_budget(project: Project, due: Collection[str]) -> None:
    """What the private trainings will cost together with what the ledger has, before the first of them."""
    config, ledger = project.config, open_ledger(project)
    trainer = private_trainer(project)
    planned = [("train", trainer)] if "train" in due else []
    if "harden" in due and config.harden.method != "none" and config.train.model == "logistic":
        planned.append(("harden", replace(trainer, epsilon=config.harden.epsilon)))
    for step, each in planned:
        use = each.use_of(project.train_data, step=step)
        try:
            ledger = ledger.add(use)
        except BudgetError as error:
            raise BudgetError(
                f"this run could not end, as step {step} would pass the limit: {error}",
                hint="lower epsilon in [train] and [harden], or decide on a higher limit_epsilon in [privacy]",
            ) from None
