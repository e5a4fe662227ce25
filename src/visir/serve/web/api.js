// The server, asked. Every failure becomes one line for people.

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let signIn = null;
/** Say what to do when the server asks for its token: a function that resolves when it was given. */
export const onSignIn = (ask) => { signIn = ask; };

export async function ask(path, { method = "GET", body, signal } = {}) {
  const json = body !== undefined && !(body instanceof FormData);
  let answer;
  try {
    answer = await fetch(path, {
      method,
      signal,
      headers: json ? { "content-type": "application/json" } : {},
      body: json ? JSON.stringify(body) : body,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is it still running?", 0);
  }
  if (answer.status === 401 && signIn && path !== "/api/session") {
    await signIn();
    return ask(path, { method, body, signal });
  }
  if (!answer.ok) throw new Problem(await reason(answer), answer.status);
  return answer.status === 204 ? null : answer.json();
}

async function reason(answer) {
  try {
    const { detail } = await answer.json();
    if (typeof detail === "string") return detail[0].toUpperCase() + detail.slice(1);
    if (Array.isArray(detail)) return detail.map((one) => `${one.loc?.at(-1)}: ${one.msg}`).join("; ");
  } catch { /* not of this server's making */ }
  return `The server answered ${answer.status}.`;
}

export const search = (request, signal) => ask("/api/search", { method: "POST", body: request, signal });
export const page = (uri, number, signal) => ask(`/api/page?${new URLSearchParams({ uri, page: number })}`, { signal });
export const status = () => ask("/api/status");
export const documents = (query) => ask(`/api/documents?${new URLSearchParams(query)}`);
export const remove = (uri) => ask(`/api/documents?${new URLSearchParams({ uri })}`, { method: "DELETE" });
export const addAddress = (url) => ask("/api/documents", { method: "POST", body: { urls: [url] } });
export const refresh = () => ask("/api/refresh", { method: "POST" });
export const cancel = (job) => ask(`/api/jobs/${job}`, { method: "DELETE" });
export const signInWith = (token) => ask("/api/session", { method: "POST", body: { token } });

/** Send files; fetch does not tell how far it is, the older way does. */
export function upload(files, progress) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/documents/files");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status === 202) resolve(request.response);
      else reject(new Problem(request.response?.detail?.toString() || `The server answered ${request.status}.`, request.status));
    });
    request.addEventListener("error", () => reject(new Problem("The upload broke off. Is the server still running?", 0)));
    request.send(form);
  });
}

/** Hear of every job as it changes. */
export function listen(onJob) {
  const source = new EventSource("/api/events");
  source.addEventListener("job", (event) => onJob(JSON.parse(event.data)));
  return source;
}
