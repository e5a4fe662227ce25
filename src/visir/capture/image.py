"""Pictures into screenshots, by Pillow: frames of a TIFF as pages, a tall picture cut into page-high parts."""

import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from visir.capture.options import CaptureOptions
from visir.errors import CaptureError, PartialCaptureError
from visir.screenshot import LONG_SIDE, Screenshot, encode_image, flatten

# Pillow's own limit for the first frame; such a picture takes 0.7 GB once decoded.
_MAX_PIXELS = 178_956_970
_TALL = 2.2
_PAGE_SHAPE = 1.25
_OVERLAP = 0.1
_EXIF_DATE = 306


def render(path: Path, options: CaptureOptions) -> Iterator[Screenshot]:
    """Yield the picture, or each frame of a TIFF, or the parts of a picture taller than `_TALL` times its width.

    Raises:
        PartialCaptureError: after the last good frame of a TIFF, where the next is damaged.
        CaptureError: the picture is damaged, of an unknown format, or larger than 178 million pixels.
    """
    uri = str(path)
    page = 0
    try:
        # Sizes are checked here before a pixel is decoded, so Pillow's own warning says nothing new.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                for shot in _pages(image, uri, path.stem, options):
                    page = shot.page
                    yield shot
    except Image.DecompressionBombError as error:
        raise CaptureError(uri, f"is larger than {_MAX_PIXELS // 1_000_000} million pixels: scale it down first") from error
    except UnidentifiedImageError as error:
        raise CaptureError(uri, "is not a picture that can be read, or its beginning is damaged") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, AttributeError, ZeroDivisionError, OverflowError) as error:
        # Pillow's decoders let all of these out on damaged files.
        if page:
            raise PartialCaptureError(uri, f"is damaged behind page {page}: {error}") from error
        raise CaptureError(uri, f"is a damaged picture: {error}") from error


def _pages(image: Image.Image, uri: str, title: str, options: CaptureOptions) -> Iterator[Screenshot]:
    date = _date(image)
    page = 0
    # Frames are not counted first: Pillow's time for that grows with the square of their number.
    for index in count() if image.format == "TIFF" else range(1):
        try:
            image.seek(index)
        except EOFError:
            return
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
    factor = max(image.size) // (2 * LONG_SIDE)
    if factor > 1 and max(image.size) <= _TALL * min(image.size) and image.mode in ("L", "RGB", "RGBA", "CMYK"):
        # All that follows copies the picture.
        image = image.reduce(factor)
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
