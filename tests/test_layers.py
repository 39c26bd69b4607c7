"""A file uses only files on lower lines of the tables in ARCHITECTURE.md, or on its own
line; and no file uses itself by way of others."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "native" / "src"
PACKAGE = ROOT / "host" / "skerry"


def levels(heading: str) -> dict[str, int]:
    """The line of each entry of the table under (heading), counted from the lowest."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text.split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| ([a-z].*?) \|", section, re.MULTILINE)[1:]
    return {name: level for level, row in enumerate(rows) for name in row.split(", ")}


def arrows_up(level: dict[str, int], uses: dict[str, set[str]]) -> list[str]:
    """The uses that the table does not allow. A noun may use itself."""
    return [
        f"{user} uses {used}"
        for user, all_used in sorted(uses.items())
        for used in sorted(all_used)
        if used not in level or user not in level or level[used] > level[user]
    ]


# --- C: an entry is a noun, vm.h and vm.c ---


def noun(file: str) -> str:
    return file.partition(".")[0]


def includes(path: Path) -> set[str]:
    """What a file of native/src includes of ours; the API's header belongs to all."""
    found = re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.MULTILINE)
    return set(found) - {"skerry.h"}


def native_uses() -> dict[str, set[str]]:
    return {path.name: includes(path) for path in NATIVE.glob("*.[ch]")}


# --- Python: an entry is a module, http/reader; a package's own file is on the line of
# what it shows ---


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(part for part in parts if part != "__init__")


def names(node: ast.AST) -> Iterator[str]:
    """The dotted names that an import may mean, the likeliest first."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute here"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield node.module or ""


def imports(path: Path, modules: set[str]) -> set[str]:
    """The modules of ours that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        for name in names(node):
            inner = name.removeprefix("skerry").removeprefix(".").replace(".", "/")
            if name.startswith("skerry") and inner in modules:
                found.add(inner)
                if not isinstance(node, ast.Import):
                    break
    return found


def python_uses() -> dict[str, set[str]]:
    paths = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    return {name: imports(path, set(paths)) for name, path in paths.items()}


def python_levels() -> dict[str, int]:
    table = levels("host/skerry")
    packages = {name.partition("/")[0]: level for name, level in table.items()}
    return {"": -1, **packages, **table}


# --- The rules ---


def test_the_native_table_names_every_file_and_no_other() -> None:
    assert set(levels("native/src")) == {noun(name) for name in native_uses()}


def test_the_python_table_names_every_module_and_no_other() -> None:
    own = {
        "",
        "http",
        "commands",
        "native",
        "sources",
        "supervise",
        "tracing",
    }  # packages' own files
    assert set(levels("host/skerry")) == set(python_uses()) - own


def test_no_native_file_includes_one_above_it() -> None:
    uses = {
        name: {noun(used) for used in all_used if used != "kvm_api.h"}
        for name, all_used in native_uses().items()
    }
    level = levels("native/src")
    by_file = {name: level[noun(name)] for name in uses}
    assert arrows_up(level | by_file, uses) == []


def test_no_module_imports_one_above_it() -> None:
    assert arrows_up(python_levels(), python_uses()) == []


@pytest.mark.parametrize("uses", [native_uses, python_uses])
def test_nothing_uses_itself_by_way_of_others(uses) -> None:
    graph = uses()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_one_module_imports_the_extension() -> None:
    found = [
        path.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in names(node)
        if name.startswith("skerry._native")
    ]
    assert set(found) == {"raw.py"}


def test_only_abi_h_includes_the_header_of_programs() -> None:
    users = [name for name, used in native_uses().items() if "kvm_api.h" in used]
    assert users == ["abi.h"]


def test_an_arrow_up_is_found() -> None:
    level = {"low": 0, "high": 1}
    uses = {"low": {"high"}, "high": {"low", "high"}, "new": {"low"}}
    assert arrows_up(level, uses) == ["low uses high", "new uses low"]
