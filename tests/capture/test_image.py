import numpy as np
import pytest
from PIL import Image

from visir.capture.image import render
from visir.capture.options import CaptureOptions


def shots(path, **options):
    return list(render(path, CaptureOptions(**options)))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff", "gif", "bmp"])
def test_pictures_of_every_format(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (60, 40), (200, 10, 10)).save(path)
    [shot] = shots(path)
    red, green, _ = shot.image.getpixel((30, 20))
    assert red > 180 > 40 > green
    assert shot.title == "a"


def test_frames_of_a_tiff_are_pages_and_of_a_gif_the_first(tmp_path):
    frames = [Image.new("RGB", (40, 30), (value, value, value)) for value in (0, 100, 200)]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert [(shot.page, shot.image.getpixel((5, 5))[0] // 90) for shot in shots(tmp_path / "a.tiff")] == [(1, 0), (2, 1), (3, 2)]
    assert [shot.image.getpixel((5, 5))[0] < 10 for shot in shots(tmp_path / "a.gif")] == [True]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_comes_out_upright(tmp_path, orientation):
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste("black", (0, 0, 30, 20))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[274] = orientation
    exif[306] = "2021:05:06 10:11:12"
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    [shot] = shots(tmp_path / "a.jpg")
    assert shot.image.size == (60, 40)
    dark = np.asarray(shot.image.convert("L")) < 128
    assert dark[:20, :30].mean() > 0.95
    assert dark[20:, :].mean() < 0.05
    assert shot.date == "2021-05-06"


def test_a_tall_picture_is_cut_into_overlapping_parts(tmp_path):
    tall = Image.new("L", (300, 3000))
    tall.putdata([row // 12 for row in range(3000) for _ in range(300)])
    tall.save(tmp_path / "a.png")
    parts = shots(tmp_path / "a.png")
    assert [shot.page for shot in parts] == list(range(1, len(parts) + 1))
    tops = [shot.image.getpixel((5, 0))[0] for shot in parts]
    bottoms = [shot.image.getpixel((5, shot.image.height - 1))[0] for shot in parts]
    assert tops[0] <= 1
    assert bottoms[-1] >= 248
    assert all(top < bottom for top, bottom in zip(tops[1:], bottoms, strict=False))
