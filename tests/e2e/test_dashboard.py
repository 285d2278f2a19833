"""The live page in a real browser: what it shows is what `/stats` says, and what it offers works."""

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import missing
from tests.e2e.conftest import Cluster
from tests.support.availability import Unavailable
from tests.support.browser import chromium, watched_page
from tests.support.clients import client, settings_for
from tests.support.npm_packages import AXE, node_modules
from tests.support.service_processes import Service, gateway, one_process

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
TOO_LONG = "[[status=400 code=context_length_exceeded]]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as running:
            yield running
    except Unavailable as reason:
        missing(str(reason))


@pytest.fixture
def page(browser: Browser, cluster: Cluster) -> Iterator[Page]:
    """Live, with figures; it must complain of nothing and ask nobody else."""
    with watched_page(browser, f"{cluster.url}/", viewport=DESK) as watched:
        expect(watched.page.locator("#live")).to_have_text("Live")
        yield watched.page
        assert watched.complaints == []
        assert watched.hosts == {urlsplit(cluster.url).netloc}


@pytest.fixture
def quiet_page(browser: Browser, cluster: Cluster) -> Iterator[Page]:
    """Where an answer may be an error, which the browser writes to its console."""
    with watched_page(browser, f"{cluster.url}/", viewport=DESK) as watched:
        expect(watched.page.locator("#live")).to_have_text("Live")
        yield watched.page


