"""The review server, worked in a real browser, and what a resumed run makes of its decisions."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from engine.plan import Task
from stages.desk import Desk
from stages.summary import outcomes
from tests.stages import studio
from tests.stages.browser import axe_source, browser, complaints, every, faults, one, until  # noqa: F401

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Twelve links, spoken; not to be changed."""
    return studio.make(tmp_path_factory.mktemp("review") / "run", "select.limit=12")


@pytest.fixture
def checkpoint(finished, tmp_path):
    """A copy to decide on."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


class Server:
    """`python -m engine +stage=review` as a process of its own; `url` is what it prints."""

    def __init__(self, checkpoint: Path, *overrides: str, **env: str):
        command = [sys.executable, "-m", "engine", "+stage=review", f"checkpoint.path={checkpoint}", "review.port=0"]
        self.process = subprocess.Popen(
            [*command, *overrides], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        )  # fmt: skip
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + self.process.communicate(timeout=30)[0]
        self.url = found[0]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self) -> str:
        """Ctrl-C; returns what was printed after the address."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.communicate(timeout=20)[0]
        finally:
            self.process.kill()

    def decide(self, client, link, decision, **more):
        body = {"link": link.key, "decision": decision, **more}
        return client.post(f"{self.url}api/decide", json=body, headers={"origin": self.origin})

    @property
    def origin(self) -> str:
        return self.url.rsplit("/", 2)[0]


def plan(checkpoint: Path, *overrides: str) -> dict[str, list[str]]:
    """Keys that `+stage=all` would run now, by stage, before any of them has run."""
    job = studio.compose_job(checkpoint, "select.limit=12", *overrides)
    return {s.name: [p.request.key for p in Task(job, s).pending()] for s in job.stages if s.backend() is not None}


def found(checkpoint: Path) -> dict[str, object]:
    """Outcomes by link key."""
    desk = Desk.of(studio.compose_job(checkpoint, "select.limit=12"))
    return {o.link.key: o for o in outcomes(desk)}


def passed(checkpoint: Path) -> list[object]:
    return [o for o in found(checkpoint).values() if o.state == "passed" and o.take]


def resume(checkpoint: Path, **answers) -> None:
    """What `+stage=all` does: LLM stages answered, the rest run for real."""
    studio.fill(studio.compose_job(checkpoint, "select.limit=12", stages="[generate,audit]"), **answers)
    studio.go(studio.compose_job(checkpoint, "select.limit=12", stages="[generate,audit,audio,report]"))


def open_link(driver, key: str) -> None:
    until(lambda: every(driver, "tr.row"), "the rows")
    driver.execute_script("page.show(arguments[0])", key)
    until(lambda: every(driver, ".decide"), "the decision bar")


def press(driver, decision: str) -> None:
    one(driver, f".decide [data-decision={decision}]").click()


def marked(driver, key: str) -> str:
    texts = [e.text for e in every(driver, f'tr[data-key="{key}"] .chip')]
    return texts[0] if texts else ""


