"""Evasion on pictures: what small changes of the pixels do to a model's decisions."""
