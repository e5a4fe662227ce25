import numpy as np
import pytest

from visir.screenshot import Screenshot
from visir.train.pairs import PairBatches
from visir.train.shapes import shapes


def drawn(sets, steps=9, part=(0, 1), negatives=2, seed=3, batch=8, mined=True):
    seen = []

    def preprocess(inputs, instruction):
        seen.append((inputs, instruction))
        return {}

    return PairBatches(sets, [1.0] * len(sets), steps, batch, negatives, seed, preprocess, part, mined), seen


def test_every_pair_comes_once_before_any_comes_again():
    [captions, *_] = shapes("held")
    count = len(captions.pairs)
    batches, _ = drawn([captions], steps=2 * count, batch=7)
    rows = [row for index in range(2 * count) for row in batches.rows(index)[1]]
    for epoch in range(14):
        assert sorted(rows[epoch * count : (epoch + 1) * count]) == list(range(count))
    assert rows[:count] != rows[count : 2 * count]


def test_a_batch_is_the_same_whatever_was_drawn_before():
    sets = shapes("train")
    one, other = drawn(sets)[0], drawn(sets)[0]
    whole = [one.rows(index) for index in range(9)]
    assert [other.rows(index) for index in (7, 2, 8, 0)] == [whole[index] for index in (7, 2, 8, 0)]
    assert {which for which, _ in whole} == {0, 1, 2}
    assert [drawn(sets, seed=4)[0].rows(index) for index in range(9)] != whole


def test_processes_share_a_batch():
    sets = shapes("train")
    [alone, seen], parts = drawn(sets), [drawn(sets, part=(process, 2)) for process in range(2)]
    whole = alone[4]
    shares = [batches[4] for batches, _ in parts]
    assert whole.keys[:8].tolist() == [*shares[0].keys[:4].tolist(), *shares[1].keys[:4].tolist()]
    asked = [[repr(query) for query in calls[0][0]] for _, calls in parts]
    assert len(asked[0]) == len(asked[1]) == 4
    assert len(seen[0][0]) == 8


def test_composed_queries_bring_their_picture_and_their_negatives():
    [composed] = [pairs for pairs in shapes("train") if pairs.kind == "sq2s"]
    batches, seen = drawn([composed], negatives=3)
    batch = batches[0]
    (queries, instruction), (documents, nothing) = seen
    assert set(queries[0]) == {"image", "text"}
    assert (instruction, nothing) == (composed.instruction, "")
    assert len(documents) == len(batch.keys) == 8 * 4
    pair = composed.pairs[batches.rows(0)[1][0]]
    assert len(set(batch.keys[[0, 8, 9, 10]].tolist())) == 4
    mined = {np.asarray(document).tobytes() for document in documents[8:11]}
    assert len(mined) == 3
    assert pair.picture in composed.images


def test_random_screenshots_fill_up_where_negatives_are_few():
    [captions, *_] = shapes("train")
    batches, seen = drawn([captions], negatives=2)
    assert len(batches[0].keys) == 24
    assert len(seen[1][0]) == 24


def test_mined_negatives_can_be_left_for_random_ones():
    [composed] = [pairs for pairs in shapes("train") if pairs.kind == "sq2s"]
    shares = []
    for mined in (True, False):
        batches, seen = drawn([composed], negatives=2, mined=mined)
        own = [composed.pairs[row] for row in batches.rows(0)[1]]
        assert len(batches[0].keys) == 24
        wanted = [{Screenshot(composed.images[key]).image.tobytes() for key in pair.negatives} for pair in own]
        given = [document.tobytes() for document in seen[1][0][8:]]
        shares.append(np.mean([given[place] in wanted[place // 2] for place in range(16)]))
    assert shares[0] == 1
    assert shares[1] < 0.5


def test_no_page_is_in_both_splits():
    train, held = shapes("train"), shapes("held")
    for one, other in zip(train, held, strict=True):
        assert not {pair.document for pair in one.pairs} & {pair.document for pair in other.pairs}
        assert len(one.pairs) + len(other.pairs) == 288
        assert one.digest != other.digest
    with pytest.raises(KeyError):
        train[0].images["a page that is not there"]
