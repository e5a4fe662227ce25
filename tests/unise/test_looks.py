import io

import numpy as np
import pytest
from documents import scene
from PIL import Image

from visir.screenshot import Query, Screenshot
from visir.unise.embedder import load_embedder
from visir.unise.looks import look_of


def shot(image: Image.Image) -> Screenshot:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return Screenshot(buffer.getvalue())


def test_pictures_that_look_alike_have_like_vectors():
    looks = np.array([look_of(scene(number), 384) for number in range(20)])
    np.testing.assert_allclose(np.linalg.norm(looks, axis=1), 1, atol=1e-5)
    smaller = np.array([look_of(scene(number).resize((150, 100)), 384) for number in range(20)])
    cosines = smaller @ looks.T
    assert cosines.argmax(1).tolist() == list(range(20))
    assert np.diag(cosines).min() > 0.95
    assert np.median(cosines[~np.eye(20, dtype=bool)]) < 0.5


@pytest.mark.parametrize("colour", ["black", "white", "#777777"])
def test_a_picture_of_nothing_has_a_vector(colour):
    assert np.isfinite(look_of(Image.new("RGB", (30, 40), colour), 384)).all()


def test_a_picture_without_words_is_found_by_the_same_picture_made_smaller():
    model = load_embedder("unise-mini")
    pages = model.encode_document([shot(scene(number)) for number in range(8)] + ["blots of colour"])
    asked = model.encode_query([Query(image=shot(scene(number).resize((360, 240)))) for number in range(8)])
    assert model.similarity(asked, pages).argmax(1).tolist() == list(range(8))
    assert abs(model.similarity(model.encode_query(["annual report of the water works"]), pages)[0, :8]).max() < 0.3
