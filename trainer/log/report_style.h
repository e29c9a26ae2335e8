// The style sheet of the report: one accent, one contrast, light and dark as the reader's system
// is.
#pragma once

#include <string_view>

namespace heddle {

inline constexpr std::string_view kReportStyle = R"css(
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1d2330; --muted: #667085; --rule: #e3e7ee;
  --one: #2f5fd8; --two: #d9600d; --heat: 47, 95, 216; --good: #12805c; --bad: #c4320a;
  --good-soft: #e3f5ee; --bad-soft: #fdeee8; --shadow: 0 1px 2px rgba(16, 24, 40, .06); }
@media (prefers-color-scheme: dark) { :root {
  --page: #0f1217; --card: #171b22; --text: #e4e8ef; --muted: #98a2b3; --rule: #2a313c;
  --one: #7ea6ff; --two: #ffa35c; --heat: 96, 140, 255; --good: #5fd0a5; --bad: #ff8f6b;
  --good-soft: #15302a; --bad-soft: #3a2019; --shadow: none; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main, header > div, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { background: var(--card); border-bottom: 1px solid var(--rule); }
header > div { padding-top: 26px; padding-bottom: 0; }
.brand { display: flex; align-items: center; gap: 9px; color: var(--muted); font-size: 13px; }
.brand svg { width: 20px; height: 20px; stroke: var(--one); fill: none; stroke-width: 2;
  stroke-linecap: round; }
h1 { font-size: 28px; line-height: 1.25; margin: 8px 0 4px; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
.badge { display: inline-block; font-size: 12.5px; font-weight: 600; padding: 2px 10px;
  border-radius: 99px; vertical-align: 5px; margin-left: 8px; letter-spacing: 0;
  background: var(--good-soft); color: var(--good); }
.badge.warn { background: var(--bad-soft); color: var(--bad); }
.sub { color: var(--muted); margin: 0; }
nav { display: flex; flex-wrap: wrap; gap: 4px 22px; margin-top: 18px; font-size: 14px; }
nav a { color: var(--muted); text-decoration: none; padding: 7px 0; border-bottom: 2px solid transparent; }
nav a:hover { color: var(--text); border-color: var(--one); }
section { margin: 34px 0; }
h2 { font-size: 19px; margin: 0 0 12px; letter-spacing: -.005em; }
h3 { font-size: 14px; margin: 0 0 10px; }
.grid { display: grid; gap: 16px; }
.cards { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin-top: 28px; }
.two { grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr)); }
.three { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 16px 18px; box-shadow: var(--shadow); min-width: 0; }
.card + .card, .grid + .card, .grid + .grid, .card + .grid, details { margin-top: 16px; }
.grid > .card { margin-top: 0; }
.card.figure .value { font-size: 24px; font-weight: 650; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; line-height: 1.3; }
.card.figure .name, .note { color: var(--muted); font-size: 13px; }
.note { margin: 8px 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--muted); font-weight: 550; font-size: 13px; white-space: nowrap; }
th, td { padding: 6px 12px; border-bottom: 1px solid var(--rule); vertical-align: top; }
th:first-child, td:first-child { padding-left: 2px; }
tbody tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; }
.scroll { overflow-x: auto; }
.heat { width: auto; margin: 0 auto; border-collapse: separate; border-spacing: 3px; }
.heat th, .heat td { border: 0; padding: 7px 12px; }
.heat th.n { text-align: right; } .heat thead th { text-align: center; }
.heat td { text-align: center; min-width: 74px; border-radius: 5px; line-height: 1.3; }
.heat td.strong { color: #fff; }
.heat small { display: block; opacity: .8; }
.text { overflow-wrap: anywhere; white-space: pre-wrap; min-width: 260px; }
.right { color: var(--good); } .wrong { color: var(--bad); }
pre { margin: 0; overflow-x: auto; font: 13px/1.55 ui-monospace, "SF Mono", Menlo, Consolas,
  "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; color: var(--muted); font-size: 14px; }
summary:hover { color: var(--text); }
details > .scroll { margin-top: 10px; }
footer { color: var(--muted); font-size: 13px; padding-top: 8px; padding-bottom: 40px; }
.plot { display: block; width: 100%; height: auto; overflow: visible; }
.plot text { font-size: 11.5px; fill: var(--muted); font-variant-numeric: tabular-nums; }
.plot text.title { font-size: 13.5px; font-weight: 600; fill: var(--text); }
.plot .grid { stroke: var(--rule); } .plot .axis { stroke: var(--muted); opacity: .6; }
.plot .epoch { stroke: var(--muted); stroke-dasharray: 2 4; opacity: .7; }
.plot .c1 { --c: var(--one); } .plot .c2 { --c: var(--two); }
.plot .line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.plot .faint { opacity: .42; stroke-width: 1.1; } .plot .dashed { stroke-dasharray: 5 4; }
.plot .dot { fill: var(--c); }
.plot circle.best { fill: none; stroke: var(--good); stroke-width: 2; }
.plot text.best { fill: var(--good); font-weight: 650; font-size: 12px; }
.plot .hit { fill: var(--c); opacity: 0; } .plot .hit:hover { opacity: .35; }
.plot .bar { fill: var(--one); opacity: .75; } .plot .bar:hover { opacity: 1; }
.plot .ideal { stroke: var(--two); stroke-width: 1.6; stroke-dasharray: 5 4; }
@media print { body { background: #fff; } .card { break-inside: avoid; } nav { display: none; } }
)css";

}  // namespace heddle
