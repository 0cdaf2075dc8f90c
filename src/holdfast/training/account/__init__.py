"""What training costs: events, the accountant, the ledger that adds them up, and the statement of the guarantee."""
