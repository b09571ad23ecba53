"""Stations made from what people have: music, tables, earlier catalogs."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from stages.imports import import_station
from stages.prompts import Prompts
from stages.station import Station
from stages.tables import TABLES

TABLE = [
    {"title": "Café Lumière - Remastered 2011", "artist": "Odile Vasseur", "year": 1967, "lyrics": "One\n\nTwo"},
    {"title": "Tide", "artist": "Trio", "album": "Six", "duration": "3:45", "themes": "sea; night"},
]


@pytest.fixture
def make(tmp_path, sample_path):
    def run(source, **more):
        report = import_station(source, tmp_path / "mine", sample_path, **more)
        return report, Station.load(tmp_path / "mine")

    return run


def refused(source, target, sample_path):
    with pytest.raises(UserError) as caught:
        import_station(source, target, sample_path)
    assert not any(name.startswith(".") for name in os.listdir(target.parent)), "nothing half made is left"
    return str(caught.value)


def put(path, rows):
    """`rows` as the table that `path`'s ending says."""
    if path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist([{**dict.fromkeys(set().union(*rows)), **r} for r in rows]), path)
    elif path.suffix in (".csv", ".tsv"):
        import csv

        with path.open("w", newline="", encoding="utf-8") as file:
            tab = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(file, sorted(set().union(*rows)), delimiter=tab)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"songs": rows}))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("suffix", TABLES)
def test_every_table_becomes_a_station_that_renders(tmp_path, make, suffix):
    report, station = make(put(tmp_path / f"songs{suffix}", TABLE))
    cafe, tide = station.songs
    assert (cafe.title, cafe.artist, cafe.year, cafe.lyrics) == ("Café Lumière", "Odile Vasseur", 1967, "One\n\nTwo")
    assert (tide.album, tide.duration_seconds, tide.themes) == ("Six", 225.0, ("sea", "night"))
    assert report.songs == 2 and not report.skipped and len(report.coverage.found) == 1
    assert station.name == "mine"
    links = list(station.links())
    assert len(links) == 2 * (2 * 2 + 3 + 2)
    assert "> One" in Prompts(station).writer(links[0])[1]["content"]
    assert "Remastered" in (tmp_path / "mine/catalog.json").read_text(), "the catalog is the user's to edit"


def test_columns_are_known_by_many_names(tmp_path, make):
    (tmp_path / "export.csv").write_text(
        "\ufeffTrack URI;Track Name;Artist Name(s);Album Name;Release Date;Duration (ms)\n"
        'spotify:track:4uLU6h;"Slow; Ferry";Birch Street Choir;On Deck;2003-05-01;276500\n',
        encoding="utf-8",
    )
    _, station = make(tmp_path / "export.csv", name="Radio: 1")
    (song,) = station.songs
    assert (song.title, song.artist, song.year, song.duration_seconds) == (
        "Slow; Ferry",
        "Birch Street Choir",
        2003,
        276.5,
    )
    assert song.id.startswith("4ulu6h-") and station.name == "Radio: 1"


def test_rows_that_are_no_songs_are_left_out_and_listed(tmp_path, make):
    rows = [*TABLE, {"title": "No artist"}, {"artist": "No title"}, {"title": " ", "artist": "x"}]
    report, station = make(put(tmp_path / "songs.jsonl", rows))
    assert len(station.songs) == 2 and len(report.skipped) == 3
    assert "songs.jsonl:3: names no artist" in str(report) and "songs.jsonl:4: names no title" in str(report)


def test_ids_are_made_readable_and_never_twice(tmp_path, make):
    rows = [{"title": "Café", "artist": "Ada"}] * 2 + [
        {"title": "夜", "artist": "Ada"},
        {"title": "朝", "artist": "Ada"},
    ]
    _, station = make(put(tmp_path / "songs.csv", rows))
    ids = [song.id for song in station.songs]
    assert ids[:2] == ["ada-cafe", "ada-cafe-2"] and len(set(ids)) == 4


def test_hostile_titles_stay_in_the_lyrics_folder(tmp_path, make):
    titles = ["../../evil", "/etc/x", "a\0b", "con", "x" * 280, ".hidden", "夜" * 100, 'a"b:c|d']
    rows = [{"id": t, "title": t, "artist": "A", "lyrics": f"la {i}"} for i, t in enumerate(titles)]
    report, station = make(put(tmp_path / "songs.json", rows))
    assert [song.lyrics for song in station.songs] == [f"la {i}" for i in range(len(titles))]
    assert len(report.coverage.found) == len(titles) == len(os.listdir(tmp_path / "mine/lyrics"))
    assert sorted(os.listdir(tmp_path)) == ["mine", "songs.json"]


