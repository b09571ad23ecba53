"""The page's plots, as inline SVG: functions from plain values to markup, empty where there is nothing to show."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from stages.page.svg import element, line, plot, rect, text, ticks
from stages.rubric import HIGHEST, LOWEST

BINS_PER_POINT = 2
MOST_SEGMENTS = 80  # of the timeline: the newest
IDLE_S = 3.0  # a longer pause between two stages is cut out of the timeline


def scores(found: Sequence[tuple[float, bool]], threshold: float, who: str) -> str:
    """How the scores of candidates are distributed.

    Args:
        found: score and whether it passed, of each candidate.
        threshold: from which a score passes.
        who: whose scores, for the label.
    """
    if not found:
        return ""
    width, height, left, top, bottom = 240, 104, 6, 8, 16
    bins = (HIGHEST - LOWEST) * BINS_PER_POINT
    counts = [[0, 0] for _ in range(bins)]
    for score, passed in found:
        counts[min(int((score - LOWEST) * BINS_PER_POINT), bins - 1)][not passed] += 1
    tallest = max(map(sum, counts))
    step = (width - 2 * left) / bins
    floor = height - bottom

    def at(score: float) -> float:
        return left + (score - LOWEST) * BINS_PER_POINT * step

    parts = [line(left, floor, width - left, floor, class_="axis")]
    for i, (good, bad) in enumerate(counts):
        low = LOWEST + i / BINS_PER_POINT
        hint = f"{low:g} to {low + 1 / BINS_PER_POINT:g}: {good} passed, {bad} did not"
        unit = (floor - top) / tallest
        parts.append(rect(at(low) + 0.5, floor - good * unit, step - 1, good * unit, hint, class_="passed"))
        parts.append(rect(at(low) + 0.5, floor - (good + bad) * unit, step - 1, bad * unit, hint, class_="failed"))
    parts.append(line(at(threshold), top - 4, at(threshold), floor, class_="mark"))
    parts += [text(s, at(s), height - 4, text_anchor="middle", class_="tick") for s in (2, 4, 6, 8)]
    parts.append(text(HIGHEST, width - left, height - 4, text_anchor="end", class_="tick"))
    passed = sum(p for _, p in found)
    middle = statistics.median(s for s, _ in found)
    label = f"Scores of {who}: {len(found)} candidates, median {middle:.1f}, {passed} passed, threshold {threshold:g}"
    return plot(width, height, parts, label)


def rounds(found: Sequence[tuple[int, int, int]]) -> str:
    """How many links passed in each round of writing.

    Args:
        found: for each round: links judged in it, of these passed, links begun in all.
    """
    if not found:
        return ""
    row, left, width = 34, 64, 480
    span = width - left - 92
    parts, so_far, said = [], 0, []
    for number, (judged, passed, begun) in enumerate(found, 1):
        y = (number - 1) * row + 6
        before, after = so_far / begun, (so_far + passed) / begun
        share = f"{100 * passed / judged:.0f} %" if judged else "none"
        hint = f"round {number}: {passed} of {judged} judged passed ({share}); {so_far + passed} of {begun} so far"
        parts.append(text(f"round {number}", 0, y + 15, class_="name"))
        parts.append(rect(left, y, span, 22, class_="empty", rx=3))
        parts.append(rect(left, y, span * before, 22, hint, class_="before", rx=3))
        parts.append(rect(left + span * before, y, span * (after - before), 22, hint, class_="passed", rx=3))
        parts.append(text(f"{passed}/{judged} = {share}", width, y + 15, text_anchor="end", class_="value"))
        so_far += passed
        said.append(hint)
    return plot(width, len(found) * row + 4, parts, "Links passed by round. " + ". ".join(said))


def durations(found: Mapping[str, Sequence[tuple[float, float, float]]]) -> str:
    """How long takes are, against what their word budgets allow.

    Args:
        found: by kind, each take's seconds and the least and most seconds of its budget.
    """
    found = {kind: takes for kind, takes in found.items() if takes}
    if not found:
        return ""
    row, left, width, bins = 62, 72, 480, 64
    span = width - left - 4
    most = 1.02 * max(max(s, high) for takes in found.values() for s, _, high in takes)
    parts, said = [], []
    for number, (kind, takes) in enumerate(found.items()):
        top, floor = number * row + 4, number * row + row - 12
        low, high = (statistics.median(t[i] for t in takes) for i in (1, 2))
        parts.append(rect(left + span * low / most, top, span * (high - low) / most, floor - top,
                          f"{kind}: {low:.0f} to {high:.0f} s, the median budget", class_="band"))  # fmt: skip
        counts = [[0, 0] for _ in range(bins)]
        for seconds, least, longest in takes:
            counts[min(int(seconds / most * bins), bins - 1)][not least <= seconds <= longest] += 1
        unit = (floor - top - 2) / max(map(sum, counts))
        for i, (within, outside) in enumerate(counts):
            x, step = left + span * i / bins, span / bins
            hint = f"{i * most / bins:.1f} to {(i + 1) * most / bins:.1f} s: {within} within budget, {outside} not"
            parts.append(rect(x, floor - within * unit, step - 0.6, within * unit, hint, class_="passed"))
            both = within + outside
            parts.append(rect(x, floor - both * unit, step - 0.6, outside * unit, hint, class_="failed"))
        parts.append(line(left, floor, width - 4, floor, class_="axis"))
        parts.append(text(kind[:11], 0, floor - 8, class_="name"))
        outside = sum(not least <= s <= longest for s, least, longest in takes)
        said.append(f"{kind}: {len(takes)} takes, {outside} outside their budget")
    height = len(found) * row + 8
    for tick in ticks(most, 5):
        parts.append(text(f"{tick:g} s", left + span * tick / most, height, text_anchor="middle", class_="tick"))
    return plot(width, height + 4, parts, "Lengths of takes against their budgets. " + ". ".join(said))


def timeline(records: Iterable[Mapping[str, Any]]) -> str:
    """What each engine did when, and the memory it took and gave back.

    Args:
        records: the `timings` shards, a record for each time a stage was run.
    """
    runs = sorted(((r["time"] - r["output"]["seconds"], r["output"]) for r in records), key=lambda r: r[0])
    runs = runs[-MOST_SEGMENTS:]
    if not runs:
        return ""
    placed, clock, last_end = [], 0.0, runs[0][0]
    cuts = []
    for began, measured in runs:
        pause = max(began - last_end, 0.0)
        if pause > IDLE_S:
            cuts.append(clock)
            pause = 0.0
        clock += pause
        placed.append((clock, measured))
        clock += measured["seconds"]
        last_end = began + measured["seconds"]
    lanes = list(dict.fromkeys(m["stage"] for _, m in placed))
    return _draw(placed, lanes, cuts, max(clock, 1e-3))


def _draw(placed: list[tuple[float, Mapping[str, Any]]], lanes: list[str], cuts: list[float], total: float) -> str:
    width, left, lane, memory = 880, 84, 30, 76
    span = width - left - 84
    height = len(lanes) * lane + memory + 46

    def at(seconds: float) -> float:
        return left + span * seconds / total

    parts, said = [], []
    for number, name in enumerate(lanes):
        y = number * lane
        parts.append(text(name[:12], 0, y + 19, class_="name"))
        parts.append(line(left, y + lane - 1, left + span, y + lane - 1, class_="grid"))
        work = sum(m["work_s"] for _, m in placed if m["stage"] == name)
        tokens = sum(m.get("output_tokens", 0) for _, m in placed if m["stage"] == name)
        rows = sum(m["rows"] for _, m in placed if m["stage"] == name)
        rate = f"{tokens / work:,.0f} tok/s" if tokens else f"{rows / work:,.1f} rows/s"
        parts.append(text(rate, width, y + 19, text_anchor="end", class_="value"))
        said.append(f"{name}: {rows} rows in {work:.1f} s of work, {rate}")
    for start, m in placed:
        y = lanes.index(m["stage"]) * lane + 6
        loaded, closing = start + m["engine_load_s"], start + m["seconds"] - m["engine_close_s"]
        hint = (
            f"{m['stage']}: {m['rows']} rows in {m['seconds']:.1f} s, of that {m['engine_load_s']:.1f} s loading and "
            f"{m['engine_close_s']:.1f} s closing"
        )
        parts.append(rect(at(start), y, at(loaded) - at(start), 18, hint, class_="loading"))
        parts.append(rect(at(loaded), y, max(at(closing) - at(loaded), 1.5), 18, hint, class_="working"))
        parts.append(rect(at(closing), y, at(start + m["seconds"]) - at(closing), 18, hint, class_="closing"))
    top = len(lanes) * lane + 16
    floor = top + memory
    parts += _memory(placed, at, top, floor, width)
    for cut in cuts:
        parts.append(line(at(cut), 0, at(cut), floor, class_="cut"))
    for tick in ticks(total, 6):
        parts.append(text(_clock(tick), at(tick), floor + 18, text_anchor="middle", class_="tick"))
    return plot(width, height, parts, "Stages over time. " + ". ".join(said))


def _memory(
    placed: list[tuple[float, Mapping[str, Any]]], at: Any, top: float, floor: float, width: float
) -> list[str]:
    most = max(m["memory_footprint_mib"] for _, m in placed)
    parts = [text("memory", 0, floor - 6, class_="name"), line(at(0), floor, width - 84, floor, class_="axis")]
    if most <= 0:
        return [*parts, text("nothing measurable", at(0) + 6, floor - 6, class_="tick")]

    def up(mib: float) -> float:
        return floor - (floor - top) * max(mib, 0) / most

    for start, m in placed:
        taken, back = m["memory_footprint_mib"], m["memory_returned_mib"]
        end = start + m["seconds"]
        corners = [(at(start), floor), (at(start + m["engine_load_s"]), up(taken))]
        corners += [(at(end - m["engine_close_s"]), up(taken)), (at(end), up(taken - back)), (at(end), floor)]
        hint = element("title", escape(f"{m['stage']}: took {taken:,.0f} MiB, gave {back:,.0f} MiB back"))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts.append(element("polygon", hint, points=points, class_="memory"))
    parts.append(text(f"{most:,.0f} MiB", width, top + 8, text_anchor="end", class_="value"))
    return parts


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 90 else f"{minutes}:{rest:02d} min"
