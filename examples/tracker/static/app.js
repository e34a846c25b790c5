// Enhances pages that work without it. Every text comes from the page, so that it is in the reader's language.

const page = document.documentElement;
page.classList.add("is-scripted");

// Times

const dateTime = new Intl.DateTimeFormat(page.lang, { dateStyle: "medium", timeStyle: "short" });
const date = new Intl.DateTimeFormat(page.lang, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(page.lang, { numeric: "auto" });

/** Writes "3 hours ago" for the last week, a date before it. */
function ago(then) {
  const minutes = Math.round((then - Date.now()) / 60_000);
  if (Math.abs(minutes) < 60) return relative.format(minutes, "minute");
  const hours = Math.round(minutes / 60);
  if (Math.abs(hours) < 24) return relative.format(hours, "hour");
  const days = Math.round(hours / 24);
  return Math.abs(days) < 7 ? relative.format(days, "day") : date.format(then);
}

function formatTimes(root) {
  for (const element of root.querySelectorAll("time[data-format]")) {
    const then = new Date(element.dateTime);
    if (Number.isNaN(then.getTime())) continue;
    const write = { relative: ago, date: (value) => date.format(value) }[element.dataset.format];
    element.textContent = write ? write(then) : dateTime.format(then);
    element.title = dateTime.format(then);
  }
}

// Toasts

const toasts = document.getElementById("toasts");
const flashKey = "tracker.flash";

function toast(message, isError = false) {
  const element = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  element.classList.toggle("is-error", isError);
  toasts.append(element);
  // The role comes with the text after the element is in the page; else some screen readers stay silent.
  const text = element.querySelector("[data-toast-text]");
  text.setAttribute("role", isError ? "alert" : "status");
  requestAnimationFrame(() => { text.textContent = message; });
  element.querySelector("[data-toast-close]").addEventListener("click", () => element.remove());
  if (!isError) setTimeout(() => { if (!element.matches(":hover, :focus-within")) element.remove(); }, 8000);
}

/** Storage can be switched off; then what it would have kept is lost, and nothing else. */
function stored(use) {
  try { return use(); } catch { return null; }
}

function showFlash() {
  const message = stored(() => sessionStorage.getItem(flashKey));
  if (!message) return;
  stored(() => sessionStorage.removeItem(flashKey));
  toast(message);
}

// Forms

/** Shows `message` at the field; answers false where the field has no place for it. */
function showFieldError(field, message) {
  const slot = field.id && document.getElementById(`${field.id}-error`);
  if (!slot) return false;
  slot.textContent = message;
  slot.hidden = !message;
  if (message) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  return true;
}

function showFormError(form, message) {
  const alert = form.querySelector("[data-form-alert]");
  if (!alert) return message ? toast(message, true) : undefined;
  alert.hidden = !message;
  alert.querySelector("[data-form-alert-text]").textContent = message;
}

function fieldsOf(form) {
  return [...form.elements].filter((field) => field.name && field.type !== "hidden");
}

function showErrors(form, messages, summary) {
  const unplaced = new Map(Object.entries(messages));
  let first = null;
  for (const field of fieldsOf(form)) {
    const message = unplaced.get(field.name) ?? "";
    if (!showFieldError(field, message) || !message) continue;
    unplaced.delete(field.name);
    first ??= field;
  }
  const rest = [...unplaced.values()];
  showFormError(form, first && rest.length === 0 ? "" : [summary, ...rest].filter(Boolean).join(" "));
  first?.focus();
}

function showEnvelope(form, status, error) {
  const reference = status >= 500 && error?.request_id ? `${toasts.dataset.reference} ${error.request_id}` : "";
  const summary = `${error?.message || toasts.dataset.unexpected} ${reference}`.trim();
  showErrors(form, error?.fields ?? {}, summary);
}

/** Follows only addresses of this origin; answers whether the page is being left. */
function follow(location, flash) {
  const target = new URL(location, window.location.href);
  if (target.origin !== window.location.origin) return false;
  if (flash) stored(() => sessionStorage.setItem(flashKey, flash));
  const isHere = target.pathname + target.search === window.location.pathname + window.location.search;
  if (isHere) {
    // Another place on this page, whose content has changed.
    if (target.hash) history.replaceState(null, "", target);
    window.location.reload();
  } else window.location.assign(target);
  return true;
}

// A body that is sent again after a lost answer keeps its key, so that it takes effect once.
const sent = new WeakMap();

function idempotencyKey(form, body) {
  const last = sent.get(form);
  const key = last?.body === body ? last.key : crypto.randomUUID?.();
  sent.set(form, { body, key });
  return key;
}

async function send(form) {
  const body = new URLSearchParams(new FormData(form)).toString();
  const headers = {
    "Accept": "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
    "X-CSRF-Token": form.elements.namedItem("_csrf").value,
  };
  const key = idempotencyKey(form, body);
  if (key) headers["Idempotency-Key"] = key;
  const response = await fetch(form.action, { method: "POST", headers, body });
  // Any other answer settles the attempt: sending again is then a new wish.
  if (![409, 502, 503, 504].includes(response.status)) sent.delete(form);
  const json = response.headers.get("Content-Type")?.includes("json");
  const answer = json ? await response.json() : null;
  const location = answer?.location ?? (response.redirected ? response.url : null);
  if (response.ok && location) return follow(location, form.dataset.success);
  showEnvelope(form, response.status, answer?.error);
  return false;
}

async function submit(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("[type=submit]");
  if (button.getAttribute("aria-disabled") === "true") return;
  const refused = fieldsOf(form).filter((field) => !field.validity.valid);
  showErrors(form, Object.fromEntries(refused.map((field) => [field.name, field.validationMessage])), "");
  if (refused.length > 0) return;
  button.setAttribute("aria-disabled", "true");
  const isLeaving = await send(form).catch(() => showFormError(form, toasts.dataset.network));
  // While the next page loads, a second press must not send again.
  if (!isLeaving) button.removeAttribute("aria-disabled");
}

function enhanceForm(form) {
  form.noValidate = true;
  form.addEventListener("submit", submit);
  form.addEventListener("suggested", ({ target }) => { if (target.validity.valid) showFieldError(target, ""); });
  form.addEventListener("input", (event) => {
    if (event.target.validity.valid) showFieldError(event.target, "");
    form.classList.toggle("is-changed", fieldsOf(form).some(isChanged));
  });
}

// Files: sent as they are, because a form without "multipart" cannot hold one. The answer is the page again.

function enhanceUpload(form) {
  const input = form.querySelector("[type=file]");
  input.closest("[data-file-field]").hidden = false;
  form.addEventListener("submit", async (event) => {
    const [file] = input.files;
    if (!file) return;
    event.preventDefault();
    const tooLarge = file.size > Number(input.dataset.maxBytes);
    showFieldError(input, tooLarge ? input.dataset.tooLarge : "");
    const button = form.querySelector("[type=submit]");
    if (tooLarge || button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    await upload(form, file).catch(() => toast(toasts.dataset.network, true));
    button.removeAttribute("aria-disabled");
  });
}

async function upload(form, file) {
  const token = form.elements.namedItem("_csrf").value;
  const headers = { "Accept": "text/html", "Content-Type": "text/csv", "X-CSRF-Token": token };
  const response = await fetch(form.action, { method: "POST", headers, body: file });
  if (response.redirected) return follow(response.url);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const id = form.dataset.upload;
  if (!fresh.getElementById(id)) return toast(fresh.querySelector(".lead")?.textContent || toasts.dataset.unexpected, true);
  replacePart(id, fresh);
  document.getElementById(id).focus();
}

function isChanged(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
  return field.value !== field.defaultValue;
}

function enhanceReveal(button) {
  const field = document.getElementById(button.dataset.reveal);
  const [show, hide] = [button.textContent, button.dataset.hide];
  button.hidden = false;
  button.addEventListener("click", () => {
    const isShown = field.type === "text";
    field.type = isShown ? "password" : "text";
    button.textContent = isShown ? show : hide;
  });
}

// Live filter: the same request as the plain form's, of which only the named parts are taken.

function enhanceFilter(form) {
  let latest = null;
  let timer = 0;
  const address = () => {
    // What is empty, or the first of a choice, is what the server does anyway.
    const isSaying = ([name, value]) => value.trim() !== "" && form.elements.namedItem(name).selectedIndex !== 0;
    const query = new URLSearchParams([...new FormData(form)].filter(isSaying));
    const search = query.toString();
    return search ? `${form.action}?${search}` : form.action;
  };
  const refresh = async () => {
    latest?.abort();
    latest = new AbortController();
    const url = address();
    try {
      const response = await fetch(url, { headers: { Accept: "text/html" }, signal: latest.signal });
      if (!response.ok) return window.location.assign(url);
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      form.dataset.live.split(" ").forEach((id) => replacePart(id, fresh));
      history.replaceState(null, "", url);
    } catch (error) {
      if (error.name !== "AbortError") toast(toasts.dataset.network, true);
    }
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(refresh, event.target.type === "search" ? 250 : 0);
  });
}

/** Keeps the element itself: a live region that is replaced is not announced. */
function replacePart(id, fresh) {
  const part = document.getElementById(id);
  part.replaceChildren(...fresh.getElementById(id).childNodes);
  formatTimes(part);
}

// Menus and dialogs

function closeMenus(except) {
  for (const menu of document.querySelectorAll(".menu[open]")) if (menu !== except) menu.open = false;
}

function enhanceMenu(menu) {
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
}

function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog.open) dialog.showModal();
}

