"""Documents that web addresses serve, fetched from a real server."""

import http.server
import threading
import time
from dataclasses import replace

import pytest
from documents import draw_png, write_pdf

from visir.capture import CaptureOptions, Worker, network
from visir.capture.download import download, promises_file
from visir.errors import CaptureError, CaptureTimeout

OPTIONS = CaptureOptions(timeout=30)


class Site:
    """A server on a loopback address: ``pages`` maps a path to (status, headers, body)."""

    def __init__(self, host="127.0.0.1"):
        site = self
        self.pages, self.hits = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.hits.append(self.path)
                status, headers, body = site.pages.get(self.path, (404, {}, b"missing"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(piece)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.handle_error = lambda *_: None
        self.url = f"http://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, path, body, kind="application/octet-stream", **headers):
        self.pages[path] = (200, {"Content-Type": kind, **headers}, body)
        return self.url + path

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture
def private_site():
    site = Site("127.0.0.2")
    yield site
    site.close()


@pytest.fixture
def pdf(tmp_path):
    return write_pdf(tmp_path / "made.pdf", ["First page about herons", "Second page about otters"]).read_bytes()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/report.pdf", "application/pdf"),
        ("/report.pdf?version=2", "text/plain"),  # a lie
        ("/pdf/2502.11431", "application/pdf"),  # a name that promises nothing: the browser meets it first
        ("/download", "application/octet-stream"),
    ],
)
def test_a_pdf_by_address_is_captured_as_a_pdf(site, pdf, path, kind):
    address = site.serve(path, pdf, kind)
    with Worker(OPTIONS) as worker:
        shots = list(worker.capture(address))
    assert [shot.uri for shot in shots] == [address] * 2
    assert "otters" in shots[1].text


def test_a_picture_and_a_table_by_address(site):
    picture = site.serve("/chart", draw_png(["herons"]), "image/png")
    table = site.serve("/birds.csv", b"bird,count\nheron,4\n", "text/csv")
    with Worker(OPTIONS) as worker:
        assert len(list(worker.capture(picture))) == 1
        [shot] = worker.capture(table)
    assert "heron" in shot.text


def test_a_name_that_promises_a_file_may_lead_to_a_page(site):
    address = site.serve("/notes.md", b"<!DOCTYPE html><title>t</title><p>Pageword</p>", "text/html")
    with Worker(OPTIONS) as worker:
        [shot] = worker.capture(address)
    assert shot.text == "Pageword"


def test_a_redirect_leads_to_the_file(site, pdf, tmp_path):
    site.pages["/latest.pdf"] = (302, {"Location": "/v2/report.pdf"}, b"")
    site.serve("/v2/report.pdf", pdf, "application/pdf")
    assert download(site.url + "/latest.pdf", tmp_path, OPTIONS).name == "report.pdf"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x.pdf", "data:,x"])
def test_a_redirect_to_another_scheme_is_refused(site, tmp_path, target):
    site.pages["/jump.pdf"] = (302, {"Location": target}, b"")
    with pytest.raises(CaptureError) as caught:
        download(site.url + "/jump.pdf", tmp_path, OPTIONS)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("passwd")) == []


def test_private_hosts_are_refused_at_first_and_after_each_redirect(site, private_site, pdf, tmp_path, monkeypatch):
    options = replace(OPTIONS, private_hosts=False)
    address = site.serve("/report.pdf", pdf)
    with pytest.raises(CaptureError, match="private"):
        download(address, tmp_path, options)
    assert site.hits == []
    # From here on 127.0.0.1 counts as public, 127.0.0.2 does not.
    monkeypatch.setattr(network, "is_public", lambda ip: ip == "127.0.0.1")
    assert download(address, tmp_path, options).read_bytes() == pdf
    site.pages["/jump.pdf"] = (302, {"Location": "/again.pdf"}, b"")
    site.pages["/again.pdf"] = (302, {"Location": private_site.serve("/secret.pdf", pdf)}, b"")
    with pytest.raises(CaptureError, match=r"127\.0\.0\.2 is a private address"):
        download(site.url + "/jump.pdf", tmp_path, options)
    assert private_site.hits == []


def test_too_large_a_file_is_given_up_while_it_comes(site, tmp_path):
    sent = []

    def endless():
        while True:
            sent.append(1)
            yield b"%PDF-1.4" + b"x" * 65536

    site.pages["/endless.pdf"] = (200, {}, endless())
    with pytest.raises(CaptureError, match="serves more than 1 MB"):
        download(site.url + "/endless.pdf", tmp_path, replace(OPTIONS, download=1 << 20))
    assert len(sent) < 200


def test_a_server_that_stops_in_the_middle_is_given_up(site, tmp_path):
    def stuck():
        yield b"%PDF-1.4"
        time.sleep(5)

    site.pages["/stuck.pdf"] = (200, {"Content-Length": "100"}, stuck())
    with pytest.raises(CaptureTimeout, match="did not answer in time"):
        download(site.url + "/stuck.pdf", tmp_path, replace(OPTIONS, timeout=1))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://nowhere.invalid/a.pdf", "no such host"),
        ("http://127.0.0.1:1/a.pdf", "refused or broke the connection"),
    ],
)
def test_trouble_is_told_in_one_line(tmp_path, address, reason):
    with pytest.raises(CaptureError, match=reason) as caught:
        download(address, tmp_path, OPTIONS)
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_an_error_or_no_document(site, tmp_path):
    with pytest.raises(CaptureError, match="the server answered 404"):
        download(site.url + "/absent.pdf", tmp_path, OPTIONS)
    address = site.serve("/program.pdf", b"\x7fELF" + bytes(99))
    with Worker(OPTIONS) as worker, pytest.raises(CaptureError, match="its content is something else") as caught:
        list(worker.capture(address))
    assert caught.value.uri == address


@pytest.mark.parametrize("name", ["../../etc/cron.d/x.pdf", "..\\..\\x.pdf", "/etc/x.pdf", "a\x00b.pdf", ".hidden.pdf", ""])
def test_a_file_stays_in_its_folder_whatever_the_server_calls_it(site, pdf, tmp_path, name):
    address = site.serve("/x.pdf", pdf, **{"Content-Disposition": f'attachment; filename="{name}"'})
    inside = tmp_path / "inside"
    inside.mkdir()
    assert download(address, inside, OPTIONS).resolve().parent == inside.resolve()


def test_what_promises_a_file():
    assert promises_file("https://example.org/a/report.PDF?x=1#page=2")
    assert not promises_file("https://example.org/report.html")
    assert not promises_file("https://example.org/pdf")
