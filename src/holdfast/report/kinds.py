"""What the report knows about each kind of evidence: its words, and its place in the field's catalogues.

Sources of the catalogue entries: MITRE ATLAS (techniques AML.T…, mitigations AML.M…); OWASP Machine Learning Security
Top 10, 2023 (ML01 to ML10); NIST AI 100-2e2025, predictive AI: evasion, poisoning, privacy attacks and mitigations;
NIST SP 800-226 (March 2025), the differential privacy pyramid; Regulation (EU) 2024/1689, Article 15.
A kind that is not here is shown all the same, under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from holdfast.drawing.words import humanise


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of evidence.

    Args:
        heading: its section's heading.
        question: what a reader wants to know, as a question.
        reading: how to read the figures, and which way they err.
        next_step: what to do where this evidence is missing; empty where not every model needs it.
        atlas, owasp, nist, sp800_226, ai_act: its entries in the catalogues.
    """

    heading: str
    question: str = ""
    reading: str = ""
    next_step: str = ""
    atlas: str = ""
    owasp: str = ""
    nist: str = ""
    sp800_226: str = ""
    ai_act: str = ""


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "data-checks": Kind(
            heading="Training data",
            question="Is there anything in the data that should not be there?",
            reading="Checks point at suspects, they do not convict: a flagged row may be right, and a clever forgery "
            "may pass. What is not flagged has not been proven clean. out/check/evidence.json lists the rows of each "
            "finding, counted from 0.",
            next_step="Check the training data for duplicates, wrong labels and personal data.",
            atlas="AML.T0020 Poison Training Data; AML.M0007 Sanitize Training Data",
            owasp="ML02 Data Poisoning Attack",
            nist="Poisoning attacks; mitigation: training data sanitization",
            sp800_226="Base of the pyramid: data collection exposure",
            ai_act="15(5) data poisoning",
        ),
        "poison-certificate": Kind(
            heading="Poisoned training records",
            question="How many poisoned records could change an answer?",
            reading="A proof for each row: no choice of so many records, added, removed or relabelled, changes the "
            "answer. It costs accuracy, which stands beside it.",
            atlas="AML.T0020 Poison Training Data",
            owasp="ML02 Data Poisoning Attack",
            nist="Poisoning attacks; mitigation: robust training",
            ai_act="15(5) data poisoning",
        ),
        "utility": Kind(
            heading="Usefulness",
            question="How often is the model right when nobody attacks it?",
            reading="Measured on rows kept out of training. It tells nothing of rows that are unlike them.",
            next_step="Measure accuracy on rows that training never saw.",
            sp800_226="Utility beside privacy",
            ai_act="15(1), 15(3) accuracy and its metrics",
        ),
        "privacy-guarantee": Kind(
            heading="Privacy of the training records",
            question="How much can the model give away about any one person?",
            reading="Epsilon bounds, by proof and for every attacker, how much one record can change what the model "
            "reveals: smaller is more private. It is a worst case; the attacks measure what one attacker did achieve.",
            next_step="Train with differential privacy, so that the leakage about one record has a proven bound.",
            atlas="AML.T0024.000 Infer Training Data Membership; AML.T0024.001 Invert AI Model",
            owasp="ML03 Model Inversion Attack; ML04 Membership Inference Attack",
            nist="Privacy attacks; mitigation: differential privacy",
            sp800_226="Top of the pyramid: epsilon, unit of privacy",
            ai_act="15(5) confidentiality attacks",
        ),
        "privacy-audit": Kind(
            heading="Audit of the privacy claim",
            question="Does what training did contradict the epsilon that it claims?",
            reading="Made-up records were put in or left out by fair coins, and the coins guessed from the answers. "
            "The more guesses are right, the larger epsilon must be at least. Finding nothing proves nothing; a lower "
            "bound above the claim means that the claim is false.",
            next_step="Train with privacy; its run audits the claim.",
            atlas="AML.T0024.000 Infer Training Data Membership",
            owasp="ML04 Membership Inference Attack",
            nist="Privacy attacks: membership inference; mitigation: differential privacy",
            sp800_226="Empirical check of the guarantee",
            ai_act="15(5) confidentiality attacks",
        ),
        "membership-inference": Kind(
            heading="Membership inference",
            question="Can an attacker tell whose record was in the training data?",
            reading="An attack gives a lower bound: a stronger attacker may do better. Advantage 0 is guessing, 1 is "
            "certainty. The left end of the ROC matters most: people found without false alarms.",
            next_step="Attack the model with membership inference.",
            atlas="AML.T0024.000 Infer Training Data Membership",
            owasp="ML04 Membership Inference Attack",
            nist="Privacy attacks: membership inference",
            sp800_226="Empirical check of the guarantee",
            ai_act="15(5) confidentiality attacks",
        ),
        "membership-risk": Kind(
            heading="Whose data stands out",
            question="Which members does the model give away?",
            reading="A list always has a top: q-values say how many of those named are expected to be there by chance. "
            "The list itself, membership-risk.csv, stays with those who may see the records.",
            next_step="Look for the records that stand out.",
            atlas="AML.T0024.000 Infer Training Data Membership",
            owasp="ML04 Membership Inference Attack",
            nist="Privacy attacks: membership inference",
            sp800_226="Empirical check of the guarantee",
            ai_act="15(5) confidentiality attacks",
        ),
        "attribute-inference": Kind(
            heading="Attribute inference",
            question="Can what someone did not say about a person be guessed from the model?",
            reading="Most of what is guessed rightly could be guessed without the model, so the gain over imputation "
            "is what counts. A gain may come from people like those attacked; no privacy guarantee forbids that.",
            atlas="AML.T0024.001 Invert AI Model",
            owasp="ML03 Model Inversion Attack",
            nist="Privacy attacks",
            sp800_226="Empirical check of the guarantee",
            ai_act="15(5) confidentiality attacks",
        ),
        "model-inversion": Kind(
            heading="Model inversion",
            question="Can pictures be drawn from the model that show who is in its classes?",
            reading="What is drawn is typical of a class. Where a class is one person that is a likeness of "
            "the person; where it is thousands of people, it is nobody. Compare with chance.",
            atlas="AML.T0024.001 Invert AI Model",
            owasp="ML03 Model Inversion Attack",
            nist="Privacy attacks: data reconstruction",
            ai_act="15(5) confidentiality attacks",
        ),
        "evasion": Kind(
            heading="Evasion",
            question="Can someone change a record a little and get the decision they want?",
            reading="Only changes that the real world allows are counted: within ranges, rules between fields, and "
            "fields that nobody can change. An exact attack gives the true worst case of that threat; a searching one "
            "an upper bound on robust accuracy.",
            next_step="Attack the model with feasible changed records.",
            atlas="AML.T0015 Evade AI Model; AML.T0043 Craft Adversarial Data",
            owasp="ML01 Input Manipulation Attack",
            nist="Evasion attacks",
            ai_act="15(1) robustness; 15(5) adversarial examples, model evasion",
        ),
        "extraction": Kind(
            heading="Extraction",
            question="Can the model be copied by asking it?",
            reading="Fidelity is how often the copy agrees with the model; compare it with always naming the commonest "
            "class. Exact scores of a linear model give it away after about as many queries as it has features, so "
            "budgets and the watch have to carry the defence.",
            next_step="Attack the model with extraction by queries.",
            atlas="AML.T0024.002 Extract AI Model",
            owasp="ML05 Model Theft",
            nist="Privacy attacks: model extraction",
            ai_act="15(5) confidentiality attacks",
        ),
        "hardening": Kind(
            heading="Hardening",
            question="Did retraining against the attack help, and what did it cost?",
            reading="Both models faced the same attack on the same rows. An interval that holds zero means that no "
            "change was shown.",
            atlas="AML.M0003 Model Hardening",
            owasp="ML01 Input Manipulation Attack",
            nist="Evasion attacks; mitigation: adversarial training",
            ai_act="15(1) robustness; 15(5) adversarial examples, model evasion",
        ),
        "private-inference": Kind(
            heading="Encrypted prediction",
            question="Does the service see what it is asked?",
            reading="The client encrypts, the service computes on the ciphertext, and only the client decrypts. The "
            "service still sees who asks, when, and how many rows.",
            next_step="Where the service must not see the rows, use a linear model: it can be asked encrypted today.",
            atlas="AML.M0012 Encrypt Sensitive Information",
            nist="Privacy attacks; mitigation: encrypted computation",
            ai_act="15(5) confidentiality attacks",
        ),
        "service-watch": Kind(
            heading="Watch on the running service",
            question="Would an attack be seen while it happens?",
            reading="Measured with the attack above and with ordinary held-out traffic. A slower or better disguised "
            "attacker may stay below the alarm; encrypted queries can only be counted.",
            next_step="Calibrate the watch on held-out traffic and run the extraction attack against it.",
            atlas="AML.M0004 Restrict Number of AI Model Queries; AML.M0024 AI Telemetry Logging",
            owasp="ML05 Model Theft; ML01 Input Manipulation Attack",
            nist="Privacy attacks: model extraction; mitigation: limiting and detecting queries",
            ai_act="15(5) detect, respond to and control attacks",
        ),
    }
)
"""The kinds that Holdfast's own steps leave, in the order in which the report shows them."""


def kind_of(name: str) -> Kind:
    """What is known of a kind; of an unknown one, only its name."""
    return KINDS.get(name) or Kind(heading=humanise(name))


def anchor_of(name: str) -> str:
    """The kind's name as the id of its section: lower-case letters, digits and hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "evidence"
