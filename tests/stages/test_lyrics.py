"""Lyrics: the forms of a file, and which song a file is taken for."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from stages.link import Song
from stages.lyrics import parse_lyrics
from stages.lyrics_join import JOIN_AT, SURE_AT, join_lyrics
from stages.station import Station

TEXT = "First line here,\nsecond line there.\n\nAnother verse."


def song(title="Slow Ferry Home", artist="Birch Street Choir", id="s1", **more):
    return Song(id, title, artist, **more)


def put(folder, files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def joined(tmp_path, songs, **files):
    return join_lyrics(songs, put(tmp_path / "lyrics", files))


FORMS = {
    "plain": (TEXT, TEXT),
    "windows line ends": (TEXT.replace("\n", "\r\n"), TEXT),
    "old Mac line ends": (TEXT.replace("\n", "\r"), TEXT),
    "headers and dashes": (f"Title: T\nArtist: A\nProvider: P\nInstrumental: false\n---\n{TEXT}", TEXT),
    "headers, an empty line, dashes": (f"\nTitle: T\nArtist: A\n\n-----\n\n{TEXT}", TEXT),
    "headers and only an empty line": (f"Title: T\nArtist: A\n\n{TEXT}", TEXT),
    "one header and dashes": (f"Provider: P\n---\n{TEXT}", TEXT),
    "LRC": ("[00:01.00]One\n[00:02.50]Two\n\n[01:00.00]Three", "One\nTwo\n\nThree"),
    "LRC with tags": ("[ti:T]\n[ar:A]\n[offset:+100]\n[00:01.00] One", "One"),
    "LRC without fractions": ("[00:01]One\n[00:02]Two", "One\nTwo"),
    "LRC with a colon before the fraction": ("[00:01:10]One\n[00:02:10]Two", "One\nTwo"),
    "LRC of words": ("[00:01.00]<00:01.00>One <00:01.50>more", "One more"),
    "LRC out of order": ("[00:09.00]Two\n[00:01.00]One", "One\nTwo"),
    "LRC with a chorus stamped twice": (
        "[00:01.00]V\n\n[00:02.00][00:09.00]C\n\n[00:05.00]W",
        "V\n\nC\n\nW\n\nC",
    ),
    "LRC of an hour": ("[75:01.00]Late", "Late"),
    "headers, then LRC": ("Title: T\nArtist: A\n---\n[00:01.00]One", "One"),
    "labels of the parts": ("[Verse 1]\nOne\n[Chorus]\nTwo\n(Bridge)\nThree", "One\n\nTwo\n\nThree"),
    "a bracket that is sung": ("(Oh, oh)\n[whispered] come here", "(Oh, oh)\n[whispered] come here"),
    "a colon that is sung": ("Mama: don't\nArtist: that's what they call me\nyeah", None),
    "many empty lines": ("One\n\n\n\n\nTwo\n\n\n", "One\n\nTwo"),
    "dashes that part verses": ("One\n---\nTwo", "One\n---\nTwo"),
}


@pytest.mark.parametrize(("given_", "expected"), FORMS.values(), ids=FORMS)
def test_every_form_becomes_plain_verses(given_, expected):
    assert parse_lyrics(given_).text == (given_ if expected is None else expected)


def test_headers_and_tags_name_the_song():
    assert parse_lyrics(f"Title: Tide\nArtist: Trio\n---\n{TEXT}").artist == "Trio"
    assert parse_lyrics("[ti:Tide]\n[ar:Trio]\n[00:01.00]x").title == "Tide"
    assert parse_lyrics(TEXT).title is None


@pytest.mark.parametrize(
    "text",
    ["Title: T\nArtist: A\nInstrumental: true\n---\n", "[Instrumental]", "Instrumental", "[00:00.00](instrumental)",
     "Title: T\nInstrumental: yes", "Title: T\nInstrumental: True\n---\nPlaceholder text"],
)  # fmt: skip
def test_instrumentals_have_no_text_and_say_so(text):
    parsed = parse_lyrics(text)
    assert parsed.text is None and parsed.instrumental


@pytest.mark.parametrize("text", ["", "\n\n", "Title: T\nArtist: A\n---\n", "[ti:T]\n[00:01.00]"])
def test_a_file_without_text_is_no_instrumental(text):
    assert parse_lyrics(text).text is None and not parse_lyrics(text).instrumental


NAMES = {
    "as named": "Slow Ferry Home by Birch Street Choir.txt",
    "other case": "SLOW FERRY HOME BY BIRCH STREET CHOIR.TXT",
    "artist first": "Birch Street Choir - Slow Ferry Home.lrc",
    "punctuation lost": "Slow  Ferry_Home by Birch, Street Choir.txt",
    "with a version": "Slow Ferry Home - Remastered 2011 by Birch Street Choir.txt",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_agrees_is_found(tmp_path, name):
    (found,), coverage = join_lyrics([song()], put(tmp_path / "l", {name: TEXT}))
    assert found.lyrics == TEXT
    assert [m.file for m in coverage.found] == [name] and coverage.found[0].confidence >= SURE_AT


@pytest.mark.parametrize(
    ("title", "artist", "name"),
    [
        ("Café Lumière", "Odile Vasseur", "Cafe Lumiere by Odile Vasseur.txt"),
        ("Cafe\u0301", "Søderholm", "Café by Soderholm.txt"),
        ("(Don't) Mind the Rain", "Pearl Addison", "(Don’t) Mind the Rain by Pearl Addison.txt"),
        ("Number 9 Tram", "Harlan & the Night Shift", "Number 9 Tram by Harlan and the Night Shift.txt"),
        ("Stand by Me", "Ben by Night", "Stand by Me by Ben by Night.txt"),
        ("Kitchen Light (Left On)", "Ada Quill", "Kitchen Light by Ada Quill.txt"),
        ("Salt", "The Copper Kettles", "Salt by Copper Kettles.txt"),
        ("Salt", "Ada Quill featuring Tern", "Salt by Ada Quill.txt"),
        ("???", "!!!", "??? by !!!.txt"),
    ],
)
def test_spellings_of_one_name_are_found(tmp_path, title, artist, name):
    (found,), coverage = join_lyrics([song(title, artist)], put(tmp_path / "l", {name: TEXT}))
    assert found.lyrics == TEXT and not coverage.doubtful and not coverage.unused


def test_a_file_named_anything_is_found_by_what_it_says(tmp_path):
    songs = [song(), song("Tide", "Trio", "s2"), song("Salt", "Kettles", "s3")]
    files = {
        "001.txt": f"Title: Slow Ferry Home\nArtist: Birch Street Choir\n---\n{TEXT}",
        "002.lrc": "[ti:Tide]\n[ar:Trio]\n[00:01.00]la",
        "003.txt": f"Salt by Kettles\n\n{TEXT}",
    }
    found, coverage = join_lyrics(songs, put(tmp_path / "l", files))
    assert [s.lyrics for s in found] == [TEXT, "la", TEXT] and len(coverage.found) == 3


def test_a_misspelt_file_is_joined_but_doubtful(tmp_path):
    (found,), coverage = join_lyrics([song()], put(tmp_path / "l", {"Slow Fery Home by Birch Street Choir.txt": TEXT}))
    (match,) = coverage.doubtful
    assert found.lyrics == TEXT and JOIN_AT <= match.confidence < SURE_AT and "title alike" in match.how


@pytest.mark.parametrize(
    "name",
    [
        "Fast Ferry Away by Birch Street Choir.txt",  # same artist, other title
        "Birch Street Choir.txt",  # artist alone
        "Slow Ferry Home by Somebody Else.txt",  # a cover
        "Slow Ferry Home.txt",  # title alone
        "by Birch Street Choir.txt",
        "Slow.txt",
    ],
)
def test_half_a_name_is_never_enough(tmp_path, name):
    (found,), coverage = join_lyrics([song()], put(tmp_path / "l", {name: TEXT}))
    assert found.lyrics is None and not coverage.found
    assert coverage.missing or coverage.doubtful[0].confidence < JOIN_AT


def test_a_file_whose_headers_name_another_song_is_doubted(tmp_path):
    text = f"Title: Number 9 Tram\nArtist: Harlan\n---\n{TEXT}"
    name = "Slow Ferry Home by Birch Street Choir.txt"
    (found,), coverage = join_lyrics([song()], put(tmp_path / "l", {name: text}))
    assert found.lyrics is None and "another song" in coverage.doubtful[0].how


def test_coverage_tells_found_missing_doubtful_and_unused(tmp_path):
    songs = [
        song(),
        song("Tide", "Trio", "s2"),
        song("Salt", "Kettles", "s3"),
        song("Boats", "June", "s4", lyrics="la"),
    ]
    files = {
        "Slow Ferry Home by Birch Street Choir.txt": TEXT,
        "Tide by Trio.txt": "Instrumental: true\n---\n",
        "Nothing of Ours by Nobody.txt": TEXT,
        "notes.pdf": "x",
        ".hidden.txt": "x",
    }
    found, coverage = join_lyrics(songs, put(tmp_path / "l", files))
    assert str(coverage) == "lyrics: 2 found, 0 doubtful, 1 missing, 1 instrumental; 1 files unused"
    assert coverage.missing == ["s3"] and coverage.instrumental == ["s2"]
    assert coverage.to_dict()["unused"] == ["Nothing of Ours by Nobody.txt"]
    assert [s.lyrics for s in found] == [TEXT, None, None, "la"]


@pytest.mark.parametrize(
    ("first", "gone"),
    [
        ("Slow Ferry Home by Birch Street Choir", True),
        ("SLOW FERRY HOME - Birch Street Choir", True),
        ("Birch Street Choir - Slow Ferry Home", True),
        ("Slow Ferry Home", True),
        ("Slow ferry home by the river", False),
    ],
)
def test_a_first_line_that_names_the_song_is_not_lyrics(tmp_path, first, gone):
    name = "Slow Ferry Home by Birch Street Choir.txt"
    (found,), _ = join_lyrics([song()], put(tmp_path / "l", {name: f"{first}\n\n{TEXT}"}))
    assert found.lyrics == (TEXT if gone else f"{first}\n\n{TEXT}")


def test_bad_files_are_reported_together(tmp_path):
    folder = put(tmp_path / "l", {})
    (folder / "a by b.txt").write_bytes("Café".encode("latin-1"))
    (folder / "c by d.txt").write_bytes("é".encode("utf-16"))
    (folder / "e by f.txt").mkdir()
    (folder / "g by h.txt").symlink_to(folder / "g by h.txt")
    (folder / "i by j.txt").write_bytes(b"x" * 10_000_000)
    os.mkfifo(folder / "k by l.txt")
    (folder / "m by n.txt").symlink_to("/nowhere/at/all")
    songs = [song(t, a, t) for t, a in ("ab", "cd", "ef", "gh", "ij", "kl", "mn")]
    with pytest.raises(UserError) as caught:
        join_lyrics(songs, folder)
    said = str(caught.value).splitlines()
    assert len(said) == 7
    for line, says in zip(
        said,
        ["not UTF-8", "UTF-16", "a folder", "in a circle", "too large", "not a regular file", "no such file"],
        strict=True,
    ):
        assert says in line


def test_a_lyrics_folder_that_is_a_file_or_loop_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="not a folder"):
        join_lyrics([song()], tmp_path / "file")
    with pytest.raises(UserError, match="in a circle"):
        join_lyrics([song()], tmp_path / "loop")
    assert join_lyrics([song()], tmp_path / "none")[1].missing == ["s1"]


def test_lyrics_are_joined(sample_path):
    """An earlier system wrote prompts that spoke of lyrics and never passed any on."""
    station = Station.load(sample_path)
    with_text = [s.id for s in station.songs if s.lyrics]
    assert len(with_text) == 12 and len(station.coverage.found) == 12
    assert station.coverage.instrumental == ["s13"] and not station.coverage.unused
    assert all(not any(mark in s.lyrics for mark in ("[0", "Title:", "---")) for s in station.songs if s.lyrics)


_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=30)


@given(st.text() | st.text("[]():.0123456789-\ntiar Title:Artist:Instrumental: <>", max_size=120))
@settings(max_examples=2500, deadline=None)
def test_any_text_is_parsed_to_clean_lines(text):
    found = parse_lyrics(text).text
    if found is not None:
        assert found.strip() and "\n\n\n" not in found
        assert found.replace("\n", "").isprintable() or not found.isascii()


@given(st.lists(st.tuples(_names, st.binary(max_size=60)), max_size=4), _names, _names)
@settings(max_examples=500, deadline=None)
def test_any_folder_is_joined_or_refused_in_one_error(tmp_path_factory, files, title, artist):
    folder = tmp_path_factory.mktemp("l")
    for name, data in files:
        try:
            (folder / f"{name}.txt").write_bytes(data)
        except OSError:
            continue
    try:
        songs, _ = join_lyrics([song(title, artist)], folder)
    except UserError as error:
        assert str(folder) in str(error)
    else:
        assert len(songs) == 1
