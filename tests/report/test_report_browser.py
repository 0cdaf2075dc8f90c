"""The page in a real browser: nothing overflows on a phone, in either colour scheme, and colours have contrast."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace

import pytest
from tests.attacks.test_evasion_examples import images, pictures_found, rows, rows_found
from tests.hardening.test_hardening_page import hardened

from holdfast.drawing.evidence_page import evidence_page
from holdfast.evidence import NO_MODEL
from holdfast.report import render_report

from .report_example import example
from .test_report_page import poisoned

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to lay the page out")

FRAMES = """<!DOCTYPE html><body style="margin:0">{frames}
<script>
addEventListener("load", () => {{
  document.title = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument, width = Number(frame.width);
    page.querySelectorAll("details").forEach(one => one.open = true);
    const wide = [...page.querySelectorAll("main *")].filter(one =>
      !one.closest(".quiet, thead") && one.getBoundingClientRect().width > 0 &&
      one.getBoundingClientRect().right > width + 0.5);
    return [page.documentElement.scrollWidth, wide.length, page.documentElement.scrollHeight];
  }}));
}});
</script>"""
FRAME = '<iframe width="{width}" height="800" style="border:0" srcdoc="{page}"></iframe>'
UNBROKEN = "a_name_without_a_single_place_to_break_it_" * 4


def hardened_with_long_names() -> str:
    """The page of a hardening with nothing that can be broken anywhere."""
    item = hardened(0.3, 0.1).to_evidence(NO_MODEL)
    return evidence_page(replace(item, title=UNBROKEN, context={**item.context, "within": UNBROKEN, "more": UNBROKEN}))


def pages() -> list[tuple[str, int]]:
    """Every kind of page at the widths that it is laid out in; last, one that is too wide."""
    whole, small = render_report(example()), (320, 400, 1280)
    at = [(whole, (320, 360, 390, 768, 830, 1200)), (render_report(poisoned(UNBROKEN)), (360, 1200))]
    at.append((pictures_found(images()).to_html(originals=images()), small))
    at.append((rows_found(rows()).to_html(originals=rows()), small))
    at.append((hardened_with_long_names(), small))
    at.append((whole.replace("<main>", '<main><p style="min-width:500px">wide</p>'), (360,)))
    return [(page, width) for page, widths in at for width in widths]


@dataclass(frozen=True)
class LaidOut:
    """A page in a frame of a width, all details open: its scroll width, elements that stick out, its height."""

    width: int
    scroll_width: int
    sticking_out: int
    height: int


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> list[LaidOut]:
    """All pages in one go of the browser, which takes longer to start than to lay them out."""
    frames, folder = pages(), tmp_path_factory.mktemp("browser")
    file = folder / "frames.html"
    drawn = (FRAME.format(width=width, page=html.escape(page, quote=True)) for page, width in frames)
    file.write_text(FRAMES.format(frames="".join(drawn)))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=1300,900", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\[\[.*\]\])</title>", done.stdout)
    assert found, done.stdout[:500]
    return [LaidOut(width, *measured) for (_, width), measured in zip(frames, json.loads(found[1]), strict=True)]


@needs_browser
def test_nothing_sticks_out_sideways_whatever_the_page_and_its_names(laid_out: list[LaidOut]) -> None:
    assert len(laid_out) == 18
    for page in laid_out[:-1]:
        assert (page.scroll_width, page.sticking_out) == (page.width, 0)
        assert page.height > 1000


@needs_browser
def test_the_measurement_sees_a_page_that_is_too_wide(laid_out: list[LaidOut]) -> None:
    assert laid_out[-1].scroll_width >= 500
    assert laid_out[-1].sticking_out == 1


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
