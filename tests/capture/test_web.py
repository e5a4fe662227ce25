"""Web capture against a real Chromium and real local servers."""

import contextlib
import gc
import http.server
import io
import itertools
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import children, processes_with

from visir.capture import network, web
from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, CaptureTimeout, MissingToolError

pytest.importorskip("playwright")
HERE = Path(__file__).parent / "web_fixtures"
OPTIONS = CaptureOptions(timeout=40)


@pytest.fixture(scope="module")
def shared():
    try:
        browser = web.Browser(OPTIONS)
    except MissingToolError as error:
        pytest.skip(str(error))
    with browser:
        yield browser


@pytest.fixture
def browser(shared):
    shared.options = OPTIONS
    yield shared
    assert shared._browser is None or shared._browser.contexts == []


class Site:
    """A server on a loopback address: ``pages`` maps a path to (status, headers, body) or to a body; ``hits`` lists what was asked."""

    def __init__(self, host="127.0.0.1"):
        site = self
        self.pages, self.hits = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.hits.append(self.path)
                answer = site.pages.get(self.path, (404, {}, "missing"))
                status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
                data = body.encode() if isinstance(body, str) else body
                self.send_response(status)
                for name, value in {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.handle_error = lambda *_: None
        self.port = self.server.server_port
        self.url = f"http://{host}:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

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
def folder(tmp_path):
    """A folder deep enough that the one above it is not the root."""
    folder = tmp_path / "book" / "chapter"
    folder.mkdir(parents=True)
    return folder


def write(folder, name, body):
    path = folder / name
    path.write_text(body, "utf-8")
    return str(path)


def png(colour, size=40):
    rows = b"".join(b"\0" + bytes(colour) * size for _ in range(size))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def pixels(shot):
    return np.asarray(shot.image)


def has_colour(shot, colour):
    return bool((np.abs(pixels(shot).astype(int) - colour).max(axis=2) < 40).any())


def all_text(shots):
    return " ".join(shot.text for shot in shots)


def assert_boxes_hold_ink(shot):
    picture = pixels(shot).astype(int)
    height, width, _ = picture.shape
    for word in shot.words:
        left, top, right, bottom = word.box
        part = picture[int(top * height) : int(np.ceil(bottom * height)), int(left * width) : int(np.ceil(right * width))]
        assert part.size, word
        assert np.ptp(part, axis=(0, 1)).max() > 60, word


def test_tall_page_is_cut_with_overlap_and_loses_no_word(browser, folder):
    lines = "".join(f"<p>Line number{n} of words</p>" for n in range(150))
    shots = list(browser.capture(write(folder, "tall.html", f"<body style='font:16px serif'><h1>Tall</h1>{lines}")))
    assert len(shots) > 3
    assert [shot.page for shot in shots] == list(range(1, len(shots) + 1))
    assert all(shot.image.size == (1024, 1280) for shot in shots)
    assert {shot.title for shot in shots} == {"Tall"}
    found = [{word.text for word in shot.words} for shot in shots]
    assert {f"number{n}" for n in range(150)} <= set().union(*found)
    for first, second in itertools.pairwise(found):
        assert first & second & {f"number{n}" for n in range(150)}
    for shot in shots:
        assert shot.text.split() == [word.text for word in shot.words]
        assert_boxes_hold_ink(shot)
    assert "Line number149 of words" in shots[-1].text.splitlines()
    last = next(word for word in shots[-1].words if word.text == "number149")
    assert last.box[3] > 0.95


def test_one_long_text_is_read_whole(browser, folder):
    lines = "\n".join(f"line{n} of a log" for n in range(700))
    shots = list(browser.capture(write(folder, "log.html", f"<pre>{lines}</pre>")))
    found = set(all_text(shots).split())
    assert {f"line{n}" for n in range(700)} <= found
    assert "line350 of a log" in [line for shot in shots for line in shot.text.splitlines()]
    assert_boxes_hold_ink(shots[4])


def test_overlapping_parts_of_tiles_show_the_same_pixels(browser, folder):
    shots = list(browser.capture(write(folder, "tall.html", "".join(f"<p>Line {n}</p>" for n in range(120)))))
    first, second = pixels(shots[0]).astype(int), pixels(shots[1]).astype(int)
    assert np.abs(first[web.STEP :] - second[: 1280 - web.STEP]).mean() < 2


def test_short_page_is_cropped(browser, folder):
    (shot,) = browser.capture(write(folder, "short.html", "<p>Few words</p>"))
    assert shot.image.size == (1024, 320)
    assert_boxes_hold_ink(shot)
    assert shot.title == "short.html"
    (middle,) = browser.capture(write(folder, "middle.html", "<p style='margin-top:600px'>Few words</p>"))
    assert 600 < middle.image.height < 700


def test_max_pages_limits_the_tiles(browser, folder):
    browser.options = replace(OPTIONS, max_pages=2)
    assert len(list(browser.capture(write(folder, "tall.html", "<div style='height:9000px'></div>end")))) == 2


def test_lazy_pictures_are_loaded(browser, site):
    site.pages["/red.png"] = (200, {"Content-Type": "image/png"}, png((255, 0, 0)))
    site.pages["/blue.png"] = (200, {"Content-Type": "image/png"}, png((0, 0, 255)))
    site.pages["/"] = """<title>Lazy</title><div style='height:6000px'>top</div><img loading=lazy src=/red.png>
        <div style='height:3000px'></div><img id=late><script>new IntersectionObserver((seen) => {
        if (seen[0].isIntersecting) late.src = '/blue.png'}).observe(late)</script>"""
    shots = list(browser.capture(site.url + "/"))
    assert any(has_colour(shot, (255, 0, 0)) for shot in shots)
    assert has_colour(shots[-1], (0, 0, 255))


def test_cookie_banners_go_and_the_rest_stays(browser):
    shots = list(browser.capture(str(HERE / "banner.html")))
    text = all_text(shots)
    for word in ("Bannerwort", "Managerword", "Shadowword"):
        assert word not in text
    for word in ("Gravenstein", "Lastword", "Search", "policy"):
        assert word in text
    assert pixels(shots[0])[600:, :].min() > 240, "the grey sheet is gone"
    assert shots[0].date == "2024-03-09"
    assert text.count("Search") == 1, "the sticky header shows once"


def test_article_about_cookies_is_kept(browser):
    (shot,) = browser.capture(str(HERE / "about_cookies.html"))
    assert "Articleword" in shot.text
    assert shot.date == "2019-11-05"
    assert_boxes_hold_ink(shot)


def test_fixed_header_shows_once_and_hides_nothing(browser, folder):
    body = "".join(f"<p>row{n}</p>" for n in range(120))
    path = write(folder, "fixed.html", f"<div style='position:fixed;top:0;left:0;right:0;height:60px;background:#0a0'>Headword</div>"
                 f"<div style='position:fixed;bottom:0;left:0;height:50px;background:#a0a'>Footword</div><div style='padding:80px 0'>{body}</div>")  # fmt: skip
    shots = list(browser.capture(path))
    assert all_text(shots).count("Headword") == 1
    assert has_colour(shots[0], (0, 170, 0))
    assert not any(has_colour(shot, (0, 170, 0)) for shot in shots[1:])
    assert not has_colour(shots[0], (170, 0, 170))
    assert has_colour(shots[-1], (170, 0, 170))
    for shot in shots:
        assert_boxes_hold_ink(shot)


def test_page_that_scrolls_in_a_box_is_unrolled(browser, folder):
    rows = "".join(f"<p>row{n}</p>" for n in range(120))
    path = write(
        folder, "box.html", f"<body style='margin:0;height:100vh;overflow:hidden'><main style='height:100%;overflow:auto'>{rows}</main>"
    )
    assert "row119" in all_text(browser.capture(path))


def test_motion_is_stopped(browser):
    first, second = (next(iter(browser.capture(str(HERE / "moving.html")))) for _ in range(2))
    top = slice(0, 380)
    assert np.array_equal(pixels(first)[top], pixels(second)[top])
    assert "Slowword" in first.text
    assert_boxes_hold_ink(first)


def test_hidden_text_is_left_out_and_shadow_trees_are_read(browser):
    (shot,) = browser.capture(str(HERE / "shadow.html"))
    words = shot.text.split()
    for word in ("Slottedword", "Shadowtreeword", "Summaryword", "halfboldword,", "Frameword"):
        assert word in words
    for word in ("Invisibleword", "Opacityword", "Screenreaderword", "Collapsedword", "Closedword", "Offpageword"):
        assert word not in words
    assert "日 本 語 の 文 章" in shot.text
    assert words.index("Shadowtreeword") < words.index("Slottedword")
    assert_boxes_hold_ink(shot)


def test_dialogs_do_not_stop_a_page(browser, folder):
    script = "for (let n = 0; n < 200; n++) { alert(n); confirm(n); prompt(n); } window.open('about:blank'); onbeforeunload = () => 'stay'"
    (shot,) = browser.capture(write(folder, "alert.html", f"<p>Calmword</p><script>{script}</script>"))
    assert shot.text == "Calmword"


def test_page_that_never_settles_is_captured(browser, site):
    site.pages["/"] = (
        "<p>Pollword</p><script>setInterval(() => fetch('/poll?' + Math.random()), 50); setInterval(() => document.title += '.', 20)</script>"
    )
    (shot,) = browser.capture(site.url + "/")
    assert shot.text == "Pollword"


def test_page_that_goes_elsewhere_is_followed(browser, site):
    site.pages["/"] = "<p>Doorword</p><script>setTimeout(() => location = '/inside', 30)</script>"
    site.pages["/inside"] = "<p>Insideword</p>"
    assert all_text(browser.capture(site.url + "/")) == "Insideword"


@pytest.mark.parametrize("where", ["web", "disk"])
@pytest.mark.parametrize(
    "body",
    [
        "<meta http-equiv=refresh content=0><p>Staysword",
        "<meta http-equiv=refresh content=1><p>Staysword",
        "<p>Staysword<script>location.reload()</script>",
        "<p>Staysword<script>setTimeout(() => location.reload(), 200)</script>",
        "<p>Staysword<script>history.back()</script>",
        "<p>Staysword<script>setTimeout(() => history.back(), 200)</script>",
        "<p>Staysword<script>history.go(-1); history.go(0)</script>",
        "<p>Staysword<script>window.close()</script>",
        "<p>Staysword<script>open('', '_self'); close()</script>",
        "<script>window.stop()</script><p>Staysword",
    ],
)
def test_page_that_will_not_stay_is_captured(browser, site, folder, where, body):
    site.pages["/"] = body
    begun = time.monotonic()
    (shot,) = browser.capture(site.url + "/" if where == "web" else write(folder, "restless.html", body))
    assert shot.text == "Staysword"
    assert time.monotonic() - begun < 15


def test_page_that_refreshes_itself_while_it_is_photographed_keeps_its_tiles(browser, site):
    site.pages["/"] = "<meta http-equiv=refresh content=2>" + "".join(f"<p>Line{number}" for number in range(300))
    shots = []
    for shot in browser.capture(site.url + "/"):
        shots.append(shot)
        time.sleep(0.5)
    words = {word.text for shot in shots for word in shot.words}
    assert len(words) == 300


def test_two_pages_that_send_each_other_the_reader_end(browser, site):
    site.pages["/"] = "<p>Hereword<script>location = '/there'</script>"
    site.pages["/there"] = "<p>Thereword<script>location = '/'</script>"
    (shot,) = browser.capture(site.url + "/")
    assert shot.text in ("Hereword", "Thereword")


def test_page_that_waits_for_its_cookie_is_loaded_again(browser, site):
    site.pages["/"] = """<p id=p>Doorword<script>if (document.cookie) p.textContent = "Insideword";
        else { document.cookie = "seen=1"; location.reload() }</script>"""
    (shot,) = browser.capture(site.url + "/")
    assert shot.text == "Insideword"


def test_page_that_leaves_for_nothing_is_told_in_one_line(browser, site):
    site.pages["/"] = "<p>Goneword<script>location = 'about:blank'</script>"
    with pytest.raises(CaptureError, match="went on to"):
        list(browser.capture(site.url + "/"))


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        ("/absent", (404, {}, "no"), "404"),
        ("/broken", (500, {}, "no"), "500"),
        ("/file.bin", (200, {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}, b"x" * 99), "download"),
        ("/paper", (200, {"Content-Type": "application/pdf"}, b"%PDF-1.4"), "not a web page"),
        ("/picture", (200, {"Content-Type": "image/png"}, png((1, 2, 3))), "image/png"),
    ],
)
def test_what_is_no_page_is_refused_in_one_line(browser, site, path, answer, reason):
    site.pages[path] = answer
    with pytest.raises(CaptureError, match=reason) as caught:
        list(browser.capture(site.url + path))
    assert "Call log" not in str(caught.value)
    assert str(caught.value).startswith(site.url + path)


