"""The report holds all there is to say, needs nothing else, and is the same from memory and from disk."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlparse

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.findings import Decision, Figure, Findings, Lesion, Mask
from willis.report.render import page_of, render, render_folder
from willis.report.write import write

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements with their attributes, and the text; unbalanced tags raise."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += " " + " ".join(data.split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(example_findings) -> Page:
    return Page(page_of(example_findings))


def test_the_page_needs_no_other_file_and_no_script(page, example_findings):
    html = page_of(example_findings)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert "@import" not in html and "url(" not in html
    for link in page.all("a"):
        target = urlparse(link["href"])
        assert target.scheme in ("", "https")
        assert target.scheme == "" or target.netloc == "doi.org"


def test_every_picture_has_words_and_its_size(page, example_findings):
    images = page.all("img")
    assert len(images) == len(example_findings.figures)
    assert all(len(image["alt"]) > 10 and int(image["width"]) > 500 and int(image["height"]) > 100 for image in images)


def test_headers_of_tables_say_what_they_head(page):
    assert page.all("th")
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))


def test_anchors_exist_and_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")} <= set(ids)


def test_all_that_was_found_and_done_is_said(page, example_findings):
    said = page.text
    assert example_findings.summary in said
    for note in example_findings.notes:
        assert note in said
    for measurement in example_findings.measurements.values():
        assert measurement.label in said
    for source in example_findings.provenance["inputs"].values():
        assert source["sha256"] in said and source["file"] in said
    for bundle in example_findings.provenance["bundles"]:
        assert bundle["title"] in said and bundle["sha256"] in said
    assert "36.7" in said, "the time taken in all"
    assert example_findings.provenance["methods"] in said
    assert example_findings.provenance["intended_use"] in said
    assert "not a medical device" in said
    assert "licence Apache-2.0" in said
    assert len(re.findall(r"\b[RL] \d+, [AP] \d+, [SI] \d+", said)) == len(example_findings.lesions)


def test_files_named_are_those_written(page, example_findings, tmp_path):
    write(example_findings, tmp_path / "out")
    named = {link["href"] for link in page.all("a") if link["href"].startswith(("sub-", "prov", "data"))}
    there = {p.name for p in (tmp_path / "out").iterdir() if p.is_file()} - {"report.html"}
    assert named == there


def test_a_report_made_again_from_disk_is_the_same(example_findings, tmp_path):
    report = write(example_findings, tmp_path / "out")
    first = report.read_bytes()
    report.unlink()
    assert render_folder(tmp_path / "out") == report
    assert report.read_bytes() == first
    assert render(example_findings, tmp_path / "elsewhere").read_bytes() == first
    assert sorted(p.name for p in (tmp_path / "elsewhere").iterdir()) == ["report.html"]


def test_a_folder_without_a_run_makes_no_report(tmp_path):
    with pytest.raises(BadInputError):
        render_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_words_from_outside_stay_words(example_findings):
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    findings = replace(
        example_findings,
        summary=evil,
        prefix="sub-01",
        notes=(evil,),
        decision=Decision(evil, evil, evil),
        lesions=[Lesion(1, 1.0, (0, 0, 0), evil, 0.5)],
        tables={evil: [{evil: evil}]},
        figures=[Figure("a", evil, evil, example_findings.figures[0].png, alt=evil)],
        provenance={**example_findings.provenance, "title": evil, "methods": evil, "citation": [evil], evil: evil},
    )
    page = Page(page_of(findings))
    assert page.all("script") == []
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert page.text.count("alert(1)") > 8


def test_findings_with_nothing_but_words_give_a_page():
    page = Page(page_of(Findings("brain", "sub-07", "Brain volume can't be told.")))
    assert "Brain volume can't be told." in page.text
    assert "lesion" not in page.text.lower(), "the task doesn't look for lesions"


def test_no_lesion_is_said(example_findings):
    page = Page(page_of(replace(example_findings, lesions=())))
    assert "No lesion was found." in page.text


def test_a_penumbra_without_a_core_is_not_called_no_lesion(example_findings):
    lesion = next(mask.volume for mask in example_findings.masks if mask.label == "wmh")
    nothing = lesion.with_data(np.zeros_like(lesion.data))
    masks = [Mask("core", "flair", nothing), Mask("penumbra", "flair", lesion)]
    for penumbra, said in ((lesion, "what was found is in the mask of penumbra."), (nothing, "No lesion was found.")):
        masks[1] = Mask("penumbra", "flair", penumbra)
        page = Page(page_of(replace(example_findings, lesions=(), masks=masks)))
        assert said in page.text
    assert "in the mask of" not in page.text


def test_a_decision_is_shown_with_its_reason_and_doubt(example_findings):
    decision = Decision("mismatch", "present", "visible in 12 % only", certain=False)
    said = Page(page_of(replace(example_findings, decision=decision))).text
    assert "Mismatch present uncertain visible in 12 % only" in re.sub(r"\s+", " ", said)


def section_ids(findings: Findings) -> list[str]:
    return re.findall(r'<section id="([^"]+)"', page_of(findings))


def test_pictures_stand_right_under_a_decision_and_nothing_else_moves(example_findings):
    plain = section_ids(example_findings)
    assert plain[:3] == ["finding", "numbers", "result"]
    decided = replace(example_findings, decision=Decision("mismatch", "present", "visible in 12 % only"))
    assert section_ids(decided) == ["finding", "result", "numbers", *plain[3:]]
    html = page_of(decided)
    picture = html.index("<img")
    assert html.index("visible in 12 % only") < picture < html.index('class="key"')
    assert f'href="#{section_ids(decided)[1]}"' in html[: html.index("<main")]


def test_long_tables_are_folded_and_lose_no_row(page, example_findings):
    assert len(example_findings.lesions) == 18
    assert "other 8 lesions" in re.sub(r"\s+", " ", page.text)


def test_a_figure_stands_beside_the_table_of_its_name(example_findings):
    html = page_of(example_findings)
    start = html.index('<section id="table-1">')
    section = html[start : html.index("</section>", start)]
    assert "Regions" in section and 'class="chart"' in section and "Left count" in section


def test_a_figure_of_an_unknown_section_is_not_lost(example_findings):
    odd = replace(example_findings.figures[0], name="odd", section="vessels", caption="Vessels seen.")
    page = Page(page_of(replace(example_findings, figures=[odd])))
    assert "Vessels seen." in page.text
    assert len(page.all("img")) == 1