@pytest.fixture
def music(tmp_path):
    """A folder of half-second music files, tagged in different ways."""
    import numpy as np
    import soundfile
    from mutagen import id3
    from mutagen.flac import FLAC
    from mutagen.mp3 import MP3
    from mutagen.oggvorbis import OggVorbis

    folder = tmp_path / "Music" / "Album"
    folder.mkdir(parents=True)
    sound = np.sin(np.arange(22050) / 9).astype("float32") * 0.1
    for name in ("a.flac", "b.ogg", "c.mp3", "03 - Vela Nine - Radio Silence.wav", "untitled.wav"):
        soundfile.write(folder / name, sound, 44100)
    tags = FLAC(folder / "a.flac")
    tags.update(
        {"title": "Tide", "artist": "Trio", "album": "Six", "date": "2024-01-01", "lyrics": "[00:01.00]In the tags"}
    )
    tags.save()
    tags = OggVorbis(folder / "b.ogg")
    tags.update({"title": "Salt", "artist": "Kettles"})
    tags.save()
    (folder / "b.lrc").write_text("[00:01.00]Beside it\n[00:02.00]and more")
    tags = MP3(folder / "c.mp3")
    tags.add_tags()
    tags.tags.add(id3.TIT2(encoding=3, text="Boats (feat. Ada)"))
    tags.tags.add(id3.TPE1(encoding=3, text="June Okafor"))
    tags.tags.add(id3.TDRC(encoding=3, text="1996"))
    tags.tags.add(id3.USLT(encoding=3, lang="eng", desc="", text="Storm drain summer"))
    tags.save()
    (folder / "broken.mp3").write_bytes(b"\0" * 100)
    (folder / "empty.flac").write_bytes(b"")
    (folder / "loop.mp3").symlink_to(folder / "loop.mp3")
    (folder / "round").symlink_to(folder.parent)
    (folder / "cover.jpg").write_bytes(b"x")
    return folder.parent


def test_a_folder_of_music_becomes_a_station(music, make):
    report, station = make(music)
    songs = {song.title: song for song in station.songs}
    assert set(songs) == {"Tide", "Salt", "Boats", "Radio Silence"}
    assert songs["Tide"].year == 2024 and songs["Tide"].lyrics == "In the tags"
    assert songs["Salt"].lyrics == "Beside it\nand more"
    assert songs["Boats"].lyrics == "Storm drain summer" and songs["Boats"].year == 1996
    assert songs["Radio Silence"].artist == "Vela Nine"
    assert all(0.4 < song.duration_seconds < 0.7 for song in songs.values())
    assert songs["Tide"].file_path == "Album/a.flac"
    left_out = "\n".join(report.skipped)
    assert len(report.skipped) == 4
    for name in ("broken.mp3", "empty.flac", "loop.mp3", "untitled.wav"):
        assert name in left_out


BAD = {
    "nothing there": ("songs.csv", None, "no such file"),
    "an unknown ending": ("songs.xls", b"x", "cannot import from '.xls'"),
    "CSV without columns": (
        "songs.csv",
        b"a,b\n1,2\n",
        "songs.csv:1: has no column 'title' and 'artist' (its columns: a,b)",
    ),
    "CSV empty": ("songs.csv", b"", "has no column"),
    "CSV Latin-1": ("songs.csv", b"title,artist\nCaf\xe9,A\n", "songs.csv:2: not UTF-8"),
    "CSV with only a head": ("songs.csv", b"title,artist\n", "no song with a title and an artist"),
    "CSV with a huge cell": ("songs.csv", b'title,artist\n"' + b"x" * 5_000_000 + b'",A\n', "not valid CSV"),
    "JSON broken": ("songs.json", b'{"songs": [\n{]', "songs.json:2: not valid JSON"),
    "JSON without songs": ("songs.json", b'{"a": 1}', "holds no list of songs"),
    "JSON lines of rubbish": ("songs.jsonl", b"nonsense\n[]\n7\n", "songs.jsonl:1: not valid JSON"),
    "Parquet of rubbish": ("songs.parquet", b"PAR1 nonsense PAR1", "not valid Parquet"),
    "Parquet empty": ("songs.parquet", b"", "not valid Parquet"),
}


@pytest.mark.parametrize(("name", "data", "says"), BAD.values(), ids=BAD)
def test_bad_sources_are_one_line(tmp_path, sample_path, name, data, says):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    if data is not None:
        (tmp_path / name).write_bytes(data)
    said = refused(tmp_path / name, tmp_path / "mine", sample_path)
    assert says in said and "\n" not in said
    assert not (tmp_path / "mine").exists()


def test_a_folder_without_music_is_refused(tmp_path, sample_path):
    (tmp_path / "Music").mkdir()
    assert "no music files" in refused(tmp_path / "Music", tmp_path / "mine", sample_path)


def test_an_import_overwrites_nothing(tmp_path, sample_path):
    source = put(tmp_path / "songs.json", TABLE)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "note.txt").write_text("mine")
    assert "overwrites nothing" in refused(source, mine, sample_path)
    assert "overwrites nothing" in refused(source, source, sample_path)
    assert os.listdir(mine) == ["note.txt"]
    (mine / "note.txt").unlink()
    assert import_station(source, mine, sample_path).songs == 2, "an empty folder may be filled"


def test_a_target_that_cannot_be_written_is_named(tmp_path, sample_path):
    source = put(tmp_path / "songs.json", TABLE)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written: no such file: a part of the path is not a folder"):
        import_station(source, tmp_path / "file" / "deep" / "mine", sample_path)
    with pytest.raises(UserError, match="NUL"):
        import_station(source, tmp_path / "a\0b", sample_path)


_cell = st.none() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.text(max_size=5), max_size=3)
_columns = ["id", "Title", "artist", "Album", "year", "Duration (ms)", "duration", "intro", "lyrics", "themes", "path"]


@given(st.lists(st.dictionaries(st.sampled_from(_columns), _cell, max_size=11) | _cell, max_size=5))
@settings(max_examples=1000, deadline=None)
def test_any_rows_give_catalog_rows_that_load(rows):
    import orjson

    from stages.catalog import parse_catalog
    from stages.imports import _unique
    from stages.tables import row_of

    made = _unique(filter(None, (row_of(row) for row in rows if isinstance(row, dict))))
    if made:
        try:
            data = orjson.dumps(made)
        except TypeError:  # lone surrogates, which no table holds
            return
        assert len(parse_catalog(data, "c.json")) == len(made)