def test_decisions_made_in_the_browser_are_what_a_resumed_run_does(browser, checkpoint):  # noqa: F811
    assert plan(checkpoint) == {"generate": [], "audit": [], "audio": []}
    before = found(checkpoint)
    rejected, edited, rewritten, approved, respoken = passed(checkpoint)[:5]
    browser.get_log("browser")
    with Server(checkpoint) as server:
        browser.get(server.url)
        key = rejected.link.key
        open_link(browser, key)
        one(browser, f'tr[data-key="{key}"] .play').click()
        until(lambda: browser.execute_script("return document.getElementById('audio').currentTime > 0.1"), "sound")
        press(browser, "reject")
        until(lambda: every(browser, ".decide input"), "the form")
        one(browser, ".decide input").send_keys("too gloomy <b>by half</b>")
        one(browser, ".decide .keep").click()
        until(lambda: marked(browser, key) == "rejected", "the mark")
        assert "too gloomy <b>by half</b>" in one(browser, ".decide .said").text

        open_link(browser, edited.link.key)
        press(browser, "edit")
        field = until(lambda: every(browser, ".decide textarea"), "the form")[0]
        assert field.get_attribute("value") == edited.pick.script
        field.send_keys(" Listen close.")
        one(browser, ".decide .keep").click()
        until(lambda: marked(browser, edited.link.key) == "edited", "the mark")
        for outcome, decision, mark in (
            (rewritten, "rewrite", "write again"),
            (approved, "approve", "approved"),
            (respoken, "respeak", "speak again"),
        ):
            open_link(browser, outcome.link.key)
            press(browser, decision)
            until(lambda o=outcome, m=mark: marked(browser, o.link.key) == m, mark)
        assert complaints(browser) == []
        assert "5 decisions kept" in server.stop()

    hand = f"{edited.link.key}#edit.1"
    next_keys = [f"{o.link.key}#{o.pick.attempt + 1}.1" for o in (rejected, rewritten)]
    wanted = plan(checkpoint)
    assert sorted(wanted["generate"]) == sorted(next_keys)
    assert wanted["audit"] == [hand]
    assert wanted["audio"] == [f"{respoken.link.key}@2"]

    job = studio.compose_job(checkpoint, "select.limit=12", stages="generate")
    told = {p.request.key: p.request.payload["prompt"][-1]["content"] for p in Task(job, job.stages[0]).pending()}
    assert "@Fix: too gloomy <b>by half</b>" in told[next_keys[0]]

    resume(checkpoint, score=lambda link, dice: 10, seed=9)
    after = found(checkpoint)
    assert after[edited.link.key].pick.key == hand
    assert after[edited.link.key].pick.script == f"{edited.pick.script} Listen close."
    assert after[respoken.link.key].take["take"] == 2
    for outcome in (rejected, rewritten):
        now = after[outcome.link.key]
        assert now.pick is None or now.pick.attempt > outcome.pick.attempt
        assert [d.script for d in now.drafts][: len(outcome.drafts)] == [d.script for d in outcome.drafts]
    changed = {o.link.key for o in (rejected, edited, rewritten, respoken)}
    for key, outcome in before.items():
        if key not in changed and outcome.state == "passed":
            assert (after[key].pick.key, after[key].take) == (outcome.pick.key, outcome.take)
    assert plan(checkpoint) == {"generate": [], "audit": [], "audio": []}


def test_approved_links_are_never_touched(checkpoint):
    outcome = passed(checkpoint)[0]
    with Server(checkpoint) as server, httpx.Client() as client:
        assert server.decide(client, outcome.link, "approve", on=outcome.pick.key).status_code == 200
    everything = ("writer.sampling.temperature=0.1", "auditor.sampling.max_tokens=99", "audio.lufs=-20", "seed=5")
    wanted = plan(checkpoint, *everything)
    assert wanted["generate"] and wanted["audio"]
    touched = [key for keys in wanted.values() for key in keys if key.startswith(outcome.link.key)]
    assert touched == []


def test_a_failed_link_can_be_approved_or_given_another_round(checkpoint):
    failed = [o for o in found(checkpoint).values() if o.state == "failed"]
    assert len(failed) >= 2, "the studio's scores fail some links"
    approved, again = failed[:2]
    with Server(checkpoint) as server, httpx.Client() as client:
        first = approved.drafts[0]
        assert server.decide(client, approved.link, "approve", on=first.key).status_code == 200
        asked = server.decide(client, again.link, "reject", on=again.drafts[-1].key, reason="say the title")
        assert asked.status_code == 200
    wanted = plan(checkpoint)
    assert wanted["generate"] == [f"{again.link.key}#4.1"]
    assert wanted["audio"] == [approved.link.key]
    assert found(checkpoint)[approved.link.key].pick.script == first.script