def test_network_trouble_is_told_in_one_line(browser):
    for address, reason in (("http://127.0.0.1:1/", "."), ("http://no-such-host.invalid/", "host"), ("/nowhere/page.html", "no such file")):
        with pytest.raises(CaptureError, match=reason) as caught:
            list(browser.capture(address))
        assert "\n" not in str(caught.value)
        assert "Call log" not in str(caught.value)


def test_a_port_that_browsers_refuse_is_told(browser):
    with pytest.raises(CaptureError, match="browsers refuse that port"):
        list(browser.capture("http://127.0.0.1:1/"))


def test_silent_server_times_out(browser):
    import socket

    browser.options = replace(OPTIONS, timeout=3)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CaptureTimeout):
        list(browser.capture(f"http://127.0.0.1:{silent.getsockname()[1]}/"))


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1",
])  # fmt: skip
def test_addresses_at_home_are_not_public(address):
    assert not network.is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_addresses_of_the_internet_are_public(address):
    assert network.is_public(address)


@pytest.fixture
def guarded(browser, monkeypatch):
    """A browser that may not reach private hosts, where 127.0.0.1 under the name public.test counts as public."""
    browser.options = replace(OPTIONS, private_hosts=False)
    names = {"public.test": ["127.0.0.1"], "sly.test": ["127.0.0.1", "127.0.0.2"]}
    monkeypatch.setattr(network, "resolve", lambda host: names.get(host, [host]))
    monkeypatch.setattr(network, "is_public", lambda address: address == "127.0.0.1")
    return browser


