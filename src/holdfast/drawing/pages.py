"""Pages as one HTML file that needs nothing else; each room brings its own template, style and plots are shared."""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from holdfast.drawing.words import number, short_digest


@cache
def templates_of(package: str) -> Environment:
    """The templates of a package, and beside them `style.css.j2` and `macros.html.j2`; every value is escaped."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("holdfast.drawing")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, short_digest=short_digest)
    return environment
