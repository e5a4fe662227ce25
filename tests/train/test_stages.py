import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from pair_recipes import recipe
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file

import visir
from visir.errors import ModelError
from visir.screenshot import Query, Screenshot
from visir.train.curves import read_rows
from visir.train.examine import find
from visir.train.pair_recipe import Watching, is_pair_recipe, read_pair_recipe
from visir.train.pairs import Pair, PairSet
from visir.train.run import find_recipe, run_recipe
from visir.train.shapes import shapes
from visir.train.stages import PairRun, learning_rate, trained_state
from visir.unise.embedder import load_embedder

HELD = {pairs.kind: pairs for pairs in shapes("held")}


def losses(run, count=None):
    return [numbers["loss"] for _, numbers in islice(run.updates(), count)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A CLIP taught in two stages, and what it said on the way."""
    folder = tmp_path_factory.mktemp("run")
    made = PairRun(
        recipe((150, 150), batch=48, mini_batch=256, fusion="learned", watch=Watching(every=150, log=10, held=50)), folder, "cpu"
    )
    assert made.train()
    model = made.finish()
    return made, model, [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_both_stages_lower_the_loss_and_raise_recall(finished):
    _, _, rows = finished
    for stage in (0, 1):
        said = [row["loss"] for row in rows if row.get("stage") == stage]
        assert np.mean(said[-3:]) < 0.5 * said[0]
    before, between, after = (row for row in rows if "recall_shapes-caption" in row)
    assert before["recall_shapes-caption"] < 0.15 < 0.6 < between["recall_shapes-caption"]
    for kind in ("q2s", "sq2s"):
        assert between[f"recall_shapes-{kind}"] < 0.4 < 0.6 < after[f"recall_shapes-{kind}"]


def test_the_model_that_is_saved_is_the_model_that_was_trained(finished):
    run, folder, _ = finished
    again, trained = load_embedder(str(folder)), run.embedder()
    queries = [HELD[kind].query(pair) for kind in HELD for pair in HELD[kind].pairs[:3]]
    pages = [Screenshot(image) for image in list(HELD["q2s"].images.values())[:5]]
    assert np.abs(again.encode_query(queries) - trained.encode_query(queries)).max() < 1e-6
    assert np.abs(again.encode_document(pages) - trained.encode_document(pages)).max() < 1e-6
    assert find(again, HELD["sq2s"], 50).recall > 0.6


def test_a_models_folder_says_what_made_it(finished):
    _, folder, _ = finished
    made = json.loads((folder / "visir.json").read_text())["made"]
    assert made["recipe"]["model"]["base"] == "tiny:clip"
    assert made["data"]["shapes-q2s"] == shapes("train")[1].digest
    assert made["steps"] == 300
    assert len(made["commit"]) >= 5
    assert made["held"]["sq2s"]["recall_at_1"] > 0.6
    midpoint, width = load_embedder(str(folder)).calibration.curve(Query("red"))
    assert 0 < midpoint < 1
    assert 0 < width < 0.5


def test_the_learned_fusion_is_kept_only_where_it_finds_no_less_than_the_sum(finished, tmp_path):
    made, folder, _ = finished
    fusion = json.loads((folder / "visir.json").read_text())["made"]["fusion"]
    better = all(fusion["learned"][part] >= fusion["sum"][part] for part in ("chosen_by", "confirmed_by"))
    assert fusion["kept"] == ("learned" if better else "sum")
    shutil.copytree(made.folder, tmp_path / "spoilt")
    spoilt = PairRun(made.recipe, tmp_path / "spoilt")
    with torch.no_grad():  # a fusion that forgets all about the picture and the text
        spoilt.model[0].mixer.outside.bias.fill_(1e4)
    assert find(spoilt.embedder(), HELD["sq2s"], 50).recall < 0.1
    place = spoilt.finish()
    settled = json.loads((place / "visir.json").read_text())["made"]["fusion"]
    assert settled["kept"] == "sum"
    assert all(settled["learned"][part] < 0.15 < 0.5 < settled["sum"][part] for part in ("chosen_by", "confirmed_by"))
    assert (spoilt.model[0].mixer, spoilt.model[0].fusion) == (None, "sum")
    for embedder in (spoilt.embedder(), load_embedder(str(place))):
        for half, part in zip(HELD["sq2s"].halves(), ("chosen_by", "confirmed_by"), strict=True):
            assert find(embedder, half, 50).recall == pytest.approx(settled["sum"][part], abs=1e-4)


def test_curves_are_drawn(finished):
    run, _, _ = finished
    picture = (run.folder / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_a_run_that_is_stopped_and_gone_on_with_gives_the_same_numbers(tmp_path, stop):
    whole = losses(PairRun(recipe(), tmp_path / "whole"))
    first = PairRun(recipe(), tmp_path / "parts")
    begun = losses(first, stop)
    first.save()
    second = PairRun(recipe(), tmp_path / "parts")
    assert second.step == stop
    assert begun + losses(second) == whole
    assert len(whole) == 6


def rows_of(folder):
    path = folder / "metrics.jsonl"
    return [{key: value for key, value in row.items() if key != "pairs_per_s"} for row in (read_rows(path) if path.is_file() else [])]


@pytest.mark.slow
def test_a_run_that_is_killed_and_gone_on_with_writes_the_same_rows(tmp_path):
    settings = [
        "stage.0.steps=40",
        "stage.1.steps=40",
        "stage.0.batch=16",
        "stage.1.batch=16",
        "watch.log=1",
        "watch.held=8",
        "watch.save=0",
    ]
    run_recipe("unise-clip-cpu", tmp_path / "whole", settings, device="cpu")

    def start(folder):
        changes = [word for setting in settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "visir.cli.main", "train", "unise-clip-cpu", "-o", str(folder), "--device", "cpu", *changes]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    for step in (15, 55):  # in either stage
        process, end = start(tmp_path / "killed"), time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end and not any(row["step"] >= step for row in rows_of(tmp_path / "killed")):
            time.sleep(0.02)
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL, "it was over before the kill: the test proves nothing"
    last = start(tmp_path / "killed")
    assert last.wait(timeout=120) == 0, last.stderr.read()
    assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "whole")
    assert [row["step"] for row in rows_of(tmp_path / "whole") if "loss" in row] == list(range(1, 81))
    ours, theirs = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("choice", [{"mini_batch": 3}, {"checkpointing": True}])
def test_what_saves_memory_changes_no_number(tmp_path, choice):
    plain, other = PairRun(recipe(), tmp_path / "plain"), PairRun(recipe(**choice), tmp_path / "other")
    assert losses(other) == pytest.approx(losses(plain), abs=2e-4)
    for one, two in zip(plain.model.parameters(), other.model.parameters(), strict=True):
        assert torch.allclose(one, two, atol=2e-4)


BASES = ["tiny:clip", "tiny:siglip", "tiny:siglip2", "tiny:qwen2_vl", "tiny:qwen2_5_vl", "tiny:qwen3_vl"]


def gradients(run):
    """The loss and the gradient of one batch of each set that stage 2 learns from."""
    batches = run.batches(0)
    firsts = {batches.rows(index)[0]: index for index in reversed(range(len(batches)))}
    for index in firsts.values():
        batch = batches[index]
        run.model.zero_grad(set_to_none=True)
        loss = float(run.loss.backward(batch.queries, batch.documents, batch.keys))
        yield batch.name, loss, torch.cat([value.grad.flatten() for value in run.model.parameters() if value.grad is not None])


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("choice", [{"mini_batch": 3}, {"checkpointing": True}])
def test_what_saves_memory_changes_no_gradient_of_any_model(tmp_path, choice, base):
    plain, other = (PairRun(recipe((0, 6), base=base, **how), tmp_path / name) for name, how in (("plain", {}), ("other", choice)))
    names = set()
    for (name, loss, wanted), (_, same, got) in zip(gradients(plain), gradients(other), strict=True):
        names.add(name)
        assert same == pytest.approx(loss, abs=1e-5)
        assert float((got - wanted).norm()) < 1e-5 * float(wanted.norm())
    assert names == {"shapes-q2s", "shapes-sq2s"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch hides warnings of its compiler, which errors are not
@pytest.mark.parametrize(("base", "choice"), [("tiny:clip", {}), ("tiny:qwen2_vl", {"checkpointing": True, "lora": 2})])
def test_compiling_changes_no_gradient(tmp_path, base, choice):
    plain, other = (PairRun(recipe((0, 6), base=base, **choice, compile=how), tmp_path / str(how)) for how in (False, True))
    assert any(layer._compiled_call_impl is not None for layer in other.model.modules())
    for (_, loss, wanted), (_, same, got) in zip(gradients(plain), gradients(other), strict=True):
        assert same == pytest.approx(loss, abs=1e-5)
        assert float((got - wanted).norm()) < 1e-5 * float(wanted.norm())


def test_half_precision_learns_the_same_to_its_precision(tmp_path):
    plain, half = PairRun(recipe(), tmp_path / "plain"), PairRun(recipe(precision="bf16"), tmp_path / "half")
    assert losses(half) == pytest.approx(losses(plain), rel=0.1)
    assert next(half.model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("base", BASES)
def test_adapters_merge_exactly_and_alone_are_trained(tmp_path, base):
    run = PairRun(recipe((2, 2), base=base, lora=4, lr=2e-2), tmp_path)
    names = set(trained_state(run.model))
    assert names
    assert all("lora" in name or "mixer" in name for name, value in run.model.named_parameters() if value.requires_grad)
    losses(run)
    inputs = [HELD[kind].query(HELD[kind].pairs[0]) for kind in HELD]
    before = run.embedder().encode_query(inputs)
    run.save()
    again = PairRun(recipe((2, 2), base=base, lora=4, lr=2e-2), tmp_path)
    assert np.abs(again.embedder().encode_query(inputs) - before).max() < 1e-6
    untrained = PairRun(recipe((2, 2), base=base, lr=2e-2), tmp_path / "other").embedder().encode_query(inputs)
    folder = run.finish()
    assert np.abs(untrained - before).max() > 1e-4
    merged = load_embedder(str(folder))
    assert np.abs(merged.encode_query(inputs) - before).max() < 1e-5
    assert not any("lora" in path.name or "adapter" in path.name for path in folder.rglob("*"))


def test_adapters_take_activations_in_16_bits_as_they_come(tmp_path):
    run = PairRun(recipe((1, 0), lora=2, precision="bf16"), tmp_path)
    met = set()
    for name, layer in run.model.named_modules():
        if "lora_A." in name and "layers.1.mlp.fc2" in name:
            layer.register_forward_pre_hook(lambda _, inputs: met.add(inputs[0].dtype))
    losses(run)
    assert met == {torch.bfloat16}


def test_a_share_of_the_adapters_is_merged(tmp_path):
    layer = "text_model.encoder.layers.0.mlp.fc1.weight"
    weights = {}
    for share in (0.0, 0.5, 1.0):
        made = recipe((2, 0), lora=4, lr=2e-2)
        run = PairRun(replace(made, model=replace(made.model, share=share)), tmp_path / str(share))
        losses(run)
        run.finish()
        weights[share] = next(value for name, value in run.model.state_dict().items() if name.endswith(layer))
    assert (weights[1.0] - weights[0.0]).abs().max() > 1e-4
    torch.testing.assert_close(weights[0.5], (weights[0.0] + weights[1.0]) / 2, atol=1e-6, rtol=0)


def lined_pages(name, pitches):
    """A set of captions, one a page of 600 x 800 pixels, whose lines stand so far apart."""
    face, images = next((Path(visir.__file__).parent / "capture" / "fonts").glob("*Mono.ttf")), {}
    for number, pitch in enumerate(pitches):
        page, font = Image.new("RGB", (600, 800), "white"), ImageFont.truetype(str(face), int(pitch / 1.25))
        for line in range(20, 780, pitch):
            ImageDraw.Draw(page).text((20, line), f"line {line} of page {number}, whose type is small " * 2, fill="black", font=font)
        images[f"{name}-{number}"] = Screenshot.from_image(page).encoded
    return PairSet(name, "caption", [Pair(f"page {key}", key) for key in images], images)


def test_small_type_in_any_of_several_sources_is_told(tmp_path):
    run = PairRun(recipe((1, 0)), tmp_path)
    assert run.check_pages() is None
    run.sets = [*run.sets, lined_pages("small", [15] * 8)]
    assert "too small for the type" in run.check_pages()


def test_small_type_behind_many_large_pages_is_told(tmp_path):
    run = PairRun(recipe((1, 0), base="tiny:qwen2_vl", pixels=120_000), tmp_path)
    run.sets = [lined_pages("large", [30] * 36)]
    assert run.check_pages() is None
    run.sets = [lined_pages("mixed", [30] * 36 + [12] * 60)]
    assert "too small for the type" in run.check_pages()


def test_the_advice_on_small_type_fits_the_model(tmp_path):
    told = {}
    for base, pixels in (("tiny:clip", 0), ("tiny:siglip2", 4096), ("tiny:qwen2_vl", 7056)):
        run = PairRun(recipe((1, 0), base=base, pixels=pixels), tmp_path / base)
        run.sets = [lined_pages("small", [15] * 8)]
        told[base] = run.check_pages()
    assert "choose a model that takes larger pictures" in told["tiny:clip"]
    assert "model.pixels" not in told["tiny:clip"]
    for base in ("tiny:siglip2", "tiny:qwen2_vl"):
        assert "Raise model.pixels by" in told[base]


def test_layers_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ModelError, match="lora_targets"):
        PairRun(recipe(lora=2, lora_targets="nothing_of_that_name"), tmp_path)


TWO = """
import json, sys, torch
sys.path[:0] = sys.argv[2:3]
from pathlib import Path
from pair_recipes import recipe
from safetensors.torch import save_file
from visir.train.stages import PairRun, join_processes, trained_state
torch.set_num_threads(1)
device = join_processes()
folder = Path(sys.argv[1])
run = PairRun(recipe((2, 4), **json.loads(sys.argv[3])), folder, device)
steps = [(name, one["loss"]) for name, one in run.updates()]
save_file({name: value.contiguous() for name, value in trained_state(run.model).items()}, folder / f"rank{run.part[0]}.safetensors")
if run.part[0] == 0:
    print(json.dumps([*zip(*steps), run.loss.scale.item()]))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize(
    "choice",
    [
        {"mini_batch": 64, "fusion": "learned"},
        {"base": "tiny:qwen2_vl", "lora": 4},
        pytest.param({"mini_batch": 2}, marks=pytest.mark.slow),
    ],
    ids=["learned-fusion", "adapters", "mini-batch"],
)
def test_two_processes_learn_what_one_does(tmp_path, choice):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""}
    told = []
    for processes in (1, 2):
        arguments = [str(script), str(tmp_path / f"run{processes}"), str(Path(__file__).parent), json.dumps(choice)]
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-2000:]
        told.append(json.loads(done.stdout.strip().splitlines()[-1]))
    (names, one, scale), (same_names, two, also) = told
    assert {"shapes-caption", "shapes-sq2s"} <= set(names) == set(same_names)
    assert two == pytest.approx(one, abs=1e-4)
    assert also == pytest.approx(scale, abs=1e-4)
    alone, first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("run1/rank0", "run2/rank0", "run2/rank1"))
    assert alone.keys() == first.keys() == second.keys()
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        # Adam makes whole steps, of 2e-3 at most, of gradients that are all but nothing, such as those of a bias of keys.
        assert torch.allclose(first[name], value, rtol=0, atol=2e-3), name


