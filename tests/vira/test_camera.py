from visir.vira.camera import Camera, Look


def test_a_new_tab_now_and_then_changes_no_picture(monkeypatch):
    pages = [f"<title>{number}</title><h1>Page {number}</h1><p>Rain in March.</p>" for number in range(3)]
    with Camera() as camera:
        once = [camera.html(page, Look(320, 320)) for page in pages]
        first = camera._page
        assert first is not None
        monkeypatch.setattr("visir.vira.camera._TAB", 2)
        assert [camera.html(page, Look(320, 320)) for page in pages] == once
        assert first.is_closed()
        assert len(camera._context.pages) == 1
    assert [shot.title for shot in once] == ["0", "1", "2"]
    assert "Rain in March." in once[2].text


def test_scripts_of_a_page_are_not_loaded(tmp_path):
    (tmp_path / "write.js").write_text("document.body.append('written by a script')", "utf-8")
    scripts = "<script src=write.js></script><script src='write.js?v=2'></script>"
    path = tmp_path / "page.html"
    path.write_text(f"<p>plain words</p>{scripts}", "utf-8")
    with Camera() as camera:
        [shot] = camera.file(path, Look(320, 320))
    assert shot.text == "plain words"