def test_private_main_page_is_refused(browser, site):
    browser.options = replace(OPTIONS, private_hosts=False)
    site.pages["/"] = "home"
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(CaptureError, match="private"):
            list(browser.capture(f"http://{host}:{site.port}/"))
    assert site.hits == []


def test_redirect_to_a_private_host_is_refused(guarded, site, private_site):
    site.pages["/jump"] = (302, {"Location": "/again"}, "")
    site.pages["/again"] = (302, {"Location": private_site.url + "/secret"}, "")
    site.pages["/script"] = f"<script>location = '{private_site.url}/secret'</script>"
    site.pages["/open"] = "<p>Openword</p>"
    assert all_text(guarded.capture(f"http://public.test:{site.port}/open")) == "Openword"
    for path in ("jump", "script"):
        with pytest.raises(CaptureError, match=r"private|refused"):
            list(guarded.capture(f"http://public.test:{site.port}/{path}"))
    with pytest.raises(CaptureError, match="private"):
        list(guarded.capture(f"http://sly.test:{site.port}/open"))
    assert private_site.hits == []


def test_no_part_of_a_guarded_page_reaches_a_private_host(guarded, site, private_site):
    far = private_site.url
    site.pages["/hop"] = (302, {"Location": far + "/hop"}, "")
    site.pages["/worker.js"] = (200, {"Content-Type": "text/javascript"}, f"fetch('{far}/worker', {{mode: 'no-cors'}})")
    site.pages[
        "/"
    ] = f"""<link rel=preconnect href='{far}'><link rel=prefetch href='{far}/prefetch'><link rel=stylesheet href='{far}/style'>
        <p>Guardedword</p><img src='{far}/img'><img src='/hop'><iframe src='{far}/frame'></iframe><iframe src='/hop'></iframe>
        <a id=a href='{far}/popup' target=_blank>x</a>
        <script>fetch('/hop').catch(() => 0); new Worker('/worker.js'); new WebSocket('ws://127.0.0.2:{private_site.port}/socket');
        navigator.sendBeacon('{far}/beacon'); a.click()</script>"""
    assert "Guardedword" in all_text(guarded.capture(f"http://public.test:{site.port}/"))
    assert private_site.hits == []
    assert "/hop" in site.hits


