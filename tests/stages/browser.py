"""A real Chromium without a window, for tests of the page: `browser` is a fixture to import."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def browser():
    """A Selenium driver at 1280 × 900; skips where Chromium or Selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (uv sync --group dev)")
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--mute-audio",
        "--autoplay-policy=no-user-gesture-required",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def until(condition: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """Wait until `condition()` is true; returns it.

    An element that the page replaces while the condition looks at it is looked for again.
    """
    from selenium.common.exceptions import StaleElementReferenceException

    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(StaleElementReferenceException):
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.03)


def complaints(driver: Any) -> list[str]:
    """Errors in the browser's log since last asked: scripts that failed, blocked loads."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def one(driver: Any, css: str) -> Any:
    """The first element that matches."""
    return driver.find_element("css selector", css)


def every(driver: Any, css: str) -> list[Any]:
    """All elements that match."""
    return driver.find_elements("css selector", css)


def axe_source() -> str:
    """axe-core's script, from $AXE_JS or where npm has put it; skips where it is not."""
    candidates = [os.environ.get("AXE_JS"), "node_modules/axe-core/axe.min.js"]
    if npm := shutil.which("npm"):
        root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
        candidates.append(f"{root}/axe-core/axe.min.js")
    for path in filter(None, candidates):
        if Path(path).is_file():
            return Path(path).read_text(encoding="utf-8")
    pytest.skip("needs axe-core: npm install axe-core, or its path in AXE_JS")


def faults(driver: Any, axe: str) -> list[str]:
    """What axe-core finds wrong with the page as it is now, of serious or critical impact."""
    driver.execute_script(axe)
    found = driver.execute_async_script("axe.run(document).then(arguments[0], e => arguments[0]({error: String(e)}))")
    assert "violations" in found, found
    return [
        f"{v['impact']} {v['id']}: {node['target']} {node['failureSummary']}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]
