"""A hub on this machine: as much of huggingface.co's protocol as its client needs to fetch data sets and models."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(repositories: dict[str, Path]) -> Iterator[str]:
    """Serve folders under names such as ``datasets/owner/name`` and ``models/owner/name``; yields the hub's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def answer(self):
            path = self.path.partition("?")[0].strip("/")
            for name, folder in repositories.items():
                tree = f"api/{name}/tree/"
                if path.startswith(tree):
                    return self.tree(folder, path.removeprefix(tree).partition("/")[2])
                if path == f"api/{name}" or path.startswith(f"api/{name}/revision/"):
                    return self.about(name, folder)
                head = f"{name.removeprefix('models/')}/resolve/"
                if path.startswith(head):
                    return self.file(folder / path.removeprefix(head).partition("/")[2])
            return self.say(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def about(self, name, folder):
            siblings = [{"rfilename": file.relative_to(folder).as_posix()} for file in files(folder)]
            self.say(200, json.dumps({"id": name.partition("/")[2], "sha": COMMIT, "siblings": siblings, "tags": []}).encode())

        def tree(self, folder, below):
            """List what lies in a folder of the repository, ``below`` its top, and with ``recursive`` in the query all of it."""
            if not (folder / below).is_dir():
                return self.say(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            every = "recursive=true" in self.path.lower()
            rows = [
                {"type": "file", "path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "oid": digest(path)}
                if path.is_file()
                else {"type": "directory", "path": path.relative_to(folder).as_posix(), "oid": "0" * 40}
                for path in sorted((folder / below).glob("**/*" if every else "*"))
            ]
            return self.say(200, json.dumps(rows).encode())

        def file(self, file):
            if not file.is_file():
                return self.say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            content, status = file.read_bytes(), 200
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if start:
                content, status = content[start:], 206
            return self.say(status, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(file)}"', "Accept-Ranges": "bytes"})

        def say(self, status, content, headers=()):
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **dict(headers)}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *args):
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def files(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def digest(file):
    return hashlib.sha1(file.read_bytes()).hexdigest()
