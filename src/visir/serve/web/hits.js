// Hits as a wall of pages: rows of equal height, more of them as one scrolls.
import * as api from "./api.js";
import { byId, make, plural, sheet, shortName, toast } from "./dom.js";
import { addressOf, filtersSet, isAsked, leastScore, requestOf, state, WEAK } from "./state.js";

const BATCH = 24;
const MOST = 1000;
const SLOW = 500;
const NARROWEST = 0.6;
const WIDEST = 1.9;

export const shown = new Map();
const keyOf = (hit) => `${hit.page} ${hit.uri}`;
let asking = null;
let skip = 0;
let more = false;
let newest = false;
let verbs = {};

/** Wire the wall up; `actions` are `open`, `like` and `but`, each called with a hit, `unfiltered`, and `waiting`, which says what a search finds nothing of yet. */
export function setUp(actions) {
  verbs = actions;
  new IntersectionObserver(([entry]) => entry.isIntersecting && more && !asking && extend(), { rootMargin: "900px" }).observe(byId("end"));
  byId("hits").addEventListener("keydown", move);
}

/** Answer what the state asks, from the start. */
export async function run() {
  asking?.abort();
  const mine = (asking = new AbortController());
  work(true);
  const slow = setTimeout(() => tell(state.picture ? "Reading the picture …" : "Searching …"), SLOW);
  try {
    const found = await api.search(requestOf(0, BATCH), mine.signal);
    clearTimeout(slow);
    skip = BATCH;
    more = found.hits.length === BATCH;
    newest = false;
    shown.clear();
    byId("hits").replaceChildren(...(found.hits.length ? cards(found.hits) : [nothing()]));
    head("Pages found", true);
    tell(found.hits.length ? `${more ? `the best ${BATCH}` : plural(found.hits.length, "page")} · ${Math.round(found.milliseconds)} ms` : "");
    byId("end").textContent = more || !found.hits.length ? "" : ending(false);
    window.scrollTo({ top: 0 });
  } catch (error) {
    if (error.name !== "AbortError") fail(error, run);
  } finally {
    clearTimeout(slow);
    if (asking === mine) work(false);
  }
}

/** Say anew why nothing was found, if nothing was: what is known of the index may have come after the answer. */
export function explain() {
  if (!asking && byId("hits").querySelector(".nothing:not(.bad)")) byId("hits").replaceChildren(nothing());
}

/** Show that an answer is awaited, or no longer. */
function work(going) {
  if (!going) asking = null;
  byId("hits").classList.toggle("stale", going);
  byId("search").classList.toggle("at-work", going);
  byId("results").setAttribute("aria-busy", going);
}

function fail(error, again) {
  more = newest = false;
  shown.clear();
  tell("");
  head("No answer", true);
  byId("end").textContent = "";
  const told = notice(error.message, button("Try again", () => again()));
  told.classList.add("bad");
  told.setAttribute("role", "alert");
  byId("hits").replaceChildren(told);
}

function ending(cut) {
  if (cut) return `These are the best ${MOST}.`;
  return leastScore() ? `That is all above a score of ${leastScore()}.` : "That is all.";
}

async function extend() {
  const mine = (asking = new AbortController());
  try {
    const found = await api.search(requestOf(skip, BATCH), mine.signal);
    skip += BATCH;
    more = found.hits.length === BATCH && skip < MOST;
    // A longer list may bring a page up that was shown before.
    byId("hits").append(...cards(found.hits.filter((hit) => !shown.has(keyOf(hit))), [...shown.values()].at(-1)));
    tell(`${more ? "the best " : ""}${plural(shown.size, "page")}`);
    if (!more) byId("end").textContent = ending(found.hits.length === BATCH);
  } catch (error) {
    if (error.name !== "AbortError") {
      more = false;
      byId("end").textContent = error.message;
    }
  } finally {
    if (asking === mine) asking = null;
  }
  // The end may still be in sight.
  if (more && !asking && byId("end").getBoundingClientRect().top < innerHeight + 900) extend();
}

/** Show the newest documents, where nothing is asked. */
export async function showNewest() {
  asking?.abort();
  work(false);
  more = false;
  tell("");
  byId("end").textContent = "";
  try {
    const { documents } = await api.documents({ count: 40, state: "searchable" });
    // Cards that somebody has come to by keyboard stay where they are.
    if (isAsked() || (newest && byId("hits").contains(document.activeElement))) return;
    const pages = documents.filter((document) => document.picture).map((document) => ({ uri: document.uri, page: 1, title: document.title, picture: document.picture, score: null, snippet: "", marks: [], boxes: [] }));
    if (newest && pages.map(keyOf).join("\n") === [...shown.keys()].join("\n")) return;
    newest = true;
    shown.clear();
    byId("hits").replaceChildren(...cards(pages));
    head(pages.length ? "Newest documents" : "No documents yet", !pages.length);
  } catch (error) {
    if (!isAsked()) fail(error, showNewest);
  }
}

function tell(message) {
  byId("told").textContent = message;
}

