"""Rubrics: what a file may say, what is wrong with it, what is made of it."""

from __future__ import annotations

import json

import pytest
import yaml

from engine.errors import RowError, UserError
from engine.records import digest
from stages.link import DJ, Link, Song
from stages.rubric import Rubric
from stages.rules import RULES, check

GOOD = {
    "threshold": 7.5,
    "criteria": {"voice": {"weight": 3, "ask": "Is it theirs?"}, "flow": {"weight": 1, "ask": "Does it run?"}},
    "rules": {"names_title": "fail", "repetition": "note", "emoji": {"cap": 4.0}, "length": {"tolerance": 0.1}},
}


def problems(**change) -> str:
    with pytest.raises(UserError) as e:
        Rubric.from_dict({**GOOD, **change}, "rubric.yaml")
    return str(e.value)


def test_the_sample_stations_rubrics_load(sample):
    for kind in ("intro", "outro", "time", "weather"):
        rubric = sample.kinds[kind].rubric
        assert rubric.weighted({c.name: 8 for c in rubric.criteria}) == 8
        assert rubric.rules


def test_weights_are_normalised_so_that_scores_stay_between_1_and_10():
    rubric = Rubric.from_dict(GOOD)
    assert [c.weight for c in rubric.criteria] == [0.75, 0.25]
    assert rubric.weighted({"voice": 10, "flow": 10}) == 10
    assert rubric.weighted({"voice": 8, "flow": 4}) == 7


def test_the_schema_asks_for_issues_first_and_then_each_criterion_in_order():
    schema = Rubric.from_dict(GOOD).schema()
    assert list(schema["properties"]) == schema["required"] == ["issues", "notes", "voice", "flow"]
    assert schema["properties"]["issues"] == {
        "type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": 4
    }  # fmt: skip
    assert schema["properties"]["flow"] == {"type": "integer", "minimum": 1, "maximum": 10}
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_rules_are_read_in_every_form():
    rules = {
        "length": {"severity": "fail", "tolerance": 0.2}, "emoji": {"cap": 4}, "year": "note", "shouting": "off",
        "markup": None, "profanity": {"extra": ["blimey"]}, "cut_off": False,
    }  # fmt: skip
    read = Rubric.from_dict({**GOOD, "rules": rules}).rules
    assert {n: (u.severity, u.cap, dict(u.options)) for n, u in read.items()} == {
        "length": ("fail", None, {"tolerance": 0.2}),
        "emoji": ("cap", 4.0, {}),
        "year": ("note", None, {}),
        "markup": ("fail", None, {}),
        "profanity": ("fail", None, {"extra": ("blimey",)}),
    }


def test_a_bare_list_of_rules_means_fail():
    assert set(Rubric.from_dict({**GOOD, "rules": ["emoji", "year"]}).rules) == {"emoji", "year"}


def test_without_a_rules_section_every_rule_that_fits_the_kind_applies():
    rubric = Rubric.from_dict({k: v for k, v in GOOD.items() if k != "rules"})
    assert set(rubric.rules) == {n for n, r in RULES.items() if r.default}
    song, dj = Song("s", "Slow Ferry Home", "Birch Street Choir"), DJ("m", "Marlow Finch", "")
    ahead, back = (
        'Here\'s "Slow Ferry Home" by Birch Street Choir.',
        'That was "Slow Ferry Home" by Birch Street Choir.',
    )
    for kind, wrong in (("intro", {back}), ("outro", {ahead}), ("dedication", set())):
        link = Link(dj, kind, song, (1, 50))
        assert {s for s in (ahead, back) if check(s, link, rubric.rules)} == wrong


def test_a_rule_that_is_named_applies_whatever_the_kind_is_called():
    link = Link(DJ("m", "Marlow", ""), "backsell", Song("s", "Stay", "The Lamps"), (1, 50))
    rubric = Rubric.from_dict({**GOOD, "rules": {"past_tense": "fail"}})
    assert check("Here's Stay by The Lamps.", link, rubric.rules)


def test_mistakes_are_named_together_with_where_and_what_to_do():
    text = problems(
        threshhold=7,
        threshold=11,
        criteria={
            "voice": {"weight": 0, "ask": "x"},
            "flow": {"weigth": 1, "ask": ""},
            "issues": {"weight": 1, "ask": "x"},
        },
        rules={"emojis": "fail", "length": {"tolerence": 1}, "year": "maybe", "shouting": {"words": "many"}},
    )
    for part in (
        "unknown key 'threshhold' (did you mean threshold?)",
        "rubric.yaml: threshold: 11 is not between 1 and 10",
        "criteria.voice: weight 0 is not positive",
        "criteria.flow: unknown key 'weigth' (did you mean weight?)",
        "criteria.flow: asks nothing",
        "criteria.issues: is not usable as a criterion's name",
        "rules.emojis: unknown rule (did you mean emoji?)",
        "rules.length: unknown option 'tolerence' (did you mean tolerance?)",
        "rules.year: severity 'maybe' is none",
        "rules.shouting: option words cannot be 'many'",
    ):
        assert part in text
    assert len(text.splitlines()) == 11


@pytest.mark.parametrize("data", [None, [], "x", 7, {"threshold": 7}, {"threshold": 7, "criteria": {}}])
def test_what_is_no_rubric_at_all_is_a_user_error(data):
    with pytest.raises(UserError):
        Rubric.from_dict(data, "rubric.yaml")


def test_files_that_cannot_be_read_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="no such rubric"):
        Rubric.load(tmp_path / "rubric.yaml")
    (tmp_path / "rubric.yaml").write_text("threshold: [1\ncriteria: {")
    with pytest.raises(UserError, match=r"rubric.yaml:\d+: not valid YAML"):
        Rubric.load(tmp_path / "rubric.yaml")


def test_equal_rubrics_have_equal_fingerprints_and_others_do_not(tmp_path):
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(GOOD, sort_keys=False))
    rubric = Rubric.load(path)
    scaled = {**GOOD, "criteria": {n: {**c, "weight": c["weight"] * 0.25} for n, c in GOOD["criteria"].items()}}
    assert digest(rubric.to_dict()) == digest(Rubric.from_dict(scaled).to_dict())
    for change in ({"threshold": 7.4}, {"rules": {"names_title": "note"}}, {"rules": {"length": {"tolerance": 0.2}}}):
        assert digest(Rubric.from_dict({**GOOD, **change}).to_dict()) != digest(rubric.to_dict())
    swapped = {**GOOD, "criteria": dict(reversed(GOOD["criteria"].items()))}
    assert digest(Rubric.from_dict(swapped).to_dict()) != digest(rubric.to_dict()), "the order is asked for"


@pytest.mark.parametrize("scores", [{}, {"voice": 8}, {"voice": 8, "flow": 11}, {"voice": 8, "flow": 0.5},
                                    {"voice": 8, "flow": "9"}, {"voice": 8, "flow": True}, {"voice": 8,
                                    "flow": None}])  # fmt: skip
def test_scores_that_are_missing_or_out_of_range_are_row_errors(scores):
    with pytest.raises(RowError) as e:
        Rubric.from_dict(GOOD).weighted(scores)
    assert e.value.kind == "bad_verdict"