def test_an_edit_that_fails_its_audit_is_not_rewritten(checkpoint):
    outcome = passed(checkpoint)[0]
    with Server(checkpoint) as server, httpx.Client() as client:
        text = {"text": "Friends, my own words, for better or worse."}
        assert server.decide(client, outcome.link, "edit", on=outcome.pick.key, **text).status_code == 200
    resume(checkpoint, score=lambda link, dice: 2)
    now = found(checkpoint)[outcome.link.key]
    assert now.state == "failed"
    assert [d.key for d in now.drafts] == [*(d.key for d in outcome.drafts), f"{outcome.link.key}#edit.1"]
    assert plan(checkpoint)["generate"] == []


def test_an_edit_can_be_rejected_in_turn(checkpoint):
    outcome = passed(checkpoint)[0]
    text = f"{outcome.pick.script} Listen close."
    with Server(checkpoint) as server, httpx.Client() as client:
        assert server.decide(client, outcome.link, "edit", on=outcome.pick.key, text=text).status_code == 200
    resume(checkpoint, score=lambda link, dice: 10)
    edited = found(checkpoint)[outcome.link.key]
    assert edited.pick.script == text
    with Server(checkpoint) as server, httpx.Client() as client:
        assert server.decide(client, outcome.link, "reject", on=edited.pick.key, reason="on second thought").is_success
    job = studio.compose_job(checkpoint, "select.limit=12", stages="generate")
    asked = {p.request.key: p.request.payload["prompt"][-1]["content"] for p in Task(job, job.stages[0]).pending()}
    assert list(asked) == [f"{outcome.link.key}#{outcome.pick.attempt + 1}.1"]
    assert all("on second thought" in told and "Listen close." in told for told in asked.values())
    resume(checkpoint, score=lambda link, dice: 10, seed=4)
    now = found(checkpoint)[outcome.link.key]
    assert now.pick is None or now.pick.attempt > outcome.pick.attempt
    assert plan(checkpoint) == {"generate": [], "audit": [], "audio": []}


def test_a_rejection_means_all_candidates_that_were_there(tmp_path):
    path = studio.make(tmp_path / "run", "select.limit=4", "generation.candidates=2", score=lambda link, dice: 10)
    two = ("select.limit=4", "generation.candidates=2")
    outcome = next(o for o in outcomes(Desk.of(studio.compose_job(path, *two))) if sum(d.passed for d in o.drafts) == 2)
    with Server(path) as server, httpx.Client() as client:
        assert server.decide(client, outcome.link, "reject", on=outcome.pick.key, reason="dull").is_success
    job = studio.compose_job(path, *two, stages="generate")
    keys = [p.request.key for p in Task(job, job.stages[0]).pending()]
    assert keys == [f"{outcome.link.key}#{outcome.pick.attempt + 1}.{n}" for n in (1, 2)]


def test_undo_takes_the_last_decision_back(checkpoint):
    outcome = passed(checkpoint)[0]
    with Server(checkpoint) as server, httpx.Client() as client:
        on = outcome.pick.key
        assert server.decide(client, outcome.link, "undo", on=on).status_code == 422
        server.decide(client, outcome.link, "reject", on=on, reason="no")
        assert client.get(f"{server.url}api/marks").json()[outcome.link.key]["reason"] == "no"
        assert server.decide(client, outcome.link, "undo", on=on).json() == {"mark": None}
        assert client.get(f"{server.url}api/marks").json() == {}
    assert plan(checkpoint) == {"generate": [], "audit": [], "audio": []}


def test_decisions_survive_a_server_that_is_killed(checkpoint):
    outcome = passed(checkpoint)[0]
    server = Server(checkpoint)
    with httpx.Client() as client:
        answer = server.decide(client, outcome.link, "reject", on=outcome.pick.key, reason="no")
        assert answer.status_code == 200
    server.process.kill()
    server.process.communicate()
    with Server(checkpoint) as again, httpx.Client() as client:
        assert client.get(f"{again.url}api/marks").json()[outcome.link.key]["decision"] == "reject"


def test_axe_finds_nothing_serious_while_deciding(browser, checkpoint):  # noqa: F811
    axe = axe_source()
    with Server(checkpoint) as server:
        browser.get(server.url)
        open_link(browser, passed(checkpoint)[0].link.key)
        assert faults(browser, axe) == []
        for decision in ("reject", "edit"):
            press(browser, decision)
            until(lambda: every(browser, ".decide form"), "the form")
            assert faults(browser, axe) == []
            one(browser, ".decide form button[type=button]").click()


