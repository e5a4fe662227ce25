"""Templates of composed pages."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from visir.vira.theme import Theme


def fill(template: str, theme: Theme, **values: Any) -> str:
    """Fill a template; it sees the theme's ``style`` and ``variant`` and the values."""
    return _environment().get_template(f"{template}.html").render(values, style=Markup(theme.style), variant=theme.variant)


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("visir.vira", "templates"), autoescape=True, undefined=StrictUndefined)
