"""Verdicts and choices: what passes, what fails and why, which candidate is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RowError
from stages.rubric import Rubric
from stages.rules import Hit
from stages.verdict import Candidate, choose, decide, length_fit, merge_votes

RUBRIC = Rubric.from_dict(
    {
        "threshold": 7.0,
        "criteria": {"voice": {"weight": 0.5, "ask": "?"}, "flow": {"weight": 0.5, "ask": "?"}},
        "rules": {"names_title": "fail", "repetition": "note", "emoji": {"cap": 4.0}, "shouting": {"cap": 9.0}},
    }
)


def answer(voice=8, flow=8, issues=(), notes="") -> dict:
    return {"issues": list(issues), "notes": notes, "voice": voice, "flow": flow}


def test_a_good_score_without_hits_passes():
    verdict = decide(RUBRIC, answer(8, 7, notes="fine"))
    assert verdict["passed"] and verdict["score"] == verdict["weighted"] == 7.5
    assert verdict["reasons"] == [] and verdict["scores"] == {"voice": 8, "flow": 7} and verdict["notes"] == "fine"


def test_a_score_at_the_threshold_passes_and_below_it_fails_with_the_weakest_criterion():
    assert decide(RUBRIC, answer(7, 7))["passed"]
    verdict = decide(RUBRIC, answer(9, 4))
    assert not verdict["passed"]
    assert verdict["reasons"] == ["score 6.50 is below 7 (most lost on flow: 4)"]


def test_a_fail_rule_fails_whatever_the_score():
    verdict = decide(RUBRIC, answer(10, 10), [Hit("names_title", "does not name the title")])
    assert not verdict["passed"] and verdict["score"] == 10
    assert verdict["reasons"] == ["names_title: does not name the title"]


def test_a_note_costs_nothing_but_is_told():
    verdict = decide(RUBRIC, answer(), [Hit("repetition", "says it twice")])
    assert verdict["passed"] and verdict["issues"] == ["says it twice"]
    assert verdict["hits"] == [{"rule": "repetition", "message": "says it twice", "severity": "note"}]


def test_a_cap_lowers_the_score_and_only_if_it_is_lower():
    low = decide(RUBRIC, answer(9, 9), [Hit("emoji", "has an emoji")])
    assert (low["weighted"], low["score"], low["passed"]) == (9, 4, False)
    assert low["reasons"] == [
        "emoji caps the score at 4: has an emoji",
        "score 4.00 is below 7 (most lost on voice: 9)",
    ]
    idle = decide(RUBRIC, answer(8, 8), [Hit("shouting", "shouts")])
    assert idle["score"] == 8 and idle["passed"]
    both = decide(RUBRIC, answer(10, 10), [Hit("shouting", "shouts"), Hit("emoji", "has an emoji")])
    assert both["score"] == 4


def test_a_hit_of_a_rule_the_rubric_does_not_name_fails():
    assert not decide(RUBRIC, answer(10, 10), [Hit("repeated_opening", "opens like 3 others")])["passed"]


def test_issues_are_the_rules_first_and_each_once():
    verdict = decide(RUBRIC, answer(2, 2, ["too slow", "has an emoji", "  "]), [Hit("emoji", "has an emoji")])
    assert verdict["issues"] == ["has an emoji", "too slow"]


@pytest.mark.parametrize(
    "bad",
    [None, [], "8", {}, {"voice": 8}, answer(0, 5), answer(8, 11), answer("8", 8), answer(True, 8),
     {**answer(), "issues": "none"}, {**answer(), "issues": [1]}, {**answer(), "notes": 5}],
)  # fmt: skip
def test_error_is_not_failed(bad):
    """A malformed answer is an error of the row; it must not look like a script that failed its audit."""
    with pytest.raises(RowError) as e:
        decide(RUBRIC, bad)
    assert e.value.kind == "bad_verdict"


def test_an_auditor_that_talks_too_long_is_cut_to_size():
    verdict = decide(RUBRIC, answer(issues=["x" * 500] * 9, notes="y" * 900))
    assert verdict["issues"] == ["x" * 120] and len(verdict["notes"]) == 200


@given(
    st.integers(1, 10), st.integers(1, 10), st.sets(st.sampled_from(["names_title", "repetition", "emoji", "shouting"]))
)
def test_no_hit_ever_helps_a_script(voice, flow, rules):
    plain = decide(RUBRIC, answer(voice, flow))
    verdict = decide(RUBRIC, answer(voice, flow), [Hit(r, "x") for r in sorted(rules)])
    assert verdict["score"] <= plain["score"]
    assert verdict["passed"] <= plain["passed"]
    assert verdict["passed"] == (not verdict["reasons"])


# ------------------------------------------------------------------------------------------------------------- votes


def test_votes_merge_to_medians_and_the_issues_most_share():
    merged = merge_votes(
        RUBRIC, [answer(9, 2, ["slow"], "a"), answer(8, 8, ["slow", "flat"], "b"), answer(3, 9, [], "c")]
    )
    assert (merged["voice"], merged["flow"]) == (8, 8)
    assert merged["issues"] == ["slow", "flat"] and merged["notes"] == "b"
    assert decide(RUBRIC, merged)["passed"]


def test_one_wild_vote_does_not_decide():
    votes = [answer(9, 9), answer(9, 9), answer(1, 1)]
    assert decide(RUBRIC, merge_votes(RUBRIC, votes))["passed"]


def test_votes_that_are_none_or_broken_are_errors():
    for votes in ([], [answer(), {"voice": 3}]):
        with pytest.raises(RowError):
            merge_votes(RUBRIC, votes)


# ------------------------------------------------------------------------------------------------------------ choice


def candidate(key, passed=True, score=8.0, words=30, novelty=1.0) -> Candidate:
    return Candidate(key, passed, score, words, (20, 40), novelty)


def test_the_best_audited_candidate_is_taken_and_the_reason_says_so():
    choice = choose([candidate("a", score=7.5), candidate("b", score=9.0), candidate("c", score=8.0)])
    assert choice.key == "b" and choice.passed
    assert "best of 3 that passed" in choice.reason and "audit 9.00" in choice.reason
    assert [k for k, _ in choice.ranking] == ["b", "c", "a"]


def test_last_pass_does_not_win():
    """Of several that pass the best is taken, wherever it stands among the attempts; a tie goes to the first."""
    first, last = candidate("l#1.1", score=9.0), candidate("l#3.1", score=7.5)
    assert choose([first, last]).key == choose([last, first]).key == "l#1.1"
    assert choose([candidate("l#1.1"), candidate("l#2.1")]).key == "l#1.1"


def test_a_passing_candidate_beats_a_failing_one_of_any_score():
    choice = choose([candidate("a", passed=False, score=10.0), candidate("b", score=7.1, novelty=0.0, words=20)])
    assert choice.key == "b" and choice.reason.startswith("the only one of 2 that passed")


def test_where_none_passed_the_best_is_shown_as_not_passed():
    choice = choose([candidate("a", passed=False, score=5.0), candidate("b", passed=False, score=6.0)])
    assert choice.key == "b" and not choice.passed and "none of which passed" in choice.reason


def test_novelty_and_length_weigh_as_configured():
    copy, own = candidate("copy", score=8.4, novelty=0.0), candidate("own", score=8.0, novelty=1.0)
    assert choose([copy, own]).key == "own"
    assert choose([copy, own], {"audit": 1}).key == "copy"
    long, fit = candidate("long", words=40), candidate("fit", words=30)
    assert choose([long, fit]).key == "fit"
    assert choose([long, fit], {"audit": 1}).key == "long"


def test_a_pick_by_hand_overrides_everything():
    choice = choose([candidate("a", score=10.0), candidate("b", passed=False, score=2.0)], forced="b")
    assert choice.key == "b" and not choice.passed and choice.reason == "picked by hand; it did not pass"
    with pytest.raises(KeyError):
        choose([candidate("a")], forced="z")


@pytest.mark.parametrize("weights", [{}, {"audit": 0}, {"audit": -1, "novelty": 2}, {"loudness": 1}])
def test_senseless_weights_are_refused(weights):
    with pytest.raises(ValueError):
        choose([candidate("a")], weights)
    with pytest.raises(ValueError):
        choose([])


@given(st.integers(0, 200), st.integers(1, 60), st.integers(0, 60))
def test_length_fit_is_best_in_the_middle_and_falls_to_both_sides(words, least, extra):
    budget = (least, least + extra)
    fit = length_fit(words, budget)
    assert 0 <= fit <= 1
    if words < least or words > budget[1]:
        assert fit <= 0.5
    elif extra > 3:
        assert fit >= 0.5
        assert length_fit(least + extra // 2, budget) == 1
