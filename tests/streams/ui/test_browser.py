"""The page in a real browser, on a demo broker and a real worker: what a visitor sees and can do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encoders.events import Item
from streams.codec import encode_item
from streams.demo.catalogue import make_catalogue
from streams.kafka.demo_broker import DemoBroker
from tests.support.shop import Shop
from tests.support.workers import clean_environment

pytestmark = pytest.mark.timeout(180)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SLOW_MS = 30_000
SLY = Item("sly", "<img src=x onerror=document.title='hacked'>", categories=("Kitchen", "<b>Cookware</b>"))
ITEMS = [*make_catalogue(71, 7), SLY]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; the test skips, and says so, where there is none."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium in the PATH: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Root in a container has no sandbox; the page is our own.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Ui:
    """``freshet ui`` in a process."""

    def __init__(self, log: Path, **settings: object) -> None:
        command = [sys.executable, "-c", "from streams.cli import main; main()", "ui"]
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                env=clean_environment(UI__PORT=0, **settings),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        said = re.search(r"http://\S+", self._process.stdout.readline())
        assert said, log.read_text()
        self.url = said[0]

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(30)


@pytest.fixture(scope="module")
def ui(
    browser: Any, demo_broker: DemoBroker, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a playground with a broker, a worker and a small catalogue."""
    from streams.settings import KafkaSettings

    folder = tmp_path_factory.mktemp("ui")
    kafka = KafkaSettings(bootstrap_servers=demo_broker.bootstrap_servers, topic_prefix="ui.", group_id="ui")
    shop = Shop(kafka, untrained_model, folder)
    for item in ITEMS:
        shop.producer.send(*encode_item(item))
    shop.worker.wait_ready()
    shop.settle("items")
    ui = Ui(folder / "ui.log", **shop.environment, HTTP__PORT=shop.worker.port, TRAINER__MODELS=folder)
    yield ui.url
    assert ui.stop() == 0, (folder / "ui.log").read_text()
    shop.producer.close()
    shop.worker.stop()


@pytest.fixture
def alone(browser: Any, tmp_path: Path) -> Iterator[str]:
    """The URL of a playground with nothing around it."""
    ui = Ui(
        tmp_path / "ui.log",
        KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1",
        HTTP__PORT=1,
        MODEL__PATH=tmp_path,
        TRAINER__MODELS=tmp_path,
    )
    yield ui.url
    ui.stop()


class Visit:
    """A page that somebody has opened, and what its console said."""

    def __init__(self, browser: Any, url: str, scheme: str = "light", width: int = 1280) -> None:
        self._context = browser.new_context(
            color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 900}
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(SLOW_MS)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.goto(url)

    def ids(self, selector: str) -> list[str]:
        found: list[str] = self.page.eval_on_selector_all(
            f"{selector} .item", "all => all.map(one => one.dataset.item)"
        )
        return found

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *exc: object) -> None:
        self._context.close()


def test_a_click_and_a_purchase_change_the_list_and_say_how_long_that_took(browser: Any, ui: str) -> None:
    with Visit(browser, ui) as visit:
        page = visit.page
        page.locator("#found .click").first.click()
        expect(page.locator("#timing-ms")).to_have_text(re.compile(r"^\d+ ms$"), timeout=SLOW_MS)
        expect(page.locator("#history li")).to_have_count(1, timeout=SLOW_MS)
        first = visit.ids("#list")
        page.locator("#list .purchase").first.click()
        expect(page.locator("#history .bought")).to_have_count(1, timeout=SLOW_MS)
        assert visit.ids("#list") != first
        assert first[0] not in visit.ids("#list"), "what was bought is not recommended"
        expect(page.locator("#summary")).not_to_contain_text("Nothing is known")
        expect(page.locator("#map .interest")).to_be_visible()
        assert visit.faults == []


def test_the_keyboard_is_enough_and_focus_stays_in_the_list(browser: Any, ui: str) -> None:
    with Visit(browser, ui) as visit:
        page = visit.page
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.locator("#query").focus()
        page.keyboard.type("tea")
        expect(page.locator("#found .title").first).to_contain_text(re.compile("tea", re.IGNORECASE))
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#announce")).to_have_text(re.compile("The list changed in"), timeout=SLOW_MS)
        page.locator("#list .click").nth(2).focus()
        page.keyboard.press("Enter")
        expect(page.locator("#history li")).to_have_count(2, timeout=SLOW_MS)
        assert page.evaluate("document.activeElement.matches('#list .click')")


def test_every_control_has_a_name_and_text_is_never_markup(browser: Any, ui: str) -> None:
    with Visit(browser, ui) as visit:
        page = visit.page
        page.locator("#query").fill("onerror")
        expect(page.locator("#found .title").first).to_have_text(SLY.title)
        page.locator("#found .click").click()
        expect(page.locator("#history li")).to_contain_text(SLY.title, timeout=SLOW_MS)
        named = "one => one.ariaLabel || one.textContent.trim() || one.labels?.length"
        assert page.locator("button, select, input").evaluate_all(f"all => all.every({named})")
        # WCAG 2.2, 2.5.3: who speaks to the page says what is written on the button.
        says = "one => !one.ariaLabel || one.ariaLabel.includes(one.textContent)"
        assert page.locator("button").evaluate_all(f"all => all.every({says})")
        assert page.title() == "Freshet playground"
        assert visit.faults == []


CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Any, ui: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    with Visit(browser, ui, scheme) as visit:
        page = visit.page
        page.locator("#found .click").first.click()
        expect(page.locator("#history li time")).to_have_count(1, timeout=SLOW_MS)
        named = (
            ".title",
            ".facts",
            ".why",
            ".click",
            ".purchase",
            ".dislike",
            ".quiet",
            ".pill",
            "h2",
            "#timing-ms",
            ".did",
        )
        found = {one: page.locator(one).first.evaluate(CONTRAST) for one in named}
        assert {one: ratio for one, ratio in found.items() if ratio < 4.5} == {}
        dark = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(one => one < 64)"
        )
        assert dark is (scheme == "dark")


def test_a_narrow_page_does_not_scroll_sideways(browser: Any, ui: str) -> None:
    with Visit(browser, ui, width=360) as visit:
        expect(visit.page.locator("#found .item").first).to_be_visible()
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_broker_worker_and_model_the_page_says_what_to_do(browser: Any, alone: str) -> None:
    with Visit(browser, alone) as visit:
        page = visit.page
        expect(page.locator("#banner")).to_contain_text("freshet broker --kafka", timeout=SLOW_MS)
        expect(page.locator("#pill-kafka")).to_have_text("Kafka: away")
        expect(page.locator("#pill-worker")).to_have_text("Worker: away")
        expect(page.locator("#basis code")).to_have_text("freshet worker")
        expect(page.locator("#summary")).to_have_text("Nothing can be told of this shopper now.")
        expect(page.locator("#map-text")).to_contain_text("nothing yet")
