"""A chart as SVG and HTML: that it can be read, and that nothing which scripts print is more than text in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from past_runs import past_run, script, wait

from ctdb_event.timeline import svg
from ctdb_event.timeline.model import Chart, draw
from ctdb_event.timeline.svg import page, picture

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</title></svg><script>alert(1)</script>&\"'\x00\x1b[31m\ufffe\u202e]]>--><!--"


def chart(text: str, output: bytes) -> Chart:
    scripts = (script("10.interface", 1, 4), script(text, 7, 0.5, "failed", output))
    waits = (wait(text, 5, 2, text, text),)
    run = past_run("a", 0, 1, 9, outcome="failed", component=text, args=(text,), scripts=scripts, waits=waits)
    return draw([(text, run), ("node2", past_run("b", 0, 0, 10, event=text, address=None))])


def groups(svg: str) -> list[tuple[str, str, float, float]]:
    """Returns of each bar its classes, its first line on hovering, and where it is."""
    root = ET.fromstring(svg)
    found = []
    for group in root.iter(f"{SVG}g"):
        title, bar = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is not None and bar is not None and title.text is not None:
            place = float(bar.attrib["x"]), float(bar.attrib["width"])
            found.append((group.attrib["class"], title.text.splitlines()[0], *place))
    return found


def test_bars_are_where_their_times_are() -> None:
    assert groups(picture(chart("x", b"no device\n")))[:5] == [
        ("bar run wait", "x takeip x: failed after 9.0s", 220.0, 100.0),
        ("bar run failed", "x takeip x: failed after 9.0s", 320.0, 900.0),
        ("bar script ok", "10.interface of x takeip x: ok after 4.0s", 320.0, 400.0),
        ("bar script wait", "x waited 2.0s for x, held by x", 720.0, 200.0),
        ("bar script failed", "x of x takeip x: exit status 3 after 0.5s", 920.0, 50.0),
    ]


def texts(svg: str) -> list[str | None]:
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_failure_has_a_cross_and_its_reason_and_a_wait_what_it_was_for() -> None:
    found = texts(picture(chart("routes", b"")))
    assert "✗ takeip failed" in found
    assert "✗ exit status 3" in found  # it is too short for that, so it stands beside it
    assert found.count("routes") == 4  # a script, what it waited for, a node, and an event


def test_a_row_of_many_bars_takes_no_longer_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for number in (50, 100):
        looked_at: list[float] = []

        def place(chart: Chart, moment: float, looked_at: list[float] = looked_at) -> float:
            looked_at.append(moment)
            return 220.0

        monkeypatch.setattr(svg, "_x", place)
        picture(draw(("n", past_run(f"a{at}", at, 0, 1)) for at in range(number)))
        counts.append(len(looked_at))
    assert counts[1] <= 2 * counts[0]


def test_what_a_script_printed_is_shown_on_hovering() -> None:
    assert "<title>x of x takeip x: exit status 3 after 0.5s" in picture(chart("x", b"one\ntwo\n"))
    assert "\none\ntwo</title>" in picture(chart("x", b"one\ntwo\n"))


def test_texts_of_neighbours_do_not_overlap() -> None:
    monitors = [past_run(f"m{at}", at, 0, 1, event="monitor", address=None) for at in (0, 50, 51, 52, 900)]
    assert texts(picture(draw(("n", run) for run in monitors))).count("monitor") == 3  # none between two others
    never_started = past_run("b", 99, 0, 0, outcome="cancelled")
    assert "takeip cancelled" in texts(picture(draw([("n", past_run("a", 0, 0, 1)), ("n", never_started)])))


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


@pytest.mark.parametrize("output", [HOSTILE.encode(), b"\xff\xfe\x80", "\ud800".encode("utf-8", "surrogatepass")])
def test_nothing_that_comes_from_outside_is_markup(output: bytes) -> None:
    usual, hostile = Tags(), Tags()
    usual.feed(page(chart("x", b"x")))
    hostile.feed(page(chart(HOSTILE, output)))
    assert hostile.tags == usual.tags
    assert "script" not in usual.tags
    svg = picture(chart(HOSTILE, output))
    ET.fromstring(svg)  # which no control character may be in
    svg.encode()


def test_a_page_asks_for_nothing_from_anywhere() -> None:
    text = page(chart("x", b"x"))
    assert "default-src 'none'" in text
    assert [word for word in text.split('"') if "://" in word] == ["http://www.w3.org/2000/svg"]
    assert "@import" not in text


def test_a_page_has_the_output_of_what_failed_as_text() -> None:
    text = page(chart("x", b"no <device>\n"))
    assert "<h2>Scripts that failed</h2>" in text
    assert "no &lt;device&gt;</pre>" in text
    assert "<h2>" not in page(draw([("n", past_run("a", 0, 0, 1))]))