@pytest.mark.parametrize("harm", ["truncate", "pickle"])
def test_a_harmed_state_or_base_is_refused_in_one_line(tmp_path, harm):
    run = PairRun(recipe((2, 0)), tmp_path)
    losses(run, 1)
    run.save()
    base = tmp_path / "base" / "model.safetensors"
    [state] = tmp_path.glob("state.*.000")
    whole = base.read_bytes(), state.read_bytes()
    for path, data in zip((base, state), whole, strict=True):
        harmed = data[: len(data) // 2] if harm == "truncate" else b"\x80\x04" + data[2:]
        path.write_bytes(harmed)
        with pytest.raises(ModelError) as caught:
            PairRun(recipe((2, 0)), tmp_path)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)
        path.write_bytes(data)
    assert PairRun(recipe((2, 0)), tmp_path).step == 1


def test_another_recipes_folder_is_refused(tmp_path):
    PairRun(recipe((2, 0)), tmp_path).save()
    with pytest.raises(ModelError, match="lora = 0"):
        PairRun(recipe((2, 0), lora=2), tmp_path)


def test_kinds_that_no_source_has_and_odd_precisions_are_refused(tmp_path):
    run = PairRun(recipe((2, 0)), tmp_path)
    run.sets = [pairs for pairs in run.sets if pairs.kind != "caption"]
    with pytest.raises(ModelError, match="no pairs of the kinds caption"):
        losses(run)
    with pytest.raises(ModelError, match="bf16 or fp32"):
        PairRun(recipe(precision="int8"), tmp_path / "other")
    with pytest.raises(ModelError, match="tiny model 'bert'"):
        PairRun(recipe(base="tiny:bert"), tmp_path / "third")


