"""The documentation: every link leads somewhere, every page can be found, every command shown exists."""

import re
import shlex
from pathlib import Path

import pytest

import willis
from willis.app.cli.main import VERBS, make_app
from willis.models.manifest import Clusters, Manifest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ | {4})(?:\.venv/bin/|env/bin/)?willis ([a-z-]+)", re.MULTILINE)


def links(page: Path) -> list[Path]:
    found = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    return [(page.parent / target).resolve() for target in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = [str(target.relative_to(ROOT)) for target in links(page) if not target.exists()]
    assert not dead


def test_every_page_is_linked_from_the_index() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "docs" / "README.md"]
    while todo:
        page = todo.pop()
        if page.suffix == ".md" and page not in seen:
            seen.add(page)
            todo += [target for target in links(page) if target.is_file()]
    decisions = set((ROOT / "docs" / "decisions").glob("*.md"))
    assert set((ROOT / "docs").rglob("*.md")) - decisions <= seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    assert set(COMMAND.findall(page.read_text(encoding="utf-8"))) <= set(VERBS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_understood(page: Path) -> None:
    """Every command in a block of its own, options and all, is taken by the command line as it is written."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for shown in re.findall(COMMAND.pattern + r"(.*)$", text, re.MULTILINE):
        words = shlex.split(" ".join(shown).replace("[", "").replace("]", ""), comments=True)
        make_app().parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_the_public_api_exist(page: Path) -> None:
    named = set(re.findall(r"\bwillis\.([A-Za-z_]+)", "".join(BLOCK.findall(page.read_text(encoding="utf-8")))))
    rooms = {path.stem for path in (ROOT / "src" / "willis").iterdir()}
    assert named <= {*willis.__all__, *rooms}


def test_make_targets_of_the_readme_exist() -> None:
    shown = set(re.findall(r"^ {4}make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert shown == {"demo", "test"}
    assert shown <= targets


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert all(number.isdigit() for number in numbers)
    assert len(numbers) == len(set(numbers))


def test_every_field_of_a_manifest_is_explained() -> None:
    page = (ROOT / "docs" / "concepts" / "bundles.md").read_text(encoding="utf-8")
    explained = {name for row in page.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row)}
    assert {*Manifest.model_fields, *Clusters.model_fields} - {"origin"} <= explained
