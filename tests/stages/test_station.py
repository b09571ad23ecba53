"""A station folder: what is read from it, what is refused in it, and the links it makes."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import orjson
import pytest

from engine.errors import UserError
from stages.link import Song
from stages.station import Station


def refused(path) -> list[str]:
    """The lines of the error that loading `path` gives."""
    with pytest.raises(UserError) as caught:
        Station.load(path)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def test_the_sample_station_makes_about_sixty_links(sample):
    links = list(sample.links())
    assert len(links) == 62 == len({link.key for link in links})
    assert set(sample.djs) == {"marlow", "dot"} and set(sample.kinds) == {"intro", "outro", "time", "weather"}
    assert len(sample.songs) == 13 and sample.clock == 12 and sample.name == "Lantern 88.4"
    for dj in sample.djs.values():
        assert dj.persona and all(len(dj.examples[kind]) >= 3 for kind in sample.kinds)
    assert sample.djs["dot"].tts["espeak"]["voice"] != sample.djs["marlow"].tts["espeak"]["voice"]


def test_every_kind_makes_links_for_every_dj(sample):
    """An earlier system never voiced its time checks and weather."""
    made = {(link.dj.id, link.kind) for link in sample.links()}
    assert made == {(dj, kind) for dj in sample.djs for kind in sample.kinds}


def test_links_come_by_dj_then_kind_then_subject(sample):
    keys = [link.key for link in sample.links()]
    assert keys[:2] == ["dot/intro/s01", "dot/intro/s02"] and keys[-1] == "marlow/weather/tonight"
    assert keys == sorted(keys)


def test_a_song_is_spoken_without_what_distributors_added(sample):
    assert sample.songs[0].title == "Lamplighter's Waltz"


def test_the_word_budget_ends_before_the_vocals_start(sample):
    links = {link.key: link for link in sample.links()}
    assert links["dot/intro/s05"].words == (16, 32)  # 13 s of music x 2.5 words a second
    assert links["dot/intro/s06"].words == (20, 45)  # 28 s: the kind's own limit is less
    assert links["dot/intro/s08"].words == (20, 45)  # intro not known
    assert links["dot/outro/s05"].words == (18, 45)  # an outro talks over nothing
    kind = sample.kinds["intro"]
    for seconds, words in {0.1: (1, 1), 2: (2, 5), 8: (10, 20), 17.9: (20, 44), 18: (20, 45), 0: (20, 45)}.items():
        assert kind.words_for(Song("x", "T", "A", intro_seconds=seconds)) == words


def test_an_outro_knows_the_song_after_it_and_an_intro_does_not(sample):
    links = {link.key: link for link in sample.links()}
    assert links["dot/outro/s01"].next_song.id == "s02"
    assert links["dot/outro/s13"].next_song is None
    assert links["dot/intro/s01"].next_song is None


def test_selection_by_dj_kind_and_song(sample):
    keys = [link.key for link in sample.links({"djs": ["dot"], "kinds": "outro", "songs": ["s02", "99 paper boats"]})]
    assert keys == ["dot/outro/s02", "dot/outro/s09"]
    assert {link.kind for link in sample.links(SimpleNamespace(songs=["s01"]))} == {"intro", "outro"}


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_a_limit_spreads_over_djs_and_kinds(sample, seed):
    for limit in range(1, 70):
        links = list(sample.links({"limit": limit, "seed": seed}))
        assert len(links) == min(limit, 62) == len({link.key for link in links})
        if limit <= 8:
            assert len({(link.dj.id, link.kind) for link in links}) == limit
        if limit >= 4:
            assert {link.kind for link in links} == set(sample.kinds)
            assert {link.dj.id for link in links} == set(sample.djs)


def test_sampling_is_the_same_every_time_and_only_grows(sample):
    def drawn(limit, seed):
        return [link.key for link in sample.links({"limit": limit, "seed": seed})]

    assert drawn(20, 3) == drawn(20, 3) != drawn(20, 4)
    assert set(drawn(20, 3)) <= set(drawn(30, 3))
    assert drawn(20, 3) == sorted(drawn(20, 3))


@pytest.mark.parametrize(
    ("select", "says"),
    [
        ({"djs": ["marlo"]}, "select.djs: no DJ 'marlo' (did you mean 'marlow'?)"),
        ({"kinds": ["intros"]}, "did you mean 'intro'?"),
        ({"songs": ["Slow Fery Home"]}, "did you mean 'Slow Ferry Home'?"),
        ({"songs": ["zzz"]}, "known: "),
        ({"songs": ["s01", "a?", "b?"]}, "no song 'b?'"),
        ({"djs": []}, "names nothing"),
        ({"djs": {"dot": 1}}, "must be a list of names"),
        ({"limit": 0}, "whole number from 1 up"),
        ({"limit": "3"}, "whole number"),
        ({"seed": -1}, "select.seed"),
        ({"seed": True}, "select.seed"),
    ],
)
def test_a_wrong_selection_is_refused_at_once(sample, select, says):
    with pytest.raises(UserError) as caught:
        sample.links(select)
    assert says in str(caught.value)


def test_a_user_adds_a_kind_by_files_alone(own_station):
    folder = shutil.copytree(own_station / "kinds" / "time", own_station / "kinds" / "station_id")
    (folder / "kind.yaml").write_text("subject: station\nwords: {min: 4, max: 12}\n")
    for template in folder.glob("*_user.j2"):
        template.write_text("Say who we are: {{ station.name }}.")
    station = Station.load(own_station)
    assert [link.key for link in station.links({"kinds": "station_id"})] == [
        "dot/station_id/station",
        "marlow/station_id/station",
    ]


def test_all_48_half_hours(own_station):
    (own_station / "station.yaml").write_text("name: X\nplace: Y\ntimes: {every_minutes: 30}\n")
    times = Station.load(own_station).times
    assert len(times) == 48 and times[0].id == "00-00" and times[47].spoken == "11:30 PM"
    assert [t.spoken for t in times if t.id in ("00-00", "12-00", "12-30")] == ["12:00 AM", "12:00 PM", "12:30 PM"]


def test_times_need_no_quotes_and_names_may_be_numbers(own_station):
    """YAML's own reading of 7:30 is 450, of `no` false and of 88.40 88.4."""
    (own_station / "station.yaml").write_text("name: 88.4\nplace: no\nclock: 24\ntimes: [7:30, 10:00]\n")
    station = Station.load(own_station)
    assert [t.spoken for t in station.times] == ["07:30", "10:00"]
    assert (station.name, station.place) == ("88.4", "no")


