"""Evasion on tables: what could really be changed in a record, and what that does to a model's decisions."""