def test_the_rate_rises_and_falls_to_nothing():
    [stage] = recipe((100, 0), lr=1.0).stage
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == rates[20] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert rates[99] < 0.001


def test_a_recipe_runs_by_name_stops_in_time_and_goes_on(tmp_path):
    changes = ["stage.0.steps=3", "stage.1.steps=2", "stage.0.batch=8", "stage.1.batch=8", "watch.held=8", "model.fusion=sum"]
    assert run_recipe("unise-clip-cpu", tmp_path, changes, minutes=1e-6, device="cpu") is None
    model = run_recipe("unise-clip-cpu", tmp_path, changes, device="cpu")
    assert model == tmp_path / "model"
    steps = [row["step"] for row in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()) if "loss" in row]
    assert steps[-1] == 5
    assert len(steps) == len(set(steps))
    assert find_recipe("unise-mini").name == "unise-mini.toml"
    with pytest.raises(ModelError, match="unise-clip-cpu"):
        find_recipe("nonsense")


TINY = {
    "openai/clip-vit-large-patch14": ["model.base=tiny:clip"],
    "Qwen/Qwen2-VL-2B-Instruct": ["model.base=tiny:qwen2_vl", "model.pixels=7056"],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in find_recipe("unise-clip").parent.glob("*.toml") if is_pair_recipe(path)))
