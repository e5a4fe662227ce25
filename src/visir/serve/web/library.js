// The documents: adding, taking out, what is being indexed, and what failed and why.
import * as api from "./api.js";
import { byId, icon, make, plural, shortName, toast } from "./dom.js";

const LISTED = 40;
const OVER = ["done", "failed", "cancelled"];
const KEEP_SECONDS = 8;
const NEWS_SECONDS = 3;
const jobs = new Map();
let skip = 0;
let listing = null;
let verbs = {};
let pause = 0;
let told = 0;

/** Wire the drawer up; `actions` are `working` (jobs went on), `changed` (the index did), `removed` (called with a document's name) and `open`. */
export function setUp(actions) {
  verbs = actions;
  const drawer = byId("library");
  byId("open-library").addEventListener("click", open);
  byId("library-close").addEventListener("click", () => drawer.close());
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  for (const id of ["add-files", "lead-add"]) byId(id).addEventListener("click", () => byId("files").click());
  byId("refresh").addEventListener("click", () => api.refresh().catch((error) => toast(error.message)));
  byId("files").addEventListener("change", ({ target }) => {
    addFiles([...target.files]);
    target.value = "";
  });
  byId("add-address").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.addAddress(byId("address").value.trim());
      byId("address").value = "";
    } catch (error) {
      toast(error.message);
    }
  });
  byId("find").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => list(), 200);
  });
  byId("more-documents").addEventListener("click", () => list(true));
}

export function open() {
  if (!byId("library").open) byId("library").showModal();
  list();
}

/** Send files to be indexed. */
export async function addFiles(files) {
  if (!files.length) return;
  const name = files.length === 1 ? files[0].name : plural(files.length, "file");
  const id = `sending ${crypto.randomUUID?.() || Math.random()}`;
  const sending = { id, state: "sending", label: `Sending ${name}`, share: 0 };
  jobs.set(id, sending);
  open();
  showJobs();
  try {
    const job = await api.upload(files, (share) => {
      sending.share = share;
      showJobs();
    });
    hear(job);
  } catch (error) {
    toast(error.message, 8);
  }
  jobs.delete(id);
  showJobs();
}

/** Take in news of a job. */
export function hear(job) {
  const before = jobs.get(job.id);
  if (OVER.includes(job.state)) {
    // What was over before this page was opened is no news.
    if (!before && Date.now() - Date.parse(job.finished) > 1000 * KEEP_SECONDS) return;
    if (!before || !OVER.includes(before.state)) {
      verbs.changed();
      if (byId("library").open) list();
      if (job.state === "done" && !job.failed && !byId("library").open) toast(doneLine(job));
      setTimeout(() => {
        jobs.delete(job.id);
        showJobs();
      }, 1000 * (job.failed || job.state === "failed" ? 3 * KEEP_SECONDS : KEEP_SECONDS));
    }
  }
  const further = job.state === "running" && job.pages > (before?.pages || 0);
  jobs.set(job.id, job);
  showJobs();
  // What is committed can be searched already: it is shown while the rest is indexed.
  if (further && Date.now() - told > 1000 * NEWS_SECONDS) {
    told = Date.now();
    verbs.changed();
    if (byId("library").open) list();
  }
}

/** The job that is going on, if any. */
export const atWork = () => [...jobs.values()].find((job) => job.state === "running") || [...jobs.values()].find((job) => job.state === "queued");

/** How far a job is, in words. */
export const progressOf = (job) => (job.files ? `${job.done.toLocaleString("en")} of ${plural(job.files, "file")} · ${plural(job.pages, "page")}` : "begins …");

function showJobs() {
  byId("busy").hidden = ![...jobs.values()].some((job) => !OVER.includes(job.state));
  byId("refresh").disabled = Boolean(atWork());
  verbs.working();
  byId("jobs").replaceChildren(...[...jobs.values()].map(jobCard));
}

