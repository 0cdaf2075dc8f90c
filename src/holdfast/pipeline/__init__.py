"""The pipeline: carries out a holdfast.toml, step by step, and remembers what is done.

    init      look at a table, write a holdfast.toml        demo      the same for the tumour data
    config    read it, section by section (sections)        project   one model's folder
    wrong_entry  one sentence for what the file says wrong
    steps     check, train, attack, harden, seal, rehearse, report
    ready     what a run will need, before its first step
    runner    which step has to be done, and the verdict at the end
    state     what has been done, by content                keyring   the project's keys

`run` is in `holdfast.pipeline.runner`: it brings every room along, which reading a project does not need.
"""

from typing import TYPE_CHECKING

from holdfast.deferred import deferred

if TYPE_CHECKING:
    from holdfast.pipeline.config import FILE_NAME, Config, ModelConfig, read_config, read_model_config
    from holdfast.pipeline.demo import write_demo
    from holdfast.pipeline.init import write_project
    from holdfast.pipeline.project import Project
    from holdfast.pipeline.reporter import Reporter, SilentReporter
else:
    __getattr__ = deferred(
        __name__,
        {
            "config": ("FILE_NAME", "Config", "ModelConfig", "read_config", "read_model_config"),
            "demo": ("write_demo",),
            "init": ("write_project",),
            "project": ("Project",),
            "reporter": ("Reporter", "SilentReporter"),
        },
    )

__all__ = [
    "FILE_NAME",
    "Config",
    "ModelConfig",
    "Project",
    "Reporter",
    "SilentReporter",
    "read_config",
    "read_model_config",
    "write_demo",
    "write_project",
]