def test_keys_decide(browser, checkpoint):  # noqa: F811
    from selenium.webdriver import ActionChains

    with Server(checkpoint) as server:
        browser.get(server.url)
        outcome = passed(checkpoint)[0]
        open_link(browser, outcome.link.key)
        send = lambda keys: ActionChains(browser).send_keys(keys).perform()  # noqa: E731
        send("a")
        until(lambda: marked(browser, outcome.link.key) == "approved", "approved")
        send("u")
        until(lambda: marked(browser, outcome.link.key) == "", "undone")
        send("r")
        until(lambda: every(browser, ".decide input"), "the form")
        send("dull\n")
        until(lambda: marked(browser, outcome.link.key) == "rejected", "rejected")


# ---------------------------------------------------------------------------------------------------------- who may ask


@pytest.fixture(scope="module")
def served(finished, tmp_path_factory):
    """A running server on a copy, with its checkpoint."""
    copy = Path(shutil.copytree(finished, tmp_path_factory.mktemp("served") / "run"))
    with Server(copy) as server:
        yield server, copy


def reject(server, copy, **changes) -> httpx.Response:
    """A rejection that would be taken, with headers or the path changed."""
    outcome = passed(copy)[0]
    body = {"link": outcome.link.key, "decision": "reject", "on": outcome.pick.key, "reason": "no"}
    headers = {"origin": server.origin, "content-type": "application/json", **changes.pop("headers", {})}
    headers = {name: value for name, value in headers.items() if value is not None}
    url = changes.pop("url", f"{server.url}api/decide")
    return httpx.post(url, content=changes.pop("content", json.dumps(body)), headers=headers)


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"headers": {"origin": "http://evil.example"}}, 403),
        ({"headers": {"origin": None}}, 403),
        ({"headers": {"origin": "null"}}, 403),
        ({"headers": {"sec-fetch-site": "cross-site"}}, 403),
        ({"headers": {"host": "evil.example"}}, 421),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"headers": {"content-type": "application/x-www-form-urlencoded"}}, 415),
        ({"content": "[" * 70_000}, 413),
        ({"content": "{"}, 422),
        ({"content": "[]"}, 422),
        ({"content": '{"link": ["x"], "decision": {}}'}, 422),
    ],
)
def test_refuses_what_does_not_come_from_its_own_page(served, changes, status):
    server, copy = served
    assert reject(server, copy, **changes).status_code == status
    assert not (copy / "review").exists()


def test_a_wrong_token_opens_nothing(served):
    server, copy = served
    wrong = server.origin + "/" + "x" * 24 + "/"
    for path in ("", "api/marks", "takes/dot/intro/s01.flac"):
        assert httpx.get(wrong + path).status_code == 404
    assert httpx.get(server.origin + "/").status_code == 404
    assert reject(server, copy, url=wrong + "api/decide").status_code == 404
    assert not (copy / "review").exists()


