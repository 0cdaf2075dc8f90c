"""Training on disjoint parts, whose vote a few poisoned records cannot turn, and the certificate that says how few."""
