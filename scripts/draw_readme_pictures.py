"""Draw the pictures of hits in the README from real searches: ``python scripts/draw_readme_pictures.py`` in the repository's root."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

OUT = Path("docs/pictures")
QUERIES = {
    "text": ["how much water is lost through leaks"],
    "composed": ["--image", "samples/queries/rainfall-chart.png", "the same for 2023"],
}
HEIGHT, GAP, CAPTION = 420, 16, 28


def visir(*words: str) -> str:
    """Run the command and return what it prints."""
    return subprocess.run([sys.executable, "-m", "visir.cli.main", *words], check=True, capture_output=True, text=True).stdout


def strip(pictures: list[tuple[str, Path]]) -> Image.Image:
    """Put pictures side by side, each under its caption."""
    shown = []
    for caption, path in pictures:
        with Image.open(path) as opened:
            page = opened.convert("RGB")
        page = page.resize((round(page.width * HEIGHT / page.height), HEIGHT), Image.Resampling.LANCZOS)
        shown.append((caption, page))
    canvas = Image.new("RGB", (sum(page.width + GAP for _, page in shown) + GAP, HEIGHT + CAPTION + 2 * GAP), "#e8eaee")
    draw = ImageDraw.Draw(canvas)
    left = GAP
    for caption, page in shown:
        draw.text((left, GAP // 2), caption, "#222", font=ImageFont.load_default(17))
        canvas.paste(page, (left, GAP + CAPTION))
        left += page.width + GAP
    return canvas


def main() -> None:
    """Search the sample documents and write docs/pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        place = ["--index", f"{scratch}/index"]
        visir("index", "samples/documents", *place)
        for name, words in QUERIES.items():
            hits = json.loads(visir("search", *words, "-k", "3", "--json", "-o", f"{scratch}/{name}", *place))
            pictures = sorted(Path(scratch, name).glob("*.png"))
            asked = [("query", Path(words[1]))] if words[0] == "--image" else []
            found = [
                (f"{hit['score']:.0f} {Path(hit['uri']).name[:22]} {hit['page']}", path) for hit, path in zip(hits, pictures, strict=True)
            ]
            strip(asked + found).save(OUT / f"hits-{name}.jpg", quality=80)


if __name__ == "__main__":
    main()
