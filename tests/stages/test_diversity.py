"""Diversity: repeated openings and phrases, near-duplicates, novelty, and what they cost."""

from __future__ import annotations

from stages.diversity import Corpus, Openings, Spoken, novelty, opening, repeated_openings, report
from stages.link import DJ, ClockTime, Link, Song

DJS = {d: DJ(d, n, "") for d, n in (("marlow", "Marlow Finch"), ("dot", "Dot Calloway"))}


def song(i: int) -> Song:
    return Song(f"s{i}", f"Ferry Number {i} Home", f"The Choir of Pier {i}")


def spoken(i: int, script: str, dj: str = "marlow", kind: str = "outro", attempt: str = "") -> Spoken:
    link = Link(DJS[dj], kind, song(i), (1, 90))
    return Spoken.of(link.key + attempt, script.format(t=song(i).title, a=song(i).artist), link)


UNLIKE = [
    "The tide came in sideways tonight. {t}, and {a} rode it like a door in a flood.",
    "Nobody asked the lighthouse, friends, but {a} did, in {t}.",
    "Bread, butter, and {t}. I could live on that. {a} evidently have.",
    "I counted eleven gulls during {t}. {a} counted none of them.",
]


def test_openings_are_compared_without_their_names():
    r = report([spoken(i, "That was {t} by {a}. " + UNLIKE[i]) for i in range(4)])
    assert r["openings"] == [
        {
            "opening": "that was [title] by",
            "count": 4,
            "djs": ["marlow"],
            "keys": [f"marlow/outro/s{i}" for i in range(4)],
        }
    ]
    assert r["repeated_openings"] == 1.0 and r["by_dj"]["marlow"]["distinct_openings"] == 0.25


def test_scripts_that_share_nothing_are_reported_as_such():
    r = report([spoken(i, text) for i, text in enumerate(UNLIKE)])
    assert r["openings"] == r["phrases"] == r["near_duplicates"] == []
    assert r["by_dj"]["marlow"] == {
        "scripts": 4, "self_similarity": r["by_dj"]["marlow"]["self_similarity"], "near_duplicates": 0,
        "distinct_openings": 1.0,
    }  # fmt: skip
    assert r["by_dj"]["marlow"]["self_similarity"] < 0.1


def test_a_phrase_across_links_is_listed_once_and_in_full():
    texts = [f"{UNLIKE[i]} Leave the lamp on in the window for me, would you. {'Ha! ' * (i == 2)}" for i in range(4)]
    r = report([spoken(i, text) for i, text in enumerate(texts)])
    assert r["phrases"][0] == {
        "phrase": "leave the lamp on in the window for me would you",
        "count": 4,
        "keys": [f"marlow/outro/s{i}" for i in range(4)],
    }
    assert len(r["phrases"]) == 1


def test_copies_with_other_names_are_near_duplicates_within_a_dj_only():
    text = "We drifted a while on {t} by {a}, friends, and the rope was in my hand the whole time."
    r = report([spoken(1, text), spoken(2, text), spoken(3, text, dj="dot"), spoken(4, UNLIKE[0])])
    assert [(d["a"], d["b"], d["similarity"]) for d in r["near_duplicates"]] == [
        ("marlow/outro/s1", "marlow/outro/s2", 1.0)
    ]
    assert r["by_dj"]["marlow"]["near_duplicates"] == 2 and r["by_dj"]["dot"]["near_duplicates"] == 0
    assert r["by_dj"]["marlow"]["self_similarity"] > 0.6


def test_numbers_are_levelled_so_that_time_checks_compare():
    def at(h: int) -> Spoken:
        link = Link(DJS["dot"], "time", ClockTime(f"{h:02d}-00", h, 0, f"{h}:00"), (1, 30))
        return Spoken.of(link.key, f"It's {h}:00, Port Amity, and the kettle knows.", link)

    assert report([at(7), at(8)])["near_duplicates"][0]["similarity"] == 1.0


def test_novelty_is_one_for_the_unlike_zero_for_a_copy_and_ignores_the_links_own_candidates():
    corpus = Corpus([spoken(1, UNLIKE[0], attempt="#1.1"), spoken(2, UNLIKE[1], attempt="#1.1")])
    assert corpus.novelty(spoken(3, UNLIKE[0])) == 0.0
    assert corpus.novelty(spoken(3, UNLIKE[2])) > 0.9
    assert corpus.novelty(spoken(1, UNLIKE[0], attempt="#2.1")) == 1.0
    half = UNLIKE[0] + " I never did learn to swim."
    assert 0.1 < corpus.novelty(spoken(3, half)) < 0.95
    assert novelty("", Link(DJS["dot"], "outro", song(9), (1, 9)), corpus) == 1.0


def test_the_kth_repeat_of_an_opening_is_refused():
    rows = [spoken(i, "Hope you enjoyed that one. " + UNLIKE[i % 4]) for i in range(5)]
    hits = repeated_openings(rows, {"words": 4, "times": 3})
    assert list(hits) == ["marlow/outro/s3", "marlow/outro/s4"]
    assert hits["marlow/outro/s3"].rule == "repeated_opening"
    assert 'opens like 3 other links: "hope you enjoyed that"' in hits["marlow/outro/s3"].message


def test_candidates_of_one_link_are_no_repeats_of_each_other():
    openings = Openings()
    for n in range(5):
        one = spoken(1, "Hope you enjoyed that one.", attempt=f"#1.{n}")
        assert openings.check(one) == []
        openings.take(one)


def test_an_opening_is_shown_as_it_stands():
    assert opening("Well now, friends — “Slow Ferry Home”.", 3) == "Well now, friends"


def test_an_empty_corpus_and_empty_scripts_are_fine():
    assert report([])["scripts"] == 0
    assert report([spoken(1, ""), spoken(2, ""), spoken(3, "Hm.")])["scripts"] == 3


def test_report_is_the_same_in_every_process_and_order_of_words_counts():
    rows = [spoken(i, text) for i, text in enumerate(UNLIKE * 3)]
    assert report(rows) == report(list(rows))
    assert Corpus([spoken(1, "one two three four five six")]).novelty(spoken(2, "six five four three two one")) == 1.0
