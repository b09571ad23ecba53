"""The rules at large: on the labelled scripts, on the sample station's own lines, on what the demo grammar writes."""

from __future__ import annotations

import random

import pytest

from stages.rules import RULES, Names, Script, check
from tests.benchmarks import scripts as benchmark


@pytest.fixture(scope="module")
def labelled():
    rows = benchmark.load()
    return rows, benchmark.names(rows)


def test_the_labelled_set_is_large_and_its_labels_are_rules(labelled):
    rows, _ = labelled
    assert sum(not r.defects for r in rows) >= 200 and sum(bool(r.defects) for r in rows) >= 200
    assert {d for r in rows for d in r.defects} <= set(RULES)
    assert len({r.id for r in rows}) == len(rows)


def test_rules_find_95_percent_of_planted_defects_and_refuse_at_most_1_percent_of_clean_scripts(labelled):
    rows, names = labelled
    found = planted = clean = refused = 0
    for row in rows:
        hits = {h.rule for h in check(row.script, row.link, None, names)}
        found += len(hits.intersection(row.defects))
        planted += len(row.defects)
        clean += not row.defects
        refused += bool(hits) and not row.defects
    assert found >= 0.95 * planted
    assert refused <= 0.01 * clean


def test_examples_pass_the_rules(sample):
    """The lines a writer is shown must not break the rules it is held to."""
    from stages.link import Link

    names = Names.of(sample.songs, sample.djs.values(), (sample.name, sample.place))
    broken = []
    for dj in sample.djs.values():
        for kind, lines in _examples(sample, dj).items():
            for line, subject in lines:
                link = Link(dj, kind, subject, (1, 80))
                broken += [
                    (dj.id, kind, h.message, line) for h in check(line, link, sample.kinds[kind].rubric.rules, names)
                ]
    assert broken == []


def _examples(station, dj):
    """Each example line with what it speaks of, from the DJ's own file."""
    import re

    import yaml

    from stages.link import ClockTime, Forecast, Song
    from tests.stages.conftest import SAMPLE

    def subject(kind, row):
        if kind in ("intro", "outro"):
            return Song("x", row["title"], row["artist"], year=row.get("year"))
        if kind == "time":
            hour, minute, half = re.fullmatch(r"(\d+):(\d+) ([AP])M", row["time"]).groups()
            return ClockTime("x", int(hour) % 12 + 12 * (half == "P"), int(minute), row["time"])
        return Forecast("x", row["period"], row["conditions"], row["high"], row["low"])

    data = yaml.safe_load((SAMPLE / "djs" / dj.id / "examples.yaml").read_text(encoding="utf-8"))
    return {kind: [(row["line"], subject(kind, row)) for row in rows] for kind, rows in data.items()}


def test_the_demo_grammar_never_writes_what_the_rules_refuse():
    """Scripts of the grammar the demo writer learned from, on real songs' facts, pass as they are."""
    from data.demo_models.scripts import write_script
    from stages.link import DJ, ClockTime, Link, Song

    rng, broken, n = random.Random(5), [], 0
    songs = [r.link.song for r in benchmark.load() if r.link.song]
    for _ in range(300):
        song, kind, dj = rng.choice(songs), rng.choice(("intro", "outro", "time")), rng.choice(("marlow", "dot"))
        brief = {"Task": kind, "DJ": dj}
        if kind == "time":
            hour, minute = rng.randrange(24), rng.choice((0, 30))
            spoken = f"{hour % 12 or 12}:{minute:02d} {'AM' if hour < 12 else 'PM'}"
            subject: Song | ClockTime = ClockTime("t", hour, minute, spoken)
            brief["Time"] = spoken
        else:
            subject = song
            brief |= {"Title": song.title, "Artist": song.artist} | ({"Year": str(song.year)} if song.year else {})
        script, _ = write_script(brief, rng)
        hits = check(
            script, Link(DJ(dj, {"marlow": "Marlow Finch", "dot": "Dot Calloway"}[dj], ""), kind, subject, (1, 99))
        )
        broken += [(h.message, script) for h in hits]
        n += 1
    assert n == 300 and len(broken) <= 3, broken


def test_reading_a_script_twice_is_reading_it_once(labelled):
    rows, names = labelled
    for row in rows[:50]:
        read = Script(row.script, row.link, names.protect)
        assert check(read, row.link, None, names) == check(row.script, row.link, None, names)


@pytest.mark.parametrize("seed", range(5))
def test_no_text_however_odd_breaks_a_rule_in_the_other_sense(labelled, seed):
    """Rules answer on any text: shuffled scripts, spliced titles, any character of Unicode."""
    rows, names = labelled
    rng = random.Random(seed)
    for _ in range(200):
        row = rng.choice(rows)
        chars = list(row.script)
        for _ in range(rng.randrange(1, 20)):
            chars.insert(rng.randrange(len(chars) + 1), chr(rng.choice((rng.randrange(128), rng.randrange(0xD000)))))
        rng.shuffle(chars) if rng.random() < 0.1 else None
        for hit in check("".join(chars), row.link, None, names):
            assert hit.rule in RULES and hit.message


def test_a_long_script_costs_no_more_than_its_length():
    """No pattern may go wild: a script a hundred times as long takes about a hundred times as long."""
    import time

    from stages.link import DJ, Link, Song

    link = Link(DJ("m", "Marlow Finch", ""), "outro", Song("s", "Stay", "The Lamps", year=1979), (1, 99))
    pieces = [
        'That was "Stay" by The Lamps. ',
        "and ",
        "it's ",
        "(",
        '"',
        "high of ",
        "a a ",
        "[",
        "<",
        "*",
        "1 ",
        "nineteen ",
    ]
    for piece in pieces:

        def seconds(n, piece=piece):
            text = piece * n
            start = time.process_time()
            check(text, link)
            return time.process_time() - start

        assert seconds(4000 // len(piece)) < 20, piece  # a pattern gone wild takes hours
