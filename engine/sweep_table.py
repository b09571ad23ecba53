"""A sweep's end: its points as a table in the terminal, as `sweep.csv` and as `sweep.html`."""

from __future__ import annotations

import csv
import html
import io
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.commit import write_atomically
from engine.errors import VoicetrackError
from engine.job import Job
from engine.runner import TIMINGS

_SHOWN = 8  # figures in the terminal; the files have all


@dataclass
class Point:
    """One point: its overrides, folder, and the job it became or the error it is."""

    label: str
    overrides: list[str]
    folder: str
    job: Job | None = None
    error: VoicetrackError | None = None

    @property
    def failure(self) -> Exception | None:
        """What went wrong, before or while it ran."""
        return self.error or (self.job.error if self.job else None)

    @property
    def objective(self) -> float | None:
        """The figure to be optimised, None where the point has none."""
        try:
            return self.job.objective() if self.job and not self.failure else None
        except VoicetrackError:
            return None

    def settings(self) -> dict[str, str]:
        """Overrides by key."""
        return dict(part.lstrip("+").split("=", 1) for part in self.overrides if "=" in part)

    def figures(self) -> dict[str, float]:
        """Numbers of the job's summary, and what all its stages took."""
        if self.job is None:
            return {}
        numbers = dict(_flat(self.job.figures))
        taken = [record["output"] for record in self.job.checkpoint.stage(TIMINGS).records()]
        tokens = sum(t.get("output_tokens", 0) for t in taken)
        work = sum(t["work_s"] for t in taken)
        numbers["output_tokens"] = int(tokens)
        numbers["tokens_per_s"] = round(sum(t.get("output_tokens", 0) for t in taken) / work, 1) if work else 0.0
        if passed := numbers.get("passed"):
            numbers["tokens_per_passed"] = round(tokens / passed, 1)
        return numbers


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of nested figures by dotted name; those of the run as a machine (`stages`) are summed elsewhere."""
    for name, value in figures.items():
        if isinstance(value, dict) and name != "stages":
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (int, float)):
            yield prefix + name, value


def best(points: list[Point]) -> Point | None:
    """The point with the highest objective; the first of equals."""
    judged = [p for p in points if p.objective is not None]
    return max(judged, key=lambda p: p.objective) if judged else None


def varying(points: list[Point]) -> list[str]:
    """Keys of overrides that differ between points; all where none does."""
    settings = [p.settings() for p in points]
    keys = list(dict.fromkeys(key for s in settings for key in s))
    differing = [k for k in keys if len({s.get(k) for s in settings}) > 1]
    return differing or keys


def _columns(points: list[Point]) -> list[str]:
    return list(dict.fromkeys(name for p in points for name in p.figures()))


def table(points: list[Point]) -> Any:
    """The points as a Rich renderable: the best marked, with the command that runs it on everything."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    keys, columns = varying(points), [c for c in _columns(points) if "." not in c][:_SHOWN]
    winner = best(points)
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ["", *(k.rpartition(".")[2] for k in keys), *columns]:
        grid.add_column(name, justify="left" if not name else "right", overflow="fold")
    for point in points:
        settings, figures = point.settings(), point.figures()
        cells = ["best" if point is winner else "", *(settings.get(k, "") for k in keys)]
        if point.failure:
            grid.add_row(*cells, Text(str(point.failure)[:100]))
        else:
            grid.add_row(*cells, *(_number(figures.get(c)) for c in columns))
    parts: list[Any] = [grid]
    if winner:
        parts.append(Text(f"best: {winner.label}\n  {command(winner)}"))
    return Group(*parts)


def command(point: Point) -> str:
    """The command that runs a point's settings on the whole station."""
    kept = [o.removeprefix("++") for o in point.overrides]
    kept = [o for o in kept if not o.lstrip("+").startswith(("stage=", "select.", "hydra."))]
    return shlex.join(["python", "-m", "engine", "+stage=all", *kept])


def _number(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.3g}"


def write_csv(points: list[Point], path: Path) -> None:
    """All points with all settings and figures, one a row; errors in the last column."""
    keys, columns = varying(points), _columns(points)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["point", *keys, "objective", *columns, "best", "error"])
    winner = best(points)
    for p in points:
        settings, figures = p.settings(), p.figures()
        writer.writerow(
            [
                p.label,
                *(settings.get(k, "") for k in keys),
                p.objective,
                *(figures.get(c) for c in columns),
                int(p is winner),
                p.failure or "",
            ]
        )
    write_atomically(path, text.getvalue().encode())


