"""The page in a real browser: nothing overflows on a phone, in either colour scheme, and colours have contrast."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.report import render_report

from .report_example import example
from .test_report_page import poisoned

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to lay the page out")

FRAME = """<!DOCTYPE html><body style="margin:0">
<iframe width="{width}" height="800" style="border:0" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  page.querySelectorAll("details").forEach(one => one.open = true);
  const wide = [...page.querySelectorAll("main *")].filter(one =>
    !one.closest(".quiet, thead") && one.getBoundingClientRect().width > 0 &&
    one.getBoundingClientRect().right > {width} + 0.5);
  document.title = [page.documentElement.scrollWidth, wide.length, page.documentElement.scrollHeight].join(" ");
}});
</script>"""


def lay_out(page: str, folder: Path, *, width: int) -> tuple[int, int, int]:
    """The page in a frame of a width, all details open: its scroll width, the elements that stick out, its height."""
    file = folder / "frame.html"
    file.write_text(FRAME.format(width=width, page=html.escape(page, quote=True)))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=1300,900", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert found, done.stdout[:500]
    scroll_width, sticking_out, height = map(int, found.groups())
    return scroll_width, sticking_out, height


@needs_browser
@pytest.mark.parametrize("width", [320, 360, 390, 768, 830, 1200])
def test_nothing_sticks_out_sideways(width: int, tmp_path: Path) -> None:
    scroll_width, sticking_out, height = lay_out(render_report(example()), tmp_path, width=width)
    assert (scroll_width, sticking_out) == (width, 0)
    assert height > 2000


@needs_browser
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_sticks_out_even_where_names_cannot_be_broken(width: int, tmp_path: Path) -> None:
    story = poisoned("a_name_without_a_single_place_to_break_it_" * 4)
    scroll_width, sticking_out, _ = lay_out(render_report(story), tmp_path, width=width)
    assert (scroll_width, sticking_out) == (width, 0)


@needs_browser
def test_the_measurement_sees_a_page_that_is_too_wide(tmp_path: Path) -> None:
    page = render_report(example()).replace("<main>", '<main><p style="min-width:500px">wide</p>')
    scroll_width, sticking_out, _ = lay_out(page, tmp_path, width=360)
    assert scroll_width >= 500
    assert sticking_out == 1


def schemes() -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme."""
    blocks = re.findall(r":root \{(.*?)\}", render_report(example()), flags=re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in blocks[:2])
    return [light, {**light, **dark}]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2, relative luminance)."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(scheme: dict[str, str]) -> None:
    grounds = ("sheet", "ground", "wash")
    pairs = [(text, ground) for text in ("ink", "soft", "link") for ground in grounds]
    pairs += [(tone, f"{tone}-wash") for tone in ("good", "warn", "bad")]
    pairs += [(tone, "sheet") for tone in ("good", "warn", "bad")]
    pairs += [("sheet", tone) for tone in ("a", "b", "c", "d")]
    weak = {pair: contrast(scheme[pair[0]], scheme[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
