// One page, large: its words selectable, its neighbours beside it.
import * as api from "./api.js";
import { byId, kindName, languageName, make, marked, pictureAt, sheet, shortName, toast } from "./dom.js";
import { addressOf, state, writeAddress } from "./state.js";

const LEAST_PART = 0.02;
let verbs = {};
let now = null;
let loading = null;

/** Wire the viewer up; `actions` are `like`, `but` (called with a page and perhaps a part of it), `hitOf` (a page's hit, if it was found) and `closed`. */
export function setUp(actions) {
  verbs = actions;
  byId("viewer-close").addEventListener("click", () => byId("viewer").close());
  byId("viewer").addEventListener("close", () => {
    loading?.abort();
    if (state.open) verbs.closed();
  });
  byId("page-before").addEventListener("click", () => turn(-1));
  byId("page-after").addEventListener("click", () => turn(1));
  byId("zoom").addEventListener("click", zoom);
  byId("viewer-more").addEventListener("click", () => now && verbs.like(now));
  byId("viewer-but").addEventListener("click", () => now && verbs.but(now));
  byId("viewer-copy").addEventListener("click", copyLink);
  byId("viewer").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
    const keys = { ArrowLeft: () => turn(-1), ArrowRight: () => turn(1), z: zoom, m: () => verbs.like(now), b: () => verbs.but(now) };
    if (keys[event.key] && now) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  setUpCutting();
}

/** Open a page; `hit` brings the marks, where it was found by a search. */
export async function open(uri, number, hit = null) {
  const dialog = byId("viewer");
  loading?.abort();
  const mine = (loading = new AbortController());
  if (!dialog.open) dialog.showModal();
  now = null;
  dialog.classList.remove("failed");
  byId("viewer-title").textContent = hit?.title || shortName(uri);
  byId("viewer-where").replaceChildren(make("bdi", {}, uri));
  byId("page-number").textContent = `page ${number}`;
  showSnippet(hit);
  // What is known is shown at once, the words come behind.
  byId("stage").replaceChildren(...(hit?.picture ? [sheet(hit.picture, 1280, altOf(hit.title, number), hit.boxes, false)] : []));
  try {
    const page = await api.page(uri, number, mine.signal);
    now = page;
    const found = hit || verbs.hitOf(uri, number);
    showSnippet(found);
    show(page, found);
  } catch (error) {
    if (error.name === "AbortError") return;
    dialog.classList.add("failed");
    byId("stage").replaceChildren(make("div", { class: "failure", role: "alert" },
      make("p", { class: "told bad" }, error.message),
      make("button", { type: "button", class: "quiet", onclick: () => open(uri, number, hit) }, "Try again")));
  }
}

/** Bring the marks of an open page, where its hit is known only now. */
export function mark(hit) {
  if (hit && now && hit.uri === now.uri && hit.page === now.page && !byId("viewer-snippet").childNodes.length) open(hit.uri, hit.page, hit);
}

const showSnippet = (hit) => byId("viewer-snippet").replaceChildren(...(hit ? marked(hit.snippet, hit.marks) : []));

export function close() {
  if (byId("viewer").open) byId("viewer").close();
}

const altOf = (title, number) => `Page ${number} of ${title}`;