def test_web_page_cannot_read_files(browser, site, folder):
    secret = Path(write(folder, "secret.html", "Secretword")).as_uri()
    red = folder / "red.png"
    red.write_bytes(png((255, 0, 0), 200))
    site.pages["/"] = f"""<p>Webword</p><iframe src='{secret}'></iframe><img src='{red.as_uri()}'><object data='{secret}'></object>
        <script>fetch('{secret}').then((r) => r.text()).then((t) => document.body.append(t), () => 0);
        setTimeout(() => location = '{secret}', 50)</script>"""
    site.pages["/jump"] = (302, {"Location": secret}, "")
    shots = list(browser.capture(site.url + "/"))
    assert all_text(shots) == "Webword"
    assert not any(has_colour(shot, (255, 0, 0)) for shot in shots)
    with pytest.raises(CaptureError):
        list(browser.capture(site.url + "/jump"))


def test_local_page_reads_no_file_from_elsewhere(browser, folder, tmp_path):
    far = tmp_path / "far.png"
    far.write_bytes(png((255, 0, 0), 200))
    (folder / "link.png").symlink_to(far)
    (folder / ".hidden.png").write_bytes(png((255, 0, 0), 200))
    (folder / "near.png").write_bytes(png((0, 0, 255)))
    (folder.parent / "img").mkdir()
    (folder.parent / "img" / "up.png").write_bytes(png((0, 255, 0)))
    path = write(folder, "page.html", """<p>Localword</p><iframe src='file:///etc/passwd'></iframe><iframe src='../../far.png'></iframe>
        <iframe src='file:///etc/'></iframe><object data='/etc/passwd'></object><img src='../../far.png'><img src=link.png><img src=.hidden.png>
        <img src=near.png><img src=../img/up.png><script>fetch('/etc/passwd').then((r) => r.text()).then((t) => document.body.append(t), () => 0);
        setTimeout(() => location = 'file:///etc/passwd', 50)</script>""")  # fmt: skip
    shots = list(browser.capture(path))
    assert all_text(shots) == "Localword"
    assert not any(has_colour(shot, (255, 0, 0)) for shot in shots)
    assert has_colour(shots[0], (0, 0, 255))
    assert has_colour(shots[0], (0, 255, 0))


