"""How fast pages for training are made: ``python benchmarks/vira_speed.py [--corpora data/corpora] [--pages 60]``.

Everything runs on one core. Each domain of VIRA renders pages as `visir vira build` does, through one warm Chromium where it needs one;
``a new browser`` renders product pages through a Chromium that is started for each. ``practice`` draws pages for the reading stage, in
memory, with the box of every word. What is fetched and read first is not counted: a first document comes before the clock
starts.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from common import machine, table

from visir.vira.camera import Camera
from visir.vira.corpora import FONTS, Corpora
from visir.vira.domains import DOMAINS, HELD_OUT, Domain
from visir.vira.practice import Pack, PageSpec, render_page


def main() -> None:
    """Print a table of pages a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, default=Path("data/corpora"))
    parser.add_argument("--pack", type=Path, default=Path("data/practice.zip"))
    parser.add_argument("--pages", type=int, default=60, help="pages of each kind")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # for the processes that are started, too
    corpora = Corpora(options.corpora, lambda _: None)
    fonts = tuple(corpora.debian(name) for name in FONTS)
    rates: dict[str, float] = {}
    with Camera(fonts) as camera:
        for name in sorted(DOMAINS.keys() - HELD_OUT):
            rates[name] = _rate(_documents(DOMAINS[name](corpora), lambda: camera), options.pages)
    with Camera(fonts) as camera:

        def fresh() -> Camera:
            camera.close()
            return camera

        rates["products, a new browser for each"] = _rate(_documents(DOMAINS["products"](corpora), fresh), max(4, options.pages // 10))
    pack = Pack.open(options.pack, "train")
    for size in (384, 640):
        drawn = (len(render_page(pack, PageSpec(size, size), 1, number).image[:1]) for number in range(10 * options.pages))
        rates[f"practice, {size} x {size}"] = _rate(drawn, 8 * options.pages)
    print(f"{machine()}, one core\n")
    rows = [[name, f"{rate:.1f}", f"{rates['products'] / rate:.2f}"] for name, rate in rates.items()]
    print(table(["pages", "pages/s", "time / products"], rows))


def _documents(domain: Domain, camera: Callable[[], Camera]) -> Iterator[int]:
    """Render documents; gives how many pages each has."""
    for document in domain.split("train"):
        yield sum(1 for _ in domain.pages(document, camera()))


def _rate(documents: Iterator[int], count: int) -> float:
    next(documents)
    began, made = time.perf_counter(), 0
    while made < count:
        made += next(documents)
    return made / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