def test_a_station_without_lyrics_or_forecast_still_makes_the_other_links(own_station):
    shutil.rmtree(own_station / "lyrics")
    (own_station / "forecast.json").unlink()
    station = Station.load(own_station)
    assert len(station.coverage.missing) == 13
    assert {link.kind for link in station.links()} == {"intro", "outro", "time"}


def test_catalogs_of_twenty_thousand_links_stay_lazy(own_station):
    songs = [{"id": f"x{i}", "title": f"T {i}", "artist": f"A {i % 99}"} for i in range(5000)]
    (own_station / "catalog.json").write_bytes(orjson.dumps({"songs": songs}))
    station = Station.load(own_station)
    assert next(iter(station.links())).key == "dot/intro/x0"
    assert sum(1 for _ in station.links()) == 20_010


def test_everything_wrong_is_said_at_once(own_station):
    (own_station / "station.yaml").write_text("name: X\nclok: 12\n")
    (own_station / "catalog.json").write_text('{"songs": [{"id": "a"}]}')
    (own_station / "djs/dot/persona.md").write_text(" \n")
    (own_station / "djs/marlow/dj.yaml").write_text("nme: Marlow\n")
    (own_station / "kinds/time/kind.yaml").write_text("subject: tme\n")
    (own_station / "forecast.json").write_text("[1]")
    said = refused(own_station)
    assert len(said) == 10
    assert "unknown key 'clok' (did you mean 'clock'?)" in said[0]
    for name in ("station.yaml", "catalog.json", "persona.md", "dj.yaml", "kind.yaml", "forecast.json"):
        assert any(name in line for line in said)