def test_folder_above_is_closed_where_it_holds_too_much(tmp_path, monkeypatch):
    home = tmp_path / "home" / "anna"
    (home / "notes").mkdir(parents=True)
    for path in (home.parent / "x.html", home / "y.html", home / "notes" / "z.html"):
        path.write_text("x")
    monkeypatch.setattr(Path, "home", lambda: home)
    assert web._may_read((home / "notes" / "z.html").as_uri(), home / "notes")
    assert not web._may_read((home / "y.html").as_uri(), home / "notes")
    assert not web._may_read((home.parent / "x.html").as_uri(), home)
    assert not web._may_read("file:///etc/passwd", Path("/tmp"))
    assert not web._may_read("file://server/share/x.html", home)
    assert not web._may_read("chrome://settings", home)


def test_local_page_asks_the_network_for_nothing(browser, site, folder):
    path = write(folder, "page.html", f"""<link rel=preconnect href='{site.url}'><link rel=stylesheet href='{site.url}/a.css'><p>Homeword</p>
        <img src='{site.url}/b.png'><iframe src='{site.url}/c'></iframe><meta http-equiv=refresh content='0;url={site.url}/d'>
        <script src='{site.url}/e.js'></script><script>fetch('{site.url}/f', {{mode: 'no-cors'}}); navigator.sendBeacon('{site.url}/g');
        new WebSocket('{site.url.replace("http", "ws")}/h'); window.open('{site.url}/i')</script>""")  # fmt: skip
    assert all_text(browser.capture(path)) == "Homeword"
    assert site.hits == []


