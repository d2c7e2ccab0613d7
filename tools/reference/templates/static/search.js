// Searches the contents as one types, in the order of ranking.js. Without JavaScript the contents are just a list.
const box = document.querySelector("#search");
const found = document.querySelector("#found");
const entries = [...document.querySelectorAll("nav li")].map((item) => ({
  name: item.textContent,
  own: item.dataset.own ?? item.textContent,
  kind: item.dataset.kind,
  text: item.dataset.text,
  link: item.querySelector("a"),
}));

// Whole words around the first that was found.
function excerpt(text, word) {
  const at = Math.max(text.toLowerCase().indexOf(word), 0);
  const begin = at < 30 ? 0 : text.indexOf(" ", at - 30) + 1;
  const end = text.indexOf(" ", at + word.length + 40);
  return (begin ? "… " : "") + text.slice(begin, end < 0 ? undefined : end) + (end < 0 ? "" : " …");
}

function result({ kind, text, link }, word) {
  const item = document.createElement("li");
  const snippet = document.createElement("small");
  snippet.textContent = `${kind} · ${excerpt(text, word)}`;
  item.append(link.cloneNode(true), snippet);
  return item;
}

function search() {
  const typed = box.value.trim();
  const results = typed ? ranked(entries, typed) : [];
  const word = typed.toLowerCase().split(/\s+/)[0];
  found.replaceChildren(...results.map((entry) => result(entry, word)));
  found.hidden = !typed;
  for (const section of document.querySelectorAll("nav section")) section.hidden = typed !== "";
  document.querySelector("#nothing").hidden = !typed || results.length > 0;
}

box.hidden = false;
box.addEventListener("input", search);
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter") found.querySelector("a")?.click();
  if (event.key === "Escape") {
    box.value = "";
    search();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    contents.open = true;
    box.focus();
  }
});

// On a narrow screen the contents lie over the page: closed at first, and again once one has chosen.
const contents = document.querySelector(".contents");
const narrow = matchMedia("(max-width: 60rem)");
const fit = () => (contents.open = !narrow.matches);
narrow.addEventListener("change", fit);
contents.addEventListener("click", ({ target }) => target.closest("a") && fit());
fit();

// An example that a link leads to is opened.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target?.closest("article")?.querySelector("details");
  if (folded) folded.open = true;
}
addEventListener("hashchange", unfold);
unfold();
