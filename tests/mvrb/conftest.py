import pytest
from make import write_benchmark


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_benchmark(tmp_path_factory.mktemp("benchmark"))


@pytest.fixture(scope="session")
def cache_file(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "vectors.sqlite"