function enhanceDialogLink(link) {
  link.setAttribute("role", "button");
  link.setAttribute("aria-haspopup", "dialog");
  pressable(link, () => openDialog(link.dataset.dialog));
}

function enhanceDialogClose(link) {
  link.setAttribute("role", "button");
  pressable(link, () => link.closest("dialog").close());
}

/** Lets a link that acts as a button be pressed like one. */
function pressable(link, act) {
  link.addEventListener("click", (event) => { event.preventDefault(); act(); });
  link.addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); act(); } });
}

// Theme: theme.js has applied what was chosen; here it can be chosen.

const themeKey = "tracker.theme";

function enhanceThemes(switcher) {
  switcher.hidden = false;
  const chosen = stored(() => localStorage.getItem(themeKey)) ?? "system";
  for (const choice of switcher.querySelectorAll("input")) choice.checked = choice.value === chosen;
  switcher.addEventListener("change", ({ target }) => {
    stored(() => localStorage.setItem(themeKey, target.value));
    if (target.value === "system") delete page.dataset.theme;
    else page.dataset.theme = target.value;
  });
}

// Shortcuts

const shortcutsKey = "tracker.shortcuts";
const shortcutsSwitch = document.querySelector("[data-shortcuts-enabled]");
shortcutsSwitch.checked = stored(() => localStorage.getItem(shortcutsKey)) !== "off";
shortcutsSwitch.addEventListener("change", () => {
  stored(() => localStorage.setItem(shortcutsKey, shortcutsSwitch.checked ? "on" : "off"));
});

