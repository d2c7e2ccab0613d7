"""The style and the script of the sandbox's page."""

STYLE = """
:root { color-scheme: light dark; --line: #d8dde3; --back: #f4f6f8; --card: #fff; --text: #1b2430; --quiet: #5d6b7a;
  --act: #0b57a4; --act-text: #fff; --good: #0a6b3d; --warn: #8a5200; --bad: #b3121d; --good-back: #dff3e8;
  --warn-back: #fdefd2; --bad-back: #fde1e2; }
@media (prefers-color-scheme: dark) { :root { --line: #2f3945; --back: #11161c; --card: #1a212a; --text: #e2e8ee;
  --quiet: #94a2b1; --act: #7db7f2; --act-text: #0c1724; --good: #6fd6a0; --warn: #f2bd6a; --bad: #ff8f93;
  --good-back: #143526; --warn-back: #3a2a0d; --bad-back: #451a1d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.35rem; } h2 { margin: 0 0 .5rem; font-size: 1rem; } p { margin: .3rem 0; }
header p, .quiet, th { color: var(--quiet); } #said { color: var(--bad); font-weight: bold; }
header { margin-bottom: 1rem; } main { columns: 24rem; column-gap: 1rem; margin-bottom: 1rem; }
main section:last-child { margin: 0; }
section { break-inside: avoid; margin: 0 0 1rem; padding: .8rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
form { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .5rem .8rem; }
label { display: grid; color: var(--quiet); font-size: .85rem; }
input, select, button { font: inherit; color: var(--text); background: var(--back); border: 1px solid var(--line);
  border-radius: .3rem; padding: .25rem .5rem; width: 100%; min-width: 0; }
.buttons { display: flex; flex-wrap: wrap; gap: .4rem; grid-column: 1 / -1; }
button { width: auto; cursor: pointer; } button:not([data-path]) { background: var(--act); color: var(--act-text); }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 2px solid var(--act); }
#filter { max-width: 24rem; margin-bottom: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { padding: .25rem .6rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; } th { font-weight: normal; } tbody tr:last-child td { border-bottom: 0; }
.long { white-space: normal; overflow-wrap: anywhere; } #rows td:last-child { white-space: normal; }
@media (max-width: 50rem) { thead { display: none; }
  #rows tr { display: flex; flex-wrap: wrap; gap: 0 .8rem; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  #rows td { padding: 0; border: 0; } #rows td:last-child { flex-basis: 100%; color: var(--quiet); }
  #rows tr[hidden] { display: none; } }
code { font: .92em ui-monospace, "DejaVu Sans Mono", monospace; } meter { width: 5rem; }
.mark { padding: 0 .4em; border-radius: .3em; } .completed { color: var(--good); background: var(--good-back); }
.in_progress, .pending_to_call { color: var(--warn); background: var(--warn-back); }
.cancelled { color: var(--bad); background: var(--bad-back); }
"""

SCRIPT = """
"use strict";
const said = document.getElementById("said");
async function send(method, path, body) {
  try {
    const reply = await fetch(path, {method, body, headers: {"Content-Type": "application/json"}});
    if (reply.ok) { location.reload(); return; }
    said.textContent = (await reply.json()).error;
  } catch { said.textContent = "The sandbox does not answer."; }
}
document.addEventListener("click", ({target}) => {
  const {method, path, body} = target.dataset;
  if (target.matches("button[data-path]")) { send(method, path, body); }
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target, fields = {};
  for (const each of form.elements) {
    if (each.name && each.value !== "") {
      fields[each.name] = each.type === "number" ? Number(each.value) : each.value;
    }
  }
  const {id, ...body} = fields, {method, path} = form.dataset;
  const way = id === undefined ? [method, path] : ["PUT", path + "/" + encodeURIComponent(id)];
  send(...way, JSON.stringify(body));
});
document.getElementById("filter").addEventListener("input", ({target}) => {
  const wanted = target.value.toLowerCase();
  for (const row of document.getElementById("rows").rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
});
"""
