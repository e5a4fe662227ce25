// The search field: words, a picture, and the filters below it.
import { byId, kindName, languageName, make, plural, shortName, toast } from "./dom.js";
import { filtersSet, state } from "./state.js";

const PAUSE = 220;
const LONG_SIDE = 1280;

/** Wire the field up; `changed(typing)` is called when something else is asked. */
export function setUp(changed) {
  const words = byId("words");
  let pause = 0;
  words.addEventListener("input", () => {
    state.q = words.value;
    byId("clear").hidden = !words.value;
    clearTimeout(pause);
    pause = setTimeout(() => changed(true), PAUSE);
  });
  byId("clear").addEventListener("click", () => {
    clearTimeout(pause);
    state.q = "";
    words.focus();
    changed(false);
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(pause);
    state.q = words.value;
    changed(false);
  });
  byId("pick").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async ({ target }) => {
    if (target.files[0]) await takePicture(target.files[0], changed);
    target.value = "";
  });
  byId("chip").querySelector("button").addEventListener("click", () => {
    state.picture = state.like = null;
    words.focus();
    changed(false);
  });
  setUpFilters(changed);
}

/** Ask with a picture file. */
export async function takePicture(file, changed) {
  try {
    state.picture = { data: await shrink(file), name: file.name && file.name !== "image.png" ? file.name : "your picture" };
    state.like = null;
  } catch {
    toast(`${file.name || "This"} is not a picture that this browser can read.`);
    return;
  }
  byId("words").focus();
  changed(false);
}

/** A picture no larger than pages are kept, as a data URL. */
async function shrink(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONG_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = make("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", 0.9);
}

/** Show the state in the field. `likePicture` tells where the picture of the page to be alike is. */
export function show(likePicture) {
  const words = byId("words");
  if (words.value !== state.q) words.value = state.q;
  byId("clear").hidden = !state.q;
  const chip = byId("chip");
  chip.hidden = !state.picture && !state.like;
  const image = chip.querySelector("img");
  if (state.picture) {
    image.src = state.picture.data;
    chip.querySelector(".chip-name").textContent = state.picture.name;
  } else if (state.like) {
    if (likePicture) image.src = likePicture;
    chip.querySelector(".chip-name").textContent = `${state.like.box ? "part of " : ""}${shortName(state.like.uri)}, p. ${state.like.page}`;
  }
  words.placeholder = chip.hidden ? "Words, a picture, or both" : "Add what should differ, as in: the same for 2023";
  for (const [id, value] of [["language", state.language], ["after", state.after], ["before", state.before], ["name", state.name]]) byId(id).value = value;
  byId("exact").checked = state.exact;
  byId("weak").checked = state.weak;
  const set = filtersSet();
  byId("filters-set").textContent = set ? ` · ${set} set` : "";
  if (set) byId("more-filters").open = true;
  for (const button of byId("kinds").children) button.setAttribute("aria-pressed", state.types.includes(button.dataset.kind));
}

function setUpFilters(changed) {
  let pause = 0;
  for (const id of ["language", "after", "before", "name"]) {
    byId(id).addEventListener("input", ({ target }) => {
      state[id] = target.value;
      clearTimeout(pause);
      pause = setTimeout(() => changed(false), id === "name" ? PAUSE : 0);
    });
  }
  for (const id of ["exact", "weak"]) {
    byId(id).addEventListener("change", ({ target }) => {
      state[id] = target.checked;
      changed(false);
    });
  }
  byId("kinds").addEventListener("click", ({ target }) => {
    const kind = target.closest("button")?.dataset.kind;
    if (!kind) return;
    state.types = state.types.includes(kind) ? state.types.filter((other) => other !== kind) : [...state.types, kind];
    changed(false);
  });
}

/** Offer the kinds and languages that the index holds. */
export function showFacets({ types, languages }) {
  byId("kinds").replaceChildren(
    ...Object.entries(types).map(([kind, count]) =>
      make("button", { type: "button", class: "kind", "data-kind": kind, "aria-pressed": String(state.types.includes(kind)), title: plural(count, "document") }, kindName(kind), make("small", {}, count.toLocaleString("en")))),
  );
  byId("language").replaceChildren(
    make("option", { value: "" }, "any"),
    ...Object.entries(languages).map(([code, pages]) => make("option", { value: code }, `${languageName(code)} (${pages})`)),
  );
  byId("language").value = state.language;
}
