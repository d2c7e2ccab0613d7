"""The status page's style, for light and for dark, narrow and wide."""

STYLE = """
:root { color-scheme: light dark; --line: #d8dde3; --back: #f4f6f8; --card: #fff; --text: #1b2430; --quiet: #5d6b7a;
  --good: #0a6b3d; --warn: #8a5200; --bad: #b3121d; --good-back: #dff3e8; --warn-back: #fdefd2; --bad-back: #fde1e2; }
@media (prefers-color-scheme: dark) { :root { --line: #2f3945; --back: #11161c; --card: #1a212a; --text: #e2e8ee;
  --quiet: #94a2b1; --good: #6fd6a0; --warn: #f2bd6a; --bad: #ff8f93; --good-back: #143526; --warn-back: #3a2a0d;
  --bad-back: #451a1d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.35rem; } h2 { margin: 0 0 .5rem; font-size: 1rem; } h2 small { color: var(--quiet);
  font-weight: normal; } p { margin: .3rem 0; overflow-wrap: anywhere; } header { margin-bottom: 1rem; }
header p, .quiet, small { color: var(--quiet); }
main { columns: 27rem; column-gap: 1rem; margin-bottom: 1rem; } main section:last-child { margin: 0; }
section, details { break-inside: avoid; margin: 0 0 1rem; padding: .8rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
summary { font-weight: bold; cursor: pointer; }
.scroll { overflow-x: auto; } .scroll + .scroll { margin-top: .6rem; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; } td small { white-space: normal; }
.words { display: block; white-space: normal; min-width: 11rem; }
.name { display: block; white-space: normal; overflow-wrap: anywhere; min-width: 5rem; }
tr:last-child td { border-bottom: 0; } th { color: var(--quiet); font-weight: normal; }
th:last-child, td:last-child { padding-right: 0; } .number { text-align: right; }
code { font: .86em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
td code { overflow-wrap: normal; } details td span { white-space: normal; overflow-wrap: anywhere; }
.mark { padding: 0 .4em; border-radius: .3em; } h1 .mark { font-size: .8rem; vertical-align: middle; }
.good { color: var(--good); background: var(--good-back); } .warn { color: var(--warn); background: var(--warn-back); }
.bad { color: var(--bad); background: var(--bad-back); font-weight: bold; } .set { color: var(--quiet);
  border: 1px solid var(--line); white-space: nowrap !important; }
@media (max-width: 34rem) { th, td { white-space: normal; } .number { white-space: nowrap; }
  details thead { display: none; } details td { padding: 0; border: 0; }
  details tr { display: flex; flex-wrap: wrap; gap: 0 .6rem; padding: .3rem 0; border-bottom: 1px solid var(--line); }
  details td:first-child { flex-basis: 100%; } details td:nth-child(2) { flex: 1; } }
"""
