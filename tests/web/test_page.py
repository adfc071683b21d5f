"""The page in a real browser, Chromium: what somebody sees who looks at it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from threading import Thread
from typing import Any

import pytest

from tests.web.cameras import Camera, page, until
from vidclf.pipeline import Pipeline
from vidclf.stages import Serve
from vidclf.stages._drawing import COLOURS, colour_of

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs the programs chromium and chromedriver")

TOKEN = "correct-horse"
LONG = "rtsp://user:***@10.0.0.5:554/Streaming/Channels/101"
# A number for what an <img> shows now: two pictures that differ give two numbers.
LOOK = """
const image = document.querySelector(arguments[0]);
if (!image || !image.naturalWidth) return null;
const canvas = document.createElement("canvas");
canvas.width = 96; canvas.height = 72;
const context = canvas.getContext("2d");
context.drawImage(image, 0, 0, 96, 72);
return context.getImageData(0, 0, 96, 72).data.reduce((sum, value, i) => (sum * 31 + value * (i % 7)) % 1000003, 7);
"""

# The least distance between two words of the table's head, in pixels.
GAP = """
const words = [...document.querySelectorAll("th")].map((node) => {
  const range = document.createRange();
  range.selectNodeContents(node);
  return range.getBoundingClientRect();
});
return Math.min(...words.slice(1).map((word, i) => word.left - words[i].right));
"""
# How far the table of stages reaches beyond the inside of its card, in pixels, with long words in it.
SPILL = """
const words = [arguments[0], null, "25.3", "32", "1403 ms"];
words.forEach((word, i) => { if (word) document.querySelector("#stages tr").children[i].textContent = word; });
const card = document.querySelector("#pipeline"), style = getComputedStyle(card);
const inside = card.getBoundingClientRect().right - parseFloat(style.paddingRight) - parseFloat(style.borderRightWidth);
return document.querySelector("#pipeline table").getBoundingClientRect().right - inside;
"""
OTHERWISE = """
window.asked = window.fetch;
window.fetch = async (...question) => {
  const answer = await window.asked(...question), stats = await answer.json();
  if (stats.history) { %s }
  return new Response(JSON.stringify(stats));
};
"""
# Other labels, and frames that came late.
LABELS = """
const count = (before, now) => ({ colour: "#123456", detections: [1, 1], in_view: [before, now] });
const labels = { seen: count(0, 0.07), rare: count(0, 0.01), "long ago": count(2, 0) };
stats.history = { seconds: 3, at: [stats.now.at - 400, stats.now.at - 3], labels };
stats.ledger.dropped = { late: 3, find: 1 };
"""
# A camera with a frame a minute, and one that is silent.
PAUSES = """
Object.assign(stats.cameras[0], { last_frame_s: 59 });
Object.assign(stats.cameras[1], { last_frame_s: 20, state: "silent", away: true });
"""
CUT = """
const nodes = [...document.querySelectorAll(".camera h2, th, .card")];
return nodes.filter((node) => node.scrollWidth > node.clientWidth).length
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.add_argument("--headless=new")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    # Nothing of its own that goes to the internet.
    for word in ("background-networking", "component-update", "sync", "gpu", "dev-shm-usage", "quic"):
        options.add_argument(f"--disable-{word}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    return [Camera("front door", 20), Camera("yard", 20), Camera(LONG, 20)]


@pytest.fixture(scope="module")
def serve(cameras: list[Camera]) -> Iterator[Serve]:
    with page(cameras) as serve:
        yield serve


@pytest.fixture(scope="module")
def opened(browser: Any, serve: Serve) -> Any:
    browser.get(serve.url)
    until(lambda: text(browser, "#figures"))
    return browser


def text(browser: Any, selector: str) -> str:
    """All the words of an element, None of them where it is not there."""
    return str(browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


@contextmanager
def otherwise(browser: Any, change: str) -> Iterator[None]:
    """The server seems to tell something else; `change` is JavaScript that changes `stats`."""
    browser.execute_script(OTHERWISE % change)
    try:
        yield
    finally:
        browser.execute_script("window.fetch = window.asked")


def card(name: str) -> str:
    return f'.camera[data-name="{name}"]'


def changes(look: Callable[[], Any]) -> None:
    """Something is there, and then something else."""
    before = until(look)
    until(lambda: look() not in (before, None))


@pytest.mark.parametrize("name", ["front door", "yard"])
def test_the_picture_of_each_camera_arrives_and_changes(opened: Any, name: str) -> None:
    changes(lambda: opened.execute_script(LOOK, f"{card(name)} img"))


def test_the_numbers_move(opened: Any) -> None:
    parts = ("#figures", "#ledger", "#stages", f"{card('yard')} .facts")
    changes(lambda: [text(opened, part) for part in parts])
    before = [text(opened, part) for part in parts]
    until(lambda: all(text(opened, part) != old for part, old in zip(parts, before, strict=True)))
    assert "bottleneck" in text(opened, "#slowest")
    assert {"find", "serve"} <= set(text(opened, "#stages").split())
    assert text(opened, "#state") == "running"


def test_how_busy_a_stage_is_can_be_read(opened: Any) -> None:
    cells = "return [...document.querySelectorAll('#stages td:nth-child(2)')].map((cell) => cell.innerText)"
    assert all(re.fullmatch(r"\d+ %", cell) for cell in opened.execute_script(cells))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["good", "warn", "bad", "soft"])
def test_badges_can_be_read(scheme: int, name: str) -> None:
    """WCAG 2.2, 1.4.3 (AA): a contrast of 4.5."""
    css = files("vidclf.web").joinpath("page.css").read_text(encoding="utf-8")

    def luminance(colour: str) -> float:
        value = re.findall(rf"--{colour}: #([0-9a-f]{{6}});", css)[scheme]
        shares = [int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, bright = sorted(luminance(each) for each in (name, "track"))
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_the_latest_detections_have_pictures(opened: Any) -> None:
    until(lambda: "Coat 0.75" in text(opened, "#detections"))
    until(lambda: opened.execute_script(LOOK, "#detections .thumb img:not(.crop)"))
    until(lambda: opened.execute_script(LOOK, "#detections .thumb img.crop"))
    assert "Nothing yet" not in text(opened, "#latest")


def test_the_chart_has_a_bar_for_each_label(opened: Any) -> None:
    fills = "return [...document.querySelectorAll('#chart rect')].map((bar) => bar.getAttribute('fill'))"
    colours = {COLOURS[colour_of(label)] for label in ("Coat", "person")}
    until(lambda: set(opened.execute_script(fills)) == colours)
    assert text(opened, "#legend").split() == ["Coat", "3.0", "person", "3.0"]


def test_the_legend_leaves_out_what_the_chart_does_not_show_and_reasons_are_explained(opened: Any) -> None:
    with otherwise(opened, LABELS):
        until(lambda: text(opened, "#legend").split() == ["seen", "0.1"])
        until(lambda: text(opened, "#reasons") == "late: skipped because a newer frame of the camera was waiting")


def test_whether_a_camera_is_away_is_for_the_server_to_say(opened: Any) -> None:
    with otherwise(opened, PAUSES):
        until(lambda: "silent" in text(opened, card("yard")))
        assert "no frame for 20 s" in text(opened, card("yard"))
        assert "1 of 3 cameras offline" in text(opened, "#state")
        look = "return document.querySelector(arguments[0]).className"
        assert opened.execute_script(look, f"{card('yard')} .badge") == "badge bad"
        assert opened.execute_script(look, f"{card('front door')} .badge") == "badge good"
        assert opened.execute_script(look, card("front door")) == "camera"
        assert "connected" in text(opened, card("front door"))
    until(lambda: text(opened, "#state") == "running")


def test_a_problem_of_the_run_is_shown_with_its_reason(opened: Any) -> None:
    reason = "/disk: no space left; recording of yard pauses until there is"
    with otherwise(opened, f'stats.problems = ["{reason}"];'):
        until(lambda: text(opened, "#problems") == reason)
        assert "a problem" in text(opened, "#state")
    until(lambda: text(opened, "#problems") == "")
    assert "running" in text(opened, "#state")


def test_the_table_stays_inside_its_card(opened: Any) -> None:
    for width in (390, 1024, 1280, 1500):
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 800}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            for name in ("interpolate", "a-very-long-name-of-a-stage-of-ones-own"):
                assert opened.execute_script(SPILL, name) <= 0, (width, name)
        finally:
            opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_an_unplugged_camera_shows_as_such_and_comes_back(opened: Any, cameras: list[Camera]) -> None:
    until(lambda: "connected" in text(opened, card("yard")))
    address = "return document.querySelector(arguments[0]).src"
    stream = opened.execute_script(address, f"{card('yard')} img")
    cameras[1].unplug()
    until(lambda: "reconnecting" in text(opened, card("yard")))
    assert "no such device" in text(opened, card("yard"))
    assert "1 of 3 cameras offline" in text(opened, "#state")
    assert "connected" in text(opened, card("front door"))
    changes(lambda: opened.execute_script(LOOK, f"{card('front door')} img"))
    cameras[1].plug_in()
    until(lambda: "connected" in text(opened, card("yard")))
    assert "reconnects 1" in text(opened, card("yard"))
    until(lambda: opened.execute_script(address, f"{card('yard')} img") != stream)  # a proxy may have ended it
    changes(lambda: opened.execute_script(LOOK, f"{card('yard')} img"))


def test_a_camera_that_was_given_up_is_away(opened: Any, cameras: list[Camera]) -> None:
    cameras[1].unplug()
    cameras[1].reading.state = "given up"
    try:
        until(lambda: "given up" in text(opened, card("yard")))
        assert "1 of 3 cameras offline" in text(opened, "#state")
        assert "no such device" in text(opened, card("yard"))
        look = "return document.querySelector(arguments[0]).className"
        assert opened.execute_script(look, f"{card('yard')} .badge") == "badge bad"
        assert "away" in opened.execute_script(look, card("yard")).split()
    finally:
        cameras[1].plug_in()
        until(lambda: "connected" in text(opened, card("yard")))


def test_the_console_is_silent_and_nothing_is_asked_of_anybody_else(opened: Any, serve: Serve) -> None:
    changes(lambda: text(opened, "#figures"))
    assert opened.get_log("browser") == []
    loaded = opened.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert [address for address in loaded if not address.startswith(serve.url)] == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_a_desktop_in_light_and_dark(opened: Any, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 800}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wanted = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
    try:
        until(lambda: text(opened, "#detections"))
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width  # nothing sticks out
        assert opened.execute_script(CUT) == 0  # cameras often differ in the end of their names alone
        assert opened.execute_script(GAP) > 4
        style = "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
        ink, paper = (sum(map(int, colour[4:-1].split(","))) for colour in opened.execute_script(style))
        assert (ink < paper) == (scheme == "light")
        assert abs(ink - paper) > 500
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_wrong_token_is_refused_and_the_right_one_opens_page_and_pictures(browser: Any) -> None:
    with page([Camera()], token=TOKEN) as serve:
        for address in (f"{serve.url}?token=wrong", serve.url):
            browser.get(address)
            assert "Enter the token" in text(browser, "body")
            assert ("Wrong token" in text(browser, "body")) == ("wrong" in address)
            assert not browser.find_elements("css selector", ".camera, #figures")
        browser.find_element("css selector", "input[name=token]").send_keys("wrong\n")
        until(lambda: "Wrong token" in text(browser, "body"))
        assert "wrong" not in browser.current_url
        browser.find_element("css selector", "input[name=token]").send_keys(f"{TOKEN}\n")
        changes(lambda: browser.execute_script(LOOK, ".camera img"))
        assert TOKEN not in browser.current_url
        browser.delete_all_cookies()
        browser.get(serve.url)
        assert "Enter the token" in text(browser, "body")


def test_the_page_says_so_when_the_run_ends_and_goes_on_with_the_next(browser: Any) -> None:
    with page([Camera()]) as serve:
        browser.get(serve.url)
        changes(lambda: browser.execute_script(LOOK, ".camera img"))
    until(lambda: "is not responding" in text(browser, "#state"))
    pipeline = Pipeline([Camera("another"), Serve(f"127.0.0.1:{serve.port}")])
    thread = Thread(target=pipeline.run)
    thread.start()
    try:
        until(lambda: "running" in text(browser, "#state"))
        changes(lambda: browser.execute_script(LOOK, f"{card('another')} img"))
        assert not browser.find_elements("css selector", card("camera"))  # it has no part in this run
    finally:
        pipeline.stop()
        thread.join(20)
