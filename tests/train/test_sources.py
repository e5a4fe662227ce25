import io
import json
import shutil
from dataclasses import replace

import pytest
import torch
from pair_recipes import recipe
from PIL import Image, ImageDraw
from vira_sets import write_set

from visir.errors import ModelError
from visir.train.pair_recipe import PairData
from visir.train.pairs import PairBatches
from visir.train.sources import is_held, open_source
from visir.train.stages import PairRun
from visir.vira.dataset import Dataset, Row, write_rows


def page(number):
    image = Image.new("RGB", (120, 160), "white")
    ImageDraw.Draw(image).text((10, 10), f"page {number}", fill="black")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A VIRA set of 60 pages from 60 documents, with captions and questions about the page before."""
    place = tmp_path_factory.mktemp("vira") / "tiny"
    numbers = range(60)
    return write_set(place, [page(number) for number in numbers], (120, 160), [f"page {number}" for number in numbers], ("caption", "sq2s"))


def test_a_set_is_split_by_document(folder):
    train, held = open_source(str(folder), "train"), open_source(str(folder), "held")
    assert [pairs.kind for pairs in train] == ["caption", "sq2s"]
    for one, other in zip(train, held, strict=True):
        assert len(one.pairs) + len(other.pairs) == 60
        assert 0 < len(other.pairs) < 12
        assert not {pair.document for pair in one.pairs} & {pair.document for pair in other.pairs}
        assert all(is_held(f"d{pair.text.split()[1]}") for pair in other.pairs)
        assert one.digest != other.digest
    [composed] = [pairs for pairs in train if pairs.kind == "sq2s"]
    pair = composed.pairs[5]
    number = int(pair.text.split()[1])
    assert composed.images[pair.picture] == page((number - 1) % 60)
    assert composed.images[pair.negatives[0]] == page((number - 2) % 60)
    assert composed.query(pair).image.image.size == (120, 160)


def test_answers_and_classes_are_texts_that_pictures_find(tmp_path):
    texts = [f"kind {number % 3}" for number in range(60)]
    place = write_set(tmp_path / "told", [page(number) for number in range(60)], (120, 160), texts, ("sqa", "label"))
    answers, labels = open_source(str(place), "train")
    assert (answers.kind, labels.kind) == ("sqa", "label")
    assert answers.documents() == ["kind 0", "kind 1", "kind 2"]
    assert answers.document("kind 1") == "kind 1"
    assert answers.query(answers.pairs[0]).text == "What is this?"
    assert labels.query(labels.pairs[0]).text == ""
    assert labels.query(labels.pairs[0]).image.encoded == labels.images[labels.pairs[0].picture]
    assert not any(pair.negatives for pair in (*answers.pairs, *labels.pairs))
    run = PairRun(replace(recipe((2, 2)), data=PairData((str(place), "shapes"), workers=0, mini_batch=64)), tmp_path / "run", "cpu")
    assert run.check_pages() is None
    assert {"recall_told-sqa", "recall_told-label"} <= set(run.examine())
    batches = PairBatches([labels], [1.0], 1, 8, 1, 1, run._preprocess)
    batch = batches[0]
    assert len(batch.keys) == 16
    assert len(set(batch.keys.tolist())) == 3
    loss = run.loss.backward(batch.queries, batch.documents, batch.keys)
    assert torch.isfinite(loss)


def test_domains_are_left_out(folder, tmp_path):
    place = tmp_path / "both"
    shutil.copytree(folder, place)
    news = [
        Row(f"n{n}", "caption", "news", f"n{n}", "en", f"news {n}", "", Dataset(folder).images[n], "", (), "structure") for n in range(40)
    ]
    write_rows(place / "rows" / "caption-00001.parquet", news, {})
    every, some = (open_source(str(place), "train", left)[0] for left in ((), ("news",)))
    assert {pair.text.split()[0] for pair in every.pairs} == {"page", "news"}
    assert some.pairs == open_source(str(folder), "train")[0].pairs
    with pytest.raises(ModelError, match="left out"):
        open_source(str(folder), "train", ("charts",))


def test_stages_learn_from_a_set_the_same_with_workers(folder, tmp_path):
    made, told = recipe((3, 0)), []
    for workers in (0, 2):
        data = PairData((str(folder), "shapes"), workers=workers, mini_batch=64)
        run = PairRun(replace(made, data=data), tmp_path / str(workers), "cpu")
        told.append([(name, numbers["loss"]) for name, numbers in run.updates()])
    assert told[0] == told[1]
    names = [name for name, _ in told[0]]
    assert set(names) <= {"tiny-caption", "shapes-caption"}
    facts = json.loads((run.finish() / "visir.json").read_text())["made"]
    assert {"tiny-caption", "tiny-sq2s", "shapes-q2s"} <= set(facts["data"])


def test_sources_that_are_not_there_are_told(tmp_path):
    with pytest.raises(ModelError, match="visir vira build"):
        open_source(str(tmp_path / "none"), "train")
