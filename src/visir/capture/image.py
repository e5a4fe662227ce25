"""Pictures into screenshots, by Pillow: frames of a TIFF as pages, a tall picture cut into page-high parts."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from visir.capture.options import CaptureOptions
from visir.errors import CaptureError
from visir.screenshot import LONG_SIDE, Screenshot, encode_image, flatten

_MAX_PIXELS = 300_000_000
_TALL = 2.2
_PAGE_SHAPE = 1.25
_OVERLAP = 0.1
_EXIF_DATE = 306


def render(path: Path, options: CaptureOptions) -> Iterator[Screenshot]:
    """Yield the picture, or each frame of a TIFF, or the parts of a picture taller than `_TALL` times its width.

    Raises:
        CaptureError: the picture is damaged, of an unknown format, or larger than 300 million pixels.
    """
    uri = str(path)
    try:
        # Sizes are checked here before a pixel is decoded, so Pillow's own warning says nothing new.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                yield from _pages(image, uri, path.stem, options)
    except Image.DecompressionBombError as error:
        raise CaptureError(uri, f"is larger than {_MAX_PIXELS // 1_000_000} million pixels: scale it down first") from error
    except UnidentifiedImageError as error:
        raise CaptureError(uri, "is not a picture that can be read, or its beginning is damaged") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, AttributeError, ZeroDivisionError, OverflowError) as error:
        # Pillow's decoders let all of these out on damaged files.
        raise CaptureError(uri, f"is a damaged picture: {error}") from error


def _pages(image: Image.Image, uri: str, title: str, options: CaptureOptions) -> Iterator[Screenshot]:
    frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    date = _date(image)
    page = 0
    for index in range(frames):
        if frames > 1:
            image.seek(index)
        if image.width * image.height > _MAX_PIXELS:
            raise Image.DecompressionBombError
        for part in _parts(_upright(image)):
            page += 1
            if page > options.max_pages:
                return
            yield Screenshot(encode_image(part), uri, page, title, date=date)


def _upright(image: Image.Image) -> Image.Image:
    """Decode a picture no larger than is needed, turned the way its EXIF orientation says."""
    if image.format == "JPEG" and image.height <= _TALL * image.width:
        image.draft("RGB", (LONG_SIDE, LONG_SIDE))
    return flatten(ImageOps.exif_transpose(image))


def _parts(image: Image.Image) -> Iterator[Image.Image]:
    width, height = image.size
    if height <= _TALL * width or width < 200:
        yield image
        return
    page = int(width * _PAGE_SHAPE)
    step = int(page * (1 - _OVERLAP))
    tops = [*range(0, height - page, step), height - page]
    for top in tops:
        yield image.crop((0, top, width, top + page))


def _date(image: Image.Image) -> str:
    raw = str(image.getexif().get(_EXIF_DATE, ""))
    date = raw[:10].replace(":", "-")
    return date if len(date) == 10 and date[:4].isdigit() and date > "1970" else ""