function jobCard(job) {
  if (job.state === "sending") {
    return make("div", { class: "job" }, make("div", { class: "job-head" }, make("strong", {}, job.label)), make("progress", { value: job.share, max: 1, "aria-label": job.label }));
  }
  const label = job.kind === "refresh" ? "All documents" : job.sources.length === 1 ? shortName(job.sources[0]) : plural(job.sources.length, "document");
  const over = OVER.includes(job.state);
  const stop = over ? null : make("button", { type: "button", class: "bare tool", "aria-label": `Cancel: ${label}`, title: "Cancel", onclick: () => api.cancel(job.id).catch((error) => toast(error.message)) }, icon("close"));
  const line = { queued: "waits", running: `${progressOf(job)}${job.current ? ` · ${shortName(job.current)}` : ""}` }[job.state];
  const bar = over ? null : make("progress", { value: job.state === "running" && job.files ? job.done : null, max: job.files || 1, "aria-label": `Progress: ${label}` });
  return make("div", { class: "job" },
    make("div", { class: "job-head" }, make("strong", { title: job.sources.join("\n") }, label), stop),
    bar,
    make("p", {}, line || (job.state === "done" ? doneLine(job) : job.message)),
    ...job.failures.map((failure) => make("p", { class: "bad" }, `${shortName(failure.uri)}: ${failure.reason}`)));
}

function doneLine(job) {
  const parts = [[job.indexed, "indexed"], [job.unchanged, "unchanged"], [job.removed, "removed"], [job.failed, "failed"]];
  const told = parts.filter(([count]) => count).map(([count, name]) => `${count.toLocaleString("en")} ${name}`).join(" · ") || "nothing to do";
  return job.pages ? `${told} · ${plural(job.pages, "page")}` : told;
}

/** Put the list off for a second if somebody is about to delete, for nothing moves under that hand; says whether it did. */
function putOff() {
  if (!byId("library").querySelector(".sure")) return false;
  clearTimeout(pause);
  pause = setTimeout(list, 1000);
  return true;
}

async function list(further = false) {
  if (!further && putOff()) return;
  const mine = (listing = {});
  const from = further ? skip + LISTED : 0;
  try {
    const [found, problems, status] = await Promise.all([api.documents({ skip: from, count: LISTED, state: "searchable", name: byId("find").value.trim() }), api.documents({ state: "problem", count: 100 }), api.status()]);
    // Asked again: the hand, or another wish, may have come while the answers were on their way.
    if (mine !== listing || (!further && putOff())) return;
    skip = from;
    const rows = found.documents.map(documentRow);
    if (further) byId("documents").append(...rows);
    else byId("documents").replaceChildren(...rows);
    if (!rows.length && !further) byId("documents").append(make("li", { class: "none" }, byId("find").value.trim() ? "No document of that name." : "No documents yet."));
    byId("more-documents").hidden = skip + LISTED >= found.total;
    byId("problems").hidden = !problems.total;
    byId("problem-list").replaceChildren(...problems.documents.map(problemRow));
    byId("library-counts").textContent = `${plural(status.pages, "page")} of ${plural(status.documents, "document")}`;
  } catch (error) {
    toast(error.message);
  }
}

function documentRow(document) {
  const name = document.title || shortName(document.uri);
  const show = () => verbs.open({ uri: document.uri, page: 1, title: document.title, picture: document.picture, boxes: [], marks: [], snippet: "", score: null });
  const thumb = document.picture ? make("img", { class: "thumb", src: `${document.picture.url}?width=160`, alt: "", loading: "lazy" }) : make("span", { class: "thumb" });
  return make("li", {},
    make("button", { type: "button", class: "thumb-button", "aria-label": `Open ${name}`, onclick: show }, thumb),
    make("div", {}, make("strong", { title: name }, name), make("small", { title: document.uri }, `${shortName(document.uri)} · ${plural(document.pages, "page")}`)),
    removeButton(document));
}

function problemRow(document) {
  return make("li", {},
    make("div", {}, make("strong", { title: document.uri }, shortName(document.uri)), make("span", { class: "reason" }, document.reason)),
    removeButton(document));
}

/** A button that asks once more before it acts. */
function removeButton(document) {
  const verb = document.uploaded ? "Delete" : "Take out";
  const button = make("button", { type: "button", class: "remove", "aria-label": `${verb}: ${shortName(document.uri)}`, title: document.uploaded ? "Delete the uploaded file" : "Take it out of the index; the file stays" }, verb);
  const calm = () => {
    button.classList.remove("sure");
    button.textContent = verb;
  };
  button.addEventListener("blur", calm);
  button.addEventListener("click", async () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.textContent = `${verb}?`;
      return;
    }
    button.disabled = true;
    try {
      await api.remove(document.uri);
      verbs.removed(document.uri);
      button.closest("li").remove();
      byId("problems").hidden = !byId("problem-list").children.length;
    } catch (error) {
      toast(error.message);
      button.disabled = false;
      calm();
    }
  });
  return button;
}
