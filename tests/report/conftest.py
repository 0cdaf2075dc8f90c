"""Hypothesis without a clock: a busy machine is not a failure."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")