def test_drawing_with_a_name_beyond_ascii(browser):
    address = str(HERE / "zeichnung_äöü_図.svg")
    (shot,) = browser.capture(address)
    assert (shot.uri, shot.title, shot.text) == (address, "A drawing", "Svgword here")
    assert shot.image.size == (1024, 512)
    assert_boxes_hold_ink(shot)


def test_xhtml_and_titles_and_dates(browser, folder):
    body = "<p>Text</p><time datetime='2021-07-01T00:00'>July</time>"
    (shot,) = browser.capture(
        write(
            folder,
            "a.xhtml",
            f"<html xmlns='http://www.w3.org/1999/xhtml'><head><title>  Of \n X </title></head><body>{body}</body></html>",
        )
    )
    assert (shot.title, shot.date) == ("Of X", "2021-07-01")
    (shot,) = browser.capture(write(folder, "b c#d?.html", "<meta name=date content=someday><h1>First</h1>"))
    assert (shot.title, shot.date) == ("First", "")


@pytest.mark.parametrize(
    ("text", "day"),
    [("2020-02-30", ""), ("2020-02-29T1", "2020-02-29"), ("Mon, 2 Jan 2006 15:04:05 GMT", "2006-01-02"), ("", ""), ("x", "")],
)
def test_dates_are_read(text, day):
    assert web._iso_date(text) == day


def test_abandoned_capture_leaves_no_context(browser, folder):
    page = write(folder, "tall.html", "<div style='height:9000px'></div>end")
    shots = browser.capture(page)
    next(shots)
    assert len(browser._browser.contexts) == 1
    shots.close()
    assert browser._browser.contexts == []


def test_capture_dropped_while_another_runs_does_not_hang(browser, folder):
    page = write(folder, "tall.html", "<div style='height:5000px'></div>end")
    shots = browser.capture(page)
    next(shots)
    # playwright looks at the callers' frames, which keeps the capture alive until the next call: it is dropped in the middle of that.
    del shots
    gc.collect()
    assert "end" in all_text(browser.capture(page))
    assert browser._browser.contexts == []


def renderers():
    """Resident bytes of the browser processes that this one started; others may run their own beside it."""
    ours = set(children(os.getpid()))
    return sum(size for pid, size in processes_of("--type=") if pid in ours)


