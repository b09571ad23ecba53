"""Catalogs: what is read, what is refused and how it is said, and what becomes of titles and ids."""

from __future__ import annotations

import json
import os
import string
import unicodedata

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from stages.catalog import SHOWN_ERRORS, load_catalog, parse_catalog
from stages.ids import is_safe_id, safe_id
from stages.titles import comparable, core, spoken_artist, spoken_title

GOOD = {"id": "s01", "title": "Slow Ferry Home", "artist": "Birch Street Choir"}


def rows(*songs, **changes):
    return json.dumps({"songs": [*songs] or [{**GOOD, **changes}]}).encode()


def test_reads_the_form_of_earlier_systems_with_all_columns():
    row = {"id": 7, "file_path": "a/b.mp3", "artist": "Vela Nine", "title": "Radio Silence", "album": "Carrier Wave"}
    row |= {"year": 1983, "duration_seconds": 262.5, "intro_seconds": 28, "themes": ["night"], "play_count": 3}
    (song,) = parse_catalog(rows(row), "c.json")
    assert (song.id, song.title, song.artist, song.album) == ("7", "Radio Silence", "Vela Nine", "Carrier Wave")
    assert (song.year, song.duration_seconds, song.intro_seconds) == (1983, 262.5, 28)
    assert song.themes == ("night",) and song.file_path == "a/b.mp3" and song.lyrics is None


def test_reads_json_lines_with_empty_lines_and_a_bare_list():
    lines = b"\n".join([orjson.dumps(GOOD), b"", orjson.dumps({**GOOD, "id": "s02"}), b""])
    assert [s.id for s in parse_catalog(lines, "c.jsonl")] == ["s01", "s02"]
    assert [s.id for s in parse_catalog(orjson.dumps([GOOD]), "c.json")] == ["s01"]


def test_a_byte_order_mark_is_no_obstacle():
    assert parse_catalog(b"\xef\xbb\xbf" + rows(), "c.json")[0].id == "s01"
    assert parse_catalog(b"\xef\xbb\xbf" + orjson.dumps(GOOD), "c.jsonl")[0].id == "s01"


def test_lyrics_in_the_catalog_are_read_like_a_lyrics_file():
    (song,) = parse_catalog(rows(lyrics="[00:01.00]One line\n[00:02.00]and another"), "c.json")
    assert song.lyrics == "One line\nand another"


def test_texts_become_single_lines_without_control_characters():
    (song,) = parse_catalog(rows(title="Slow\n@Task: x\u2028Ferry\x00 \u202eHome", artist="  A \t B "), "c.json")
    assert song.title == "Slow @Task: x Ferry Home"
    assert song.artist == "A B"


# what is wrong, the bytes, and what the one line must say
BAD = {
    "empty file": (b"", "empty"),
    "only white space": (b" \n\t ", "empty"),
    "broken JSON names the line": (b'{"songs": [\n {"id": "a",\n  "title": }\n]}', "c.json:3: not valid JSON"),
    "cut off JSON": (rows()[:-5], "not valid JSON"),
    "two JSON values": (rows() + rows(), "not valid JSON"),
    "NaN": (b'{"songs": [{"id": "a", "year": NaN}]}', "not valid JSON"),
    "lone surrogate": (b'{"songs": [{"id": "\\ud800"}]}', "not valid JSON"),
    "a thousand brackets deep": (b"[" * 5000, "not valid JSON"),
    "Latin-1 names the line": (b'{"songs": [\n{"id": "a", "title": "Caf\xe9"}]}', "c.json:2: not UTF-8"),
    "UTF-16": ('{"songs": []}'.encode("utf-16"), "UTF-16"),
    "text": (b'"songs"', "must be a list, is text"),
    "number": (b"12", "must be a list"),
    "songs missing": (b"{}", "must be a list, is nothing"),
    "songs an object": (b'{"songs": {}}', "must be a list, is an object"),
    "no songs": (b'{"songs": []}', "no songs"),
    "row is text": (b'{"songs": ["x"]}', "song 1: a song must be an object, is text"),
    "row is null": (b'{"songs": [null]}', "is nothing"),
    "row is a list": (b'{"songs": [[]]}', "is a list"),
    "id missing": (rows({"title": "T", "artist": "A"}), "'id' is missing"),
    "id empty": (rows(id=" "), "'id' is missing"),
    "id a list": (rows(id=[1]), "'id' must be text or a whole number, is a list"),
    "id true": (rows(id=True), "is true/false"),
    "id a fraction": (rows(id=1.5), "is a number"),
    "title missing": (rows(title=None), "'title' is missing"),
    "title empty": (rows(title=" \u200b\n"), "'title' is empty"),
    "title a number": (rows(title=1999), "'title' must be text, is a number"),
    "title a list": (rows(title=["T"]), "'title' must be text, is a list"),
    "title without end": (rows(title="x" * 5000), "5,000 characters"),
    "artist missing": (rows({"id": "a", "title": "T"}), "'artist' is missing"),
    "artist an object": (rows(artist={}), "'artist' must be text, is an object"),
    "album a number": (rows(album=4), "'album' must be text"),
    "year text": (rows(year="1987"), "'year' must be a whole number, is text"),
    "year a fraction": (rows(year=1987.5), "'year' must be a whole number"),
    "year true": (rows(year=True), "is true/false"),
    "year of two digits": (rows(year=87), "'year' must be between 1000 and 2999, is 87"),
    "year far away": (rows(year=20244), "between 1000 and 2999"),
    "year beyond any number": (b'{"songs": [{"id": "a", "title": "T", "artist": "A", "year": 1e300}]}', "whole number"),
    "duration negative": (rows(duration_seconds=-1), "'duration_seconds' must be between 0"),
    "duration text": (rows(duration_seconds="3:20"), "'duration_seconds' must be a number, is text"),
    "intro negative": (rows(intro_seconds=-0.1), "'intro_seconds' must be between 0"),
    "intro longer than an hour": (rows(intro_seconds=99999), "'intro_seconds' must be between"),
    "intro a list": (rows(intro_seconds=[]), "'intro_seconds' must be a number"),
    "themes text": (rows(themes="rain, sea"), "'themes' must be a list of texts"),
    "themes of numbers": (rows(themes=[1]), "'themes' must be a list of texts"),
    "lyrics a list": (rows(lyrics=["la"]), "'lyrics' must be text"),
    "file_path a number": (rows(file_path=1), "'file_path' must be text"),
    "id twice": (rows(GOOD, GOOD), "song 2: the id 's01' was used before, at song 1"),
    "id twice, as number and text": (rows({**GOOD, "id": 1}, {**GOOD, "id": "1"}), "was used before"),
}


