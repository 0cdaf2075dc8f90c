"""What the field's catalogues call these attacks. The identifiers stay, the names are those of the editions given.

MITRE ATLAS 5.6 (github.com/mitre-atlas/atlas-data). OWASP Machine Learning Security Top Ten 2023. NIST AI 100-2e2025
(March 2025), whose identifiers begin with NISTAML.
"""

from typing import Final

MEMBERSHIP: Final = (
    "MITRE ATLAS AML.T0024.000 Infer Training Data Membership",
    "NIST AI 100-2e2025 NISTAML.033 Membership Inference",
    "OWASP ML04:2023 Membership Inference Attack",
)
INVERSION: Final = (
    "MITRE ATLAS AML.T0024.001 Invert AI Model",
    "NIST AI 100-2e2025 NISTAML.032 Reconstruction",
    "OWASP ML03:2023 Model Inversion Attack",
)
EVASION: Final = (
    "MITRE ATLAS AML.T0015 Evade AI Model",
    "MITRE ATLAS AML.T0043 Craft Adversarial Data",
    "NIST AI 100-2e2025 NISTAML.022 Evasion",
    "OWASP ML01:2023 Input Manipulation Attack",
)
BLACK_BOX_EVASION: Final = (*EVASION, "NIST AI 100-2e2025 NISTAML.025 Black-box Evasion")
EXTRACTION: Final = (
    "MITRE ATLAS AML.T0024.002 Extract AI Model",
    "NIST AI 100-2e2025 NISTAML.031 Model Extraction",
    "OWASP ML05:2023 Model Theft",
)
BACKDOOR: Final = (
    "MITRE ATLAS AML.T0020 Poison Training Data",
    "NIST AI 100-2e2025 NISTAML.023 Backdoor Poisoning",
    "OWASP ML02:2023 Data Poisoning Attack",
)