def processes_of(word):
    """(pid, resident bytes) of the processes whose command line holds ``word``."""
    for entry in processes_with(word):
        with contextlib.suppress(OSError):
            yield int(entry.name), int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_page_of_100_000_pixels_keeps_memory_flat(browser, folder):
    rows = "".join(f"<div style='height:100px;background:hsl({n % 360},50%,80%)'>row{n}</div>" for n in range(1000))
    shots = browser.capture(write(folder, "huge.html", f"<body style='margin:0'>{rows}"))
    used = []
    for shot in shots:
        used.append(renderers())
        assert len(shot.words) in range(11, 14)
    assert len(used) == 87
    assert used[10] > 0
    assert max(used[20:]) < used[10] + (150 << 20)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_closed_browser_leaves_nothing_and_starts_again(browser, folder, monkeypatch):
    page = write(folder, "page.html", "<p>Againword</p>")
    browser.close()
    # Chromium puts a socket there, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as profiles:
        monkeypatch.setenv("TMPDIR", profiles)
        assert all_text(browser.capture(page)) == "Againword"
        assert list(processes_of(profiles))
        browser.close()
        assert list(processes_of(profiles)) == []
        assert list(Path(profiles).iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_process_takes_the_browser_along(folder):
    program = "import sys; from visir.capture import network, web as w; b = w.Browser(w.CaptureOptions()); print(len(list(b.capture(sys.argv[1]))), flush=True); sys.stdin.read()"
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as profiles:
        command = [sys.executable, "-c", program, write(folder, "page.html", "<p>x</p>")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
        with subprocess.Popen(command, env={**os.environ, "TMPDIR": profiles}, **pipes) as child:
            assert child.stdout.readline() == b"1\n"
            assert list(processes_of(profiles))
            os.killpg(child.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while list(processes_of(profiles)) and time.monotonic() < end:
            time.sleep(0.1)
        assert list(processes_of(profiles)) == []


@pytest.mark.parametrize(("refusals", "told"), [(2, ""), (3, "Unable to capture screenshot")])
def test_a_picture_that_chromium_refuses_is_asked_for_again(browser, folder, monkeypatch, refusals, told):
    from playwright.sync_api import CDPSession, Error

    send, refused = CDPSession.send, []

    def refusing(self, method, params=None):
        if method == "Page.captureScreenshot" and len(refused) < refusals:
            refused.append(method)
            raise Error("CDPSession.send: Protocol error (Page.captureScreenshot): Unable to capture screenshot")
        return send(self, method, params)

    monkeypatch.setattr(CDPSession, "send", refusing)
    page = write(folder, "page.html", "<p>Againword</p>")
    if told:
        with pytest.raises(CaptureError, match=told):
            list(browser.capture(page))
    else:
        assert all_text(browser.capture(page)) == "Againword"
    assert len(refused) == refusals


def test_dead_browser_is_started_anew(browser, folder):
    page = write(folder, "page.html", "<p>Againword</p>")
    list(browser.capture(page))
    browser._browser.close()
    assert all_text(browser.capture(page)) == "Againword"


def test_missing_browser_is_named(monkeypatch):
    monkeypatch.setenv("VISIR_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(MissingToolError, match="VISIR_CHROMIUM"):
        web.find_chromium()
    monkeypatch.delenv("VISIR_CHROMIUM")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(web, "_PLACES", ())
    with pytest.raises(MissingToolError, match="install Chromium"):
        web.find_chromium()


def test_moving_pictures_are_one_picture(browser, folder):
    from PIL import Image

    frames = [Image.new("RGB", (50, 50), colour) for colour in ("red", "blue")]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=40, loop=0)
    (folder / "blink.gif").write_bytes(data.getvalue())
    path = write(folder, "gif.html", "<p>Gif</p><img src=blink.gif><script>1</script>")
    for _ in range(3):
        (shot,) = browser.capture(path)
        assert has_colour(shot, (255, 0, 0))


@pytest.mark.slow
def test_the_browser_itself_asks_nobody(tmp_path):
    log, page = tmp_path / "net.json", tmp_path / "page.html"
    page.write_text("<p>a page from disk</p>")
    # In a process of its own, since one thread drives one browser. It asks a little while after it began.
    code = (
        "import sys, time\nfrom visir.capture import web\nfrom visir.capture.options import CaptureOptions\n"
        "web._FLAGS = (*web._FLAGS, '--log-net-log=' + sys.argv[1])\nbrowser = web.Browser(CaptureOptions())\n"
        "assert len(list(browser.capture(sys.argv[2]))) == 1\ntime.sleep(15)\nbrowser.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(log), str(page)], check=True, timeout=120)
    told = log.read_text()
    assert "HOST_RESOLVER" in told
    asked = set(re.findall(r'"host":"([^"]+)"', told))
    assert {host for host in asked if not re.search(r"^(\w+://)?(127\.0\.0\.1|localhost)\b", host)} == set()