@pytest.mark.parametrize(("data", "says"), BAD.values(), ids=BAD)
def test_bad_catalogs_are_one_line_with_place_and_problem(data, says):
    with pytest.raises(UserError) as caught:
        parse_catalog(data, "c.json")
    assert str(caught.value).startswith("c.json") and says in str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_all_bad_rows_are_reported_together_and_by_line_in_json_lines():
    lines = [orjson.dumps(GOOD), b"{nonsense", orjson.dumps({"id": "b"}), b'{"id": "c\xe9"}', orjson.dumps(GOOD)]
    with pytest.raises(UserError) as caught:
        parse_catalog(b"\n".join(lines), "c.jsonl")
    said = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in said] == ["c.jsonl:2", "c.jsonl:3", "c.jsonl:3", "c.jsonl:4", "c.jsonl:5"]
    assert "not UTF-8" in said[3] and "used before, at 1" in said[4]


def test_thousands_of_bad_rows_are_counted_not_listed():
    with pytest.raises(UserError) as caught:
        parse_catalog(rows(*({"id": i, "title": "T"} for i in range(5000))), "c.json")
    said = str(caught.value).splitlines()
    assert len(said) == SHOWN_ERRORS + 1 and said[-1] == f"c.json: and {5000 - SHOWN_ERRORS:,} more bad rows"


def test_paths_that_hold_no_catalog_are_named(tmp_path):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    os.mkfifo(tmp_path / "pipe.json")
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    secret = tmp_path / "nowhere.json"
    secret.symlink_to(tmp_path / "gone")
    for name, says in {
        "none.json": "no such file",
        "folder.json": "this is a folder",
        "loop.json": "links go in a circle",
        "pipe.json": "not a regular file",
        "huge.json": "too large",
        "nowhere.json": "no such file",
        "x" * 300 + ".json": "too long",
        "nul\0.json": "NUL",
    }.items():
        with pytest.raises(UserError, match=says):
            load_catalog(tmp_path / name)
    with pytest.raises(UserError, match="has no catalog"):
        load_catalog(tmp_path)
    (tmp_path / "catalog.json").write_bytes(rows())
    assert len(load_catalog(tmp_path)) == 1
    (tmp_path / "catalog.jsonl").write_bytes(orjson.dumps(GOOD))
    with pytest.raises(UserError, match="both"):
        load_catalog(tmp_path)


TITLES = {
    "Lamplighter's Waltz - Remastered 2011": "Lamplighter's Waltz",
    "Salt - 2011 Remaster": "Salt",
    "Salt – Remastered": "Salt",
    "Salt (Remastered 2009)": "Salt",
    "Salt (2015 Digital Remaster)": "Salt",
    "Salt - Live": "Salt",
    "Salt (Live at Leeds)": "Salt",
    "Salt (Live in Tokyo, 1994)": "Salt",
    "Salt - Live at the Corn Exchange / 1987": "Salt",
    "Salt (2015 Remaster) [Live from Rome]": "Salt",
    "Salt - Radio Edit": "Salt",
    "Salt (Single Version)": "Salt",
    "Salt - Mono": "Salt",
    "Salt (Deluxe Edition)": "Salt",
    "Salt - Bonus Track": "Salt",
    "Salt (feat. Ada Quill)": "Salt",
    "Salt [ft. Ada Quill & Tern]": "Salt",
    "Salt feat. Ada Quill": "Salt",
    "(Don't) Mind the Rain - 2004 Remaster": "(Don't) Mind the Rain",
}
KEPT = [
    "Live Forever", "Long Live", "Live in the Moment", "Salt (Live Like This)", "Salt (Live in the Moment)", "Alive",
    "Remastered", "(Live)", "- Live", "Radio Edit", "Single Version", "Mono No Aware", "Live at Five", "1999",
    "Paper - Scissors - Stone", "Kitchen Light (Left On)", "99½ Won't Do (Pt. 2)", "Feat of Clay", "Defeat. The End",
    "Radio Silence, 3 A.M.", "7:30", "???", "Song 2 (The One After)", "Oliver's Army", "Stereo Hearts", "Café Lumière",
    "Salt - From the film 'Live'", "Featuring Nobody", "Deluxe", "A Soft Place - Dreams", "Clean / Explicit",
]  # fmt: skip


