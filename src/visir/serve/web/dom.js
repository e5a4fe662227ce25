// Making elements. Text only ever goes in as text: no name or title of a document can become markup.

export const byId = (id) => document.getElementById(id);

/** Make an element; `on…` are listeners, `class` and `data-…` as in HTML, `--x` a style variable; nothing for false and null. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function toast(message, seconds = 4) {
  const element = make("div", { class: "toast" }, message);
  byId("toasts").append(element);
  setTimeout(() => element.remove(), seconds * 1000);
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

const KINDS = { pdf: "PDF", image: "Pictures", web: "Web pages", office: "Office", markdown: "Markdown", csv: "Tables", text: "Text" };
export const kindName = (kind) => KINDS[kind] || kind;

const languages = new Intl.DisplayNames(["en"], { type: "language" });
export function languageName(code) {
  try { return languages.of(code); } catch { return code; }
}

/** The last part of a path, or host and path of an address. */
export function shortName(uri) {
  if (/^https?:/.test(uri)) return uri.replace(/^https?:\/\/(www\.)?/, "").replace(/\/$/, "");
  const last = uri.split(/[/\\]/).pop();
  try { return decodeURIComponent(uri.startsWith("file:") ? last : last.replace(/%/g, "%25")); } catch { return last; }
}

/** A picture's address at a width that suits a number of CSS pixels on this screen. */
export const pictureAt = (picture, width) => `${picture.url}?width=${Math.ceil(width * Math.min(window.devicePixelRatio || 1, 2))}`;

/** A page as a sheet: its picture with boxes marked on it. */
export function sheet(picture, width, alt, boxes = [], lazy = true) {
  const image = make("img", { src: pictureAt(picture, width), alt, width: picture.width, height: picture.height, decoding: "async", loading: lazy ? "lazy" : null, draggable: "false" });
  return make("span", { class: "sheet", "--own": picture.width / picture.height }, image, ...boxes.map((box) => boxOf(box, boxes.length)));
}

function boxOf([left, top, right, bottom], count) {
  // A single large region is framed, since ink over a quarter of a page would hide it.
  const lone = count === 1 && (right - left) * (bottom - top) > 0.03;
  const element = make("span", { class: lone ? "box lone" : "box" });
  const part = (value) => `${(100 * value).toFixed(2)}%`;
  Object.assign(element.style, { left: part(left), top: part(top), width: part(right - left), height: part(bottom - top) });
  return element;
}

/** A passage with the query's words marked. */
export function marked(text, marks) {
  const pieces = [];
  // Offsets count characters, not the halves that some take in JavaScript.
  const letters = Array.from(text);
  let at = 0;
  for (const [start, end] of marks) {
    pieces.push(letters.slice(at, start).join(""), make("mark", {}, letters.slice(start, end).join("")));
    at = end;
  }
  pieces.push(letters.slice(at).join(""));
  return pieces;
}
