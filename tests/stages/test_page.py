"""The report page, opened from disk in a real browser."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stages.desk import Desk
from stages.page import page_html
from stages.page.render import json_for_script
from stages.summary import outcomes, summary
from tests.stages import studio
from tests.stages.browser import PHONE, axe_source, browser, complaints, every, faults, one, until  # noqa: F401


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Twelve links, spoken."""
    return studio.make(tmp_path_factory.mktemp("page") / "run", "select.limit=12")


@pytest.fixture
def page(browser, checkpoint):  # noqa: F811
    """The browser with the report open."""
    browser.get("about:blank")
    browser.get((checkpoint / "report" / "report.html").as_uri())
    browser.get_log("browser")
    return browser


def titles(driver) -> list[str]:
    find = "return [...document.querySelectorAll('#rows .title bdi:first-child')].map(e => e.textContent)"
    return driver.execute_script(find)


def type_in(driver, css: str, text: str) -> None:
    field = one(driver, css)
    field.clear()
    field.send_keys(text)


def choose(driver, css: str, value: str) -> None:
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
    driver.execute_script(script, one(driver, css), value)


def test_lists_every_link_with_its_state(page, checkpoint):
    figures = json.loads((checkpoint / "report" / "summary.json").read_text())
    assert len(every(page, "tr.row")) == figures["links"] == 12
    assert len(every(page, "tr.row.is-passed")) == figures["passed"] > 0
    assert len(every(page, "tr.row.is-failed")) == figures["failed"]
    assert complaints(page) == []


def test_asks_nobody_for_anything(page):
    names = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [n for n in names if not n.startswith("data:")] == []
    blocked = page.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), e => done(String(e)))"
    )
    assert "Failed to fetch" in blocked
    assert any("Content Security Policy" in c for c in complaints(page))


def test_plays_a_take_and_stops_the_one_before(page):
    rows = [r for r in every(page, "tr.row") if r.find_elements("css selector", ".play")]
    first, second = rows[0].get_attribute("data-key"), rows[1].get_attribute("data-key")
    one(page, f'tr[data-key="{first}"] .play').click()
    until(lambda: page.execute_script("return document.getElementById('audio').currentTime > 0.1"), "sound")
    assert page.execute_script("return document.getElementById('audio').duration") > 1
    one(page, f'tr[data-key="{second}"] .title').click()
    page.execute_script("document.querySelector('.take audio').play()")
    until(lambda: page.execute_script("return document.querySelector('.take audio').currentTime > 0.1"), "its player")
    assert page.execute_script("return document.getElementById('audio').paused")
    assert complaints(page) == []


def test_search_finds_words_of_scripts_and_ignores_accents(page, checkpoint):
    type_in(page, "#q", "xyzzy")
    until(lambda: not every(page, "tr.row"), "no hit")
    assert one(page, "#count").text == "0 of 12 links"
    link = page.execute_script("return page.data.links.find(l => l.drafts.length)")
    words = " ".join(link["drafts"][0]["script"].split()[:6])
    type_in(page, "#q", words.upper())
    until(lambda: every(page, f'tr[data-key="{link["key"]}"]'), "the link with these words")
    song = page.execute_script("return page.data.links.find(l => l.by)")
    type_in(page, "#q", song["title"])
    until(lambda: titles(page) and set(titles(page)) >= {song["title"]}, "the title")
    one(page, "#reset").click()
    assert len(every(page, "tr.row")) == 12


def test_filters_and_sorts(page):
    choose(page, "#f-kind", "time")
    assert {e.text for e in every(page, "td.c-kind")} == {"time"}
    choose(page, "#f-kind", "")
    one(page, "th[data-sort=score] button").click()
    one(page, "th[data-sort=score] button").click()
    assert one(page, "th[data-sort=score]").get_attribute("aria-sort") == "descending"
    shown = [float(e.text) for e in every(page, "td.c-score") if e.text]
    assert shown == sorted(shown, reverse=True) and len(set(shown)) > 1


