"""From a name of the table to the frames it catches."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.bench.stage_table import EVENT_LOOP, OTHER, Names

_LOOP_RUNNER = "/asyncio/runners.py"


Frame = tuple[str, str]
"""Path and qualified name."""


class UnknownName(Exception):
    """No such module, or nothing of that name in it."""


@dataclass(frozen=True)
class Place:
    """A package, a module, or a function or class of one."""

    path: str
    """Of a module's file; of a package's folder, with a slash at its end."""
    function: str = ""

    @property
    def narrowness(self) -> tuple[int, int]:
        return len(self.path), len(self.function)

    def holds(self, path: str, function: str) -> bool:
        is_inside = path.startswith(self.path) if self.path.endswith("/") else path == self.path
        is_named = not self.function or function == self.function or function.startswith(f"{self.function}.")
        return is_inside and is_named


def place_of(name: str) -> Place:
    module, _, function = name.partition(":")
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise UnknownName(f"{name}: there is no module {module}")
    path = Path(spec.origin).resolve()
    if path.name == "__init__.py" and not function:
        return Place(f"{path.parent}/")
    if function and function not in set(_defined(ast.parse(path.read_text()))):
        raise UnknownName(f"{name}: nothing of that name in {path.name}")
    return Place(str(path), function)


class StageOf:
    """The stage of a stack, by the table of its process."""

    def __init__(self, table: Mapping[str, Names]) -> None:
        places = [(place_of(name), stage) for stage, names in table.items() for name in names]
        self._places = sorted(places, key=lambda entry: entry[0].narrowness, reverse=True)
        self._known: dict[tuple[str, str], str | None] = {}

    def __call__(self, frames: list[Frame]) -> str:
        """`frames`: the innermost last."""
        stages = (self._stage_of_frame(*frame) for frame in reversed(frames))
        return next((stage for stage in stages if stage is not None), _unnamed(frames))

    def _stage_of_frame(self, path: str, function: str) -> str | None:
        key = (path, function)
        if key not in self._known:
            real = str(Path(path).resolve())  # the environment may be a link
            found = (stage for place, stage in self._places if place.holds(real, function))
            self._known[key] = next(found, None)
        return self._known[key]


def innermost_python(frames: list[Frame]) -> Frame | None:
    """Beneath what is compiled."""
    return next((frame for frame in reversed(frames) if frame[0].endswith(".py")), None)


def _unnamed(frames: list[Frame]) -> str:
    """uvloop is compiled, so who runs it is the innermost frame of Python while it works itself."""
    python = innermost_python(frames)
    return EVENT_LOOP if python is not None and python[0].endswith(_LOOP_RUNNER) else OTHER


def _defined(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{prefix}{node.name}"
            yield from _defined(node, f"{prefix}{node.name}.")
