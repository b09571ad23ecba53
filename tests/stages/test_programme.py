"""The sample station's links as programmes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from stages.programme import programmes, write_programmes
from stages.station import Station

SAMPLE = Path(__file__).parents[2] / "data" / "sample_station"


@pytest.fixture(scope="module")
def station() -> Station:
    return Station.load(SAMPLE)


def takes(station: Station) -> list:
    figures = {"duration_s": 9.0, "lufs": -18.0, "true_peak_dbtp": -3.0}
    return [(link, {"file": f"takes/{link.key}.flac", **figures}) for link in station.links()]


def test_every_link_of_the_station_is_in_its_djs_programme(station):
    made = programmes(station, takes(station))
    assert {p.dj for p in made} == set(station.djs)
    for programme in made:
        keys = [i.spot.key for i in programme.items if i.spot] + [s.key for s in programme.unplaced]
        assert sorted(keys) == sorted(link.key for link in station.links() if link.dj.id == programme.dj)


def test_songs_are_between_their_intro_and_outro_in_catalog_order(station):
    for programme in programmes(station, takes(station)):
        assert [i.track.id for i in programme.items if i.track] == [song.id for song in station.songs]
        about = [(i.spot.kind, i.spot.song) if i.spot else ("song", i.track.id) for i in programme.items]
        for song in station.songs:
            at = about.index(("song", song.id))
            assert about[at - 1] == ("intro", song.id) and about[at + 1] == ("outro", song.id)


def test_intros_end_before_the_vocals(station):
    talked_over = 0
    for programme in programmes(station, takes(station)):
        for item in programme.items:
            if item.spot and item.spot.kind == "intro":
                song = next(s for s in station.songs if s.id == item.spot.song)
                overlap = item.spot.duration_s - item.start_next
                assert 0 <= overlap <= (song.intro_seconds or 0)
                talked_over += overlap > 0
            elif item.spot:
                assert item.start_next == item.spot.duration_s
    assert talked_over


def test_clock_links_air_within_their_tolerance(station):
    for programme in programmes(station, takes(station)):
        placed = [i for i in programme.items if i.spot and i.spot.clock]
        assert placed and any(i.spot.kind == "time" for i in placed)
        for item in placed:
            hour, minute = map(int, item.spot.clock.split(":"))
            assert abs(item.airs_at - hour * 3600 - minute * 60) <= item.spot.tolerance_s + 30


def test_a_programme_begins_and_lasts_as_told(station):
    once, long = programmes(station, takes(station)), programmes(station, takes(station), "06:00", 2.0)
    for short, programme in zip(once, long, strict=True):
        assert programme.start == "06:00" and programme.items[0].airs_at == 6 * 3600
        assert 1.95 * 3600 < programme.items[-1].airs_at - programme.items[0].airs_at < 2.2 * 3600
        songs = [i.track.id for i in programme.items if i.track]
        assert len(songs) > len([i for i in short.items if i.track])
        ids = [song.id for song in station.songs]
        assert songs == [ids[n % len(ids)] for n in range(len(songs))]


def test_the_files_name_the_station_and_its_djs(station, tmp_path):
    written = write_programmes(station, takes(station), tmp_path / "playlists", root=tmp_path, target_lufs=-16)
    assert len(written) == 3 * len(station.djs)
    found = json.loads((tmp_path / "playlists" / "dot.json").read_text())
    assert found["station"] == station.name and found["dj"] == "dot"
    links = [item for item in found["items"] if item["type"] == "link"]
    assert {item["artist"] for item in links} == {station.djs["dot"].name}
    assert all(item["amplify_db"] == 2.0 and item["album"] == station.name for item in links)
    with (tmp_path / "playlists" / "dot.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len([link for link in station.links() if link.dj.id == "dot"])
