"""Sealing a private plan by itself: a model that nobody can ask in the clear, not where it is served either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from holdfast.custody import ModelCard, Recipient, SigningKey, write_bundle
from holdfast.custody import seal as seal_bundle
from holdfast.data import Feature, Schema
from holdfast.evidence import canonical_json
from holdfast.pipeline import Config, ModelConfig, keyring, read_model_config
from holdfast.private_inference import PrivatePlan
from holdfast.serving import plan_evidence, plan_files

OUT: Final = Path("out/private")
"""Where the bundle goes, beside the configuration; a run of the whole pipeline leaves its own in another folder."""

_EVIDENCE: Final = "evidence/01-private-inference.json"


@dataclass(frozen=True, eq=False)
class Sealing:
    """What a configuration says of sealing, with its keys: read before the work begins.

    Args:
        root: the folder of the configuration.
        config: what it says.
        signing_key: who vouches for the bundle.
        recipient: who can open it.
    """

    root: Path
    config: ModelConfig
    signing_key: SigningKey
    recipient: Recipient

    @classmethod
    def read(cls, path: Path) -> Sealing:
        """Read a configuration and the keys that it names.

        Raises:
            ConfigError: it cannot be one.
            InputError: a key is not there.
        """
        config, root = read_model_config(path), path.parent
        signing_key = SigningKey.load(root / config.seal.signing_key, passphrase=keyring.passphrase())
        return cls(root, config, signing_key, Recipient.load(root / config.seal.recipient))

    @property
    def schema(self) -> Schema | None:
        """The schema of `[data]`, where there is one."""
        return self.config.schema if isinstance(self.config, Config) else None

    def seal(self, plan: PrivatePlan, columns: tuple[Feature, ...]) -> tuple[str, ...]:
        """Write the bundle and the sealed file; returns what there is to say of them."""
        files = plan_files(plan) | {_EVIDENCE: canonical_json(plan_evidence(plan).to_json())}
        card = self._card(plan, columns)
        folder = self.root / OUT
        bundle = write_bundle(folder / "bundle", card=card, files=files, signing_key=self.signing_key)
        path = folder / f"{bundle.name}-{bundle.version}.holdfast"
        seal_bundle(bundle, path, recipient=self.recipient)
        return (
            f"sealed {path}, signed by {self.signing_key.id}, for {self.recipient.id}",
            f"clients can hold the service to the plan {plan.public.digest}",
        )

    def _card(self, plan: PrivatePlan, columns: tuple[Feature, ...]) -> ModelCard:
        schema = {"features": [column.to_json() for column in columns]}
        return ModelCard(
            name=self.config.name,
            version=self.config.seal.version,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            model_kind=f"private plan, {plan.public.kind}",
            intended_use=self.config.seal.intended_use,
            not_for=self.config.seal.not_for,
            licence="",
            data_digest="",
            schema=schema if columns else {},
            evidence=(plan_evidence(plan).title,),
        )
