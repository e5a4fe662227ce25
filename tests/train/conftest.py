from pathlib import Path

import pytest

import visir
from visir.vira.practice.build_pack import write_pack

FONTS = [Path(visir.__file__).parent / "capture/fonts" / f"DejaVuSans{style}.ttf" for style in ("Mono-Bold", "Mono")]
TEXT = "The heron stands in the shallow river and waits, for hours, until a small fish comes near its feet; then it strikes."


@pytest.fixture(scope="session")
def pack_path(tmp_path_factory):
    """A practice pack of the package's own fonts and a few sentences."""
    texts = {
        "en": [(f"Chapter {i}", f"{TEXT} Number {i} of many. {TEXT}") for i in range(300)],
        "fr": [("Été", f"{i} élèves à la forêt où naît l’été." * 2) for i in range(300)],
    }
    words = {"en": [f"{a}{b}ing" for a in ("walk", "sing", "bring", "trust", "carve") for b in "abcdefghijklmnopqrst"], "fr": []}
    path = tmp_path_factory.mktemp("pack") / "practice.zip"
    fonts = [("Held" if i == 0 else "Shown", file.read_bytes(), True) for i, file in enumerate(FONTS)]
    write_pack(path, texts, words, fonts, held_families=("Held",))
    return path


@pytest.fixture(scope="session")
def teacher_path(tmp_path_factory):
    """A text encoder of one layer with random weights, in the form of the real one."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("teacher")
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(TEXT.lower().split()))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    save_file(BertModel(config).state_dict(), folder / "model.safetensors")
    config.save_pretrained(folder)
    return folder
