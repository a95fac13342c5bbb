# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""The style sheet of the page of a benchmark."""

from __future__ import annotations

import typing as t

# The series' colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any colour vision
# can tell apart, made lighter on dark ground; markers and dashes say the same without colours.
STYLE: t.Final = """
:root {
  color-scheme: light dark;
  --ground: #f6f6f3; --card: #ffffff; --ink: #1c2126; --soft: #565e66; --rule: #dfe1dd; --grid: #e9ebe7;
  --accent: #005a8f; --good: #00684a; --warn: #8a4b00; --warn-ground: #fdf5e6; --bad: #a8231c; --code: #f1f2ee;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #c05f97; --s4: #8c7000; --s5: #3a9bd0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --card: #1c2024; --ink: #e8eaec; --soft: #a9b1b8; --rule: #343a40; --grid: #2a2f34;
    --accent: #7cc0ec; --good: #5fd3a6; --warn: #f0b45c; --warn-ground: #2a2419; --bad: #ff8f86; --code: #14171a;
    --s0: #58aee6; --s1: #f2894a; --s2: #35c496; --s3: #e59ac6; --s4: #d9bd3f; --s5: #9bd8fa;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 20px 16px 56px; }
h1, h2, h3 { line-height: 1.25; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.3rem, 1.05rem + 1.2vw, 1.9rem); letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.15rem; margin: 44px 0 12px; }
h3 { font-size: 1rem; margin: 20px 0 8px; }
p { margin: 8px 0; max-width: 76ch; overflow-wrap: anywhere; }
.over { color: var(--soft); font-size: 0.875rem; margin: 0 0 10px; }
.lead { font-size: 1.0625rem; }
.quiet, .note { color: var(--soft); font-size: 0.875rem; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px; }
.hero { padding: clamp(16px, 3vw, 28px); border-top: 4px solid var(--accent); }
.hero.won { border-top-color: var(--good); }
.hero p:last-child { margin-bottom: 0; }
.cautions { background: var(--warn-ground); border: 1px solid var(--rule); border-left: 4px solid var(--warn);
  border-radius: 10px; padding: 12px 16px; margin-top: 16px; font-size: 0.9375rem; }
.cautions h2 { margin: 0 0 4px; font-size: 0.9375rem; color: var(--warn); }
.cautions ul, .plain { margin: 0; padding-left: 1.15em; }
.cautions li, .plain li { margin: 4px 0; overflow-wrap: anywhere; max-width: 90ch; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 8px 12px; vertical-align: top; border-bottom: 1px solid var(--rule); }
tbody tr:last-child > * { border-bottom: 0; }
tbody.group:not(:last-child) tr:last-child > * { border-bottom: 2px solid var(--rule); }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: nowrap; }
thead small { display: block; font-weight: 400; font-size: 0.75rem; }
tbody:last-child th[rowspan] { border-bottom: 0; }
tbody th { font-weight: 600; min-width: 6.5rem; }
tbody th, thead th:first-child { position: sticky; left: 0; background: var(--card); }
.n { text-align: right; white-space: nowrap; }
.w { white-space: nowrap; }
.n small { display: block; color: var(--soft); font-size: 0.75rem; }
td.why { min-width: 18rem; overflow-wrap: anywhere; }
.tag { display: inline-block; border: 1px solid currentColor; border-radius: 99px; padding: 0 8px; margin: 0 4px 2px 0;
  font-size: 0.75rem; font-weight: 500; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 16px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 14px 14px 10px; min-width: 0; display: flex; flex-direction: column; }
figcaption { margin-bottom: 8px; font-size: 0.875rem; }
figcaption strong { display: block; font-weight: 600; font-size: 0.9375rem; }
figcaption span { color: var(--soft); }
.chart { display: block; width: 100%; height: auto; }
figure > .legend { margin-top: auto; padding-top: 8px; }
.chart text { fill: var(--soft); font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); } .axis { stroke: var(--soft); stroke-opacity: 0.6; }
.band { stroke: var(--grid); stroke-dasharray: 2 3; }
.curve { fill: none; stroke: var(--s); stroke-width: 1.75; stroke-linejoin: round; }
.whisker { fill: none; stroke: var(--s); stroke-width: 1.4; }
.mark { fill: var(--s); stroke: var(--card); stroke-width: 0.75; }
.mark.hollow { fill: var(--card); stroke: var(--s); stroke-width: 1.75; }
.bar { fill: var(--s); }
.s0 { --s: var(--s0); } .s1 { --s: var(--s1); } .s2 { --s: var(--s2); }
.s3 { --s: var(--s3); } .s4 { --s: var(--s4); } .s5 { --s: var(--s5); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 8px 0 0; padding: 0;
  font-size: 0.8125rem; }
.legend li { display: flex; align-items: center; gap: 6px; overflow-wrap: anywhere; }
.legend svg { flex: none; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr)); gap: 12px; }
.answers .card { padding: 12px 14px; font-size: 0.875rem; min-width: 0; }
.answers p { white-space: pre-wrap; margin: 6px 0 0; }
pre { background: var(--code); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px; margin: 8px 0;
  overflow-x: auto; font: 0.8125rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font: 0.9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
details { margin-top: 12px; }
details > summary { cursor: pointer; font-weight: 600; padding: 6px 0; }
.cautions details { margin: 0; } .cautions summary { font-weight: 500; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr); gap: 4px 16px; margin: 8px 0;
  font-size: 0.875rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 0.8125rem; margin-top: 44px; }
@media (max-width: 480px) {
  main { padding: 12px 12px 40px; }
  th, td { padding: 7px 9px; }
  .chart text { font-size: 12px; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: 8px; }
}
@media print { body { background: none; } .scroll { overflow: visible; } figure, .card { break-inside: avoid; } }
"""