def test_serves_takes_and_no_other_file(served):
    server, copy = served
    name = passed(copy)[0].take["file"]
    answer = httpx.get(server.url + name, headers={"range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"fLaC")
    (copy / "takes" / "secret.txt").write_text("secret")
    outside = "run.json lock generate/00000.jsonl takes/secret.txt takes/../run.json takes//etc/passwd takes/%00"
    encoded = "takes/%2e%2e/run.json takes/..%2frun.json ..%2f..%2fetc/passwd"
    base = httpx.URL(server.url)
    for path in f"{outside} {encoded}".split():
        answer = httpx.get(base.copy_with(raw_path=base.raw_path + path.encode()))
        assert answer.status_code in (400, 404), path


def test_another_writer_is_refused_while_it_serves(served):
    from engine.errors import UserError

    _, copy = served
    with pytest.raises(UserError, match="another run writes to it"):
        studio.compose_job(copy).open()


def test_will_not_listen_to_others_without_a_password(checkpoint):
    command = [sys.executable, "-m", "engine", "+stage=review", f"checkpoint.path={checkpoint}", "review.host=0.0.0.0"]
    env = {name: value for name, value in os.environ.items() if name != "VOICETRACK_PASSWORD"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "review.host=0.0.0.0" in done.stderr and "VOICETRACK_PASSWORD" in done.stderr


def test_listens_to_others_with_a_password_that_is_kept_nowhere(checkpoint):
    with Server(checkpoint, "review.host=0.0.0.0", VOICETRACK_PASSWORD="p4ss-wörd") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, auth=("any", "wrong")).status_code == 401
        assert httpx.get(url, auth=("any", "p4ss-wörd".encode())).status_code == 200
    for path in checkpoint.rglob("*"):
        assert not path.is_file() or "p4ss-wörd".encode() not in path.read_bytes(), path


def test_a_port_in_use_is_said_in_one_line(served, checkpoint):
    server, _ = served
    port = server.origin.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "engine", "+stage=review", f"checkpoint.path={checkpoint}", f"review.port={port}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "cannot listen there" in done.stderr


# -------------------------------------------------------------------------------------------------------------- compare


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another run on the same links, with other scripts."""
    return studio.make(tmp_path_factory.mktemp("other") / "other", "select.limit=12", seed=77)


def test_compares_two_runs_blind(browser, checkpoint, other):  # noqa: F811
    mine = {key: o.pick.script for key, o in found(checkpoint).items() if o.pick}
    theirs = {key: o.pick.script for key, o in found(other).items() if o.pick}
    pairs = {key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key]}
    assert len(pairs) >= 3
    sides = set()
    browser.get_log("browser")
    with Server(checkpoint, f"review.against={other}") as server:
        browser.get(server.url + "#compare")
        for number in range(len(pairs)):
            shown = until(lambda: every(browser, ".side .script"), "a pair")
            texts = [e.text for e in shown]
            heard = [e.get_attribute("src") for e in every(browser, ".side audio")]
            assert all("/sides/" in src and other.name not in src and "takes" not in src for src in heard)
            assert httpx.get(heard[0]).content[:4] == b"fLaC"
            left_is_mine = texts[0] in mine.values()
            sides.add(left_is_mine)
            if number == 0:
                one(browser, "[data-prefers=neither]").click()
            else:  # always this checkpoint's, whichever side it is on
                one(browser, f"[data-prefers={'left' if left_is_mine else 'right'}]").click()
            done = f"{number + 1} of {len(pairs)}"
            until(lambda d=done: d in one(browser, "#pair").text, done)
        standing = until(lambda: every(browser, "#standing"), "the result")[0].text
        wins = len(pairs) - 1
        assert f"preferred in {wins} of {wins} decided pairs: 100 %" in standing and "95 % interval" in standing
        assert complaints(browser) == []
    with Server(checkpoint, f"review.against={other}") as server, httpx.Client() as client:
        assert client.get(f"{server.url}api/pair").json()["pair"] is None
    assert plan(checkpoint) == {"generate": [], "audit": [], "audio": []}


def test_a_pair_is_judged_once_and_shuffled_by_chance(checkpoint, other):
    seen = set()
    for _ in range(12):
        with Server(checkpoint, f"review.against={other}") as server, httpx.Client() as client:
            shown = client.get(f"{server.url}api/pair").json()
            assert shown == client.get(f"{server.url}api/pair").json()
            seen.add(shown["left"]["script"])
        if len(seen) == 2:
            break
    assert len(seen) == 2


def test_wilson_interval_matches_published_values():
    from stages.review.compare import wilson

    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
    for wins, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert wilson(wins, of) == pytest.approx((low, high), abs=5e-5)
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_stops_on_ctrl_c(checkpoint):
    server = Server(checkpoint)
    began = time.monotonic()
    text = server.stop()
    assert server.process.returncode == 0 and time.monotonic() - began < 10
    assert "0 decisions kept" in text
