"""The steps of the main job, one file each. A step reads the project and earlier steps' files, and leaves its own."""

from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.attack import attack
from holdfast.pipeline.steps.check import check
from holdfast.pipeline.steps.harden import harden
from holdfast.pipeline.steps.rehearse import rehearse
from holdfast.pipeline.steps.report import report
from holdfast.pipeline.steps.seal import key_files, seal
from holdfast.pipeline.steps.train import train

__all__ = ["Advance", "attack", "check", "harden", "key_files", "rehearse", "report", "seal", "train"]
