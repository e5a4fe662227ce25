import os
import subprocess
import sys

import pytest

import visir


def test_public_names_are_complete_sorted_and_few():
    assert visir.__all__ == sorted(visir.__all__)
    assert len(visir.__all__) <= 10
    assert all(getattr(visir, name) is not None for name in visir.__all__)


def test_capture_stays_a_function_when_its_package_is_used():
    from visir.capture.pdf import render

    assert callable(visir.capture)
    assert callable(render)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(visir, "nonsense")  # noqa: B009


def test_indexing_and_searching_need_no_torch(library, tmp_path):
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'sentence_transformers'): sys.modules[name] = None\n"
        "import visir\nwith visir.Index.open(sys.argv[1]) as index:\n"
        "    index.add(sys.argv[2])\n    print(index.search('annual rainfall')[0].uri)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path / "index"), str(library)], capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith("rainfall.pdf")


def test_a_torch_model_without_torch_names_the_extra(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom visir.errors import ModelError\nfrom visir.unise.embedder import load_embedder\n"
        "try: load_embedder(sys.argv[1])\nexcept ModelError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "pip install 'visir[train]'" in told.stdout


@pytest.mark.parametrize("first", ["import visir; visir.load_embedder().encode_query(['rye'])", "import visir.unise.onnx, onnxruntime"])
def test_nothing_that_is_loaded_reports_on_its_user(tmp_path, first):
    # onnxruntime's wheels for Linux keep a number for the device, and look up where to send what they count, from their import on.
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    watch = "import time; time.sleep(4)"
    subprocess.run([sys.executable, "-c", f"{first}; {watch}"], env={**environment, "HOME": str(tmp_path)}, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if "Microsoft" in path.parts] == []
