"""Templates a stranger may have written: Jinja in a sandbox, kept from the machine and from endless work.

The sandbox denies them the machine. Beyond that they may not call, multiply or glue strings, nest loops or include in
circles, so that what they can produce stays within a few times what they are given.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import (
    FunctionLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    nodes,
)
from jinja2.sandbox import SandboxedEnvironment

from engine.errors import UserError
from stages.ids import nearest

PIECES_MOST = 5_000  # pieces of text one rendering may consist of
INCLUDES_MOST = 100  # includes one rendering may come through

_REFUSED = {
    nodes.Call: "function calls",
    nodes.Mul: "multiplication",
    nodes.Pow: "powers",
    nodes.Mod: "%",
    nodes.Add: "+",
    nodes.Concat: "~",
    nodes.AssignBlock: "set blocks",
    nodes.Macro: "macros",
    nodes.CallBlock: "call blocks",
    nodes.FilterBlock: "filter blocks",
    nodes.Import: "imports",
    nodes.FromImport: "imports",
    nodes.Extends: "extends",
    nodes.Block: "blocks",
}
_FILTERS = [
    "capitalize",
    "default",
    "first",
    "last",
    "length",
    "lower",
    "round",
    "title",
    "trim",
    "truncate",
    "upper",
]
_TESTS = [
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "true",
    "false",
    "even",
    "odd",
    "in",
    "eq",
    "equalto",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
]


class Templates:
    """A set of templates that may include one another, each compiled once.

    Args:
        sources: template text by name.
        folder: where they lie, for error messages: `folder / name`.

    Raises:
        UserError: with a line for each template that is not allowed or not valid.
    """

    def __init__(self, sources: dict[str, str], folder: Path):
        self._folder = folder
        self._sources = sources
        self._env = _environment(sources)
        self._includes: dict[str, list[tuple[str, int]]] = {}
        errors = [error for name in sources if (error := self._check(name))]
        errors += [error for name in sources if not errors and (error := self._check_includes(name))]
        if errors:
            raise UserError.of_many(errors)
        self._compiled: dict[str, Template] = {}
        for name in sources:
            try:
                self._compiled[name] = self._env.get_template(name)
            except (TemplateError, RecursionError, SyntaxError) as error:
                errors.append(UserError(f"not a valid template: {error}", where=self._place(name)))
        if errors:
            raise UserError.of_many(errors)

    def __contains__(self, name: str) -> bool:
        return name in self._compiled

    def render(self, name: str, values: dict[str, Any]) -> str:
        """The text of template `name`, without surrounding white space, empty lines never two in a row.

        Raises:
            UserError: naming file and line, where something it uses is not there or it does not end.
        """
        template = self._compiled[name]
        try:
            pieces = list(islice(template.root_render_func(template.new_context(values)), PIECES_MOST))
        except (
            TemplateError,
            ArithmeticError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise self._failure(name, error) from None
        if len(pieces) == PIECES_MOST:
            raise UserError("the template's text has no end", where=self._place(name))
        text = "".join(pieces).strip()
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
        return text

    def _place(self, name: str, line: int | None = None) -> str:
        return f"{self._folder / name}:{line}" if line else str(self._folder / name)

    def _check(self, name: str) -> UserError | None:
        """What template `name` must not do."""
        try:
            tree = self._env.parse(self._sources[name], name)
        except TemplateSyntaxError as error:
            return UserError(
                f"not a valid template: {error.message}",
                where=self._place(name, error.lineno),
            )
        except (TemplateError, RecursionError) as error:
            return UserError(f"not a valid template: {error}", where=self._place(name))
        for node in tree.find_all(tuple(_REFUSED)):
            return UserError(
                f"a template may not use {_REFUSED[type(node)]}",
                where=self._place(name, node.lineno),
            )
        for kind, known in (
            (nodes.Filter, self._env.filters),
            (nodes.Test, self._env.tests),
        ):
            for node in tree.find_all(kind):
                if node.name not in known:
                    what = kind.__name__.lower()
                    return UserError(
                        f"there is no {what} '{node.name}'",
                        self._place(name, node.lineno),
                        nearest(node.name, known),
                    )
        for node in tree.find_all(nodes.For):
            if node.recursive or any(inner is not node for inner in node.find_all((nodes.For, nodes.Include))):
                return UserError(
                    "a loop may not hold a loop or an include",
                    where=self._place(name, node.lineno),
                )
        self._includes[name] = []
        for node in tree.find_all(nodes.Include):
            target = node.template.value if isinstance(node.template, nodes.Const) else None
            if target not in self._sources:
                hint = nearest(str(target), self._sources) if target else "name the file in quotes"
                return UserError(
                    "includes a template that is not there",
                    self._place(name, node.lineno),
                    hint,
                )
            self._includes[name].append((target, node.lineno))
        return None

    def _check_includes(self, name: str) -> UserError | None:
        """Whether following all includes from `name` comes to an end soon."""
        seen, waiting = 0, [name]
        while waiting:
            waiting += [target for target, _ in self._includes[waiting.pop()]]
            seen += 1
            if seen > INCLUDES_MOST:
                line = self._includes[name][0][1]
                return UserError(
                    "includes that never end, or far too many",
                    where=self._place(name, line),
                )
        return None

    def _failure(self, name: str, error: Exception) -> UserError:
        """`error` as the user's mistake, at the template line it came from."""
        line, frame = None, error.__traceback__
        while frame is not None:  # compiled templates carry their name in their globals
            inner = frame.tb_frame.f_globals.get("name")
            if "root" in frame.tb_frame.f_globals and inner in self._compiled:
                name, line = (
                    inner,
                    self._compiled[inner].get_corresponding_lineno(frame.tb_lineno),
                )
            frame = frame.tb_next
        return UserError(f"the template cannot be filled: {error}", where=self._place(name, line))


def _environment(sources: dict[str, str]) -> SandboxedEnvironment:
    def load(name: str):
        return (sources[name], name, lambda: True) if name in sources else None

    env = SandboxedEnvironment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # so that an included file ends its last line
        auto_reload=False,
        cache_size=-1,
    )
    env.globals = {}
    env.filters = {name: env.filters[name] for name in _FILTERS}
    env.tests = {name: env.tests[name] for name in _TESTS}
    return env
