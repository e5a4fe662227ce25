"""Small VIRA sets for tests."""

import hashlib

from visir.vira.dataset import Row, write_images, write_rows


def write_set(place, pages, size, texts, kinds):
    """Write a set of one page a document; each kind says every page's text, composed rows are asked with the page before, and where texts
    are looked for, every page's text is right.

    Args:
        place: the folder.
        pages: encoded pictures, all of one ``size``, (width, height).
        texts: what the rows of each page say.
        kinds: kinds of rows.
    """
    names = [hashlib.blake2b(data, digest_size=16).hexdigest() for data in pages]
    blank = {"domain": "charts", "language": "en", "title": "", "text": "", "words": [], "boxes": [], "composed": False, "licence": "CC0"}
    images = [
        {**blank, "id": name, "image": {"bytes": data, "path": ""}, "width": size[0], "height": size[1], "key": f"p{number}",
         "document": f"d{number}", "phash": bytes(32), "evidence": "{}"}
        for number, (name, data) in enumerate(zip(names, pages, strict=True))
    ]  # fmt: skip
    write_images(place / "images" / "charts-00000.parquet", images, {})
    for kind in kinds:
        if kind in ("sqa", "label"):
            rows = [
                Row(f"{kind}{n}", kind, "charts", f"d{n}", "en", "What is this?", names[n], "", text, (f"{kind}{n - 1}",), "structure")
                for n, text in enumerate(texts)
            ]
            write_rows(place / "rows" / f"{kind}-00000.parquet", rows, {})
            continue
        rows = [
            Row(f"{kind}{n}", kind, "charts", f"d{n}", "en", text,
                names[n - 1] if kind == "sq2s" else "", names[n], "", (names[n - 2],), "structure")
            for n, text in enumerate(texts)
        ]  # fmt: skip
        write_rows(place / "rows" / f"{kind}-00000.parquet", rows, {})
    return place