def test_every_recipe_that_ships_runs_on_drawn_pages(tmp_path, name):
    shipped = read_pair_recipe(find_recipe(name))
    changes = ['data.sources=["shapes"]', *TINY.get(shipped.model.base, [])]
    model = run_recipe(name, tmp_path, changes, smoke=True, device="cpu")
    made = json.loads((model / "visir.json").read_text())["made"]
    assert made["steps"] == 3 * len(shipped.stage)
    assert made["recipe"]["model"]["lora"] == shipped.model.lora
    assert made["recipe"]["model"]["precision"] == shipped.model.precision
    kinds = {kind for stage in shipped.stage for kind in stage.kinds}
    assert {row["set"] for row in rows_of(tmp_path) if "set" in row} <= {f"shapes-{kind}" for kind in kinds}
    page = Screenshot(HELD["q2s"].images[HELD["q2s"].pairs[0].document])
    vectors = load_embedder(str(model)).encode_query(["a red circle", Query("in blue", page)])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


@pytest.mark.slow
def test_a_qwen_learns_in_both_stages(tmp_path):
    watch = Watching(every=1000, log=1, held=41, probe="")
    run = PairRun(recipe((300, 250), base="tiny:qwen2_vl", pixels=7056, batch=24, lr=1e-3, watch=watch), tmp_path)
    assert run.train()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for stage in (0, 1):
        said = [row["loss"] for row in rows if row.get("stage") == stage]
        assert np.mean(said[-15:]) < 0.8 * np.mean(said[:15])
    before, between, after = (row for row in rows if "recall_shapes-caption" in row)
    assert before["recall_shapes-caption"] < 0.05 < 0.1 < between["recall_shapes-caption"]
    asked = ("recall_shapes-q2s", "recall_shapes-sq2s")
    assert sum(between[kind] for kind in asked) < 0.2 < 0.25 < sum(after[kind] for kind in asked)
    inputs = [HELD[kind].query(HELD[kind].pairs[0]) for kind in HELD]
    trained = run.embedder().encode_query(inputs)
    assert np.abs(load_embedder(str(run.finish())).encode_query(inputs) - trained).max() < 1e-6