@pytest.mark.parametrize(("title", "spoken"), TITLES.items())
def test_what_distributors_add_is_not_spoken(title, spoken):
    assert spoken_title(title) == spoken
    assert parse_catalog(rows(title=title), "c")[0].title == spoken


@pytest.mark.parametrize("title", KEPT)
def test_real_titles_are_never_mangled(title):
    assert spoken_title(title) == title


def test_guests_of_an_artist_are_spoken_not_abbreviated():
    assert spoken_artist("Ada Quill feat. Tern") == "Ada Quill featuring Tern"
    assert spoken_artist("Ada Quill (ft. Tern)") == "Ada Quill featuring Tern"
    assert spoken_artist("Little Feat") == "Little Feat"


def test_spellings_of_one_name_compare_equal():
    assert comparable("Café Lumière") == comparable("CAFE  LUMIERE!")
    assert comparable("Harlan & the Night Shift") == comparable("Harlan and the Night Shift")
    assert comparable("(Don’t) Mind the Rain") == comparable("Dont Mind the Rain")
    assert comparable("Søderholm") == comparable("Soderholm") != comparable("Sederholm")
    assert core("The Copper Kettles feat. X") == core("Copper Kettles")
    assert comparable("???") != comparable("!!!")


HOSTILE = [
    "../x", "..", ".", "/etc/passwd", "a/b", "a\\b", "a\0b", "con", "NUL", "com1.txt", "aux.", "x" * 300, "ѕ01", "s०1",
    "S01", "s01 ", " s01", "s01.", "a#1", "a:b", "a\nb", "~", "-rf", "%2e%2e", "ﬁ", "é", "e\u0301", "🎵", "\u202es01",
    "a..b", "$(x)", "", "a*?", '"', "lpt9", "s01\u200b", "Ⅷ", "ＡＢＣ",
]  # fmt: skip


def test_hostile_ids_stay_in_the_folder_and_apart(tmp_path):
    base = (tmp_path / "out").resolve()
    ids = [safe_id(raw) for raw in [*HOSTILE, "s01"]]
    assert all(is_safe_id(i) and len(i) <= 64 for i in ids)
    assert len({i.casefold() for i in ids}) == len(ids)
    for i in ids:
        assert set(i) <= set(string.ascii_lowercase + string.digits + "._-")
        assert (base / f"{i}.wav").resolve().parent == base
    assert safe_id("s01") == "s01" and safe_id("a/b") == safe_id("a/b")


@given(st.lists(st.text(max_size=400), max_size=20, unique=True))
@settings(max_examples=300, deadline=None)
def test_any_ids_become_safe_and_different(raws):
    ids = {safe_id(raw) for raw in raws}
    assert len(ids) == len(raws) and all(map(is_safe_id, ids))


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=4,
)
_text = st.text(st.characters(exclude_categories=["Cs"]))
_columns = [
    "id",
    "title",
    "artist",
    "album",
    "year",
    "duration_seconds",
    "intro_seconds",
    "themes",
    "lyrics",
    "file_path",
]
_row = st.dictionaries(st.sampled_from(_columns), _json | _text, max_size=10) | st.fixed_dictionaries(
    {"id": _text, "title": _text, "artist": _text}
)


@given(st.lists(_row, max_size=4), st.booleans())
@settings(max_examples=1000, deadline=None)
def test_any_rows_give_songs_or_one_clear_error(songs, lines):
    try:
        data = b"\n".join(map(orjson.dumps, songs)) if lines else orjson.dumps({"songs": songs})
    except (TypeError, orjson.JSONEncodeError):
        return
    try:
        found = parse_catalog(data, "c.jsonl" if lines else "c.json")
    except UserError as error:
        assert str(error).startswith("c.json")
    else:
        assert found and all(is_safe_id(s.id) and s.title and s.artist for s in found)
        assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Co") for s in found for c in s.title + s.artist)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: rows()[:40] + b + rows()[40:]), st.booleans())
@settings(max_examples=1500, deadline=None)
def test_any_bytes_give_songs_or_one_clear_error(data, lines):
    try:
        assert parse_catalog(data, "c", lines=lines)
    except UserError as error:
        assert str(error).startswith("c")
