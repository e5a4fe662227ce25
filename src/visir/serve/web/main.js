// The page as a whole: what follows from what.
import * as api from "./api.js";
import { byId, pictureAt, plural, toast } from "./dom.js";
import * as hits from "./hits.js";
import * as library from "./library.js";
import * as query from "./query.js";
import { clear, clearFilters, isAsked, readAddress, state, writeAddress } from "./state.js";
import * as viewer from "./viewer.js";

let likePicture = "";
let typed = false;
let holds = null;

/** Something else is asked. While somebody types, all of it is one entry of the history. */
function changed(typing) {
  writeAddress(typing && typed);
  typed = typing;
  show();
}

function show() {
  const mode = isAsked() ? "results" : "home";
  document.body.dataset.mode = mode;
  byId("filters").hidden = mode === "home";
  byId("lead").hidden = mode === "results";
  document.title = state.q.trim() ? `${state.q.trim()} · visir` : "visir";
  query.show(likePicture);
  if (mode === "results") search();
  else hits.showNewest();
}

/** Search; a page that is open already gets its marks when its hit comes. */
async function search() {
  await hits.run();
  if (state.open) viewer.mark(hitOf(state.open.uri, state.open.page));
}

const hitOf = (uri, page) => hits.shown.get(`${page} ${uri}`) || null;

function like(page, box = null, focus = false) {
  Object.assign(state, { like: { uri: page.uri, page: page.page, box }, picture: null, q: "", open: null });
  const part = box ? `&box=${box.map((value) => value.toFixed(4)).join(",")}` : "";
  likePicture = page.picture ? pictureAt(page.picture, 160) + part : "";
  viewer.close();
  changed(false);
  if (focus) byId("words").focus();
}

function openPage(hit) {
  state.open = { uri: hit.uri, page: hit.page };
  writeAddress();
  byId("library").close();
  viewer.open(hit.uri, hit.page, hit);
}

function fromAddress() {
  readAddress();
  show();
  if (state.like) findLikePicture();
  if (state.open) viewer.open(state.open.uri, state.open.page, hitOf(state.open.uri, state.open.page));
  else viewer.close();
}

async function findLikePicture() {
  try {
    const { picture } = await api.page(state.like.uri, state.like.page);
    if (picture) likePicture = pictureAt(picture, 160) + (state.like.box ? `&box=${state.like.box.join(",")}` : "");
    query.show(likePicture);
  } catch { /* the search says what is wrong with it */ }
}

async function showStatus() {
  try {
    holds = await api.status();
    showLead();
    query.showFacets(holds.facets);
    if (isAsked()) hits.explain();
  } catch (error) {
    toast(error.message);
  }
}

/** Say on the start page what there is to search, and how far indexing is. */
function showLead() {
  if (!holds) return;
  const job = library.atWork();
  const touch = matchMedia("(hover: none)").matches;
  const there = `${plural(holds.pages, "page")} of ${plural(holds.documents, "document")}.`;
  const ways = touch ? "Type, or take a picture." : "Type, paste a screenshot, or drop a picture.";
  const text = job ? `${holds.pages ? `${there} ` : ""}Indexing: ${library.progressOf(job)}` : holds.pages ? `${there} ${ways}` : `Nothing is indexed yet${touch ? "." : ": drop files anywhere on this page."}`;
  if (byId("lead-text").textContent !== text) byId("lead-text").textContent = text;
  const bar = byId("lead-progress");
  bar.hidden = !job;
  if (job?.files) bar.value = job.done / job.files;
  else bar.removeAttribute("value");
  byId("lead-add").hidden = Boolean(job || holds.pages);
}

/** What to say of a search that finds nothing, where that is no wonder. */
function waiting() {
  const job = library.atWork();
  if (job) return `Nothing found yet: ${library.progressOf(job)} indexed.`;
  return holds && !holds.pages ? "Nothing is indexed yet: add documents first." : "";
}

function setUpKeys() {
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, textarea, select");
    const above = document.querySelector("dialog[open]");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === byId("words") && event.key === "ArrowDown") {
      event.preventDefault();
      byId("hits").querySelector(".frame")?.focus();
    }
    if (writing || above) return;
    const keys = { "/": () => byId("words").select(), d: library.open, "?": () => byId("keys").showModal() };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
}

const closeDialogs = () => document.querySelectorAll("dialog[open]:not(#sign-in)").forEach((dialog) => dialog.close());

function setUpPasting() {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    const picture = files.find((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    if (picture) {
      closeDialogs();
      query.takePicture(picture, changed);
    } else library.addFiles(files);
  });
}

/** Dropped pictures may be a question or new documents: two halves to drop them on. Anything else is new. */
function setUpDropping() {
  const drop = byId("drop");
  const zones = [...drop.querySelectorAll(".drop-zone")];
  const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    zones[0].hidden = !(items.length === 1 && items[0].type.startsWith("image/"));
    closeDialogs();
    drop.hidden = false;
  });
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    for (const zone of zones) zone.classList.toggle("over", zone.contains(event.target));
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    drop.hidden = true;
    const files = [...event.dataTransfer.files];
    const zone = event.target.closest(".drop-zone")?.dataset.drop;
    if (zone === "search" && files[0]) query.takePicture(files[0], changed);
    else library.addFiles(files);
  });
}

function setUpSignIn() {
  let waiting = null;
  api.onSignIn(() => {
    waiting ??= new Promise((resolve) => {
      byId("sign-in").showModal();
      byId("sign-in-form").onsubmit = async (event) => {
        event.preventDefault();
        try {
          await api.signInWith(byId("token").value);
          waiting = null;
          byId("sign-in").close();
          resolve();
          api.listen(library.hear);
        } catch (error) {
          byId("sign-in-wrong").textContent = error.message;
        }
      };
    });
    return waiting;
  });
  // A browser lets a dialog refuse Escape once only; what waits for the token would wait for ever.
  byId("sign-in").addEventListener("close", () => waiting && byId("sign-in").showModal());
}

query.setUp(changed);
hits.setUp({
  open: openPage,
  like,
  but: (hit) => like(hit, null, true),
  waiting,
  unfiltered: () => {
    clearFilters();
    changed(false);
  },
});
viewer.setUp({
  like,
  hitOf,
  but: (page) => like(page, null, true),
  closed: () => {
    state.open = null;
    writeAddress();
  },
});
library.setUp({
  // When the last job is over, the new counts are shown as soon as they are known.
  working: () => library.atWork() && showLead(),
  changed: () => {
    showStatus();
    if (!isAsked()) hits.showNewest();
    else if (!hits.shown.size) search();
  },
  removed: (uri) => {
    hits.forget(uri);
    showStatus();
  },
  open: openPage,
});
setUpKeys();
setUpPasting();
setUpDropping();
setUpSignIn();
byId("open-keys").addEventListener("click", () => byId("keys").showModal());
byId("home").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  clear();
  changed(false);
  byId("words").focus();
});
window.addEventListener("popstate", fromAddress);
fromAddress();
showStatus();
api.listen(library.hear);
if (!state.open && matchMedia("(hover: hover)").matches) byId("words").focus();
