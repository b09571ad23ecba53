"""Programmes and their files; what Liquidsoap makes of them is asked of Liquidsoap itself."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.playlist import Spot, Track, by_dj, plan, seconds_of, start_next
from stages.playlist_files import amplify_db, annotated, as_json, azuracast_csv, m3u8, write_playlists

needs_liquidsoap = pytest.mark.skipif(not shutil.which("liquidsoap"), reason="liquidsoap is not installed")

TRACKS = [
    Track("s01", "Tin Roof", "Mara Vale", "Rain", 200.0, 12.0, "s01.wav"),
    Track("s02", "Harbour Lights", "The Paper Boats", None, 240.0, 3.0, "s02.wav"),
    Track("s03", "No Length", "Nobody", None, None, None, None),
]


def spot(kind: str, subject: str, seconds: float = 6.0, **more) -> Spot:
    row = {"key": f"dot/{kind}/{subject}", "kind": kind, "dj": "dot", "file": f"takes/dot/{kind}/{subject}.flac"}
    row |= {"duration_s": seconds, "lufs": -18.0, "title": f"{kind}: {subject}", "artist": "Dot Calloway"}
    about = {"clock": subject.replace("-", ":")} if kind == "time" else {"song": subject} if kind != "weather" else {}
    return Spot.of(row | about | {"talks_over": kind == "intro"} | more)


def shown(programme) -> list[str]:
    return [i.spot.key.removeprefix("dot/") if i.spot else i.track.id for i in programme.items]


# --- order ----------------------------------------------------------------------------------------------------------


def test_each_song_has_its_intro_before_and_its_outro_after_in_catalog_order():
    spots = [spot("outro", "s01"), spot("intro", "s02"), spot("intro", "s01"), spot("outro", "s02")]
    expected = ["intro/s01", "s01", "outro/s01", "intro/s02", "s02", "outro/s02", "s03"]
    assert shown(plan(spots, TRACKS)) == expected
    assert plan(spots, TRACKS).start is None


def test_clock_links_go_between_songs_at_the_nearest_moment():
    spots = [spot("intro", t.id) for t in TRACKS] + [spot("time", "07-30"), spot("time", "07-34")]
    programme = plan(spots, TRACKS, start="07:30")
    # 07:30:00; one song with its intro later it is 07:33:20 or so.
    assert shown(programme) == ["time/07-30", "intro/s01", "s01", "time/07-34", "intro/s02", "s02", "intro/s03", "s03"]
    assert programme.start == "07:30" and not programme.unplaced
    [late] = [i for i in programme.items if i.spot and i.spot.clock == "07:34"]
    assert abs(late.airs_at - seconds_of("07:34")) < 60


def test_a_clock_link_that_would_be_wrong_is_left_out_and_named():
    programme = plan([spot("time", "07-30"), spot("time", "09-00"), spot("time", "06-59")], TRACKS, start="07:30")
    assert shown(programme) == ["time/07-30", "s01", "s02", "s03"]
    assert {s.key for s in programme.unplaced} == {"dot/time/09-00", "dot/time/06-59"}


def test_weather_may_be_further_from_its_clock():
    weather = spot("weather", "morning", clock="07:20", tolerance_s=1800)
    assert shown(plan([weather], TRACKS, start="07:30"))[0] == "weather/morning"
    assert plan([spot("weather", "morning", clock="07:20")], TRACKS, start="07:30").unplaced


def test_without_a_start_the_programme_begins_where_most_clock_links_fit():
    spots = [spot("time", t) for t in ("03-00", "08-00", "08-04", "08-08")]
    programme = plan(spots, TRACKS)
    assert programme.start == "08:00" and [s.key for s in programme.unplaced] == ["dot/time/03-00"]


def test_a_programme_over_midnight():
    spots = [spot("time", "23-58"), spot("time", "00-02")]
    programme = plan(spots, TRACKS, start="23:58")
    assert [k for k in shown(programme) if "time" in k] == ["time/23-58", "time/00-02"] and not programme.unplaced
    assert [json.loads(as_json(programme))["items"][i]["airs_at"] for i in (0, 2)] == ["23:58:00", "00:01:26"]


def test_hours_repeat_the_catalog():
    spots = [spot("intro", "s01"), *(spot("time", f"{h:02d}-{m:02d}") for h in range(7, 10) for m in (0, 30))]
    programme = plan(spots, TRACKS, start="07:00", hours=3)
    keys = shown(programme)
    assert keys.count("s01") == keys.count("intro/s01") >= 15
    assert not programme.unplaced
    for item in programme.items:
        if item.spot and item.spot.clock:
            assert abs(item.airs_at - seconds_of(item.spot.clock)) <= 180
    assert programme.items[-1].airs_at >= seconds_of("09:55")


def test_station_links_are_spread_between_songs():
    idents = [spot("ident", f"i{n}", song=None) for n in range(6)]
    keys = shown(plan(idents, TRACKS))
    assert len(keys) == 9 and keys.index("s01") < keys.index("s02") < keys.index("s03")
    assert all("ident" in key for key in (keys[0], keys[-1]))


def test_a_link_whose_song_is_not_in_the_catalog_is_named():
    programme = plan([spot("intro", "gone"), spot("outro", "s01")], TRACKS)
    assert [s.key for s in programme.unplaced] == ["dot/intro/gone"] and "intro/gone" not in shown(programme)


def test_nothing_makes_an_empty_programme():
    assert plan([], []).items == ()
    assert shown(plan([], TRACKS)) == ["s01", "s02", "s03"]
    assert shown(plan([spot("time", "08-00")], [])) == ["time/08-00"]


@pytest.mark.parametrize("clock", ["25:00", "7", "07:60", "", "seven", "-1:00"])
def test_a_clock_that_is_none_is_refused(clock):
    with pytest.raises(ValueError, match="no clock time"):
        plan([], TRACKS, start=clock)


@settings(max_examples=60, deadline=None)
@given(
    clocks=st.lists(st.integers(0, 47), unique=True, max_size=48),
    songs=st.lists(st.floats(20, 600) | st.none(), max_size=20),
    start=st.integers(0, 1439),
    hours=st.none() | st.floats(0.1, 8),
)
def test_every_spot_is_placed_once_or_named(clocks, songs, start, hours):
    tracks = [Track(f"s{n}", "T", "A", None, seconds) for n, seconds in enumerate(songs)]
    spots = [spot("time", f"{c // 2:02d}-{c % 2 * 30:02d}") for c in clocks]
    programme = plan(spots, tracks, start=f"{start // 60:02d}:{start % 60:02d}", hours=hours)
    placed = [i.spot.key for i in programme.items if i.spot]
    assert sorted([*placed, *(s.key for s in programme.unplaced)]) == sorted(s.key for s in spots)
    times = [i.airs_at for i in programme.items]
    assert times == sorted(times)
    if hours is None:
        assert [i.track.id for i in programme.items if i.track] == [t.id for t in tracks]


def test_djs_have_programmes_of_their_own():
    found = by_dj([spot("intro", "s01"), spot("intro", "s02", dj="marlow"), spot("outro", "s01")])
    assert {dj: len(spots) for dj, spots in found.items()} == {"dot": 2, "marlow": 1}


# --- cues -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "intro", "talks_over", "expected"),
    [
        (6.0, 12.0, True, 0.5),  # the whole voice fits the intro: the song comes up half a second in
        (6.0, 3.0, True, 3.0),  # the last three seconds are talked over
        (6.0, 0.0, True, 6.0),
        (6.0, None, True, 6.0),
        (6.0, 12.0, False, 6.0),
        (0.3, 12.0, True, 0.3),
    ],
)
def test_a_voice_ends_where_the_vocals_begin_at_the_latest(seconds, intro, talks_over, expected):
    link = spot("intro", "s01", seconds, talks_over=talks_over)
    found = start_next(link, Track("s01", "T", "A", intro_s=intro))
    assert found == pytest.approx(expected)
    assert seconds - found <= (intro or 0)
    assert start_next(link, spot("outro", "s01")) == seconds == start_next(link, None)


def test_amplify_reaches_the_target_only_under_the_ceiling():
    assert amplify_db(spot("intro", "s01")) == 0
    assert amplify_db(spot("intro", "s01"), -16) == 2.0
    assert amplify_db(spot("intro", "s01"), -23) == -5.0
    assert amplify_db(spot("intro", "s01", true_peak_dbtp=-1.8), -14) == 0.8
    assert amplify_db(spot("intro", "s01", true_peak_dbtp=-0.5), -14) == 0
    assert amplify_db(spot("intro", "s01", lufs=None), -14) == 0


# --- files ----------------------------------------------------------------------------------------------------------

HOSTILE = [
    'He said "hi", then = left: fast',
    "back\\slash \\n \\\" end\\",
    "new\nline\r\n#EXTM3U\nannotate:title=\"x\":/etc/passwd",
    "🌊 \u202eright to left\u202c Łódź",
    "#{process.run('touch /tmp/never')} $(x) %20 &amp;",
    "nul\x00 and \x1b[31m",
    "=HYPERLINK(\"x\"),'quoted', comma",
    "'); shutdown() #",
]  # fmt: skip


def flat(text: str) -> str:
    """What one line without control characters looks like, spelled out again."""
    return " ".join("".join(c if ord(c) > 31 and ord(c) != 127 else " " for c in text).split())


@pytest.fixture
def on_air(tmp_path) -> Path:
    """A folder with a tone for each file: voices at 440 Hz, songs at 1000 and 2000 Hz; 8 s and 5 s."""
    at = np.arange(24000 * 8) / 24000
    for name, hz, seconds in (("s01", 1000, 8), ("s02", 2000, 8)):
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * np.sin(2 * np.pi * hz * at[: 24000 * seconds]), 24000)
    for kind in ("intro", "outro"):
        for song in ("s01", "s02"):
            path = tmp_path / f"takes/dot/{kind}/{song}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * at[: 24000 * 5]), 24000)
    return tmp_path


AIR_TRACKS = [
    Track("s01", "Tin Roof", "Mara Vale", "Rain", 8.0, 2.0, "s01.wav"),
    Track("s02", "Harbour Lights", "The Paper Boats", None, 8.0, None, "s02.wav"),
    Track("s03", "Not There", "Nobody", None, 8.0, 6.0, "s03.wav"),
]


def on_air_programme(**more):
    spots = [spot(kind, song, 5.0, **more) for song in ("s01", "s02") for kind in ("intro", "outro")]
    return plan(spots, AIR_TRACKS)


def test_m3u8_names_files_absolutely_and_comments_on_missing_ones(on_air):
    lines = m3u8(on_air_programme(), name="Lantern 88.4", root=on_air, music=on_air).splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXTENC:UTF-8", "#PLAYLIST:Lantern 88.4 dot"]
    uris = [line for line in lines if not line.startswith("#")]
    assert [uri.rsplit(":", 1)[1].removeprefix(f"{on_air}/") for uri in uris] == [
        "takes/dot/intro/s01.flac", "s01.wav", "takes/dot/outro/s01.flac",
        "takes/dot/intro/s02.flac", "s02.wav", "takes/dot/outro/s02.flac",
    ]  # fmt: skip
    assert "# no file: Nobody - Not There" in lines
    assert 'liq_cue_in="0.000",liq_cue_out="5.000",liq_cross_start_next="3.000"' in uris[0]
    assert 'liq_cross_duration="2.000"' in uris[0] and 'liq_amplify="0.00 dB"' in uris[0]
    assert 'voicetrack_key="dot/intro/s01"' in uris[0] and 'duration="5.000"' in uris[0]
    assert "liq_cue" not in uris[1] and 'title="Tin Roof"' in uris[1]


def test_a_link_does_not_talk_over_a_song_that_is_not_there(on_air):
    (on_air / "s01.wav").unlink()
    first = next(
        li for li in m3u8(on_air_programme(), root=on_air, music=on_air).splitlines() if li.startswith("annotate")
    )
    assert 'liq_cross_start_next="5.000"' in first and 'liq_cross_duration="0.000"' in first


def test_a_title_cannot_add_lines_or_keys(on_air):
    for title in HOSTILE:
        text = m3u8(on_air_programme(title=title, artist=title), root=on_air, music=on_air)
        assert len(text.splitlines()) == len(m3u8(on_air_programme(), root=on_air, music=on_air).splitlines())
        assert all(line.startswith(("#", "annotate:")) for line in text.splitlines())
    assert annotated({"title": 'a"b\\', "none": None, "empty": ""}, "/x") == r'annotate:title="a\"b\\":/x'


def test_csv_has_azuracasts_columns_and_every_link_once():
    spots = [spot("intro", "s01"), spot("time", "07-30"), spot("time", "12-00"), spot("intro", "gone")]
    text = azuracast_csv(plan(spots, TRACKS, start="07:30", hours=1))
    rows = {row["custom_field_voicetrack_key"]: row for row in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {s.key for s in spots} and len(rows) == text.count("\n") - 1
    intro = rows["dot/intro/s01"]
    assert intro["path"] == "takes/dot/intro/s01.flac" and intro["title"] == "intro: s01"
    assert [float(intro[n]) for n in ("amplify", "cue_in", "cue_out", "cross_start_next", "length")] == [
        0,
        0,
        6,
        0.5,
        6,
    ]
    assert rows["dot/time/12-00"]["custom_field_voicetrack_clock"] == "12:00"


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_survive_csv_and_json(title):
    programme = plan([spot("intro", "s01", title=title)], TRACKS)
    [row] = csv.DictReader(io.StringIO(azuracast_csv(programme)))
    assert row["title"] == flat(title)
    found = json.loads(as_json(programme, name=title))
    assert found["station"] == title and found["items"][0]["title"] == title


def test_json_tells_the_whole_programme():
    spots = [spot("intro", "s01"), spot("time", "07-30"), spot("time", "12-00")]
    found = json.loads(as_json(plan(spots, TRACKS, start="07:30"), name="Lantern 88.4"))
    assert [i["type"] for i in found["items"]] == ["link", "link", "song", "song", "song"]
    assert found["items"][0]["airs_at"] == "07:30:00" and found["items"][1]["airs_at"] == "07:30:06"
    assert found["items"][1]["cross_start_next"] == 0.5 and found["items"][2]["intro"] == 12.0
    assert [s["key"] for s in found["unplaced"]] == ["dot/time/12-00"]


def test_a_folder_of_playlists(on_air):
    other = plan([spot("intro", "s01", 5.0, dj="../Marlow")], AIR_TRACKS)
    written = write_playlists(
        on_air / "playlists", [on_air_programme(), other], name="Lantern", root=on_air, music=on_air
    )
    assert [p.name for p in written[:3]] == ["dot.m3u8", "dot.csv", "dot.json"] and len(written) == 6
    assert all(p.is_file() and p.resolve().is_relative_to(on_air / "playlists") for p in written)


def test_rows_become_spots():
    assert spot("intro", "s01").place == "before" and spot("outro", "s01").place == "after"
    assert spot("trivia", "s01").place == "before" and spot("trivia", "s01", place="after").place == "after"
    assert spot("time", "07-30").place == "clock" and spot("ident", "x", song=None).place == "anywhere"
    assert Spot.of({"key": "k", "kind": "x", "dj": "d", "file": "f", "duration_s": 1, "more": 2}).lufs is None
    with pytest.raises(ValueError, match="dot/intro/s01: place is 'sideways'"):
        spot("intro", "s01", place="sideways")


# --- Liquidsoap -----------------------------------------------------------------------------------------------------


def liquidsoap(script: str, folder: Path) -> str:
    path = folder / "script.liq"
    path.write_text("settings.init.allow_root.set(true)\nsettings.log.stdout.set(true)\n" + script)
    done = subprocess.run(["liquidsoap", str(path)], capture_output=True, text=True, cwd=folder, timeout=120)
    return done.stdout + done.stderr


@needs_liquidsoap
def test_liquidsoap_reads_every_title_as_it_was(on_air):
    spots = [spot("intro", "s01", 5.0, key=f"dot/x/{n}", title=t, artist=t, song=None) for n, t in enumerate(HOSTILE)]
    (on_air / "p.m3u8").write_text(m3u8(plan(spots, []), root=on_air, music=on_air), encoding="utf-8")
    said = liquidsoap(
        f"""
        list.iter(fun (uri) -> begin
          r = request.create(uri)
          ignore(request.resolve(r))
          m = request.metadata(r)
          def field(k) = string.base64.encode(m[k]) end
          print("ROW " ^ field("voicetrack_key") ^ " " ^ field("title") ^ " " ^ field("artist") ^ " " ^
                field("liq_cue_out") ^ " " ^ field("liq_amplify") ^ " " ^ field("filename"))
        end, playlist.files("{on_air}/p.m3u8"))
        shutdown()
        """,
        on_air,
    )
    rows = [[base64.b64decode(f).decode() for f in li.split()[1:]] for li in said.splitlines() if li.startswith("ROW ")]
    assert len(rows) == len(HOSTILE), said
    assert not Path("/tmp/never").exists()
    for number, (key, title, artist, cue_out, amplify, filename) in enumerate(sorted(rows)):
        assert key == f"dot/x/{number}"
        assert title == artist == flat(HOSTILE[number]).replace("#{", "# {")
        assert cue_out == "5.000" and amplify == "0.00 dB" and filename.endswith("intro/s01.flac")


def heard(wave: np.ndarray, rate: int, hz: float) -> list[tuple[float, float]]:
    """Stretches of seconds in which a tone sounds."""
    step = rate // 20
    frames = wave[: len(wave) // step * step].reshape(-1, step)
    level = np.abs(frames @ np.exp(-2j * np.pi * hz / rate * np.arange(step))) / step * 2
    on = np.concatenate([[False], level > 0.1, [False]])
    edges = np.flatnonzero(on[1:] != on[:-1]) / 20
    return list(zip(edges[::2], edges[1::2], strict=True))


@needs_liquidsoap
def test_liquidsoap_plays_it_in_order_talking_over_the_intro(on_air):
    playlist = on_air / "p.m3u8"
    playlist.write_text(m3u8(on_air_programme(), root=on_air, music=on_air), encoding="utf-8")
    documented = Path(__file__).parents[2].joinpath("docs/playout.md").read_text()
    script = documented.split("```liquidsoap\n")[1].split("```")[0].splitlines()
    assert script[0].startswith("s = playlist(") and script[-1].startswith("output.file(")
    # As playlist() would, but with every file resolved before the first is played faster than real time.
    script[0] = f's = sequence(list.map(fun (uri) -> once(single(uri)), playlist.files("{playlist}")))'
    script[-1] = f'output.file(%wav, "{on_air}/out.wav", fallible=true, on_stop=shutdown, s)'
    script.insert(-1, 'clock.assign_new(sync="none", [s])')
    said = liquidsoap("\n".join(script), on_air)
    wave, rate = soundfile.read(on_air / "out.wav")
    wave = wave[:, 0]
    voices, first, second = (heard(wave, rate, hz) for hz in (440, 1000, 2000))
    # intro s01 0-5, its song from 3 to 11, outro 11-16, intro s02 (nothing to talk over) 16-21, song 21-29, outro 29-34
    assert first == [(pytest.approx(3, abs=0.2), pytest.approx(11, abs=0.2))], said
    assert second == [(pytest.approx(21, abs=0.2), pytest.approx(29, abs=0.2))], said
    assert voices[0] == (pytest.approx(0, abs=0.1), pytest.approx(5, abs=0.2))
    assert voices[-1][1] == pytest.approx(34, abs=0.3)
    assert len(wave) / rate == pytest.approx(34, abs=0.5)
