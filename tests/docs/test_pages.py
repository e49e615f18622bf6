"""The pages: every link leads somewhere, what they name is there, the paper's figures are the paper's."""

import re

import pytest
from modules import MODULES, ROOT

from msda_tf.experiment import paper

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED_FILE = re.compile(r"`((?:msda_tf|cli|data_prep|tests|benchmarks|examples|docs)/[\w./-]*\w)/?`")
_NAMED_FUNCTION = re.compile(r"`((?:msda_tf|cli|data_prep)/[\w/]+\.py)`: `(\w+)`")
_NAMED_OBJECT = re.compile(r"`(msda_tf(?:\.\w+)+)")
SOURCES = [*MODULES.values(), *(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))]


def text(page):
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_names_lead_somewhere(page):
    for link in _LINK.findall(text(page)):
        if re.match(r"(https?|mailto):", link):
            continue
        path, _, anchor = link.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), f"{link}: no such file"
        assert goal == ROOT or ROOT in goal.parents, f"{link}: outside of the project"
        assert not anchor or anchor in anchors(goal), f"{link}: no such heading"
    for name in _NAMED_FILE.findall(text(page)):
        assert (ROOT / name).exists(), f"`{name}`: no such file"
    for name, function in _NAMED_FUNCTION.findall(text(page)):
        assert re.search(rf"def {function}\(", (ROOT / name).read_text(encoding="utf-8")), f"`{name}`: no {function}"


def test_python_names_are_there():
    for file in (*PAGES, *SOURCES):
        for name in _NAMED_OBJECT.findall(file.read_text(encoding="utf-8")):
            module = tuple(name.split("."))
            while module not in MODULES:
                module = module[:-1]
            first = name.split(".")[len(module) :][:1]
            # A class's own attributes are left to whoever reads on.
            known = not first or re.search(rf"\b{first[0]}\b", MODULES[module].read_text(encoding="utf-8"))
            assert known, f"{file.relative_to(ROOT)}: `{name}` is not there"


def test_every_page_can_be_reached_from_the_index():
    found, new = set(), {ROOT / "docs" / "README.md"}
    while new:
        found |= new
        links = {(page.parent / link.partition("#")[0]).resolve() for page in new for link in _LINK.findall(text(page))}
        new = {goal for goal in links if goal.suffix == ".md"} - found
    assert set((ROOT / "docs").rglob("*.md")) <= found


def test_the_sites_contents_are_the_pages():
    named = re.findall(r": ([\w./-]+\.md)$", (ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) == len(set(named)) and {ROOT / name for name in named} == set(PAGES)


def test_the_papers_figures_are_the_papers():
    lines = (ROOT / "docs" / "method.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    printed = {"original": [row for row in rows if "paper, original size" in row]}
    printed["half"] = [row for row in rows if "paper, half size" in row]
    for (name, found), scale in zip(printed.items(), (1.0, 0.5), strict=True):
        for row, target in zip(found, ("cityscapes", "synthia", "gta5"), strict=True):
            known = paper.figures(target, scale, paper.SOURCES[target])
            columns = ("No Adapt", "S1", "S2", "S-All", "Max Merge")
            assert row[3:] == [f"{known[c]:.2f}" if c in known else "-" for c in columns], (target, name)
    columns = [("cityscapes", "S-All"), ("cityscapes", "Max Merge"), ("synthia", "Max Merge"), ("gta5", "Max Merge")]
    for name in paper.class_figures("cityscapes", 1.0)["S-All"]:
        figures = [paper.class_figures(target, 1.0)[column][name] for target, column in columns]
        assert [name, *(f"{figure:.1f}" for figure in figures)] in rows