const shortcuts = {
  "?": () => openDialog("shortcuts"),
  "/": () => document.querySelector("[data-filter]")?.focus(),
};

function press(event) {
  const writing = event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest?.("textarea");
  if (writing) return writing.form.requestSubmit();
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (!shortcutsSwitch.checked) return;
  const act = shortcuts[event.key] ?? linkAct(event.key);
  if (!act) return;
  event.preventDefault();
  act();
}

function linkAct(key) {
  if (!/^[a-z]$/.test(key)) return null;
  const link = document.querySelector(`[data-shortcut="${key}"]`);
  return link && (() => link.click());
}

// Start

const each = (selector, enhance) => document.querySelectorAll(selector).forEach(enhance);

formatTimes(document);
each("form[data-enhance]", enhanceForm);
each("[data-reveal]", enhanceReveal);
each("form[data-live]", enhanceFilter);
each("form[data-upload]", enhanceUpload);
each(".menu", enhanceMenu);
each("[data-theme-switch]", enhanceThemes);
each("[data-dialog]", enhanceDialogLink);
each("[data-dialog-close]", enhanceDialogClose);
each("[data-shortcuts]", (button) => {
  button.hidden = false;
  button.addEventListener("click", () => openDialog("shortcuts"));
});
document.addEventListener("keydown", press);
document.addEventListener("click", (event) => closeMenus(event.target.closest?.(".menu")));
// A page that comes back from the browser's cache still holds its buttons as they were left.
window.addEventListener("pageshow", () => each("[aria-disabled]", (button) => button.removeAttribute("aria-disabled")));
showFlash();
