"""How the HTML report looks: one style sheet, for light and dark, narrow and wide, and print.

Not its content. Colours are from the palette of Okabe & Ito, darkened or lightened until text on
them has a contrast of 4.5 : 1.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1c1f23; --soft: #565d66; --line: #c9ced6; --raised: #f3f5f8;
  --accent: #0060a0; --series: #2b7bba; --alert: #b23a00;
  --pass: #00664a; --pass-back: #e2f4ec; --fail: #a32a00; --fail-back: #fdebe3;
  --undecided: #775500; --undecided-back: #fdf3d6; --other: #565d66; --other-back: #eef0f3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --ink: #e8eaed; --soft: #aeb5bf; --line: #454c56; --raised: #1f242a;
    --accent: #7cc0f5; --series: #6cb2ea; --alert: #ff9a63;
    --pass: #6fd6ae; --pass-back: #12352a; --fail: #ffa98a; --fail-back: #46200f;
    --undecided: #f0cf70; --undecided-back: #3a300f; --other: #aeb5bf; --other-back: #282d34;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 88rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 0.3rem; border-top: 1px solid var(--line);
  padding-top: 1.2rem; }
p { margin: 0.3rem 0 0.8rem; max-width: 46rem; }
a { color: var(--accent); }
.banner { border-left: 0.5rem solid; padding: 0.7rem 1rem; border-radius: 0.3rem; margin: 1rem 0; }
.banner strong { font-size: 1.3rem; display: block; }
.banner span { color: var(--ink); }
.pass { color: var(--pass); background: var(--pass-back); }
.fail { color: var(--fail); background: var(--fail-back); }
.undecided { color: var(--undecided); background: var(--undecided-back); }
.not-run, .not-checked { color: var(--other); background: var(--other-back); }
nav ul { list-style: none; padding: 0; margin: 0.6rem 0 0; display: flex; flex-wrap: wrap;
  gap: 0.3rem 1.2rem; }
.findings { padding-left: 1.2rem; max-width: 60rem; }
.findings li { margin: 0.3rem 0; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 0.3rem; }
.wide:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid var(--accent);
  outline-offset: 1px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; overflow-wrap: normal; }
th, td { padding: 0.35rem 0.6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--raised); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide th[scope=row] { position: sticky; left: 0; background: var(--page); }
.matrix th[scope=row] { min-width: 8rem; max-width: 16rem; font-weight: 600; }
.matrix th small { display: block; font-weight: 400; color: var(--soft); }
.matrix td { min-width: 8.5rem; font-variant-numeric: tabular-nums;
  border-left: 1px solid var(--line); }
.matrix td b { white-space: nowrap; }
.matrix td small { display: block; color: var(--ink); }
.panels { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); margin: 0.8rem 0; }
figure { margin: 0; }
.panel { display: flex; flex-direction: column; justify-content: space-between; gap: 0.3rem; }
figcaption strong { display: block; }
figcaption span { color: var(--soft); font-size: 0.9rem; display: block; }
svg { width: 100%; max-width: 30rem; height: auto; display: block; }
svg text { font-size: 12px; fill: var(--ink); font-family: inherit; }
svg .axis-title { text-anchor: middle; fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-opacity: 0.6; }
svg .axis { stroke: var(--soft); }
svg .bar { fill: var(--series); }
svg .ideal { stroke: var(--soft); stroke-dasharray: 4 3; }
svg .limit { stroke: var(--alert); stroke-width: 2; stroke-dasharray: 6 3; }
svg .interval { stroke: var(--series); stroke-width: 1.5; }
svg .median { stroke: var(--ink); stroke-width: 2.5; }
svg .point { fill: var(--series); }
svg .hollow { fill: none; stroke: var(--soft); stroke-width: 1.5; }
svg .worst { fill: none; stroke: var(--alert); stroke-width: 2; }
svg .cell { fill: var(--series); }
svg .shade0 { fill-opacity: 0.3; } svg .shade1 { fill-opacity: 0.45; }
svg .shade2 { fill-opacity: 0.6; } svg .shade3 { fill-opacity: 0.8; }
svg .shade4 { fill-opacity: 1; }
svg .box { fill: var(--raised); stroke: var(--soft); }
svg .embedding { fill: var(--other-back); stroke: var(--accent); stroke-width: 2; }
svg .on-box { fill: var(--ink); }
.legend { list-style: none; padding: 0; margin: 0.4rem 0; display: flex; flex-wrap: wrap;
  gap: 0.2rem 1.2rem; font-size: 0.9rem; color: var(--soft); }
.legend svg { width: 24px; height: 14px; display: inline-block; vertical-align: -1px;
  margin-right: 0.4rem; }
.example { border: 1px solid var(--line); border-radius: 0.3rem; padding: 0.7rem 0.9rem;
  margin: 0.9rem 0; }
.example h3 { margin: 0 0 0.3rem; font-size: 1rem; }
.example blockquote, .tokens { margin: 0.3rem 0; max-width: 60rem; contain: paint;
  unicode-bidi: isolate; }
.example blockquote { padding-left: 0.8rem; border-left: 3px solid var(--line); }
.tokens { padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: 0.25rem; }
.tokens li { background: var(--raised); border-radius: 0.25rem; padding: 0 0.35rem;
  font-size: 0.85rem; border: 1px solid transparent; max-width: 100%; }
.tokens small { color: var(--soft); }
.tokens .unknown { border: 1px dashed var(--alert); }
.tokens .unknown small, .flip { color: var(--alert); }
.tokens .cut { text-decoration: line-through; color: var(--soft); }
.scores { overflow-x: auto; margin-top: 0.5rem; }
.scores table { width: auto; }
details { margin: 0.6rem 0; } summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 2rem; border-top: 1px solid var(--line); padding-top: 0.8rem;
  color: var(--soft); font-size: 0.9rem; }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .wide { overflow: visible; border: 0; }
  .wide th[scope=row] { position: static; }
  .matrix th[scope=row], .matrix td { min-width: 0; }
  figure, .example, tr, .banner { break-inside: avoid; }
  h2 { break-after: avoid; }
  * { print-color-adjust: exact; }
}
"""