def test_shows_script_verdict_and_all_candidates(page):
    link = page.execute_script("return page.data.links.find(l => l.drafts.length > 1)")
    page.execute_script("page.show(arguments[0])", link["key"])
    opened = one(page, "#detail")
    assert opened.find_element("css selector", ".script").text in [d["script"] for d in link["drafts"]]
    criteria = page.execute_script("return page.data.kinds[arguments[0]].criteria.length", link["kind"])
    assert len(opened.find_elements("css selector", ".judged .criteria li")) == criteria
    assert len(opened.find_elements("css selector", ".other")) == len(link["drafts"]) - 1
    for other in opened.find_elements("css selector", ".other summary"):
        other.click()
    shown = {e.text for e in opened.find_elements("css selector", ".script")}
    assert shown == {d["script"] for d in link["drafts"]}


def test_is_worked_by_keys_alone(page):
    from selenium.webdriver import ActionChains, Keys

    def press(*keys):
        ActionChains(page).send_keys(*keys).perform()

    def at():
        return page.execute_script("return document.activeElement.closest('tr')?.dataset.key")

    order = [e.get_attribute("data-key") for e in every(page, "tr.row")]
    press("j")
    assert at() == order[0]
    press("j", "j", "k")
    assert at() == order[1]
    press(Keys.ENTER)
    assert one(page, "#detail") and at() == order[1]
    press("j")
    assert at() == order[2]
    assert one(page, f'tr[data-key="{order[2]}"] .title').get_attribute("aria-expanded") == "true"
    press("/")
    assert page.execute_script("return document.activeElement.id") == "q"
    press("jk")
    assert one(page, "#q").get_attribute("value") == "jk"


def test_figures_and_repeats_are_there(page):
    one(page, "nav a[data-view=figures]").click()
    until(lambda: one(page, "#figures").is_displayed(), "figures")
    labels = [e.get_attribute("aria-label") for e in every(page, "#figures svg")]
    assert any(label.startswith("Scores of Dot Calloway, intro") for label in labels)
    assert any(label.startswith("Links passed by round. round 1: ") for label in labels)
    assert any(label.startswith("Lengths of takes against their budgets") for label in labels)
    assert any(label.startswith("Stages over time. generate: ") for label in labels)
    one(page, "nav a[data-view=repeats]").click()
    until(lambda: one(page, "#repeats").is_displayed(), "repeats")
    key = one(page, "#repeats a[data-key]")
    wanted = key.get_attribute("data-key")
    key.click()
    assert one(page, f'tr[data-key="{wanted}"] .title').get_attribute("aria-expanded") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desk", "phone"])
