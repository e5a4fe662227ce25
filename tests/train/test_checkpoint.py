import pytest
import torch

from visir.errors import ModelError
from visir.train.checkpoint import load_split, save_split

TENSORS = {"a": torch.arange(3000.0).reshape(50, 60), "b": torch.tensor(7), "c": torch.randn(5, generator=torch.Generator().manual_seed(0))}


def test_pieces_come_together_again(tmp_path):
    save_split(tmp_path, "state", TENSORS, {"step": 3}, piece=1000)
    assert max(path.stat().st_size for path in tmp_path.glob("state.*.0*")) == 1000
    tensors, meta = load_split(tmp_path, "state")
    assert meta == {"step": 3}
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


def test_half_the_bits_come_back_as_whole_numbers(tmp_path):
    save_split(tmp_path, "weights", TENSORS, {}, half=True)
    tensors, _ = load_split(tmp_path, "weights")
    assert tensors["a"].dtype == torch.float32
    torch.testing.assert_close(tensors["c"], TENSORS["c"], atol=1e-3, rtol=1e-3)
    assert int(tensors["b"]) == 7


def test_an_older_save_leaves_no_piece_behind(tmp_path):
    save_split(tmp_path, "state", TENSORS, {}, piece=500)
    save_split(tmp_path, "state", {"a": torch.ones(2)}, {}, piece=500)
    assert len(list(tmp_path.iterdir())) == 2
    assert load_split(tmp_path, "state")[0]["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda data: data[:-9], "truncated"),
        (lambda data: b"", "truncated"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "not what was saved"),
    ],
)
def test_a_harmed_piece_is_refused(tmp_path, harm, message):
    save_split(tmp_path, "state", TENSORS, {}, piece=4000)
    piece = sorted(tmp_path.glob("state.*.0*"))[-1]
    piece.write_bytes(harm(piece.read_bytes()))
    with pytest.raises(ModelError, match=message) as error:
        load_split(tmp_path, "state")
    assert "copy" in str(error.value)


def test_a_checkpoint_that_is_not_there_or_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint"):
        load_split(tmp_path, "state")
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ModelError, match="list of pieces"):
        load_split(tmp_path, "state")


def test_weights_that_have_run_away_are_not_saved(tmp_path):
    with pytest.raises(ModelError, match="diverged"):
        save_split(tmp_path, "weights", {"a": torch.tensor([1e9])}, {}, half=True)
