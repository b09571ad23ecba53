"""The training text: what the grammar may and may not say."""

from __future__ import annotations

import json
import random
import re

import pytest

from data.demo_models.briefs import DJS, KINDS, Briefs, grammar_facts, model_prompt
from data.demo_models.grammar import Grammar, MissingFact
from data.demo_models.names import Names, held_out
from data.demo_models.scripts import fitting_words, opening, write_script
from data.demo_models.verdicts import CRITERIA, DEFECTS, Scripts
from tests.benchmarks.demo_models import broken_rules, sentence_count

DRAWS = 60


def draws(kind: str, dj: str, seed: int = 5):
    rng = random.Random(seed)
    briefs = Briefs(Names())
    for _ in range(DRAWS):
        brief = briefs.draw(rng, kind, dj)
        yield brief, write_script(brief, rng)[0], rng


@pytest.mark.parametrize("dj", [*DJS, "somebody-new"])
@pytest.mark.parametrize("kind", KINDS)
def test_scripts_hold_their_facts_word_for_word(kind, dj):
    for brief, text, _ in draws(kind, dj):
        if kind in ("intro", "outro"):
            assert f'"{brief["Title"]}"' in text and brief["Artist"] in text
        if kind == "time":
            assert brief["Time"] in text
        if kind == "weather":
            assert brief["Conditions"] in text and brief["Period"].lower() in text.lower()
            for label in {"High", "Low"} & brief.keys():
                assert re.search(rf"(?<![\d-]){brief[label]}(?!\d)", text)


@pytest.mark.parametrize("dj", DJS)
def test_outros_look_back_and_intros_do_not(dj):
    past = r"\b(was|were|went|heard|had|gave|brought|carried|left|served|listening|buttered|did)\b"
    for brief, text, _ in draws("outro", dj):
        assert re.search(past, text.replace(brief["Title"], "")), text
    for brief, text, _ in draws("intro", dj):
        bare = text.replace(brief["Title"], "").replace(brief["Artist"], "")
        assert not re.search(r"\b(that was|we heard|you heard|there it went)\b", bare, re.IGNORECASE), text


def test_a_year_is_only_said_when_it_is_known():
    rng = random.Random(2)
    for kind in ("intro", "outro"):
        for _ in range(DRAWS):
            brief = Briefs(Names(random_share=0)).draw(rng, kind, rng.choice(DJS))
            brief.pop("Year", None)
            text = write_script(brief, rng)[0]
            for name in ("Title", "Artist", "Next", "Themes"):
                text = text.replace(brief.get(name, "\0"), "")
            assert not re.search(r"\b(seventies|eighties|nineties|two thousands|nineteen \w+)\b", text), text


@pytest.mark.parametrize("dj", [*DJS, "somebody-new"])
@pytest.mark.parametrize("kind", KINDS)
def test_scripts_have_two_to_five_sentences(kind, dj):
    for brief, text, _ in draws(kind, dj):
        assert 2 <= sentence_count(text, brief) <= 5, text


def test_a_full_stop_that_belongs_to_a_name_or_an_hour_ends_its_sentence():
    song = {"Title": "O.P.P.", "Artist": "R.E.M."}
    assert sentence_count('Hush now. This is "O.P.P." by R.E.M. Stay close.', song) == 3
    assert sentence_count('That was R.E.M. with "O.P.P.", friends.', song) == 1
    assert sentence_count("Look up, friends. It's 9:15 p.m.", {"Time": "9:15 p.m."}) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_scripts_break_no_rule_of_the_audit_stage(kind):
    broken = [(rule, text) for brief, text, _ in draws(kind, "dot") if (rule := broken_rules(text, brief))]
    assert len(broken) <= DRAWS // 20, broken  # a made-up name may be one that nobody can speak


def test_an_alternative_that_lacks_its_fact_is_never_chosen():
    grammar = Grammar("marlow")
    with pytest.raises(MissingFact):
        grammar.write("era", {}, random.Random(0))
    assert "1987" in grammar.write("when", {"year": "1987"}, random.Random(0))[0]


def test_spans_are_the_facts():
    rng = random.Random(3)
    for kind in ("intro", "outro"):
        brief = Briefs(Names()).draw(rng, kind, "marlow")
        text, spans = write_script(brief, rng)
        assert {brief["Title"], brief["Artist"]} <= {text[a:b] for a, b in spans}


def test_a_rewrite_opens_otherwise():
    rng = random.Random(4)
    brief = {"Task": "time", "DJ": "dot", "Time": "7:30 AM"}
    taken = tuple(write_script(brief, rng)[0] for _ in range(30))
    assert opening(write_script(brief, rng, taken)[0], 3) not in {opening(t, 3) for t in taken}


def test_word_budgets_hold_the_script_or_nearly():
    for _, text, rng in draws("outro", "dot"):
        low, high = map(int, fitting_words(text, rng).split("-"))
        assert low - 3 <= len(text.split()) <= high + 3


def test_training_and_held_back_names_do_not_meet():
    rng = random.Random(1)
    train, held = Names(), Names(held=True)
    assert not any(held_out(train.title(rng)) for _ in range(200))
    assert all(held_out(held.artist(rng)) for _ in range(20))


def test_facts_know_the_part_of_the_day():
    rng = random.Random(0)
    for clock, part in (("12:10 AM", "night"), ("7:30 AM", "morning"), ("12:00 PM", "afternoon"), ("19:30", "evening")):
        assert grammar_facts({"Time": clock}, rng)["part"] == part
        assert f"<|period|> {part}<" in model_prompt({"Task": "time", "Time": clock})


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defects_change_the_script_and_fail_the_verdict(defect):
    rng = random.Random(6)
    source, found = Scripts(Names(), 1.0, (defect,)), 0
    for _ in range(20):
        kind = rng.choice(DEFECTS[defect][1])
        brief, verdict, planted = source.draw(rng, kind)
        answer = json.loads(verdict)
        assert list(answer) == ["issues", "notes", *CRITERIA[kind]]
        found += planted == defect
        assert answer["issues"] == ([DEFECTS[defect][0]] if planted else [])
        assert "\n" not in brief["Script"]
    assert found >= 8
