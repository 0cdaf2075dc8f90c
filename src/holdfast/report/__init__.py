"""The report: what was measured, what the policy says, what it cost and what to do next, for people and for machines.

Values flow one way: a `ReportInput` (story) is read by verdict, measured and outlook, which make plain values of words
and pixels; one set of templates turns those into a page. Nothing is measured here.
"""

from __future__ import annotations

from holdfast.report.page import render_report, report_json
from holdfast.report.story import DatasetFacts, ReportInput, StepTime

__all__ = ["DatasetFacts", "ReportInput", "StepTime", "render_report", "report_json"]