function show(page, hit) {
  byId("viewer-title").textContent = page.title || shortName(page.uri);
  byId("page-number").textContent = `page ${page.page} of ${page.pages}`;
  const numbers = page.neighbours.map((other) => other.page);
  byId("page-before").disabled = !numbers.some((number) => number < page.page);
  byId("page-after").disabled = !numbers.some((number) => number > page.page);
  let paper = byId("stage").querySelector(".sheet");
  if (!paper && page.picture) {
    paper = sheet(page.picture, 1280, altOf(page.title, page.page), hit?.boxes || [], false);
    byId("stage").replaceChildren(paper);
  }
  if (paper) layWords(paper, page.lines);
  byId("stage").scrollTop = 0;
  const facts = [["Kind", kindName(page.type)], ["Date", page.date], ["Language", page.language && languageName(page.language)], ["Score", hit?.score === null || hit?.score === undefined ? "" : `${hit.score} of 100`], ["Where", page.uri]];
  byId("viewer-facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  const original = byId("viewer-original");
  original.hidden = !page.original;
  if (page.original) original.href = page.original;
  byId("viewer-hint").hidden = !page.picture;
  byId("around-title").hidden = page.neighbours.length < 2;
  byId("strip").replaceChildren(...(page.neighbours.length < 2 ? [] : page.neighbours.filter((other) => other.picture).map((other) =>
    make("button", { type: "button", "aria-current": other.page === page.page ? "page" : null, "aria-label": `Page ${other.page}`, onclick: () => go(other.page) },
      sheet(other.picture, 120, ""), String(other.page)))));
  // The next page is likely to be asked for.
  const after = page.neighbours.find((other) => other.page === page.page + 1);
  if (after?.picture) new Image().src = pictureAt(after.picture, 1280);
}

/** Lay the words over the picture, unseen, so that they can be selected, copied and read out. */
function layWords(paper, lines) {
  const layer = make("span", { class: "words" });
  const spans = [];
  const own = Number(paper.style.getPropertyValue("--own"));
  for (const line of lines) {
    line.forEach(({ text, box: [left, top, right, bottom] }) => {
      const span = make("span", {}, text);
      // Heights in hundredths of the sheet's width: the layer grows and shrinks with the picture.
      Object.assign(span.style, { left: `${100 * left}%`, top: `${100 * top}%`, fontSize: `${(100 * (bottom - top)) / own}cqw` });
      spans.push([span, right - left]);
      layer.append(span);
    });
    layer.append(make("br"));
  }
  paper.querySelector(".words")?.remove();
  paper.append(layer);
  // Read all widths, then write all: one layout instead of one a word.
  const whole = paper.getBoundingClientRect().width;
  const widths = spans.map(([span]) => span.getBoundingClientRect().width);
  spans.forEach(([span, wanted], number) => {
    if (widths[number] && whole) span.style.transform = `scaleX(${((wanted * whole) / widths[number]).toFixed(4)})`;
    span.append(" ");
  });
}

function turn(step) {
  const beyond = (now?.neighbours || []).map((other) => other.page).filter((number) => step * (number - now.page) > 0);
  if (beyond.length) go(step > 0 ? Math.min(...beyond) : Math.max(...beyond));
}

function go(number) {
  state.open = { uri: now.uri, page: number };
  writeAddress(true);
  open(now.uri, number, verbs.hitOf(now.uri, number));
}

function zoom() {
  const wide = byId("stage").classList.toggle("wide");
  byId("zoom").setAttribute("aria-pressed", wide);
}

async function copyLink() {
  const page = now || state.open;
  const link = new URL(addressOf({ q: "", like: null, types: [], language: "", after: "", before: "", name: "", exact: true, weak: false, open: { uri: page.uri, page: page.page } }), location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    toast("The link is copied.");
  } catch {
    toast(link, 10);
  }
}

/** With Shift held, dragging over the page cuts out a part to search by. */
function setUpCutting() {
  const stage = byId("stage");
  const shifted = (event) => stage.classList.toggle("cutting", event.shiftKey);
  for (const kind of ["keydown", "keyup"]) document.addEventListener(kind, shifted);
  stage.addEventListener("pointerdown", (event) => {
    const paper = event.target.closest(".sheet");
    if (!event.shiftKey || !paper || event.button) return;
    event.preventDefault();
    const area = paper.getBoundingClientRect();
    const at = ({ clientX, clientY }) => [clamp((clientX - area.left) / area.width), clamp((clientY - area.top) / area.height)];
    const start = at(event);
    let box = null;
    const rubber = paper.appendChild(make("span", { class: "rubber" }));
    const drag = (moved) => {
      const end = at(moved);
      box = [Math.min(start[0], end[0]), Math.min(start[1], end[1]), Math.max(start[0], end[0]), Math.max(start[1], end[1])];
      Object.assign(rubber.style, { left: `${100 * box[0]}%`, top: `${100 * box[1]}%`, width: `${100 * (box[2] - box[0])}%`, height: `${100 * (box[3] - box[1])}%` });
    };
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", () => {
      document.removeEventListener("pointermove", drag);
      rubber.remove();
      if (box && box[2] - box[0] > LEAST_PART && box[3] - box[1] > LEAST_PART && now) verbs.like(now, box);
    }, { once: true });
  });
}

const clamp = (value) => Math.min(1, Math.max(0, value));
