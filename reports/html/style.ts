/** The page's style: system fonts, light and dark by the reader's own setting, printable. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #202124; --soft: #5f6368; --paper: #ffffff; --line: #d5d8dc; --band: #f4f6f8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a9afb6; --paper: #17191c; --line: #3a3f45; --band: #202428; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 70rem; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--paper); }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem; border-bottom: 1px solid var(--line); }
.lead { color: var(--soft); margin: 0 0 1rem; } .verdict li { font-size: 1.08rem; margin: .35rem 0; }
a.skip { position: absolute; left: -99rem; } a.skip:focus { left: 1rem; }
nav a { margin-right: 1rem; } a { color: inherit; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
.canvas { position: relative; width: 100%; overflow-x: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .3rem 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, th[scope=row] { text-align: left; } thead th { background: var(--band); } th[scope=row] { font-weight: 500; }
td.failed { color: var(--bad); font-weight: 600; } td.skipped, td.not-measured { color: var(--soft); font-style: italic; }
th.words, td.words { text-align: left; } td.words { white-space: normal; }
details { margin: .6rem 0; } summary { cursor: pointer; } pre { white-space: pre-wrap; background: var(--band); padding: .6rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.5rem; }
@media (max-width: 34rem) { .grid { grid-template-columns: 1fr; } }
@media print { details { display: block; } }
`;
