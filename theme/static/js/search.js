// The search page: asks Pagefind's index, which lies beside the pages, and writes what it finds as a list.
// The question stands in the address (?q=…), so that a result can be shared and "back" works.

const part = (name) => document.getElementById(`search.${name}`);
const root = document.getElementById("search");
const [form, words, status, found, list, more] = ["form", "words", "status", "found", "list", "more"].map(part);
const AT_ONCE = 10;
const WAIT = 200; // milliseconds after the last key

let pagefind = null;
let results = [];
let asked = 0;

// The pieces of an excerpt, with dots where it seems to be cut off; Pagefind marks what was found with <mark> and
// encodes everything else.
function excerpt(html) {
  const read = new DOMParser().parseFromString(html, "text/html").body;
  const said = read.textContent.trim();
  if (!/^\p{Lu}/u.test(said)) read.prepend("… ");
  if (!/[.?!]$/.test(said)) read.append(" …");
  return [...read.childNodes].map((node) => {
    if (node.nodeName !== "MARK") return document.createTextNode(node.textContent);
    const mark = document.createElement("mark");
    mark.textContent = node.textContent;
    return mark;
  });
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function entry(page) {
  const link = element("a", "", page.meta.title);
  link.href = page.url;
  const dateline = [page.meta.region, page.meta.date].filter(Boolean);
  return element(
    "li",
    "entry",
    element("p", "dateline", ...dateline.map((text, at) => element("span", at || !page.meta.region ? "" : "label", text))),
    element("h2", "title", link),
    element("p", "line", ...excerpt(page.excerpt)),
  );
}

async function show(from) {
  const mine = asked;
  const pages = await Promise.all(results.slice(from, from + AT_ONCE).map((result) => result.data()));
  if (mine !== asked) return;
  const items = pages.map(entry);
  if (from === 0) list.replaceChildren(...items);
  else list.append(...items);
  more.hidden = from + AT_ONCE >= results.length;
  if (from > 0) items[0]?.querySelector("a").focus();
}

async function load() {
  if (pagefind) return;
  pagefind = await import(root.dataset.index);
  await pagefind.options({ baseUrl: root.dataset.root, excerptLength: 30 });
}

async function search() {
  const mine = ++asked;
  const question = words.value.trim();
  const address = new URL(location.href);
  if (question) address.searchParams.set("q", question);
  else address.searchParams.delete("q");
  history.replaceState(null, "", address);
  if (!question) {
    found.hidden = true;
    status.textContent = "";
    return;
  }
  try {
    await load();
    const answer = await pagefind.search(question);
    if (mine !== asked) return;
    results = answer.results;
    status.textContent = results.length === 0
      ? `Nothing has “${question}” in it. Fewer or other words may find more.`
      : `${results.length} ${results.length === 1 ? "page" : "pages"} with “${question}”`;
    await show(0);
    if (mine === asked) found.hidden = results.length === 0;
  } catch {
    found.hidden = true;
    status.textContent = "The search index could not be loaded. The lists below lead to every piece.";
  }
}

let timer = 0;
words.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, WAIT);
});
words.addEventListener("focus", () => load().catch(() => {}), { once: true });
more.addEventListener("click", () => show(list.children.length));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  search();
});

words.value = new URLSearchParams(location.search).get("q") ?? "";
if (words.value) load().then(search, search);