def write_html(points: list[Point], path: Path) -> None:
    """One self-contained page: parallel coordinates of settings and figures above a table."""
    keys, columns = varying(points), _columns(points)
    axes = keys + [c for c in columns if len({p.figures().get(c) for p in points}) > 1][:6]
    rows = [{**p.settings(), **p.figures()} for p in points]
    winner = best(points)
    lines = _coordinates(points, rows, axes, winner)
    head = "".join(f"<th>{html.escape(c)}</th>" for c in ["", *keys, *columns, "error"])
    body = []
    for p, row in zip(points, rows, strict=True):
        cells = ["best" if p is winner else "", *(row.get(c) for c in keys + columns), p.failure or ""]
        texts = ("" if c is None else _number(c) if isinstance(c, (int, float)) else str(c) for c in cells)
        body.append("<tr>" + "".join(f"<td>{html.escape(t)}</td>" for t in texts) + "</tr>")
    advice = f"<pre>{html.escape(command(winner))}</pre>" if winner else ""
    page = _PAGE.format(count=len(points), plot=lines, head=head, body="\n".join(body), advice=advice)
    write_atomically(path, page.encode())


def _coordinates(points: list[Point], rows: list[dict[str, Any]], axes: list[str], winner: Point | None) -> str:
    """An SVG of parallel coordinates: an axis for each name, a line for each point, the best one strong."""
    if len(axes) < 2:
        return ""
    width, height, top = 150 * len(axes), 320, 40
    places: dict[str, dict[Any, float]] = {}
    out = []
    for i, axis in enumerate(axes):
        values = [row.get(axis) for row in rows]
        places[axis] = _scale(values)
        x = 75 + 150 * i
        out.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{top}" y2="{height}"/>')
        out.append(f'<text class="name" x="{x}" y="18">{html.escape(axis.rpartition(".")[2])}</text>')
        labels = sorted(places[axis].items(), key=lambda item: item[1])
        for value, share in labels if len(labels) <= 8 else (labels[0], labels[-1]):
            y = height - share * (height - top)
            text = _number(value) if isinstance(value, (int, float)) else str(value)
            out.append(f'<text x="{x + 5}" y="{y + 4:.0f}">{html.escape(text[:16])}</text>')
    for p, row in zip(points, rows, strict=True):
        coordinates = [
            f"{75 + 150 * i},{height - places[a][row.get(a)] * (height - top):.1f}"
            for i, a in enumerate(axes)
            if row.get(a) is not None
        ]
        strong = ' class="best"' if p is winner else ""
        title = f"<title>{html.escape(p.label)}</title>"
        out.append(f'<polyline{strong} points="{" ".join(coordinates)}">{title}</polyline>')
    return (
        f'<svg viewBox="0 0 {width} {height + 20}" role="img" aria-label="settings and figures of every point">'
        f"{''.join(out)}</svg>"
    )


def _scale(values: list[Any]) -> dict[Any, float]:
    """Where on its axis each value lies, 0 to 1: by size where all are numbers, else by order."""
    known = list(dict.fromkeys(v for v in values if v is not None))
    try:
        numbers = {v: float(v) for v in known}
    except (TypeError, ValueError):
        return {v: i / max(1, len(known) - 1) for i, v in enumerate(sorted(known, key=str))}
    if not numbers:
        return {}
    low, high = min(numbers.values()), max(numbers.values())
    return {v: (n - low) / (high - low) if high > low else 0.5 for v, n in numbers.items()}


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sweep of {count} points</title><style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }}
body {{ margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
svg {{ width: 100%; max-height: 26rem; }} text {{ font-size: 11px; fill: currentColor; }}
.name {{ text-anchor: middle; font-weight: 600; }} .axis {{ stroke: currentColor; opacity: .4; }}
polyline {{ fill: none; stroke: #3b82c4; opacity: .45; }}
polyline.best {{ stroke: #d9480f; stroke-width: 3; opacity: 1; }}
polyline:hover {{ stroke-width: 3; opacity: 1; }}
.scroll {{ overflow-x: auto; }} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .2rem .8rem .2rem 0; text-align: right; white-space: nowrap; }}
pre {{ overflow-x: auto; padding: .6rem; border: 1px solid; border-radius: .3rem; }}
</style></head><body><h1>Sweep of {count} points</h1>{plot}
<p>The strong line is the best point; this runs it on the whole station:</p>{advice}
<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></div></body></html>
"""
