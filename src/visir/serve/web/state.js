// What is asked, as it stands in the address bar: every search and every open page can be linked to, reloaded and gone back to.
// A picture that was pasted or dropped has no address; it is kept with the entry of the browser's history.

/** Scores below this are marked as weak. */
export const WEAK = 30;
const EMPTY = { q: "", like: null, picture: null, types: [], language: "", after: "", before: "", name: "", exact: true, weak: false };

export const state = { ...EMPTY, open: null };

/** Take the state out of the address and the history's entry. */
export function readAddress() {
  const read = new URLSearchParams(location.search);
  const box = (read.get("part") || "").split(",").map(Number);
  Object.assign(state, EMPTY, {
    q: read.get("q") || "",
    like: read.get("like") ? { uri: read.get("like"), page: Number(read.get("likepage")) || 1, box: box.length === 4 && box.every(Number.isFinite) ? box : null } : null,
    picture: history.state?.picture || null,
    types: read.getAll("type"),
    language: read.get("language") || "",
    after: read.get("after") || "",
    before: read.get("before") || "",
    name: read.get("name") || "",
    exact: read.get("exact") !== "no",
    weak: read.get("weak") === "yes",
    open: read.get("uri") ? { uri: read.get("uri"), page: Number(read.get("page")) || 1 } : null,
  });
}

/** The address of the state, or of the state with something changed. */
export function addressOf(change = {}) {
  const now = { ...state, ...change };
  const write = new URLSearchParams();
  const put = (name, value) => value && write.set(name, value);
  put("q", now.q.trim());
  if (now.like) {
    write.set("like", now.like.uri);
    write.set("likepage", now.like.page);
    if (now.like.box) write.set("part", now.like.box.map((value) => value.toFixed(4)).join(","));
  }
  now.types.forEach((type) => write.append("type", type));
  put("language", now.language);
  put("after", now.after);
  put("before", now.before);
  put("name", now.name);
  if (!now.exact) write.set("exact", "no");
  if (now.weak) write.set("weak", "yes");
  if (now.open) {
    write.set("uri", now.open.uri);
    write.set("page", now.open.page);
  }
  const query = write.toString();
  return query ? `/?${query}` : "/";
}

/** Write the state into the address bar. */
export function writeAddress(replace = false) {
  const entry = { picture: state.picture };
  try {
    history[replace ? "replaceState" : "pushState"](entry, "", addressOf());
  } catch {
    history[replace ? "replaceState" : "pushState"](null, "", addressOf());
  }
}

export const isAsked = () => Boolean(state.q.trim() || state.like || state.picture);
/** How many of the further filters are set; `filtersOnly` leaves out what does not narrow a search. */
export const filtersSet = ({ filtersOnly = false } = {}) => [state.language, state.after, state.before, state.name, ...(filtersOnly ? [] : [!state.exact, state.weak])].filter(Boolean).length;
export const clearFilters = () => Object.assign(state, { types: [], language: "", after: "", before: "", name: "" });
export const clear = () => Object.assign(state, EMPTY, { open: null });

/** The state as the server takes it. */
export function requestOf(skip, count) {
  const filters = { types: state.types, languages: state.language ? [state.language] : [], after: state.after, before: dayAfter(state.before), name: state.name };
  return {
    text: state.q,
    image: state.picture?.data || "",
    like: state.picture ? null : state.like,
    filters,
    count,
    skip,
    words: state.exact,
    min_score: leastScore(),
  };
}

/** A picture alone asks for what is nearest, however far that is. */
export function leastScore() {
  return state.weak || !state.q.trim() ? 0 : 20;
}

/** The server leaves a day out that people mean to include. */
function dayAfter(day) {
  if (!day) return "";
  const next = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(next.getTime())) return "";
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}
