"""The curves of a run as a picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a run's metrics.jsonl; a last line that a killed run left half written is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def draw_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw loss, recall on held-out pairs and the learning rate against steps, with warnings marked, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    FigureCanvasAgg(figure)
    names = sorted({name for row in rows for name in row if name.startswith(("recall_", "probe_")) or name.endswith("_right")})
    groups = {"loss": ["loss"], "share": [*names, "right", "rivals"], "learning rate": ["lr"]}
    for axes, (label, series) in zip(figure.subplots(len(groups), 1, sharex=True), groups.items(), strict=True):
        for name in series:
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, linewidth=1, marker="." if name in names else None)
        for row in rows:
            if "warning" in row:
                axes.axvline(row["step"], color="tab:red", linewidth=0.6, linestyle=":")
        axes.set_ylabel(label)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=7, loc="best")
    figure.get_axes()[-1].set_xlabel("step")
    figure.savefig(path, dpi=110)