function head(text, hidden) {
  byId("heading").textContent = text;
  byId("heading").className = hidden ? "hidden" : "shelf";
}

const button = (text, onclick) => make("button", { type: "button", class: "quiet", onclick }, text);
const notice = (text, ...buttons) => make("div", { class: "nothing" }, make("p", {}, text), ...buttons);

function nothing() {
  const waiting = verbs.waiting();
  if (waiting) return notice(waiting);
  const filtered = state.types.length || filtersSet({ filtersOnly: true });
  return notice(filtered ? "Nothing found that passes the filters." : "Nothing found.", filtered ? button("Search without filters", verbs.unfiltered) : null, state.weak || !state.q.trim() ? null : button("Show weak hits too", () => byId("weak").click()));
}

/** Make the cards of hits that come after another, with a line where the weak ones begin. */
function cards(hits, before = null) {
  return hits.flatMap((hit) => {
    const begins = isWeak(hit) && !(before && isWeak(before));
    const line = begins ? [make("span", { class: "rest", "aria-hidden": "true" }), make("p", { class: "weaker" }, before ? `Weaker: a score below ${WEAK}` : `Nothing fits well. The nearest, with scores below ${WEAK}:`)] : [];
    before = hit;
    shown.set(keyOf(hit), hit);
    return [...line, card(hit)];
  });
}

const isWeak = (hit) => hit.score !== null && hit.score < WEAK;

function card(hit) {
  const picture = hit.picture || { url: "", width: 3, height: 4 };
  const own = picture.width / picture.height;
  const ratio = Math.min(WIDEST, Math.max(NARROWEST, own));
  const name = hit.title || shortName(hit.uri);
  const paper = hit.picture
    ? sheet(picture, 300 * Math.max(1, ratio), `Page ${hit.page} of ${name}`, hit.boxes)
    : make("span", { class: "sheet", "--own": 0.75 }, `No picture of page ${hit.page}`);
  const link = make("a", { class: own < ratio ? "frame tall" : "frame", href: addressOf({ open: { uri: hit.uri, page: hit.page } }), "data-key": keyOf(hit), onclick: (event) => follow(event, hit) }, paper);
  const score = hit.score === null ? null : make("span", { class: "score", title: `Score ${hit.score} of 100` }, make("i", { "aria-hidden": "true", "--share": `${hit.score}%` }), make("span", { class: "hidden" }, "score "), String(Math.round(hit.score)));
  return make(
    "article",
    { class: "hit", "--ratio": ratio.toFixed(4) },
    make("div", { class: "frame-wrap" }, link, make("div", { class: "hit-verbs" },
      make("button", { type: "button", onclick: () => verbs.like(hit), "aria-label": `More like page ${hit.page} of ${name}` }, "More like this"),
      make("button", { type: "button", onclick: () => verbs.but(hit), "aria-label": `Like page ${hit.page} of ${name}, but …` }, "Like this, but …"))),
    make("div", { class: "hit-text" }, make("h2", { title: name }, name),
      make("p", { class: "hit-meta" }, make("span", { class: "where", title: hit.uri }, hit.score === null ? shortName(hit.uri) : `p. ${hit.page} · ${shortName(hit.uri)}`), score)),
  );
}

function follow(event, hit) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  verbs.open(hit);
}

/** Arrow keys go to the nearest card in their direction; m and b act on the one that has the focus. */
function move(event) {
  const link = event.target.closest(".hit")?.querySelector(".frame");
  if (!link || event.ctrlKey || event.metaKey || event.altKey) return;
  const hit = shown.get(link.dataset.key);
  if (event.key === "m") verbs.like(hit);
  else if (event.key === "b") verbs.but(hit);
  else if (event.key.startsWith("Arrow")) (next(link, event.key) || (event.key === "ArrowUp" ? byId("words") : null))?.focus();
  else return;
  event.preventDefault();
}

function next(link, key) {
  const links = [...byId("hits").querySelectorAll(".frame")];
  if (key === "ArrowRight" || key === "ArrowLeft") return links[links.indexOf(link) + (key === "ArrowRight" ? 1 : -1)];
  const here = link.getBoundingClientRect();
  const middle = here.left + here.width / 2;
  const sign = key === "ArrowDown" ? 1 : -1;
  const beyond = links.map((other) => ({ other, at: other.getBoundingClientRect() })).filter(({ at }) => sign * (at.top - here.top) > 20);
  const row = Math.min(...beyond.map(({ at }) => sign * at.top)) * sign;
  return beyond.filter(({ at }) => Math.abs(at.top - row) < 20).sort((a, b) => Math.abs(a.at.left + a.at.width / 2 - middle) - Math.abs(b.at.left + b.at.width / 2 - middle))[0]?.other;
}

/** Take a document's pages off the wall. */
export function forget(uri) {
  for (const link of byId("hits").querySelectorAll(".frame")) {
    if (shown.get(link.dataset.key)?.uri === uri) link.closest(".hit").remove();
  }
  toast(`Taken out: ${shortName(uri)}`);
}
