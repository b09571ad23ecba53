"""Calibration: labels as people keep them, and figures that can be checked by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UserError
from stages.calibration import Judged, Label, as_text, calibration, read_labels
from stages.rubric import Rubric
from stages.rules import Hit
from stages.verdict import decide

RUBRIC = Rubric.from_dict(
    {
        "threshold": 7.0,
        "criteria": {"voice": {"weight": 1, "ask": "?"}},
        "rules": {"emoji": {"cap": 4}, "names_title": "fail"},
    }
)


def judged(people: bool, score: float | None, *rules: str, kind="intro") -> Judged:
    verdict = None
    if score is not None:
        answer = {"issues": [], "notes": "", "voice": score}
        verdict = decide(RUBRIC, answer, [Hit(r, "x") for r in rules])
    return Judged(Label(f"marlow/{kind}/s1", "A script.", people), kind, verdict)


def test_labels_are_read_from_csv_and_jsonl_in_any_words(tmp_path):
    rows = [
        ("a/intro/1", "One, two.", "pass"),
        ("a/intro/2", 'He said "no".', "FAIL"),
        ("a/time/07-30", "Line\nbreak", "yes"),
    ]
    table = tmp_path / "labels.csv"
    quoted = ['"' + '","'.join(v.replace('"', '""') for v in row) + '"' for row in rows]
    table.write_text(
        "Script;Link\n" if False else "link,script,label\n" + "\n".join(quoted) + "\n", encoding="utf-8-sig"
    )
    lines = tmp_path / "labels.jsonl"
    lines.write_text(
        "\n".join(json.dumps(dict(zip(("link", "script", "label"), r, strict=True))) for r in rows) + "\n\n"
    )
    for path in (table, lines):
        labels = read_labels(path)
        assert [(x.link, x.script, x.passed) for x in labels] == [(r[0], r[1], r[2] != "FAIL") for r in rows]
        assert str(path) in labels[0].where


def test_bad_rows_are_named_together_and_with_their_lines(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("link,script,label\n,text,pass\na/b/c,,pass\na/b/c,text,perhaps\na/b/c,text,pass\n")
    with pytest.raises(UserError) as e:
        read_labels(path)
    assert str(e.value).splitlines() == [
        f"{path}:2: has no link (give link, script and label)",
        f"{path}:3: has no script (give link, script and label)",
        f"{path}:4: label 'perhaps' is neither pass nor fail (write pass or fail)",
    ]


@pytest.mark.parametrize(
    "name, text, problem",
    [("x.csv", "", "no column"), ("x.csv", "link,script\na,b\n", "no column 'label'"),
     ("x.csv", "link,script,label\n", "no labelled"),
     ("x.jsonl", "nonsense\n", "is not a JSON object"), ("x.jsonl", "[1]\n", "is not a JSON object")],
)  # fmt: skip
def test_files_that_hold_no_labels_are_user_errors(tmp_path, name, text, problem):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=problem):
        read_labels(tmp_path / name)
    with pytest.raises(UserError):
        read_labels(tmp_path / "absent.csv")


def test_agreement_and_both_kinds_of_error_are_counted():
    rows = [judged(True, 9), judged(True, 8), judged(True, 5), judged(False, 8), judged(False, 3), judged(False, None)]
    figures = calibration(rows)
    assert figures["scripts"] == 6 and figures["errors"] == 1
    assert figures["agreement"] == 0.6
    assert (figures["false_passes"], figures["false_fails"]) == (1, 1)
    assert figures["kappa"] == round((0.6 - (0.6 * 0.6 + 0.4 * 0.4)) / (1 - 0.52), 4)


def test_kappa_is_one_for_full_agreement_and_none_where_there_is_nothing_to_tell():
    assert calibration([judged(True, 9), judged(False, 3)])["kappa"] == 1.0
    assert calibration([judged(True, 9), judged(True, 8)])["kappa"] is None
    assert calibration([])["kappa"] is None


def test_the_best_threshold_is_found_and_a_good_one_is_left_alone():
    lenient = [judged(False, 8), judged(False, 7), judged(True, 9), judged(True, 10)]
    intro = calibration(lenient)["by_kind"]["intro"]
    assert intro["threshold"] == 7.0 and intro["agreement"] == 0.5
    assert intro["best"] == {"threshold": 8.5, "agreement": 1.0, "false_passes": 0, "false_fails": 0}
    good = [judged(False, 3), judged(True, 9)]
    assert calibration(good)["by_kind"]["intro"]["best"]["threshold"] == 7.0


def test_no_threshold_passes_what_a_rule_fails():
    rows = [judged(True, 9, "names_title"), judged(True, 9), judged(False, 2)]
    best = calibration(rows)["by_kind"]["intro"]["best"]
    assert best["false_fails"] == 1 and best["agreement"] == round(2 / 3, 4)
    assert calibration(rows)["rules"] == {"names_title": {"on_passed": 1, "on_failed": 0}}


def test_kinds_are_told_apart_and_the_worst_disagreements_come_first():
    rows = [judged(True, 6), judged(True, 2), judged(False, 9, kind="time")]
    figures = calibration(rows)
    assert set(figures["by_kind"]) == {"intro", "time"}
    assert [d["score"] for d in figures["disagreements"]] == [2.0, 9.0, 6.0]
    text = as_text(figures)
    assert "3 labelled scripts" in text and "people say pass, score 2.00" in text


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 10), st.booleans()), min_size=1, max_size=40))
def test_the_best_threshold_is_never_beaten_by_another(rows):
    made = [judged(people, score, *(["names_title"] if barred else [])) for people, score, barred in rows]
    kind = calibration(made)["by_kind"]["intro"]

    def agreement(threshold: float) -> float:
        return sum((score >= threshold and not barred) == people for people, score, barred in rows) / len(rows)

    best = kind["best"]
    assert best["agreement"] == pytest.approx(agreement(best["threshold"]), abs=1e-4)
    assert best["agreement"] >= max(agreement(t / 10) for t in range(10, 101)) - 1e-4
    assert best["agreement"] >= kind["agreement"]
