"""Scripts into chunks: what is spelled out, what is kept whole, where chunks end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.tts.chatterbox.spelling import spell_out
from stages.tts.chatterbox.text import LONGEST, SHORTEST, spoken_chunks

SPELLED = [
    # times
    ("It's 7:30 AM", "It's seven thirty AM"),
    ("at 7.30 p.m. on", "at seven thirty PM on"),
    ("at 5pm. Stay", "at five PM. Stay"),
    ("At 6 A.M. We rise", "At six AM. We rise"),
    ("It's 8:05.", "It's eight oh five."),
    ("It's 12:00.", "It's twelve o'clock."),
    ("at 19:45", "at nineteen forty-five"),
    # dates and years
    ("March 3, 1987", "March third, nineteen eighty-seven"),
    ("22 Feb. 2005", "February twenty-second, two thousand five"),
    ("on May 1st", "on May first"),
    ("2024-03-09", "March ninth, twenty twenty-four"),
    ("in 1905", "in nineteen oh-five"),
    ("1987–1991", "nineteen eighty-seven to nineteen ninety-one"),
    ("the 1980s, the '90s and 70s", "the nineteen eighties, the nineties and seventies"),
    # numbers
    ("1,234 fans", "one thousand two hundred thirty-four fans"),
    ("Lantern 88.4", "Lantern eighty-eight point four"),
    ("the 1st and 22nd", "the first and twenty-second"),
    ("No. 1, #2", "number one, number two"),
    ("10-15 mph", "ten to fifteen miles an hour"),
    ("1 km, 6 ft", "one kilometer, six feet"),
    ("call 555-0142", "call five five five, oh one four two"),
    ("open 24/7", "open twenty-four seven"),
    # money, percent, degrees
    ("$3.50", "three dollars and fifty cents"),
    ("$1", "one dollar"),
    ("£2 million", "two million pounds"),
    ("€10", "ten euros"),
    ("50%", "fifty percent"),
    ("14°C, -3°", "fourteen degrees Celsius, minus three degrees"),
    ("1° up", "one degree up"),
    # abbreviations and symbols
    ("Dr. Who vs. Mr. Low", "Doctor Who versus Mister Low"),
    ("St. Mary's", "Saint Mary's"),
    ("on Main St. Next up", "on Main Street. Next up"),
    ("tea etc. More", "tea et cetera. More"),
    ("Low feat. High", "Low featuring High"),
    ("rock & roll", "rock and roll"),
    ("lantern.fm", "lantern dot fm"),
    ("*loud* and/or _soft_", "loud and or soft"),
    ("hi 🎵 there", "hi there"),
    # what belongs to a name stays
    ("U2, B52s and MP3", "U2, B52s and MP3"),
    ("AM 1", "AM one"),
    ("Nothing to see here.", "Nothing to see here."),
]


@pytest.mark.parametrize(("written", "spoken"), SPELLED, ids=[w for w, _ in SPELLED])
def test_english_is_spelled_out(written, spoken):
    assert spell_out(written, "en-GB") == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("de", "14° und 50 %, 3,5", "vierzehn Grad und fünfzig Prozent, drei Komma fünf"),
        ("de", "1.234 Leute", "eintausendzweihundertvierunddreißig Leute"),
        ("fr", "21 & 80", "vingt-et-un et quatre-vingts"),
        ("sw", "21", "ishirini na moja"),
        ("zh", "今天14度", "今天十四度"),
        ("tlh", "21 tlhIngan", "21 tlhIngan"),
    ],
)  # fmt: skip
def test_other_languages_get_their_numbers_and_unknown_ones_are_left(language, written, spoken):
    assert spell_out(written, language) == spoken


SCRIPT = (
    "Good evening, night owls. That was 99 Tides by Mr. Low & Co. It's 7:30 AM in Port Amity, and the lamps are going "
    "out one by one along the water, while the last train hums to itself beyond the harbour wall, and nobody minds. "
    "Stay close, friends.\n\nUp next, What's Up? by The Q. Then more of the same, if the kettle lets us, I think."
)


def joined(chunks) -> str:
    return " ".join(c.text for c in chunks)


def test_titles_and_artists_are_kept_whole_and_as_written():
    keep = ["99 Tides", "Mr. Low & Co.", "What's Up?", "The Q."]
    text = joined(spoken_chunks(SCRIPT, keep=keep))
    assert all(name in text for name in keep)
    assert "seven thirty AM" in text
    bare = joined(spoken_chunks(SCRIPT))
    assert "ninety-nine Tides" in bare and "Mister Low and" in bare


def test_a_kept_title_is_never_cut():
    title = "The " + ", ".join(f"Long and Winding Line {i}" for i in "abcdefghi") + "!"
    for n in range(0, 260, 20):
        script = "word " * (n // 5) + title + " was the song. " + "And so it goes on. " * 4
        assert any(title in c.text for c in spoken_chunks(script, keep=[title]))


def test_a_title_that_is_a_number_is_spoken_as_one():
    assert "nineteen ninety-nine" in joined(spoken_chunks("That was 1999, of course, from long ago.", keep=["1999"]))


def test_chunks_end_at_the_strongest_boundary_with_its_pause():
    chunks = spoken_chunks(SCRIPT)
    assert [c.pause_ms for c in chunks] == [600, 0]
    assert chunks[0].text.endswith("Stay close, friends.") and chunks[1].text.startswith("Up next")
    two = spoken_chunks("One sentence of a fair length stands here. " * 9)
    assert [c.pause_ms for c in two] == [300, 0] and all(c.text.endswith("here.") for c in two)


def test_a_long_sentence_is_cut_at_a_clause_and_only_then_between_words():
    clauses = "and on goes the long and lonely night train past the sleeping harbour, " * 6
    chunks = spoken_chunks(clauses.strip(", ") + ".")
    assert [c.pause_ms for c in chunks[:-1]] == [120] * (len(chunks) - 1)
    assert all(c.text.endswith((",", ".")) for c in chunks)
    words = spoken_chunks("lamp " * 100)
    assert [c.pause_ms for c in words[:-1]] == [0] * (len(words) - 1)


def test_a_short_paragraph_joins_its_neighbour_rather_than_stand_alone():
    chunks = spoken_chunks("Hello.\n\nThis paragraph is long enough to be a chunk of its own, just about.")
    assert len(chunks) == 1


@pytest.mark.parametrize("script", ["", "  \n ", "…!?", "[music]", "🎵"])
def test_nothing_to_say_is_no_chunks(script):
    assert spoken_chunks(script) == []


@pytest.mark.parametrize(
    ("tags", "spoken"),
    [(True, "Well [laugh] hello there. [clear throat] More."), (False, "Well hello there. More.")],
)
def test_turbos_tags_reach_turbo_alone_and_other_directions_nobody(tags, spoken):
    script = "Well [Laugh] hello [upbeat music] there. [ clear throat ] More."
    assert joined(spoken_chunks(script, tags=tags)) == spoken


SENTENCES = st.lists(
    st.lists(st.sampled_from("kettle lamp 7:30 harbour, Dr. Who water; 1987 tide, $3.50 night".split()), min_size=1,
             max_size=70).map(lambda words: " ".join(words) + "."),
    min_size=1, max_size=12,
)  # fmt: skip


@given(sentences=SENTENCES, breaks=st.lists(st.sampled_from([" ", "\n\n"]), min_size=12, max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_script_makes_chunks_of_the_right_size_and_loses_nothing(sentences, breaks):
    script = "".join(s + b for s, b in zip(sentences, breaks))
    chunks = spoken_chunks(script)
    assert all(len(c.text) <= LONGEST for c in chunks)
    assert len(joined(chunks)) < SHORTEST or all(len(c.text) >= SHORTEST for c in chunks)
    wanted = [w for s in sentences for w in spell_out(s).split()]
    assert len(joined(chunks).split()) == pytest.approx(len(wanted), rel=0.02, abs=1)
    assert joined(chunks).count("kettle") == script.count("kettle")
    assert chunks[-1].pause_ms == 0
