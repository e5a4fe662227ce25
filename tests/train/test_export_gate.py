import pytest

from visir.errors import ModelError
from visir.train.export_gate import export_model


@pytest.mark.parametrize("name", ["unise-mini", "text"])
def test_models_that_ship_are_refused_by_what_they_are(tmp_path, name):
    with pytest.raises(ModelError, match=f"^{name}: only a UniSE-CLIP can be exported, and this model runs without torch already$"):
        export_model(name, tmp_path / "copy", "int8", "shapes", 10)
    assert not (tmp_path / "copy").exists()


def test_a_model_that_is_not_there_is_told_without_asking_a_hub(tmp_path):
    with pytest.raises(ModelError, match=r"^there is no model 'nowhere'"):
        export_model("nowhere", tmp_path / "copy", "int8", "shapes", 10)
