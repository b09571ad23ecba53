"""report: `report/summary.json`, a screen of it, the page `report/report.html` and a playlist for each DJ, from all the
checkpoint holds."""

from __future__ import annotations

from typing import Any

import orjson

from engine.errors import disk_error
from engine.job import Job
from engine.stage import FinishingStage, Stage
from stages.desk import PASSED, Desk
from stages.summary import outcomes, summary


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/report.yaml` names it."""
    return [Report(job)]


class Report(FinishingStage):
    """Asks for nothing; at the end of a run it writes what is to be known of it."""

    name = "report"
    needs = ("generate",)

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)

    def finish(self) -> dict[str, Any]:
        """Write summary, page and playlists; returns the summary, as the run's figures."""
        from stages.page import page_html
        from stages.programme import write_programmes

        found = list(outcomes(self.desk))
        figures = summary(self.desk, found)
        self.job.checkpoint.write_file("report/summary.json", orjson.dumps(figures, option=orjson.OPT_INDENT_2))
        self.job.checkpoint.write_file("report/report.html", page_html(self.desk, found, figures))
        takes = [(outcome.link, outcome.take) for outcome in found if outcome.take]
        root, audio, playlist = self.job.checkpoint.path, self.job.config.audio, self.job.config.playlist
        try:
            write_programmes(
                self.desk.station,
                takes,
                root / "playlists",
                root=root,
                start=playlist.start,
                hours=playlist.hours,
                target_lufs=audio.lufs,
                ceiling_dbtp=audio.true_peak_dbtp,
            )
        except OSError as e:
            raise disk_error(e, root / "playlists") from e
        self.job.shared.setdefault("screens", []).append(_screen(figures, self.job))
        return figures


def _screen(figures: dict[str, Any], job: Job) -> Any:
    """One screen: links by DJ and kind, time by stage, what went wrong most."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rate = figures["pass_rate"]
    head = f"{figures['station']}: {figures['links']} links, {figures['passed']} passed"
    head += f" ({100 * rate:.1f} % of those judged)" if rate is not None else ""
    head += f", {figures['failed']} failed, {figures['errors']} errors"
    head += f", {figures['pending']} pending" if figures["pending"] else ""
    head += f"; {figures['takes']} takes, {figures['audio_seconds']:.0f} s of audio"

    links = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for column in ("", "links", "passed", "failed", "errors", "pass rate"):
        links.add_column(column, justify="right" if column else "left")
    for split in ("by_dj", "by_kind"):
        for name, counts in figures[split].items():
            share = "" if counts["pass_rate"] is None else f"{100 * counts['pass_rate']:.1f} %"
            links.add_row(name, *(str(counts[k]) for k in ("links", PASSED, "failed", "errors")), share)

    times = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for column in ("stage", "rows", "seconds", "loading", "closing", "tokens/s", "MiB back"):
        times.add_column(column, justify="left" if column == "stage" else "right")
    for name, s in figures["stages"].items():
        memory = (
            f"{s['memory_returned_mib']:.0f} of {s['memory_footprint_mib']:.0f}" if s["memory_footprint_mib"] else ""
        )
        times.add_row(
            name,
            str(s["rows"]),
            f"{s['seconds']:.1f}",
            f"{s['engine_load_s']:.1f}",
            f"{s['engine_close_s']:.1f}",
            f"{s['tokens_per_s']:,.0f}" if s["output_tokens"] else "",
            memory,
        )
    parts: list[Any] = [Text(head, style="bold"), links, times]
    if figures["common_issues"]:
        parts.append(Text("most frequent issues: " + "; ".join(
            f"{i['issue']} ({i['count']})" for i in figures["common_issues"][:5])))  # fmt: skip
    for row in figures["unsettled"][:8]:
        parts.append(Text(f"  {row['state']}: {row['link']}: {'; '.join(row['reasons'])}"[:200]))
    if len(figures["unsettled"]) > 8:
        parts.append(Text(f"  … and {len(figures['unsettled']) - 8} more in report/summary.json"))
    return Group(*parts)
