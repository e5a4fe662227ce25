import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import visir
from visir.train.curves import draw_curves, read_rows
from visir.train.examine import Found, Probe, calibrate, find
from visir.train.shapes import shapes
from visir.train.watch import Watch, check_type, line_pitch

FONT = next((__import__("pathlib").Path(visir.__file__).parent / "capture" / "fonts").glob("*Mono.ttf"))
WORDS = [
    "the",
    "heron",
    "stands",
    "in",
    "the",
    "shallow",
    "river",
    "and",
    "waits",
    "for",
    "hours",
    "until",
    "a",
    "small",
    "fish",
    "comes",
    "near",
    "its",
    "feet",
]


def text_page(pitch, size=(800, 1000), seed=0):
    draw = np.random.default_rng(seed)
    page = Image.new("RGB", size, "white")
    paper = ImageDraw.Draw(page)
    font = ImageFont.truetype(str(FONT), int(pitch / 1.25))
    for line in range(int(size[1] * 0.9 / pitch)):
        if draw.random() > 0.1:
            paper.text((40, 40 + line * pitch), " ".join(draw.choice(WORDS, 14)), fill="black", font=font)
    return page


@pytest.mark.parametrize("pitch", [12, 18, 25, 40])
def test_the_distance_of_lines_is_measured(pitch):
    assert line_pitch(text_page(pitch)) == pytest.approx(pitch, abs=1.5)


def test_pictures_without_lines_have_no_distance():
    assert line_pitch(Image.new("RGB", (300, 300), "blue")) is None


def test_a_pixel_budget_too_low_for_the_type_is_told():
    pages = [text_page(20, seed=seed) for seed in range(6)]
    warning = check_type(pages, lambda page: 224)
    assert "20 pixels apart on the median page" in warning
    assert "4.5 apart" in warning
    assert "model.pixels by 3.2 times" in warning
    fixed = check_type(pages, lambda page: 224, fixed=True)
    assert "4.5 apart" in fixed
    assert "choose a model that takes larger pictures" in fixed
    assert "model.pixels" not in fixed
    assert check_type(pages, lambda page: 1000) is None
    assert check_type([Image.new("RGB", (64, 64), "red")] * 6, lambda page: 32) is None


def told(losses, rivals=0.0):
    watch = Watch()
    return [warning for loss in losses for warning in watch.step("a", {"loss": loss, "rivals": rivals})]


def test_a_loss_that_stalls_is_told_once_with_its_false_negatives():
    noise = np.random.default_rng(0).normal(0, 0.02, 300)
    warnings = told(1.2 + noise, rivals=0.4)
    assert 1 <= len([warning for warning in warnings if "on a stalls at 1.2" in warning]) <= 3
    assert "40% of the negatives" in warnings[0]
    assert "false negatives" in warnings[0]
    assert "learning rate" in told(1.2 + noise)[0]


def test_a_loss_that_falls_is_not_told():
    falling = 3 * np.exp(-np.arange(300) / 100) + np.random.default_rng(0).normal(0, 0.02, 300)
    assert told(falling) == []
    assert told(np.full(300, 0.01)) == []


def test_a_loss_that_swings_is_told():
    swinging = np.linspace(2, 1, 200) + 0.9 * (-1) ** np.arange(200)
    assert any("swings" in warning for warning in told(swinging))


@pytest.mark.parametrize("steps", [100, 160, 300])
def test_a_loss_that_falls_fast_at_first_does_not_swing(steps):
    assert told(np.geomspace(20, 0.3, steps)) == []
    at = np.arange(steps)
    assert told(18 * np.exp(-at / 5) + np.geomspace(2, 0.3, steps)) == []


def test_kinds_of_different_losses_are_no_swinging():
    watch = Watch()
    falling = np.linspace(1, 0.4, 200)
    assert [
        w for loss in falling for name, more in (("a", 0), ("b", 3)) for w in watch.step(name, {"loss": loss + more, "rivals": 0})
    ] == []


def test_a_new_stage_begins_afresh():
    watch = Watch()
    for loss in [1.0] * 60:
        watch.step("a", {"loss": loss, "rivals": 0.0})
    watch.stage()
    assert [watch.step("a", {"loss": 1.0, "rivals": 0.0}) for _ in range(60)] == [[]] * 60


class Pixels:
    """Sees a page as its colours; a caption it knows by heart."""

    def __init__(self, sets, forget=0.0):
        self._forget = forget
        self._known = {pair.text: pairs.images[pair.document] for pairs in sets for pair in pairs.pairs}

    def encode_document(self, documents):
        pixels = np.stack([np.asarray(page.image.resize((16, 16)), np.float32).ravel() - 128 for page in documents])
        pixels += self._forget * np.random.default_rng(len(documents)).normal(0, 100, pixels.shape)
        return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)

    def encode_query(self, queries, instruction=""):
        from visir.screenshot import Screenshot

        whole = Pixels([])
        return whole.encode_document([Screenshot(self._known[query.text]) for query in queries])

    def similarity(self, queries, documents):
        return queries @ documents.T


def test_a_model_that_forgets_the_probe_is_told():
    sets = shapes("held")[:1]
    probe = Probe(sets, Pixels(sets))
    fine = probe.ask(Pixels(sets))
    assert fine == {"probe_kept": 1.0, "probe_recall": 1.0, "probe_best": 1.0}
    assert Watch().examined(fine) == []
    lost = probe.ask(Pixels(sets, forget=30.0))
    assert lost["probe_kept"] < 0.5
    [warning] = Watch().examined(lost)
    assert "forgotten" in warning
    assert "100% did at best" in warning
    gone_on = Probe(sets, Pixels(sets, forget=30.0), best=0.9)
    assert gone_on.ask(Pixels(sets, forget=30.0))["probe_best"] == gone_on.best == 0.9


def test_recall_is_the_share_that_came_first():
    [captions] = shapes("held")[:1]
    assert find(Pixels([captions]), captions, 20).recall == 1.0
    assert find(Pixels([captions], forget=1e3), captions, 40).recall < 0.3


def test_a_right_page_of_mean_cosine_scores_high_and_a_wrong_one_next_to_nothing():
    curves = calibrate({"q2s": Found(1.0, 0.6, 0.2)}, {"text": (0.5, 0.5), "both": (0.1, 0.1)})
    midpoint, width = curves["text"]
    assert 1 / (1 + np.exp(-(0.6 - midpoint) / width)) == pytest.approx(0.85, abs=0.01)
    assert 1 / (1 + np.exp(-(0.2 - midpoint) / width)) < 0.04
    assert curves["both"] == (0.1, 0.1)


def test_curves_are_drawn_of_whatever_rows_there_are(tmp_path):
    (tmp_path / "rows").write_text('{"step": 1, "loss": 2.0}\n{"step": 1, "warning": "x"}\n{"step": 2, "lo')
    rows = read_rows(tmp_path / "rows")
    assert len(rows) == 2
    draw_curves(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
