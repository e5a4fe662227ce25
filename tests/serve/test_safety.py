"""What strangers try: names, scripts, bombs, other web pages, slow bytes."""

import contextlib
import http.client
import io
import json
import socket
import threading
import zipfile
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from documents import write_pdf
from fastapi.testclient import TestClient
from PIL import Image
from servers import running, wait_until
from starlette.datastructures import Headers

from visir.errors import VisirError
from visir.index import Index
from visir.serve.app import create_app
from visir.serve.client import RequestError
from visir.serve.guard import COOKIE, Keys
from visir.serve.options import ServeOptions, state_folder

TOKEN = "correct horse battery staple"


def ask(server, method, path, body=None, **headers):
    """Send a request as written, without a client that would set it right; returns status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body is not None:
        connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return told


def multipart(name: bytes, content: bytes) -> tuple[bytes, str]:
    """A form with one file whose name is written as it is."""
    head = b'--line\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\nContent-Type: text/html\r\n\r\n' % name
    return head + content + b"\r\n--line--\r\n", "multipart/form-data; boundary=line"


def send_file(server, name, content):
    body, kind = multipart(name, content)
    status, _, told = ask(server, "POST", "/api/documents/files", body, content_type=kind)
    return status, json.loads(told)


# Who may call


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7333", "127.0.0.1.evil.example", "", "localhost.evil.example", "[::2]"])
def test_a_name_that_was_pointed_here_is_refused(server, host):
    assert ask(server, "GET", "/api/status", host=host)[0] == 421


def test_names_of_this_machine_are_answered(server):
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]:80"):
        assert ask(server, "GET", "/health", host=host)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"},
    ],
)
def test_other_web_pages_cannot_act(server, headers):
    for method, path in (("POST", "/api/refresh"), ("DELETE", "/api/documents?uri=x"), ("POST", "/mcp"), ("GET", "/api/status")):
        assert ask(server, method, path, **headers)[0] == 403


def test_a_link_from_elsewhere_may_open_the_page(server):
    assert ask(server, "GET", "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200


def test_without_a_token_only_this_machine_can_be_served():
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        with pytest.raises(VisirError, match=r"set \$VISIR_TOKEN"):
            ServeOptions(host=host)
    with pytest.raises(VisirError, match="shorter than 16"):
        ServeOptions(host="0.0.0.0", token="short")
    assert ServeOptions(host="0.0.0.0", token=TOKEN).token == TOKEN


def test_another_address_of_this_machine_is_answered_where_it_is_listened_on(tmp_path):
    with running(tmp_path / "index", "--host", "127.0.0.2") as own:
        assert httpx2.get(f"http://127.0.0.2:{own.port}/health").status_code == 200
        assert httpx2.get(f"http://127.0.0.2:{own.port}/health", headers={"host": "evil.example"}).status_code == 421


@pytest.fixture(scope="module")
def locked(shelf, tmp_path_factory):
    with running(tmp_path_factory.mktemp("locked") / "index", "--host", "0.0.0.0", token=TOKEN) as started:
        yield started


def test_with_a_token_nothing_of_the_index_is_told_without_it(locked):
    paths = [
        "/api/status",
        "/api/search?q=x",
        "/api/documents",
        "/api/events",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/mcp",
        "/nothing",
    ]
    for path in paths:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": TOKEN},
            {"cookie": f"visir={TOKEN}"},
            {"cookie": "visir="},
        ):
            assert ask(locked, "GET", path, **headers)[0] == 401, (path, headers)
    assert ask(locked, "GET", "/")[0] == 200
    assert ask(locked, "GET", "/web/main.js")[0] == 200
    told = json.loads(ask(locked, "GET", "/health")[2])
    assert set(told) == {"status", "version", "model"}


def test_the_token_opens_by_header_and_by_cookie(locked):
    assert locked.client().status().documents == 0
    body = json.dumps({"token": TOKEN}).encode()
    status, headers, _ = ask(locked, "POST", "/api/session", body, content_type="application/json")
    cookie = headers["set-cookie"]
    assert status == 204
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert ask(locked, "GET", "/api/status", cookie=cookie.partition(";")[0])[0] == 200
    wrong = json.dumps({"token": "wrong"}).encode()
    assert ask(locked, "POST", "/api/session", wrong, content_type="application/json")[0] == 401


# What browsers are told


def test_every_answer_tells_browsers_to_run_nothing_foreign(server, shelf):
    original = f"/api/original?uri={quote(str(shelf / 'bread.pdf'))}"
    for path in ("/", "/api/status", "/nothing", "/web/main.js", original, "/web/../serve/app.py", "/api/page"):
        _, headers, _ = ask(server, "GET", path)
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_asks_nobody_else_and_has_no_script_of_its_own():
    import visir.serve

    for path in (Path(visir.serve.__file__).parent / "web").iterdir():
        text = path.read_text()
        addresses = text.replace("http://www.w3.org/2000/svg", "").replace("https:// a web page", "")
        assert "http://" not in addresses.replace('"http://', "")
        assert "https://" not in addresses
        assert "innerHTML" not in text
        if path.suffix == ".html":
            assert '<script type="module" src=' in text
            assert " on" + "click" not in text
            assert " style=" not in text


@pytest.mark.parametrize(
    "path", ["/web/..%2fapp.py", "/web/%2e%2e/app.py", "/web/....//app.py", "/web//etc/passwd", "/web/%00", "/web/..\\app.py"]
)
def test_only_the_files_of_the_page_are_served(server, path):
    assert ask(server, "GET", path)[0] in (400, 404)


# Documents and their names


@pytest.mark.parametrize(
    "uri", ["/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "\0", "/", "x' OR 1=1 --", "%2e%2e/", "C:\\windows"]
)
def test_only_documents_of_the_index_can_be_had(server, uri):
    for path in ("/api/original", "/api/page"):
        assert ask(server, "GET", f"{path}?uri={quote(uri)}")[0] == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"../../../../tmp/evil.txt", "evil.txt"),
        (b"..\\\\..\\\\evil.txt", "evil.txt"),
        (b"/etc/cron.d/evil.txt", "evil.txt"),
        (b".hidden.txt", "hidden.txt"),
        (b"a" * 400 + b".txt", "a" * 116 + ".txt"),
        (b"<img src=x onerror=alert(1)>.txt", "img src=x onerror=alert(1).txt"),
        ("über\u202egpj.txt".encode(), "übergpj.txt"),
        (b"..", None),
        (b"con\x01trol\x7f.txt", "control.txt"),
    ],
)
def test_an_uploads_name_is_only_a_name(server, client, name, kept):
    status, job = send_file(server, name, b"words about nothing in particular")
    assert status == 202
    uri = job["sources"][0]
    home = server.index.with_name(server.index.name + ".serve") / "uploads"
    assert Path(uri).is_relative_to(home)
    assert Path(uri).is_file()
    assert kept is None or Path(uri).name == kept
    client.wait(job["id"])
    client.remove(uri)


def test_a_script_in_a_page_is_never_served_as_a_page(server, client):
    status, job = send_file(
        server, b"evil.html", b"<!doctype html><title><script>alert(1)</script></title><script>alert(2)</script><p>harmless words"
    )
    assert status == 202
    client.wait(job["id"])
    uri = job["sources"][0]
    _, headers, _ = ask(server, "GET", f"/api/original?uri={quote(uri)}")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    # The answer is JSON, which no browser runs; a title with a script in it is a title.
    _, headers, body = ask(server, "GET", "/api/search?q=harmless")
    assert headers["content-type"] == "application/json"
    assert "<script>" in json.loads(body)["hits"][0]["title"]
    client.remove(uri)


@pytest.mark.parametrize(
    ("name", "content", "served"),
    [
        (b"page.txt", b"<!doctype html><script>alert(1)</script>", "text/plain; charset=utf-8"),
        (b"note.txt", b"plain words <script>alert(1)</script>", "text/plain; charset=utf-8"),
        (b"fake.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "application/octet-stream"),
    ],
)
def test_a_files_type_is_what_it_holds_not_what_it_is_called(server, client, name, content, served):
    _, job = send_file(server, name, content)
    client.wait(job["id"])
    _, headers, _ = ask(server, "GET", f"/api/original?uri={quote(job['sources'][0])}")
    assert headers["content-type"] == served
    client.remove(job["sources"][0])


def test_a_name_cannot_write_headers(server, client, shelf):
    wicked = write_pdf(shelf / 'evil\r\nSet-Cookie: a=b".pdf', ["A page with a wicked name"])
    assert client.wait(client.refresh()).indexed == 1
    _, headers, body = ask(server, "GET", f"/api/original?uri={quote(str(wicked))}")
    assert "set-cookie" not in headers
    assert "Set-Cookie: a=b" not in headers["content-disposition"]
    assert body.startswith(b"%PDF")
    wicked.unlink()
    assert client.wait(client.refresh()).removed == 1
    status, headers, _ = ask(server, "GET", "/api/original?uri=x%0d%0aSet-Cookie:%20a=b")
    assert (status, "set-cookie" in headers) == (404, False)


# Sizes and times


def bomb(width: int, height: int) -> bytes:
    """A small PNG of very many pixels."""
    import struct

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = zlib.compressobj(9)
    pixels = b"".join(lines.compress(bytes(width + 1)) for _ in range(height)) + lines.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_picture_of_too_many_pixels_is_one_clear_line(client):
    with pytest.raises(RequestError, match="million pixels") as caught:
        client.search(image=bomb(20_000, 10_000))
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("path", "kind", "size"),
    [("/api/search", "application/json", 1 << 40), ("/api/documents/files", "multipart/form-data; boundary=x", 257 << 20)],
)
def test_a_request_that_says_it_is_too_large_is_refused_before_it_comes(server, path, kind, size):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", path)
    connection.putheader("content-length", str(size))
    connection.putheader("content-type", kind)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_an_upload_that_never_says_its_size_ends_where_it_is_too_large(server):
    """In pieces, as a browser never sends it; what had come is thrown away."""
    uploads = state_folder(server.index) / "uploads"
    before = sorted(uploads.rglob("*"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        line.sendall(
            f"POST /api/documents/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        )
        head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n%PDF-'
        piece = bytes(1 << 20)
        with contextlib.suppress(ConnectionError):  # the server hangs up
            line.sendall(b"%x\r\n%b\r\n" % (len(head), head))
            for _ in range(300):
                line.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        assert line.recv(64).startswith(b"HTTP/1.1 413")
    assert sorted(uploads.rglob("*")) == before


def test_an_archive_that_unpacks_without_end_is_one_failed_document(server, client):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w") as member:
            for _ in range(1100):
                member.write(b" " * (1 << 20))
    _, job = send_file(server, b"bomb.docx", buffer.getvalue())
    [failure] = client.wait(job["id"]).failures
    assert "decompression bomb" in failure.reason
    assert client.health()
    client.remove(job["sources"][0])


def test_secrets_are_compared_in_a_time_that_tells_nothing(monkeypatch):
    compared = []

    def noting(one, other):
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("visir.serve.guard.hmac.compare_digest", noting)
    keys = Keys(TOKEN)
    for shown in ("", "x", TOKEN[:-1], TOKEN, TOKEN + "x", "ü"):
        assert keys.is_token(shown) == (shown == TOKEN)
    assert compared == [(32, 32)] * 6, "always digests of one length"
    assert not keys.are_shown(Headers({"cookie": f"{COOKIE}=guess"}))
    assert keys.are_shown(Headers({"cookie": f"{COOKIE}={keys.cookie}"}))
    assert len(compared) == 8


def test_what_is_no_http_is_refused(server):
    for junk in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
            try:
                raw.sendall(junk)
                told = raw.recv(100)
            except ConnectionResetError:
                continue
            assert told == b"" or told.startswith(b"HTTP/1.1 400")


# Web addresses


@pytest.mark.parametrize("url", ["ftp://example.org/x", "file:///etc/passwd", "javascript:alert(1)", "//example.org", "http://a b"])
def test_only_web_addresses_can_be_added(client, url):
    with pytest.raises(RequestError) as caught:
        client.add(url)
    assert caught.value.status == 422


def test_addresses_of_this_machine_and_network_are_refused(client, server):
    addresses = [
        f"{server.address}health",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://127.0.0.1:1/report.pdf",
    ]
    job = client.wait(client.add(*addresses))
    assert (job.indexed, job.failed) == (0, len(addresses))
    assert all("private address" in failure.reason for failure in job.failures), job.failures
    assert client.remove(*addresses) == len(addresses)


def test_addresses_of_this_machine_are_fetched_where_that_is_allowed(tmp_path):
    write_pdf(tmp_path / "site" / "walrus.pdf", ["The walrus on the beach"])
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "site")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site, running(tmp_path / "index", "--allow-private") as server:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{site.server_port}/walrus.pdf"
        job = server.client().wait(server.client().add(address))
        site.shutdown()
        assert (job.indexed, job.failures) == (1, [])
        assert server.client().search("walrus beach").hits[0].uri == address


def test_the_limits_of_a_server_reach_the_process_that_indexes(tmp_path):
    path = write_pdf(tmp_path / "long.pdf", [f"page {number}" for number in range(5)])
    with Index.open(tmp_path / "index") as index, TestClient(create_app(index, ServeOptions(max_pages=2)), "http://127.0.0.1") as client:
        job = client.post("/api/documents/files", files={"files": ("long.pdf", path.read_bytes())}).json()
        wait_until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] not in ("queued", "running"))
        [document] = client.get("/api/documents").json()["documents"]
        assert (document["pages"], document["state"]) == (2, "partial")
        assert "no further than page 2, which is the limit" in document["reason"]


def test_an_uploaded_page_sees_no_other_upload_and_no_file_of_the_machine(server, client, tmp_path):
    red, blue = tmp_path / "red.png", tmp_path / "blue.png"
    Image.new("RGB", (300, 300), "#ff0000").save(red)
    Image.new("RGB", (300, 300), "#0000ff").save(blue)
    first = client.wait(client.upload(red))
    stolen = first.sources[0]
    page = "".join(
        f"<img width=300 src='{where}'>" for where in (f"file://{stolen}", f"file://{blue}", "../../" + "/".join(Path(stolen).parts[-3:]))
    )
    _, job = send_file(server, b"spy.html", b"<!doctype html><p>spying words</p>" + page.encode())
    client.wait(job["id"])
    hit = client.search("spying words", count=1).hits[0]
    shot = tmp_path / "shot.jpg"
    shot.write_bytes(client.picture(hit.picture))
    seen = Image.open(shot).convert("RGB")
    colours = {colour for _, colour in seen.getcolors(1 << 24)}
    assert not any(red > 150 and green < 90 and blue < 90 for red, green, blue in colours)
    assert not any(blue > 150 and green < 90 and red < 90 for red, green, blue in colours)
    client.remove(stolen, job["sources"][0])


def test_addresses_in_answers_lead_to_this_server(client, shelf):
    page = client.page(str(shelf / "bread.pdf"))
    assert not urlsplit(page.original).netloc
    assert not urlsplit(page.picture.url).netloc