def test_axe_finds_nothing_serious(page, scheme, device):
    axe = axe_source()
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    if device == "phone":
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        one(page, "tr.row .title").click()
        assert faults(page, axe) == []
        for view in ("figures", "repeats"):
            page.execute_script("location.hash = arguments[0]", view)
            until(lambda view=view: one(page, f"#{view}").is_displayed(), view)
            assert faults(page, axe) == []
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_fits_a_phone(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        one(page, "tr.row .title").click()
        assert one(page, "tr.row .c-link").size["width"] > PHONE["width"] / 3
        assert one(page, "#detail .open").size["width"] > PHONE["width"] * 0.85
        for view in ("links", "figures", "repeats"):
            page.execute_script("location.hash = arguments[0]", view)
            until(lambda view=view: one(page, f"#{view}").is_displayed(), view)
            assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"], view
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_five_thousand_links_stay_fast(browser, checkpoint, tmp_path):  # noqa: F811
    desk = Desk.of(studio.compose_job(checkpoint))
    found = list(outcomes(desk))
    songs = [o for o in found if o.link.song]
    many = [
        replace(o, link=replace(o.link, subject=replace(o.link.subject, id=f"n{i}", title=f"Title {i}")))
        for i, o in ((i, songs[i % len(songs)]) for i in range(5000))
    ]
    path = tmp_path / "report.html"
    path.write_bytes(page_html(desk, many, summary(desk, found)))
    browser.get(path.as_uri())
    timing = "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd"
    assert until(lambda: browser.execute_script(timing), "loaded") < 5000
    assert one(browser, "#count").text == "5,000 links"
    assert len(every(browser, "tr.row")) == 50
    for script in ("page.update()", "document.querySelector('th[data-sort=title] button').click()"):
        took = browser.execute_script(f"const t = performance.now(); {script}; return performance.now() - t")
        assert took < 500, script
    type_in(browser, "#q", "title 4999")
    until(lambda: titles(browser) == ["Title 4999"], "the last one")


def test_a_run_with_errors_and_nothing_judged_is_shown_as_it_is(browser, tmp_path):  # noqa: F811
    answers = iter(["", "", "A script that nobody has judged."] * 99)
    written = {"script": lambda link, dice: next(answers), "only": ("generate",)}
    studio.fill(studio.compose_job(tmp_path / "run", "select.limit=6", stages="generate"), **written)
    studio.go(studio.compose_job(tmp_path / "run", "select.limit=6", stages="report"))
    browser.get((tmp_path / "run" / "report" / "report.html").as_uri())
    browser.get_log("browser")
    states = browser.execute_script("return page.data.links.map(l => l.state)")
    assert (states.count("error"), states.count("pending")) == (4, 2)
    for state, said in (("error", "the writer answered with nothing"), ("pending", "Not audited yet.")):
        browser.execute_script("page.show(page.data.links.find(l => l.state == arguments[0]).key)", state)
        assert said in one(browser, "#detail").text
    one(browser, "nav a[data-view=figures]").click()
    until(lambda: one(browser, "#figures").is_displayed(), "figures")
    assert complaints(browser) == []


HOSTILE = [
    '<img src=x onerror="window.pwned=1">',
    "</script><script>window.pwned=1</script>",
    "<!--<script>\" onmouseover='window.pwned=1' x=\"",
    "{{ 7*7 }} ${7*7} {% raw %} &lt;b&gt; \\u003cscript\\u003e",
    "شمس الليل 🌙 \u202eevil\u202c",
    "javascript:window.pwned=1//",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A checkpoint of a station whose titles and artists, and whose scripts, mean harm."""
    import shutil

    from tests.stages.conftest import SAMPLE

    folder = tmp_path_factory.mktemp("hostile")
    station = shutil.copytree(SAMPLE, folder / "station")
    catalog = json.loads((station / "catalog.json").read_text())
    songs = catalog["songs"][: len(HOSTILE)]
    for song, text in zip(songs, HOSTILE):
        song["title"], song["artist"] = text, f"by {text}"
    (station / "catalog.json").write_text(json.dumps({**catalog, "songs": songs}))
    return studio.make(
        folder / "run",
        f"station.path={station}",
        "select.djs=[dot]",
        "select.kinds=[intro]",
        "generation.rounds=1",
        script=lambda link, dice: f"{link.song.title} says {link.song.artist}.\nAnd so it goes, early birds. " * 3,
        score=lambda link, dice: 10,
    )


def test_hostile_text_is_shown_and_never_run(browser, hostile):  # noqa: F811
    browser.get((hostile / "report" / "report.html").as_uri())
    links = browser.execute_script("return page.data.links")
    assert len(links) == len(HOSTILE)
    shown = titles(browser)
    assert shown == [link["title"] for link in links]
    assert sum("<" in title for title in shown) >= 3
    for link in links:
        browser.execute_script("page.show(arguments[0])", link["key"])
        texts = browser.execute_script(
            "return [...document.querySelectorAll('#detail .script')].map(e => e.textContent)"
        )
        assert link["drafts"][0]["script"] in texts
        assert not every(browser, "#rows img, #rows script")
    for view in ("figures", "repeats"):
        browser.execute_script("location.hash = arguments[0]", view)
        until(lambda view=view: one(browser, f"#{view}").is_displayed(), view)
    assert browser.execute_script("return window.pwned") is None
    assert complaints(browser) == []


def test_the_policy_stops_what_should_ever_get_through(page):
    page.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned=1\">');"
        "const s = document.createElement('script'); s.textContent = 'window.pwned=1'; document.body.append(s);"
    )
    until(lambda: len(complaints(page)) >= 1, "a refusal in the log")
    assert page.execute_script("return window.pwned") is None


def test_json_in_a_script_element_cannot_end_it():
    text = json_for_script({"a": "</script><!--\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--\u2028&"}
