"""Which way of joining words and meaning finds the right page first?

Queries are made of a reference manual: the line above each "Description" (a title), and five words of the line below it in
random order; the page that they stand on is the right one. Run it on the manuals of Debian's package r-doc-pdf::

    python benchmarks/fusion.py /usr/share/doc/r-doc-pdf/manual

Tiny form: ``--queries 20`` on any such manual; an index that is already there is given by ``--index``.
"""

import argparse
import random
import tempfile
from pathlib import Path

from visir.index import Index
from visir.index.search import SearchOptions, tokens_of
from visir.screenshot import Query

RRF_CONSTANT = 60


def make_queries(index: Index, count: int) -> list[tuple[str, int]]:
    """Return (query, page) pairs."""
    queries = []
    for row in index.store.scan_pages(["page", "text"]).to_pylist():
        lines = row["text"].split("\n")
        for above, line, below in zip(lines, lines[1:], lines[2:], strict=False):
            if line.strip() == "Description":
                if 12 < len(above) < 80:
                    queries.append((above, row["page"]))
                if len(below.split()) > 8:
                    queries.append((" ".join(random.Random(below).sample(below.split(), 5)), row["page"]))
    random.Random(1).shuffle(queries)
    return queries[:count]


def fuse(*rankings: list[int]) -> list[int]:
    """Reciprocal rank fusion."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, page in enumerate(ranking, 1):
            scores[page] = scores.get(page, 0.0) + 1.0 / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda page: (-scores[page], page))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manual", type=Path, help="a file or a folder")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--index", type=Path, default=None)
    arguments = parser.parse_args()
    right = {"exact words alone": 0, "meaning alone": 0, "reciprocal rank fusion": 0, "this score": 0}
    with tempfile.TemporaryDirectory() as scratch, Index.open(arguments.index or Path(scratch, "index")) as index:
        index.add(arguments.manual)
        queries = make_queries(index, arguments.queries)
        for text, page in queries:
            vector = index.embedder.encode_query([Query(text)])[0]
            by_meaning = index.store.nearest(vector, 50)["page"].to_pylist()
            by_words = index.store.matching(" ".join(tokens_of(text)), 50)["page"].to_pylist()
            right["exact words alone"] += by_words[:1] == [page]
            right["meaning alone"] += by_meaning[:1] == [page]
            right["reciprocal rank fusion"] += fuse(by_meaning, by_words)[:1] == [page]
            right["this score"] += index.search(text, SearchOptions(count=1))[0].page == page
    print(f"{len(queries)} queries\n\n| {' | '.join(right)} |\n|{'--:|' * len(right)}")
    print(f"| {' | '.join(f'{count / len(queries):.3f}' for count in right.values())} |")


if __name__ == "__main__":
    main()