def write(text):
    return lambda path: (
        path.parent.mkdir(exist_ok=True),
        path.write_bytes(text if isinstance(text, bytes) else text.encode()),
    )


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def folder_instead(path):
    path.unlink()
    path.mkdir()


def loop(path):
    remove(path)
    path.symlink_to(path)


def fifo(path):
    remove(path)
    os.mkfifo(path)


STATION, KIND, DJ = "station.yaml", "kinds/intro/kind.yaml", "djs/dot/dj.yaml"
NAMED = "name: X\nplace: Y\n"
SONG_KIND = "subject: song\nwords: {min: 5, max: 9}\n"
# what is done to a file of the sample station, and what the error must say
BAD = {
    "no station.yaml": (STATION, remove, "no such file"),
    "station.yaml empty": (STATION, write(""), "the file is empty"),
    "station.yaml a list": (STATION, write("- a"), "'key: value' lines, holds a list"),
    "station.yaml text": (STATION, write("hello"), "holds a str"),
    "station.yaml broken": (STATION, write("name: X\nplace: [Y\n"), "station.yaml:3: not valid YAML"),
    "station.yaml key twice": (
        STATION,
        write("name: X\nname: Y\n"),
        "yaml:2: not valid YAML: 'name' is given twice",
    ),
    "station.yaml of tags": (STATION, write("name: !!python/object/apply:os.system [ls]\n"), "not valid YAML"),
    "station.yaml nested deep": (STATION, write("name: " + "[" * 200_000), "not valid YAML"),
    "station.yaml refers to itself": (STATION, write("name: &a [*a]\nplace: Y"), "recursive"),
    "station.yaml of a billion laughs": (
        STATION,
        write("a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))),
        "unknown key 'a0'",
    ),
    "station.yaml with a list for a key": (STATION, write("? [a]\n: b\n"), "a key must be plain text"),
    "station.yaml Latin-1": (STATION, write(b"name: X\nplace: Caf\xe9\n"), "station.yaml:2: not UTF-8"),
    "station.yaml with NUL": (STATION, write(b"name: X\0Y\n"), "not valid YAML"),
    "station.yaml huge": (STATION, write("#" * 1_000_000), "too large"),
    "station.yaml a folder": (STATION, folder_instead, "this is a folder"),
    "station.yaml a loop": (STATION, loop, "in a circle"),
    "station.yaml a pipe": (STATION, fifo, "not a regular file"),
    "name missing": (STATION, write("place: Y"), "'name' is missing"),
    "name a list": (STATION, write("name: [X]\nplace: Y"), "'name' must be text"),
    "name endless": (STATION, write(f"name: {'x' * 300}\nplace: Y"), "longer than 200"),
    "clock of 13": (STATION, write(NAMED + "clock: 13"), "'clock' must be 12 or 24, is 13"),
    "clock true": (STATION, write(NAMED + "clock: true"), "'clock' must be 12 or 24"),
    "times a number": (STATION, write(NAMED + "times: 7"), "'times' must be a list"),
    "times at 24:00": (STATION, write(NAMED + "times: ['24:00']"), "'times' entry 1 must be HH:MM"),
    "times at 7:60": (STATION, write(NAMED + "times: ['7:60', '7:61']"), "'times' entry 2 must be HH:MM"),
    "times twice": (STATION, write(NAMED + "times: ['7:30', '07:30']"), "same time twice"),
    "times every 0": (STATION, write(NAMED + "times: {every_minutes: 0}"), "'times' must be"),
    "times every x": (STATION, write(NAMED + "times: {every: 30}"), "'times' must be"),
    "no kinds": ("kinds", remove, "no such folder"),
    "kinds a file": ("kinds", lambda p: (remove(p), p.write_text("x")), "a file, not a folder"),
    "kinds empty": ("kinds", lambda p: (remove(p), p.mkdir()), "the station has no kind"),
    "kind named outside the charset": ("kinds/Ёж/x", write(""), "cannot have this name"),
    "kind named like a device": ("kinds/con/x", write(""), "cannot have this name"),
    "kind.yaml missing": (KIND, remove, "no such file"),
    "kind.yaml key unknown": (KIND, write(SONG_KIND + "talk_over_intro: true"), "did you mean 'talks_over_intro'?"),
    "subject missing": (KIND, write("words: {min: 5, max: 9}"), "'subject' is missing"),
    "subject unknown": (KIND, write("subject: songs\nwords: {min: 5, max: 9}"), "'subject' cannot be 'songs'"),
    "words missing": (KIND, write("subject: song"), "'words' is missing"),
    "words upside down": (KIND, write("subject: song\nwords: {min: 9, max: 5}"), "'words' is wrong"),
    "words of zero": (KIND, write("subject: song\nwords: {min: 0, max: 5}"), "'words' is wrong"),
    "words as text": (KIND, write("subject: song\nwords: 20-45"), "'words' is wrong"),
    "words beyond reason": (KIND, write("subject: song\nwords: {min: 1, max: 100000}"), "'words' is wrong"),
    "switch of text": (KIND, write(SONG_KIND + "may_tease_next: sometimes"), "must be true or false"),
    "lyrics_max_chars negative": (KIND, write(SONG_KIND + "lyrics_max_chars: -1"), "'lyrics_max_chars' must be"),
    "time that talks over an intro": (
        "kinds/time/kind.yaml",
        write("subject: time\nwords: {min: 5, max: 9}\ntalks_over_intro: true"),
        "makes sense for subject: song only",
    ),
    "template missing": ("kinds/outro/writer_system.j2", remove, "writer_system.j2: the template is missing"),
    "template Latin-1": ("kinds/outro/writer_user.j2", write(b"Caf\xe9"), "not UTF-8"),
    "template huge": ("kinds/outro/writer_user.j2", write("x" * 100_000), "too large"),
    "template a folder": ("kinds/outro/writer_user.j2", folder_instead, "this is a folder"),
    "shared template a loop": ("kinds/_song.j2", loop, "in a circle"),
    "rubric missing": ("kinds/outro/rubric.yaml", remove, "the rubric is missing"),
    "rubric broken": ("kinds/outro/rubric.yaml", write("threshold: ["), "not valid YAML"),
    "rubric Latin-1": ("kinds/outro/rubric.yaml", write(b"threshold: 7 # \xe9"), "not UTF-8"),
    "rubric of an unknown rule": (
        "kinds/outro/rubric.yaml",
        write("threshold: 7\ncriteria: {flow: {weight: 1, ask: Flows}}\nrules: {names_titel: fail}"),
        "names_title",
    ),
    "no DJs": ("djs", remove, "no such folder"),
    "DJs empty": ("djs", lambda p: (remove(p), p.mkdir()), "the station has no DJ"),
    "DJ named with capitals": ("djs/Dot2/dj.yaml", write("name: D"), "cannot have this name"),
    "DJ named with a space": ("djs/d ot/dj.yaml", write("name: D"), "cannot have this name"),
    "DJ named endlessly": (f"djs/{'d' * 100}/dj.yaml", write("name: D"), "cannot have this name"),
    "DJ named by a look-alike": ("djs/dоt/dj.yaml", write("name: D"), "cannot have this name"),
    "dj.yaml missing": (DJ, remove, "no such file"),
    "dj.yaml without name": (DJ, write("language: en"), "'name' is missing"),
    "dj.yaml key unknown": (DJ, write("name: D\nlangage: en"), "did you mean 'language'?"),
    "dj.yaml tts a list": (DJ, write("name: D\ntts: [espeak]"), "'tts' must hold settings by synthesizer"),
    "dj.yaml tts nested": (
        DJ,
        write("name: D\ntts: {espeak: {voice: {a: b}}}"),
        "'tts.espeak.voice' must be one value",
    ),
    "persona missing": ("djs/dot/persona.md", remove, "no such file"),
    "persona empty": ("djs/dot/persona.md", write("\n \n"), "the persona card is empty"),
    "persona huge": ("djs/dot/persona.md", write("x" * 20_000), "too large"),
    "persona Latin-1": ("djs/dot/persona.md", write(b"\xe9"), "not UTF-8"),
    "examples of an unknown kind": ("djs/dot/examples.yaml", write("intor: [Hello.]"), "did you mean 'intro'?"),
    "examples of a kind not a list": (
        "djs/dot/examples.yaml",
        write("intro: Hello."),
        "must be a list of lines",
    ),
    "example without line": ("djs/dot/examples.yaml", write("intro: [{title: T}]"), "intro 1: an example is a text"),
    "example a number": ("djs/dot/examples.yaml", write("intro: [a, 5]"), "intro 2: an example is a text"),
    "example key unknown": ("djs/dot/examples.yaml", write("intro: [{line: a, titel: T}]"), "did you mean 'title'?"),
    "example year as text": (
        "djs/dot/examples.yaml",
        write("intro: [{line: a, year: 'x'}]"),
        "'year' must be a whole",
    ),
    "example endless": ("djs/dot/examples.yaml", write(f"intro: [{'x' * 2000}]"), "at most 1,000"),
    "voice a folder": ("djs/dot/voice.wav/x", write(""), "the voice clip is no file"),
    "voice empty": ("djs/dot/voice.wav", write(""), "or an empty one"),
    "voice a loop": ("djs/dot/voice.wav", lambda p: p.symlink_to(p), "voice clip"),
    "forecast broken": ("forecast.json", write('{"forecasts": [\n{]}'), "forecast.json:2: not valid JSON"),
    "forecast a number": ("forecast.json", write("7"), "'forecasts' must be a list"),
    "forecast entry text": ("forecast.json", write('["rain"]'), "forecast 1: a forecast must be an object"),
    "forecast without period": ("forecast.json", write('[{"id": "a", "conditions": "x"}]'), "'period' is missing"),
    "forecast high as text": (
        "forecast.json",
        write('[{"id": "a", "period": "p", "conditions": "c", "high": "14"}]'),
        "'high' must be a number of degrees",
    ),
    "forecast low above high": (
        "forecast.json",
        write('[{"id": "a", "period": "p", "conditions": "c", "high": 4, "low": 9}]'),
        "'low' is above 'high'",
    ),
    "forecast at 25:00": (
        "forecast.json",
        write('[{"id": "a", "period": "p", "conditions": "c", "time": "25:00"}]'),
        "'time' must be HH:MM",
    ),
    "forecast id twice": (
        "forecast.json",
        write('[{"id": "a", "period": "p", "conditions": "c"}, {"id": "a", "period": "p", "conditions": "c"}]'),
        "used twice",
    ),
    "forecast Latin-1": ("forecast.json", write(b'[{"id": "\xe9"}]'), "not UTF-8"),
    "lyrics a file": ("lyrics", lambda p: (remove(p), p.write_text("x")), "not a folder"),
    "catalog a folder": ("catalog.json", folder_instead, "this is a folder"),
    "catalog a loop": ("catalog.json", loop, "in a circle"),
}


@pytest.mark.parametrize(("file", "harm", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_with_file_and_problem(own_station, file, harm, says):
    harm(own_station / file)
    said = refused(own_station)
    assert any(says in line for line in said), said
    assert all(str(own_station) in line for line in said)


def test_a_station_that_is_not_there_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, says in {"none": "no such folder", "file": "not a folder", "loop": "circle", "nul\0": "NUL"}.items():
        assert says in refused(tmp_path / name)[0]


def test_loading_a_station_imports_nothing_heavy(sample_path):
    import subprocess
    import sys

    code = "import sys; from stages.station import Station; from stages.prompts import Prompts; "
    code += f"Prompts(Station.load({str(sample_path)!r})); "
    code += "print([m for m in ('torch', 'vllm', 'transformers', 'numpy', 'librosa') if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=sample_path.parents[1]
    )
    assert out.stdout.strip() == "[]"
