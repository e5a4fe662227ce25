"""Are pages found that speak other languages than English, by queries in their own?

    python benchmarks/languages.py data/dev -o data/languages
    visir experiment languages data/languages --model unise-mini --model unise-mini:vector

The pages are those of the development benchmark, the English ones among the candidates, too: topics of LibreOffice's help, asked for by
index entries that no reader sees, and articles of an encyclopedia, asked for by their short description and a sentence that was kept back.
What is written is a benchmark in MVRB's layout, whose rows tell their language.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from visir.vira.devset import Meta, Spec, make_task, write_lines


def entry(page: Meta) -> Iterator[tuple[str, str]]:
    """Ask with an index entry."""
    if page.language != "en" and page.questions:
        yield page.questions[0], page.key


def description(page: Meta) -> Iterator[tuple[str, str]]:
    """Ask with the description and the sentence that the page lacks."""
    if page.language != "en" and len(page.captions) == 2 and page.questions:
        yield f"{page.questions[0]}. {page.captions[0]}", page.key


_ASK = {"help": entry, "encyclopedia": description}


def main() -> None:
    """Write the tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    for listed in sorted(options.benchmark.glob("pages-*.jsonl")):
        domain = listed.stem.removeprefix("pages-")
        if domain not in _ASK:
            continue
        with listed.open(encoding="utf-8") as file:
            pages = [Meta(**json.loads(line)) for line in file]
        language = {page.key: page.language for page in pages}
        queries, candidates = make_task(Spec(f"SR/{domain}", domain, (domain,), _ASK[domain]), pages)
        for query in queries:
            query["language"] = language[query["key"]]
        place = options.output / "SR" / domain
        place.mkdir(parents=True, exist_ok=True)
        write_lines(place / "corpus.jsonl", candidates)
        write_lines(place / "query.jsonl", queries)
        pictures = options.output / f"Images-{domain}.zip"
        pictures.unlink(missing_ok=True)
        pictures.symlink_to((options.benchmark / pictures.name).resolve())
        print(f"{place}: {len(candidates)} candidates, queries: {Counter(query['language'] for query in queries)}")


if __name__ == "__main__":
    main()
