"""The structure of the package as its source shows it: rooms, imports, names, lengths.

`python -m tests.rooms` prints the numbers; tests/unit/project/test_rooms.py checks the rules.
"""

from __future__ import annotations

import ast
import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = "armwright"
# Bottom to top: a module imports only from its own room and from rooms before it.
ROOMS = (
    "system", "engine", "host", "recipes", "matrix", "audit", "plan", "fetch", "assembly", "bump", "proof", "publish",
    "pipeline", "request", "cli",
)  # fmt: skip
Modules = Mapping[str, "Module"]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module of the package: its dotted name, its syntax tree, its number of lines."""

    name: str
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        """The folder in the package; empty for a module that is in no room."""
        _, *rooms, _ = f"{self.name}.".split(".")
        return rooms[0] if rooms else ""

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones included."""
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))


def parse_module(name: str, source: str) -> Module:
    return Module(name, ast.parse(source), len(source.splitlines()))


def read_package(root: Path, folder: str = PACKAGE) -> dict[str, Module]:
    """Read the package in a checkout, or another folder of it: every module by its dotted name."""
    modules = {}
    for path in sorted((root / folder).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        modules[name] = parse_module(name, path.read_text(encoding="utf-8"))
    return modules


def find_imports(modules: Modules) -> dict[str, set[str]]:
    """Return, for each module, the modules of the package that it imports anywhere, in functions too."""
    imports: dict[str, set[str]] = {name: set() for name in modules}
    for name, module in modules.items():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                imported = [path if path in modules else str(node.module) for path in whole]
            else:
                continue
            imports[name] |= {path for path in imported if path.partition(".")[0] == PACKAGE}
    return imports


def find_relative_imports(modules: Modules) -> list[str]:
    """Return the imports with a leading dot: the other checks read full names only."""
    return [
        f"{name}:{node.lineno}"
        for name, module in modules.items()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def find_upward_imports(modules: Modules, rooms: tuple[str, ...] = ROOMS) -> list[str]:
    """Return the imports from a room that is above the importing module's own."""
    return [
        f"{name} imports {imported}"
        for name, paths in find_imports(modules).items()
        for imported in sorted(paths)
        if _is_above(_room(imported), _room(name), rooms)
    ]


def _is_above(room: str, other: str, rooms: tuple[str, ...]) -> bool:
    return room in rooms and (other not in rooms or rooms.index(room) > rooms.index(other))


def _room(name: str) -> str:
    return f"{name}..".split(".")[1]


def find_unknown_rooms(modules: Modules, rooms: tuple[str, ...] = ROOMS) -> set[str]:
    """Return the folders of the package that have no place in the order."""
    return {module.room for module in modules.values()} - {"", *rooms}


def find_circle(modules: Modules) -> list[str]:
    """Return modules that import each other in a circle; empty without one."""
    try:
        TopologicalSorter(find_imports(modules)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def find_loose_modules(root: Path) -> list[str]:
    """Return the modules that are directly in the package."""
    return sorted(path.name for path in (root / PACKAGE).glob("*.py") if path.name != "__init__.py")


def find_repeated_types(modules: Modules) -> dict[str, list[str]]:
    """Return each name that two modules give to a class, a type alias or a type variable; private names too."""
    return _repeated(modules, _type_names)


def _type_names(module: Module) -> Iterator[str]:
    yield from (node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))
    for node in module.tree.body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        yield from (target.id for target in targets if isinstance(target, ast.Name) and _is_type_name(target.id))


def _is_type_name(name: str) -> bool:
    plain = name.lstrip("_")
    return plain[:1].isupper() and (len(plain) == 1 or not plain.isupper())


def find_repeated_functions(modules: Modules, allowed: Callable[[Module, str], bool]) -> dict[str, list[str]]:
    """Return each public function name that is defined in two modules, besides the allowed ones."""
    return _repeated(modules, lambda module: (name for name in public_functions(module) if not allowed(module, name)))


def public_functions(module: Module) -> Iterator[str]:
    """Yield the names of a module's public functions; methods and nested functions are not among them."""
    yield from (node.name for node in module.tree.body if isinstance(node, Function) and node.name[0] != "_")


def _repeated(modules: Modules, names: Callable[[Module], Iterator[str]]) -> dict[str, list[str]]:
    places_of = defaultdict(list)
    for module in modules.values():
        for name in names(module):
            places_of[name].append(module.name)
    return {name: places for name, places in places_of.items() if len(places) > 1}


def find_renaming_imports(modules: Modules) -> list[tuple[str, str, str]]:
    """Return each `import … as`: the module, what it imports, the name it gives."""
    return [
        (name, alias.name, alias.asname)
        for name, module in modules.items()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None
    ]


def find_vague_names(modules: Modules, vague: Collection[str]) -> list[str]:
    """Return where a variable or a parameter has a name that says nothing about its value."""
    return [
        f"{name}:{line} {bound}"
        for name, module in modules.items()
        for line, bound in _bound_names(module)
        if bound in vague
    ]


def _bound_names(module: Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def find_long_test_names(modules: Modules, most: int) -> list[str]:
    """Return the tests whose names have more characters than allowed."""
    return [
        f"{name}.{function.name}"
        for name, module in modules.items()
        for function in module.functions()
        if function.name.startswith("test_") and len(function.name) > most
    ]


def find_long_modules(modules: Modules, most: int) -> dict[str, int]:
    """Return the modules with more lines than allowed."""
    return {name: module.lines for name, module in modules.items() if module.lines > most}


def find_long_functions(modules: Modules, most: int) -> dict[str, int]:
    """Return the functions with more lines than allowed, the line of `def` and the docstring included."""
    return {
        f"{name}.{function.name}": length(function)
        for name, module in modules.items()
        for function in module.functions()
        if length(function) > most
    }


def length(function: Function) -> int:
    """Return a function's number of lines, without its decorators."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def describe(modules: Modules) -> list[str]:
    """Return the numbers about the package, a line each."""
    files = {name: module.lines for name, module in modules.items() if module.lines > 1}
    functions = find_long_functions(modules, 0)
    between = [
        (_room(name), _room(path))
        for name, paths in find_imports(modules).items()
        for path in paths
        if _room(name) != _room(path)
    ]
    median = statistics.median
    used = {room for room in map(_room, modules) if room}
    pairs, upward = len(set(between)), len(find_upward_imports(modules))
    return [
        f"rooms      {len(used)}",
        f"modules    {len(files)}: median {median(files.values()):g} lines, longest {_longest(files)}",
        f"functions  {len(functions)}: median {median(functions.values()):g} lines, longest {_longest(functions)}",
        f"imports    {len(between)} between rooms, {pairs} pairs of rooms, {upward} upwards",
    ]


def _longest(lengths: Mapping[str, int]) -> str:
    name = max(lengths, key=lengths.__getitem__)
    return f"{lengths[name]}: {name}"


if __name__ == "__main__":
    print(*describe(read_package(Path(__file__).resolve().parents[1])), sep="\n")  # noqa: T201 - its output
