import pytest
import torch
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from torch import nn

from visir.train.pair_loss import PairLoss


class Towers(nn.Module):
    """Something with the manners of a SentenceTransformer, with dropout, in double precision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 8)).double()

    def __iter__(self):  # sentence-transformers looks for static embeddings
        return iter([self.body])

    def __getitem__(self, index):
        return [self.body][index]

    def forward(self, features):
        return {"sentence_embedding": self.body(features["x"])}


def batch(queries=6, negatives=2):
    generator = torch.Generator().manual_seed(1)
    draw = [torch.randn(count, 6, generator=generator, dtype=torch.float64) for count in (queries, queries * (1 + negatives))]
    return {"x": draw[0]}, {"x": draw[1]}, torch.arange(queries * (1 + negatives))


def gradients(mini_batch, dims=(), both_ways=True, negatives=2):
    model = Towers().eval()
    loss = PairLoss(model, 20.0, True, both_ways, mini_batch, dims)
    value = loss.backward(*batch(negatives=negatives))
    return value, [parameter.grad for parameter in (*model.parameters(), loss.log_scale)]


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("dims", [(), (4, 2)])
def test_the_cached_gradient_is_the_plain_one(both_ways, dims):
    plain, wanted = gradients(1000, dims, both_ways)
    for mini_batch in (1, 4, 5):
        cached, got = gradients(mini_batch, dims, both_ways)
        assert float(cached) == pytest.approx(float(plain), abs=1e-6)
        for one, two in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    assert abs(float(wanted[-1])) > 1e-3  # the temperature learns, too


@pytest.mark.parametrize(("both_ways", "directions"), [(True, ("query_to_doc", "doc_to_query")), (False, ("query_to_doc",))])
@pytest.mark.parametrize("negatives", [0, 1])
def test_it_is_the_loss_of_sentence_transformers(both_ways, directions, negatives):
    queries, documents, keys = batch(negatives=negatives)
    model = Towers().eval()
    theirs = CachedMultipleNegativesRankingLoss(model, 20.0, mini_batch_size=3, directions=directions, partition_mode="per_direction")
    columns = [{"x": part} for part in documents["x"].split(6)]
    wanted = theirs([queries, *columns], None)
    wanted.backward()
    grads = [parameter.grad for parameter in model.parameters()]
    ours = Towers().eval()
    value = PairLoss(ours, 20.0, False, both_ways, 3).backward(queries, documents, keys)
    assert float(value) == pytest.approx(float(wanted.detach()), abs=1e-5)
    for parameter, grad in zip(ours.parameters(), grads, strict=True):
        torch.testing.assert_close(parameter.grad, grad, atol=1e-5, rtol=1e-5)


def vectors_loss(queries, documents, keys, both_ways=True):
    loss = PairLoss(lambda features: features, 20.0, False, both_ways, 100)
    value = loss.calculate_loss([[queries], [documents]], keys)
    return float(value), {name: float(share) for name, share in loss.said.items()}


def test_the_same_screenshot_under_two_queries_is_no_negative():
    same = torch.eye(3)[[0, 0, 1]]
    wrong, _ = vectors_loss(same, same, torch.tensor([0, 1, 2]))
    right, _ = vectors_loss(same, same, torch.tensor([0, 0, 2]))
    assert right < 1e-6 < 0.3 < wrong


def test_rivals_are_the_mined_negatives_that_lie_as_near_as_the_right_one():
    queries = torch.eye(4)[:2]
    documents = torch.cat([torch.eye(4)[:2], torch.eye(4)[[0, 2, 2, 3]]])  # of the first query's two negatives one is its screenshot's copy
    _, said = vectors_loss(queries, documents, torch.arange(6), both_ways=False)
    assert said["rivals"] == pytest.approx(0.25)
    assert said["right"] == pytest.approx(0.5)


def test_a_shorter_vector_must_do_the_job_alone():
    queries = torch.tensor([[1.0, 0, 1, 0], [1.0, 0, 0, 1]])
    whole, _ = vectors_loss(queries, queries, torch.arange(2))
    loss = PairLoss(lambda features: features, 20.0, False, True, 100, (2,))
    assert whole < 0.01
    assert float(loss.calculate_loss([[queries], [queries]], torch.arange(2))) == pytest.approx((whole + 0.6931) / 2, abs=0.01)


def test_the_temperature_has_an_end():
    assert PairLoss(None, 5000.0, True, True, 8).scale.item() == pytest.approx(100)
