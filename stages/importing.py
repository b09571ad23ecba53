"""import: a station folder from a folder of music, a table or an earlier catalog, as a stage."""

from __future__ import annotations

from pathlib import Path

from engine.config import packaged
from engine.errors import UserError
from engine.job import Job
from engine.stage import FinishingStage, Stage


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/import.yaml` names it.

    Raises:
        UserError: it is not said what to make the station from, or where; or there are stages beside it.
    """
    station = job.config.station
    if not station.music:
        raise UserError("is not set", "station.music", "name a folder of music, a .csv, .jsonl, .json or .parquet file")
    if station.path == packaged("sample_station"):
        raise UserError("is not set", "station.path", "name the folder to make, e.g. station.path=my_station")
    if len(job.config.stages) > 1:
        raise UserError("import makes the station other stages read", "+stage", "run +stage=import by itself first")
    return [Import(job)]


class Import(FinishingStage):
    """Asks for nothing; makes the station folder."""

    name = "import"

    def finish(self) -> None:
        """Make the folder and show what was found.

        Raises:
            UserError: see `stages.imports.import_station`.
        """
        from rich.text import Text

        from stages.imports import import_station

        station = self.job.config.station
        source, target, template = (Path(p).expanduser() for p in (station.music, station.path, station.template))
        report = import_station(source, target, template, station.name)
        coverage = report.coverage
        lines = [str(report)]
        lines += [f"lyrics are doubtful: {m.file} for {m.song_id}: {m.how}" for m in coverage.doubtful[:20]]
        if coverage.missing:
            rest = len(coverage.missing) - 20
            more = f" and {rest:,} more" if rest > 0 else ""
            missing = ", ".join(coverage.missing[:20])
            lines.append(f"no lyrics found: {missing}{more}; name files '<Title> by <Artist>.txt'")
        lines += [f"Edit it, then: python -m engine +stage=lint station.path={station.path}"]
        self.job.shared.setdefault("screens", []).append(Text("\n".join(lines)))
