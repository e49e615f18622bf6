"""Who may import whom: the table in docs/architecture.md, held against the tree."""

import ast
import graphlib
import re

from modules import MODULES, ROOT

# Tables of names, which import nothing of ours: any floor may read them.
TABLES = {("msda_tf", "methods"), ("msda_tf", "models", "backbones"), ("msda_tf", "models", "decoders")}

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def imports(module, *, top=False):
    """(name parts) of what a module imports; with `top`, only of what it needs to be loaded."""
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.iter_child_nodes(tree) if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module if path.name == "__init__.py" else module[:-1]
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield (*base, alias.name) if (*base, alias.name) in MODULES else base


def rule():
    """[(rooms, rooms that they may import, what they must not)] of the page's table, from the top floor down."""
    lines = [line.split("|")[1:-1] for line in PAGE.splitlines() if re.match(r"\| `", line)]
    floors = [re.findall(r"`(\w+)`", line[0]) for line in lines]
    for number, (rooms, line) in enumerate(zip(floors, lines, strict=True)):
        named = set(re.findall(r"`(\w+)`", line[2]))
        if "all below" in line[2]:
            named = {room for floor in floors[number + 1 :] for room in floor} - named
        yield rooms, named | set(floors[-1]), line[3]


def test_a_room_imports_only_what_the_page_allows():
    allowed = {room: may for rooms, may, _ in rule() for room in rooms}
    assert set(allowed) | {"__main__"} == {module[1] for module in MODULES if len(module) > 1}
    for module in MODULES:
        for used in imports(module):
            if used in TABLES:
                continue
            assert module not in TABLES or used[0] != "msda_tf", f"the table {'.'.join(module)} imports {used}"
            if module[1:] and used[0] == "msda_tf" and used[1:] and module[1] not in (used[1], "__main__"):
                assert used[1] in allowed[module[1]], f"{'.'.join(module)} imports {'.'.join(used)}"


def test_rooms_that_must_not_load_tensorflow_do_not():
    light = {room for rooms, _, must_not in rule() for room in rooms if "TensorFlow" in must_not}
    for module in MODULES:
        if module[1:] and module[1] in light:
            found = {used[0] for used in imports(module, top=True)} & {"tensorflow", "keras"}
            assert not found, f"{'.'.join(module)} imports {found}"


def test_no_module_imports_itself_through_others():
    ours = {m: {used for used in imports(m) if used in MODULES and used != m} for m in MODULES}
    graphlib.TopologicalSorter(ours).prepare()  # CycleError names the modules of a circle.


def test_the_picture_shows_every_room():
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    for rooms, _, _ in rule():
        for room in rooms:
            assert f">{room}<" in picture, room
