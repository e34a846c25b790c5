// The palette: jump anywhere by a few letters. It offers the links of the page "jump", which works without it.

const palette = document.querySelector("[data-palette]");
const input = palette?.querySelector("[role=combobox]");
const list = palette?.querySelector("[role=listbox]");
const note = palette?.querySelector("[role=status]");
let latest = null;
let timer = 0;

const options = () => [...list.querySelectorAll("[role=option]")];
const chosen = () => list.querySelector('[aria-selected="true"]');

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
}

/** One group of the page as one of the list. */
function group(section, number) {
  const element = document.createElement("div");
  element.setAttribute("role", "group");
  element.setAttribute("aria-labelledby", `palette-group-${number}`);
  const title = document.createElement("div");
  title.id = `palette-group-${number}`;
  title.className = "palette-title";
  title.setAttribute("role", "presentation");
  title.textContent = section.querySelector("h2").textContent;
  element.append(title);
  for (const [place, link] of section.querySelectorAll("a").entries()) {
    const option = document.createElement("div");
    option.id = `palette-${number}-${place}`;
    option.className = "palette-option";
    option.dataset.url = link.href;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.append(...link.childNodes);
    element.append(option);
  }
  return element;
}

function show(sections, nothing = palette.dataset.none) {
  list.replaceChildren(...sections.map(group));
  const count = options().length;
  list.hidden = count === 0;
  input.setAttribute("aria-expanded", String(count > 0));
  note.textContent = count === 0 ? nothing : "";
  choose(options()[0]);
}

async function look() {
  latest?.abort();
  latest = new AbortController();
  const url = new URL(palette.dataset.palette, window.location.href);
  if (input.value.trim()) url.searchParams.set("q", input.value);
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" }, signal: latest.signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const reasons = [...fresh.querySelectorAll("#jump-results .empty :is(h2, p)")].map((part) => part.textContent);
    show([...fresh.querySelectorAll("#jump-results .jump-group")], reasons.join(". ") || undefined);
  } catch (error) {
    if (error.name === "AbortError") return;
    show([]);
    note.textContent = document.getElementById("toasts").dataset.network;
  }
}

function open() {
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  input.value = "";
  show([]);
  note.textContent = "";
  palette.showModal();
  look();
}

function go(option) {
  if (option) window.location.assign(option.dataset.url);
}

function move(event) {
  const all = options();
  const here = all.indexOf(chosen());
  const step = { ArrowDown: here + 1, ArrowUp: here - 1 }[event.key];
  if (event.key === "Enter") go(chosen());
  else if (step !== undefined && all.length > 0) choose(all[(step + all.length) % all.length]);
  else return;
  event.preventDefault();
}

if (palette) {
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 120);
  });
  input.addEventListener("keydown", (event) => { if (!event.isComposing) move(event); });
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]")));
  list.addEventListener("pointermove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && option !== chosen()) choose(option);
  });
  // The links of a page that is left stay as they were; the palette starts anew.
  window.addEventListener("pageshow", () => palette.close());
  document.addEventListener("keydown", (event) => {
    const isAsked = (event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k";
    if (!isAsked) return;
    event.preventDefault();
    if (palette.open) palette.close();
    else open();
  });
  for (const link of document.querySelectorAll("[data-palette-open]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); open(); });
  }
}