def ask(url: str, prompt: str, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = httpx.post(
        f"{url}/invoke", json={"user_prompt": prompt, **more}, timeout=60
    ).json()
    return body


def shown(count: int) -> str:
    """As the page writes it: what other tests asked counts too."""
    return f"{count:,}" if count < 100_000 else f"{round(count / 1000, 1):g}K"


def dollars(amount: float) -> str:
    """As the page writes a small amount."""
    if amount < 0.0001:
        return f"${float(f'{amount:.3g}'):.12f}".rstrip("0")
    return f"${Decimal(str(amount)).quantize(Decimal('0.0001'), ROUND_HALF_UP)}"  # as JavaScript rounds


def row(page: Page, card: str, name: str) -> Any:
    """The cells of one line of a table."""
    return page.locator(f"#{card} tr", has=page.get_by_role("rowheader", name=name, exact=True))


def test_a_job_shows_by_itself_and_the_figures_are_those_of_stats(page: Page, cluster: Cluster) -> None:
    page.get_by_role("radio", name="All time").check()
    for number in range(3):
        ask(cluster.url, f"{uuid4()} {number}")
    ask(cluster.url, f"{uuid4()} dear", model="gpt-4o")
    ask(cluster.url, f"{uuid4()} {TOO_LONG}")
    total = httpx.get(f"{cluster.url}/stats").json()["total"]
    for name, amount in (("Answered", "succeeded"), ("Failed", "failed")):
        expect(row(page, "outcomes", name)).to_contain_text(f"{total['requests'][amount]:,}")
    expect(row(page, "errors", "CONTEXT_TOO_LONG")).to_contain_text(str(total["errors"]["CONTEXT_TOO_LONG"]))
    for name, told in total["models"].items():
        cells = [told["answers"], told["prompt_tokens"], told["completion_tokens"]]
        written = [*map(shown, cells), dollars(told["cost_usd"])]
        expect(row(page, "models", name).locator("td.number")).to_have_text(written)
    tokens = total["tokens"]["prompt_tokens"] + total["tokens"]["completion_tokens"]
    expect(page.locator(".tile", has_text="Tokens").locator(".value")).to_have_text(shown(tokens))


def test_one_look_says_how_it_is_and_what_it_is_made_of(page: Page) -> None:
    # What other tests let fail within the last minute counts too: one Redis is one service.
    expect(page.locator("#headline")).to_have_text(re.compile("All is well|jobs failed in the last minute"))
    expect(page.locator("#parts li")).to_have_text(
        ["Redis answers", "Kafka answers", "2 gateways", "1 worker"]
    )
    expect(page.locator("#replicas tbody tr")).to_have_count(3)


def test_every_plot_has_its_points_as_a_table(page: Page, cluster: Cluster) -> None:
    ask(cluster.url, f"{uuid4()}")
    plots = page.locator("figure.plot")
    expect(plots).to_have_count(6)
    for plot in plots.all():
        expect(plot.locator("canvas")).to_be_visible()
        plot.locator("summary").click()
        expect(plot.locator("tbody tr").first).to_be_visible()
    ended = plots.filter(has=page.get_by_role("heading", name="Throughput")).locator("tbody td").first
    expect(ended).not_to_have_text("0/s")


def test_a_failed_job_is_listed_by_its_id_and_can_be_looked_at(page: Page, cluster: Cluster) -> None:
    secret = f"secret-{uuid4()}"
    failed = ask(cluster.url, f"{secret} {TOO_LONG}")["request_id"]
    page.get_by_role("button", name=f"Look at job {failed}").click()
    expect(page.locator("#job-facts")).to_contain_text("CONTEXT_TOO_LONG")
    assert secret not in page.content()
    page.keyboard.press("Escape")
    expect(page.locator("#job")).to_be_hidden()


def test_any_job_is_found_by_its_id(quiet_page: Page, cluster: Cluster) -> None:
    page = quiet_page
    told = ask(cluster.url, f"{uuid4()}")
    page.get_by_label("Id of a job").fill(told["request_id"])
    page.keyboard.press("Enter")
    expect(page.locator("#job-facts")).to_contain_text("succeeded")
    page.get_by_role("button", name="Close").click()
    page.get_by_label("Id of a job").fill(str(uuid4()))
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#job-facts")).to_contain_text("NOT_FOUND")


def test_the_try_box_streams_an_answer_that_is_a_job_like_any_other(page: Page, cluster: Cluster) -> None:
    words = f"{uuid4()} [[token_ms=60]] one two three four five six seven eight nine ten"
    answer = page.get_by_role("region", name="Answer")
    page.get_by_role("textbox", name="Prompt", exact=True).fill(words)
    page.get_by_role("combobox", name="Model").select_option("gpt-4o")
    page.get_by_role("textbox", name="Prompt", exact=True).press("Control+Enter")
    expect(answer).to_be_visible()
    assert answer.get_attribute("aria-busy") == "true"
    assert 0 < len(answer.inner_text()) < len(f"echo: {words}")
    expect(page.locator("#try-status")).to_have_text("Done.")
    assert answer.inner_text() == f"echo: {words}"
    facts = page.locator("#try-facts")
    expect(facts).to_contain_text("gpt-4o")
    request_id = facts.locator("dd").first.inner_text()
    stored = httpx.get(f"{cluster.url}/result/{request_id}").json()
    assert stored["data"]["response"] == f"echo: {words}"


def test_the_try_box_says_what_went_wrong(quiet_page: Page) -> None:
    quiet_page.get_by_role("textbox", name="Prompt", exact=True).fill(f"{uuid4()} {TOO_LONG}")
    quiet_page.get_by_role("button", name="Send").click()
    expect(quiet_page.locator("#try-status")).to_contain_text("CONTEXT_TOO_LONG")
    expect(quiet_page.get_by_role("button", name="Send")).to_be_enabled()


def test_stop_cancels_the_job(page: Page, cluster: Cluster) -> None:
    page.get_by_role("textbox", name="Prompt", exact=True).fill(f"{uuid4()} [[latency_ms=30000]]")
    page.get_by_role("button", name="Send").click()
    request_id = page.locator("#try-facts dd").first.inner_text()
    with page.expect_response(lambda response: response.url.endswith("/cancel")) as cancelled:
        page.get_by_role("button", name="Stop").click()
    assert cancelled.value.ok
    expect(page.locator("#try-status")).to_have_text("Stopped.")
    ended = httpx.get(f"{cluster.url}/result/{request_id}?wait=20", timeout=30).json()
    assert ended["status"] == "cancelled"


def test_with_auth_on_the_page_is_open_and_the_figures_want_a_token(
    browser: Browser, cluster: Cluster, tmp_path: Path
) -> None:
    anna = client("anna")
    with (
        gateway(tmp_path, **cluster.settings, **settings_for(anna)) as closed,
        watched_page(browser, f"{closed.url}/", viewport=DESK) as watched,
    ):
        page = watched.page
        expect(page.get_by_role("heading", name="asks for a token")).to_be_visible()
        expect(page.locator("#figures")).to_be_hidden()
        expect(page.locator("#token")).to_be_focused()
        page.keyboard.type("llm_wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The service does not know this token.")
        page.locator("#token").fill(anna.token)
        page.keyboard.press("Enter")
        expect(page.locator("#figures")).to_be_visible()
        page.get_by_role("textbox", name="Prompt", exact=True).fill(f"{uuid4()}")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#try-status")).to_have_text("Done.")
        kept = page.evaluate("[sessionStorage.token, JSON.stringify(localStorage), document.cookie]")
        assert kept == [anna.token, "{}", ""]
        page.reload()
        expect(page.locator("#figures")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("#token")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
        assert all("401" in complaint for complaint in watched.complaints)


def test_failures_of_others_are_not_shown(cluster: Cluster, tmp_path: Path) -> None:
    anna, bert = client("anna"), client("bert")
    with gateway(tmp_path, **cluster.settings, **settings_for(anna, bert)) as closed:
        body = {"user_prompt": f"{uuid4()} {TOO_LONG}"}
        failed = httpx.post(f"{closed.url}/invoke", json=body, headers=anna.headers, timeout=60).json()
        told = {
            each.name: [
                job["request_id"]
                for job in httpx.get(f"{closed.url}/stats", headers=each.headers).json()["failed_jobs"]
            ]
            for each in (anna, bert)
        }
    assert told["anna"][0] == failed["request_id"]
    assert not set(told["anna"]) & set(told["bert"])


def test_it_says_what_is_wrong_when_no_worker_is_there(
    browser: Browser, cluster: Cluster, tmp_path: Path
) -> None:
    alone = {**cluster.settings, "KAFKA_REQUEST_TOPIC": f"llm-requests-{uuid4().hex[:8]}"}
    with (
        gateway(tmp_path, **alone) as lonely,
        watched_page(browser, f"{lonely.url}/", viewport=DESK) as watched,
    ):
        headline = watched.page.locator("#headline")
        expect(headline).to_have_text("Failing: No worker reports: accepted jobs wait")


def test_it_says_that_it_hears_nothing_and_comes_back_by_itself(
    browser: Browser, memory_only: Service
) -> None:
    with watched_page(browser, f"{memory_only.url}/", viewport=DESK) as watched:
        page = watched.page
        expect(page.locator("#parts li")).to_have_text(["one process"])
        memory_only.child.pause()  # its connections stand, and nothing comes
        try:
            expect(page.locator("#headline")).to_have_text("No connection to the gateway", timeout=30_000)
        finally:
            memory_only.child.resume()
        expect(page.locator("#live")).to_have_text("Live", timeout=60_000)
        expect(page.locator("#headline")).not_to_have_text("No connection to the gateway")


def test_a_service_that_has_done_nothing_says_what_to_do(
    browser: Browser, tmp_path: Path, cluster: Cluster
) -> None:
    settings = {
        "REDIS_ENABLED": "false",
        "OPENAI_API_KEY": "sk-none",
        "OPENAI_BASE_URL": cluster.settings["OPENAI_BASE_URL"],
    }
    with (
        one_process(tmp_path, **settings) as new,
        watched_page(browser, f"{new.url}/", viewport=DESK) as watched,
    ):
        expect(watched.page.locator("#failed")).to_contain_text("No job has failed")
        expect(watched.page.locator("#outcomes")).to_contain_text("Send a job")
        in_flight = watched.page.get_by_role("heading", name="In flight and waiting")
        others = watched.page.locator("figure.plot").filter(has_not=in_flight)  # it has seen that nothing ran
        expect(others.locator(".empty:visible")).to_have_count(5)
        # And when it has done something, that all is well
        ask(new.url, f"{uuid4()}")
        expect(watched.page.locator("#headline")).to_contain_text("All is well")
        assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nobody_is_kept_out(browser: Browser, cluster: Cluster, scheme: str, size: dict[str, int]) -> None:
    try:
        axe = (node_modules(AXE) / "axe-core" / "axe.min.js").read_text()
    except Unavailable as reason:
        missing(str(reason))
    ask(cluster.url, f"{uuid4()} {TOO_LONG}")
    with watched_page(browser, f"{cluster.url}/", viewport=size, color_scheme=scheme) as watched:
        page = watched.page
        expect(page.locator("#failed tbody tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        page.evaluate(axe)
        found = page.evaluate("axe.run().then((found) => found.violations)")
        told = [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]
        assert told == []


def test_the_choice_of_colours_lasts(page: Page) -> None:
    button = page.get_by_role("button", name="Colours")
    for name, theme in (("light", "light"), ("dark", "dark")):
        button.click()
        expect(button).to_have_accessible_name(f"Colours: {name}")
        assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Colours").click()
    assert page.evaluate("[document.documentElement.dataset.theme, localStorage.length]") == ["light", 0]


def test_the_keyboard_reaches_everything(page: Page, cluster: Cluster) -> None:
    ask(cluster.url, f"{uuid4()} {TOO_LONG}")
    expect(page.locator("#failed button").first).to_be_visible()
    reached, focused = [], "document.activeElement.id || document.activeElement.textContent.trim()"
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        if reached[-1] == "send":
            break
    assert reached[0] == "Skip to the figures"
    assert {"theme", "find-id", "prompt", "model", "max-tokens", "send"} <= set(reached)
    assert any(text.endswith("…") for text in reached)  # a failed job
    page.get_by_role("radio", name="1 min").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="5 min")).to_be_checked()
