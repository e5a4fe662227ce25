import pytest
import torch

from visir.train.losses import VectorQueue, spelling_loss, spot_loss, spot_targets, teach_loss, word_loss
from visir.unise.letters import CLASSES, PARTS, classes_of
from visir.unise.mini import LetterHead
from visir.unise.words import find_words

BOXES = torch.tensor([[0.05, 0.1, 0.45, 0.25], [0.55, 0.1, 0.95, 0.25], [0.1, 0.6, 0.3, 0.8]])
OWNER = torch.zeros(3).long()


def test_a_map_that_says_what_it_should_is_found_again_and_costs_little():
    heat, cell, reach = spot_targets(BOXES, OWNER, (1, 10, 20))
    spots = torch.zeros(1, 5, 10, 20)
    spots[:, 0] = torch.where(heat > 0.999, 8.0, -8.0)
    spots[0, 1:].view(4, -1)[:, cell] = reach.T
    assert spot_loss(spots, BOXES, OWNER) < 0.01
    found, _ = find_words(spots[0].numpy())
    torch.testing.assert_close(torch.from_numpy(found).sort(0).values, BOXES.sort(0).values, atol=1e-5, rtol=0)
    assert spot_loss(torch.zeros_like(spots), BOXES, OWNER) > 1


def test_right_words_cost_less_than_wrong_ones():
    vectors = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    which = torch.tensor([0, 1, 2, 2, 3, 4, 5])
    scale = torch.tensor(20.0)
    right, all_right = word_loss(3 * vectors[which], vectors, which, scale)
    wrong, none_right = word_loss(3 * vectors[which.roll(1) - 1], vectors, which, scale)
    assert right < wrong
    assert (all_right, none_right) == (1.0, 0.0)


def test_words_that_stand_nowhere_are_wrong_answers():
    vectors = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    which = torch.tensor([0, 1, 2, 2])
    pooled = (vectors[which] + 0.9 * vectors[4]).requires_grad_()
    alone, _ = word_loss(pooled, vectors[:3], which, torch.tensor(5.0))
    among, _ = word_loss(pooled, vectors, which, torch.tensor(5.0))
    assert among > alone + 0.1
    (slope,) = torch.autograd.grad(among, pooled)
    assert torch.isfinite(slope).all()
    assert (slope @ vectors[4] > 0).all()


def test_a_teachers_vectors_are_matched_and_copies_are_no_negatives():
    targets = torch.eye(4, 8)[[0, 1, 1, 3]]
    queue = VectorQueue(6, 8)
    queue.push(torch.eye(8)[4:])
    loss = teach_loss(targets, targets, queue, torch.tensor(30.0))
    assert loss < 1e-4
    assert teach_loss(targets.roll(1, 0), targets, queue, torch.tensor(30.0)) > 5


def test_a_queue_keeps_the_newest():
    queue = VectorQueue(4, 2)
    for value in range(7):
        queue.push(torch.full((1, 2), float(value)))
    assert sorted(queue.rows[:, 0].tolist()) == [3, 4, 5, 6]
    queue.push(torch.arange(20.0).reshape(10, 2))
    assert sorted(queue.rows[:, 0].tolist()) == [12, 14, 16, 18]


def flat_head(width: int = 1) -> LetterHead:
    """A head that says the number of the column in class 0, and nothing else, wherever it looks."""
    head = LetterHead(width)
    with torch.no_grad():
        head.name.weight.zero_()
        head.name.bias.zero_()
        head.name.bias[::CLASSES] = torch.arange(float(PARTS))
    return head


def test_a_letter_is_read_from_the_column_of_the_cell_it_stands_in():
    at = torch.tensor([[0.0, 0.0], [0.3, 0.9], [0.8, 0.5]])
    logits = flat_head().at(torch.ones(1, 1, 1, 1), at, torch.zeros(3).long())
    assert logits[:, 0].tolist() == pytest.approx([0.0, 2.0, 6.0])


def test_the_columns_of_a_word_are_those_of_its_box():
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [5 / 16, 0.0, 10.5 / 16, 0.5]])
    columns, counts = flat_head().columns(torch.ones(1, 1, 3, 2), boxes, torch.zeros(2).long())
    assert counts.tolist() == [16, 6]
    assert columns[:, 0].tolist() == pytest.approx([*range(8), *range(8), 5, 6, 7, 0, 1, 2])


def test_spelling_costs_little_where_the_columns_say_the_word():
    letters = torch.tensor(classes_of("all") + classes_of("by"))
    said = "a-l-l----bb-y"
    columns = torch.full((len(said), CLASSES), -20.0)
    for column, letter in enumerate(said):
        columns[column, 0 if letter == "-" else classes_of(letter)[0]] = 0.0
    counts, sizes = torch.tensor([8, 5]), torch.tensor([3, 2])
    assert spelling_loss(columns, counts, letters, sizes) < 0.01
    assert spelling_loss(columns, counts, letters.roll(1), sizes) > 5


def test_no_words_to_spell_cost_nothing():
    head = LetterHead(4)
    columns, counts = head.columns(torch.ones(1, 4, 3, 2), torch.zeros(0, 4), torch.zeros(0).long())
    none = torch.zeros(0).long()
    assert float(spelling_loss(columns, counts, none, none)) == 0.0


def test_all_places_of_a_word_are_right_answers_to_it():
    generator = torch.Generator().manual_seed(1)
    pooled, which = torch.randn(9, 8, generator=generator), torch.tensor([0, 3, 1, 0, 2, 3, 0, 4, 1])
    vectors = torch.nn.functional.normalize(torch.randn(7, 8, generator=generator), dim=1)
    logits = 9 * torch.nn.functional.normalize(pooled, dim=1) @ vectors.T
    forth = torch.nn.functional.cross_entropy(logits, which)
    back = -torch.stack([logits[:, word].softmax(0)[which == word].sum().log() for word in range(5)]).mean()
    loss, _ = word_loss(pooled, vectors, which, torch.tensor(9.0))
    torch.testing.assert_close(loss, 0.5 * (forth + back))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(word_loss(pooled, vectors, which, torch.tensor(9.0))[0], loss, atol=0.02, rtol=0)
