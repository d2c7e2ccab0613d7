// Filters the contents as one types: by name and by what is said of it. Without JavaScript the contents are just a list.
const box = document.querySelector("#search");
const entries = [...document.querySelectorAll("nav li")].map((item) => ({
  item,
  link: item.querySelector("a"),
  name: item.textContent.toLowerCase(),
  text: item.dataset.text,
  snippet: item.appendChild(document.createElement("small")),
}));

// Whole words around the first that was found.
function excerpt(text, word) {
  const at = Math.max(text.toLowerCase().indexOf(word), 0);
  const begin = at < 30 ? 0 : text.indexOf(" ", at - 30) + 1;
  const end = text.indexOf(" ", at + word.length + 40);
  return (begin ? "… " : "") + text.slice(begin, end < 0 ? undefined : end) + (end < 0 ? "" : " …");
}

function filter() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { item, name, text, snippet } of entries) {
    item.hidden = !words.every((word) => name.includes(word) || text.toLowerCase().includes(word));
    snippet.textContent = words.length && !item.hidden ? excerpt(text, words[0]) : "";
  }
  for (const section of document.querySelectorAll("nav section")) {
    section.hidden = !section.querySelector("li:not([hidden])");
  }
  document.querySelector("#nothing").hidden = entries.some(({ item }) => !item.hidden);
}

box.hidden = false;
box.addEventListener("input", filter);
box.addEventListener("keydown", (event) => {
  const first = entries.find(({ item }) => !item.hidden);
  if (event.key === "Enter" && first) first.link.click();
  if (event.key === "Escape") {
    box.value = "";
    filter();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    box.focus();
  }
});

// On a narrow screen the contents lie over the page: closed at first, and again once one has chosen.
const contents = document.querySelector(".contents");
const narrow = matchMedia("(max-width: 60rem)");
const fit = () => (contents.open = !narrow.matches);
narrow.addEventListener("change", fit);
for (const { link } of entries) link.addEventListener("click", fit);
fit();

// An example that a link leads to is opened.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target?.closest("article")?.querySelector("details");
  if (folded) folded.open = true;
}
addEventListener("hashchange", unfold);
unfold();
