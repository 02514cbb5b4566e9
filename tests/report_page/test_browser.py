"""Pages in a real browser: no errors, nothing fetched, keyboard, phone, print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from support.command import Terminal
    from support.singer import Singer

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("default")]

OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
DESK, PHONE, SMALL = (1200, 900), (375, 800), (320, 640)


@pytest.fixture(scope="session")
def run_page(new_terminal: Callable[[], Terminal], singer: Singer) -> Path:
    """Return the page of a run that was refused by Customer.io."""
    from support.customerio import Customerio, Reply, always  # noqa: PLC0415 - a server

    server = Customerio(always(Reply.of({}, 503)))
    outcome = new_terminal().run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        sandbox=None,
        api_url=server.url,
        site_id="a",
        api_key="b",
        max_retry_seconds=0,
        report_path="report.html",
    )
    server.close()
    assert outcome.code == 1
    return outcome.folder / "report.html"


@pytest.fixture(scope="session")
def plan_page(new_terminal: Callable[[], Terminal], singer: Singer) -> Path:
    """Return the page of a plan with a snapshot."""
    terminal = new_terminal()
    settings: dict[str, Any] = {"snapshot": "snapshot.db", "identify_timestamp": "omit"}

    def load(tier: str, **more: Any) -> None:
        outcome = terminal.run(
            singer.schema("identifies"),
            *(
                singer.record("identifies", userId=str(number), tier=tier)
                for number in range(9)
            ),
            **settings,
            **more,
        )
        assert outcome.code == 0, outcome.stderr

    load("free")
    load("pro", plan=True, report_path="report.html")
    return terminal.folder / "report.html"


class Opened:
    """A page that is open in the browser, and what the browser said about it."""

    def __init__(self, browser: Browser, path: Path, size: tuple[int, int]) -> None:
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.fetched: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.fetched.append(request.url))
        self.page.goto(path.as_uri())

    def shown(self) -> list[str]:
        """Return the names of the people who are shown."""
        return self.page.locator(".person:visible .name").all_inner_texts()

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        width: int = self.page.evaluate(
            "document.documentElement.scrollWidth - window.innerWidth"
        )
        return width


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Opened]]:
    opened: list[Opened] = []

    def show(path: Path, size: tuple[int, int] = DESK) -> Opened:
        opened.append(Opened(browser, path, size))
        return opened[-1]

    yield show
    for each in opened:
        each.context.close()


@pytest.fixture(params=["sandbox_page", "run_page", "plan_page"])
def path(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_it_opens_without_an_error_and_fits(
    path: Path, show: Callable[..., Opened]
) -> None:
    opened = show(path)
    page = opened.page
    page.evaluate(OPEN_ALL)
    figures = page.locator("figure").count()
    for width, height in (DESK, PHONE, SMALL):
        page.set_viewport_size({"width": width, "height": height})
        assert opened.overflow() <= 0, width
        assert page.locator("h1").is_visible()
        assert page.locator("svg:visible").count() == figures
    assert opened.said == []
    assert opened.fetched == [path.as_uri()]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_it_is_accessible_in_light_and_dark(
    size: tuple[int, int], path: Path, show: Callable[..., Opened]
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - not everywhere

    opened = show(path, size)
    opened.page.evaluate(OPEN_ALL)
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        results = Axe().run(opened.page)
        assert results.violations_count == 0, results.generate_report()


def test_values_are_shown_as_the_texts_that_they_are(
    sandbox_page: Path, show: Callable[..., Opened], hostile: list[str]
) -> None:
    opened = show(sandbox_page)
    person = opened.page.locator(".person").first
    text = person.inner_text()
    for value in hostile[:3]:
        assert value in text
    assert r"\u202ecom.elpmaxe\x00\x1b[31m" in text
    assert "(900 characters)" in text
    assert opened.page.locator("img, iframe, object, link").count() == 0
    assert opened.page.locator("script").count() == 1
    assert opened.said == []


def test_people_are_paged_and_searched(
    sandbox_page: Path, show: Callable[..., Opened]
) -> None:
    opened = show(sandbox_page)
    page = opened.page
    assert len(opened.shown()) == 10
    first = opened.shown()
    assert page.get_by_role("button", name="Previous").is_disabled()
    page.get_by_role("button", name="Next").click()
    assert page.get_by_role("status").inner_text() == "11 to 20 of 35"
    assert not {*opened.shown()} & {*first}
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    assert len(opened.shown()) == 5
    assert page.get_by_role("button", name="Next").is_disabled()
    search = page.get_by_label("Search people")
    search.fill("P.017 PRO")
    assert opened.shown() == ["p.017@example.com"]
    assert page.get_by_role("status").inner_text() == "1 to 1 of 1"
    search.fill("no such person")
    assert opened.shown() == []
    assert page.get_by_role("status").inner_text() == "Nobody found"
    search.fill("")
    assert opened.shown() == first


def test_it_works_with_the_keyboard_alone(
    sandbox_page: Path, show: Callable[..., Opened]
) -> None:
    opened = show(sandbox_page)
    keyboard, page = opened.page.keyboard, opened.page

    def focused() -> str:
        name: str = page.evaluate(
            "document.activeElement.textContent || '#' + document.activeElement.id"
        )
        return name

    keyboard.press("Tab")
    assert focused() == "Skip to the content"
    keyboard.press("Enter")
    while focused() != "#search":
        keyboard.press("Tab")
    keyboard.type("p.020")
    assert opened.shown() == ["p.020@example.com"]
    keyboard.press("Tab")
    assert "p.020@example.com" in focused()
    keyboard.press("Enter")
    assert "renewed_at" in page.locator(".person:visible").inner_text()
    search = page.get_by_label("Search people")
    search.fill("")
    while focused() != "Next":
        keyboard.press("Tab")
    keyboard.press("Space")
    assert page.get_by_role("status").inner_text() == "11 to 20 of 35"
    assert focused() == "Next"


def test_a_person_has_attributes_before_and_after_and_times_to_read(
    sandbox_page: Path, show: Callable[..., Opened]
) -> None:
    opened = show(sandbox_page)
    opened.page.get_by_label("Search people").fill("p.030")
    opened.page.locator(".person:visible summary").click()
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in opened.page.locator(".person:visible tbody tr").all()
    }
    assert rows["plan"] == ["free", "pro"]
    assert rows["renewed_at"] == ["none", "21 Sep 2026, 14:13:20 UTC\n1790000000"]
    assert rows["email"] == ["p.030@example.com"] * 2


def test_on_paper_everything_shown_is_open(
    sandbox_page: Path, show: Callable[..., Opened], tmp_path: Path
) -> None:
    opened = show(sandbox_page)
    page = opened.page
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".person:visible details:not([open])").count() == 0
    assert not page.get_by_label("Search people").is_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".person:visible details[open]").count() == 1
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_without_scripts_everyone_is_shown(
    sandbox_page: Path, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(sandbox_page.as_uri())
    assert page.locator(".person:visible").count() == 35
    assert not page.locator("#search").is_visible()
    context.close()
