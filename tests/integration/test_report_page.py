# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a benchmark in a real browser, on a phone and on a desktop, by day and by night."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_page import page
from tests.integration.browser import chromium, tab
from tests.unit.plugins import bench_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONE, DESKTOP = (360, 740), (1280, 800)
DOCUMENTS = ("clear_winner", "tie", "everything", "embedding", "course", "tune")
# WCAG 2.2, 1.4.3 "Contrast (Minimum)".
CONTRAST = 4.5

# Each text with less contrast to what is below it than it needs: its words, and the ratio.
LOW_CONTRAST = """(() => {
  const parse = text => {
    const values = text.match(/[\\d.]+/g).map(Number);
    if (!/^rgba?\\(/.test(text)) throw new Error('colour ' + text);
    return {rgb: values.slice(0, 3), alpha: values.length > 3 ? values[3] : 1};
  };
  const over = (top, below) => top.rgb.map((part, i) => part * top.alpha + below[i] * (1 - top.alpha));
  const ground = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    const page = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reverse().reduce((below, layer) => over(layer, below), page);
  };
  const light = rgb => {
    const [r, g, b] = rgb.map(part => part / 255).map(p => p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = [];
  let seen = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.localName === 'title' || !element.checkVisibility()) continue;
    seen += 1;
    const style = getComputedStyle(element);
    const below = ground(element);
    const ink = over(parse(element.namespaceURI.endsWith('svg') ? style.fill : style.color), below);
    const [dark, bright] = [light(ink), light(below)].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < CONTRAST) low.push([texts.currentNode.data.slice(0, 40), ratio, style.fill, style.color]);
  }
  if (seen < 50) throw new Error('only ' + seen + ' texts were looked at');
  return low;
})()""".replace("CONTRAST", str(CONTRAST))

# Drawings without a size, and texts in them that touch each other or stick out.
BAD_DRAWINGS = """(() => {
  const bad = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    if (frame.width < 8 || frame.height < 8) bad.push('empty: ' + svg.outerHTML.slice(0, 120));
    const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    for (const [words, box] of boxes)
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 ||
          box.bottom > frame.bottom + 1) bad.push('outside: ' + words + ' in ' + svg.getAttribute('aria-label'));
    boxes.forEach(([words, a], i) => boxes.slice(i + 1).forEach(([others, b]) => {
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 0 && height > 3) bad.push(`overlap: ${words} / ${others} in ${svg.getAttribute('aria-label')}`);
    }));
  }
  return bad;
})()"""

VERDICT_IN_SIGHT = """(() => {
  const box = document.querySelector('h1').getBoundingClientRect();
  return {words: document.querySelector('h1').textContent, top: box.top, bottom: box.bottom, height: innerHeight};
})()"""

WIDTHS = "[document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth, innerWidth]"
MARKUP = "[document.scripts.length, document.querySelectorAll('main b, [onerror], iframe, object').length]"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name in DOCUMENTS:
        (folder / f"{name}.html").write_text(page(getattr(bench_documents, name)()), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, pages: Path) -> Iterator[str]:
    container = bool(os.environ.get("LLMOPS_TEST_CHROMIUM_IMAGE"))
    with chromium(tmp_path_factory.mktemp("profile"), pages, container=container) as socket:
        yield socket


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_page_can_be_read(browser: str, pages: Path, name: str, size: tuple[int, int], scheme: str) -> None:
    url = (pages / f"{name}.html").as_uri()
    seen = asyncio.run(_look(browser, url, size, scheme))
    assert seen["complaints"] == []
    assert [request for request in seen["requests"] if not request.startswith("data:")] == [url]
    for width, room, window in seen["widths"]:
        assert width <= room == window == size[0]
    assert seen["drawings"] == []
    assert seen["contrast"] == []
    assert seen["markup"] == [0, 0]
    verdict = seen["verdict"]
    assert len(verdict["words"]) > 20
    assert 0 <= verdict["top"] < verdict["bottom"] <= verdict["height"] == size[1]


async def _look(socket: str, url: str, size: tuple[int, int], scheme: str) -> dict[str, Any]:
    async with tab(socket) as opened:
        await opened.open(url, size, scheme)
        seen: dict[str, Any] = {"verdict": await opened.evaluate(VERDICT_IN_SIGHT)}
        widths = [await opened.evaluate(WIDTHS)]
        await _shoot(opened, f"{Path(url).stem}-{size[0]}-{scheme}", size)
        # What is folded must be as good.
        await opened.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        widths.append(await opened.evaluate(WIDTHS))
        seen |= {
            "widths": widths,
            "contrast": await opened.evaluate(LOW_CONTRAST),
            "drawings": await opened.evaluate(BAD_DRAWINGS),
            "markup": await opened.evaluate(MARKUP),
            "requests": opened.requests,
            "complaints": opened.complaints,
        }
        return seen


async def _shoot(opened: Any, name: str, size: tuple[int, int]) -> None:
    """Keep a picture of the whole page for people, where LLMOPS_TEST_SCREENSHOTS names a directory."""
    if folder := os.environ.get("LLMOPS_TEST_SCREENSHOTS"):
        height = await opened.evaluate("document.scrollingElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": size[0], "height": height, "scale": 1}
        shot = await opened.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
