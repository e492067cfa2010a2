from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``made_up_sources``, importable by processes started in the test too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module("made_up_sources")
