// What is live and what the keyboard does. Every page works without it.
const page = document.body;

for (const x of document.querySelectorAll("[data-scripted]")) x.hidden = false;

// ---- the keyboard ----
const stored = "holdfast-keys";
let keysOn = true;
try { keysOn = localStorage.getItem(stored) !== "off"; } catch { /* no storage: keys stay on */ }
const toggle = document.querySelector("[data-keys-on]");
if (toggle) {
  toggle.checked = keysOn;
  toggle.addEventListener("change", () => {
    keysOn = toggle.checked;
    try { localStorage.setItem(stored, keysOn ? "on" : "off"); } catch { /* for this page only */ }
  });
}

const rows = () => [...document.querySelectorAll("tr[data-row]")];
let current = null; // the id of the row that is chosen

function choose(row) {
  for (const x of rows()) x.classList.toggle("current", x === row);
  current = row ? row.dataset.id : null;
  if (!row) return;
  row.querySelector("a.main")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((x) => x.dataset.id === current);
  choose(all[Math.min(Math.max(at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by, 0), all.length - 1)]);
}

const typing = (x) => x.closest("input:not([type=checkbox]),textarea,select,[contenteditable]");

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  if (typing(e.target)) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  if (!keysOn) return;
  const row = rows().find((x) => x.dataset.id === current);
  switch (e.key) {
    case "j": step(1); break;
    case "k": step(-1); break;
    case "Enter":
      if (!row || e.target.closest("a,button,summary")) return;
      row.querySelector("a.main").click();
      break;
    case "x":
      if (!row) return;
      row.querySelector("input[type=checkbox]")?.click();
      break;
    case "s": {
      const more = document.querySelector("#judge select");
      if (!more) return;
      more.focus();
      break;
    }
    case "?": document.getElementById("keys")?.togglePopover(); break;
    default: {
      const x = [...document.querySelectorAll("[data-key]")].find((y) => y.dataset.key === e.key);
      if (!x) return;
      if (x.tagName === "BUTTON" || x.tagName === "A") x.click();
      else { x.focus(); x.scrollIntoView({ block: "center" }); }
    }
  }
  e.preventDefault();
});

// ---- what is live ----
// A page is asked for again and parsed by the browser as a document: nothing of it runs,
// and no text of it is taken for markup here.
function again(url) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.responseType = "document";
    x.open("GET", url);
    x.onload = () => (x.status === 200 && x.response ? resolve(x.response) : reject(new Error(String(x.status))));
    x.onerror = () => reject(new Error("away"));
    x.send();
  });
}

function swap(from) {
  for (const old of document.querySelectorAll("[data-region]")) {
    const fresh = from.getElementById(old.id);
    if (!fresh || fresh.isEqualNode(old)) continue;
    const ticked = new Set([...old.querySelectorAll("input:checked")].map((x) => x.value));
    const focused = old.contains(document.activeElement) ? document.activeElement.closest("tr[data-row]")?.dataset.id : null;
    const node = document.adoptNode(fresh);
    old.replaceWith(node);
    for (const x of node.querySelectorAll("input[type=checkbox]")) x.checked = ticked.has(x.value);
    if (current) {
      const row = rows().find((x) => x.dataset.id === current);
      row?.classList.add("current");
      if (row && focused === current) row.querySelector("a.main")?.focus({ preventScroll: true });
    }
  }
}

const live = document.querySelector("[data-live]");
if (live && !page.classList.contains("bare")) {
  const regions = document.querySelector("[data-region]");
  let waiting = 0;
  let busy = false;
  const refresh = () => {
    if (waiting || busy) return;
    waiting = setTimeout(async () => {
      waiting = 0;
      if (document.hidden) return;
      busy = true;
      try { swap(await again(location.href)); } catch { /* the next change tries again */ }
      busy = false;
    }, 700);
  };
  const source = new EventSource(live.dataset.live);
  source.addEventListener("reset", () => regions && refresh());
  source.addEventListener("change", (e) => {
    if (regions) return refresh();
    const c = JSON.parse(e.data);
    const who = c.entity.kind + ":" + c.entity.id;
    if (who === live.dataset.entity && c.version > Number(live.dataset.version)) live.hidden = false;
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && regions) refresh(); });
  addEventListener("pagehide", () => source.close());
}

// One click sends a form once.
document.addEventListener("submit", (e) => {
  const form = e.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { e.preventDefault(); return; }
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const f of document.forms) delete f.dataset.sent; });
