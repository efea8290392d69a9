"""References ``module:name``, by which a study names code of the user's own.

The module is found in the working folder, before all else, or among the installed packages.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from inspect import Parameter, isclass, isfunction, signature
from pathlib import Path
from types import ModuleType
from typing import Any

from lrray.config import Problem
from lrray.errors import did_you_mean

_FORM = "must be module:name"
_EXAMPLE = "my_module:my_function"
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_LRRAY = Path(__file__).parent
_STDLIB = Path(sysconfig.get_paths()["stdlib"])


def is_reference(name: str) -> bool:
    """Whether a setting names the user's own code rather than something of lrray's."""
    return ":" in name


def user_modules(names: Iterable[str]) -> tuple[str, ...]:
    """The modules of those names that are references, each once: code that a result depends on."""
    return tuple(sorted({name.partition(":")[0] for name in names if is_reference(name)}))


def search_working_folder() -> None:
    """Lets modules of the working folder be found, before installed ones of their names."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def load_reference(reference: str, at: str = "") -> Callable[..., Any]:
    """Imports what a reference names: a function or a class.

    Args:
        reference: ``module:name``; the module may be a dotted one.
        at: key path of the setting, for a :class:`~lrray.config.Problem`.

    Raises:
        Problem: it is no reference, there is no such module, the module itself fails, it has no
            such name, or what it names cannot be called.
    """
    name, colon, attribute = reference.partition(":")
    if not (colon and attribute and all(name.split("."))) or attribute.count(":"):
        raise Problem(_FORM, at=at, got=reference, fix=_EXAMPLE)
    if name.endswith(".py") or "/" in name:
        plain = name.removesuffix(".py").strip("/").replace("/", ".")
        raise Problem(_FORM, at=at, got=reference, fix=f"{plain}:{attribute}")
    module = _import(name, reference, at)
    if attribute not in vars(module):
        rule = f"{_where(module)} must define {attribute}"
        raise Problem(rule, at=at, got=reference, fix=_meant(attribute, _callables(module)))
    loaded = vars(module)[attribute]
    if not callable(loaded):
        rule = f"{attribute} must be a function or a class"
        raise Problem(rule, at=at, got=type(loaded).__name__, fix="name one that is")
    return loaded


def call_arguments(
    called: Callable[..., Any],
    reference: str,
    given: Mapping[str, Any],
    offered: Mapping[str, Any],
    at: str = "",
) -> dict[str, Any]:
    """Arguments by name of the user's function or class, checked against its signature.

    Args:
        called: what ``reference`` names.
        reference: of it, for errors.
        given: what the study says; all of it is passed.
        offered: what lrray has; of it what the signature names is passed.
        at: key path of ``given``, for a :class:`~lrray.config.Problem`.

    Raises:
        Problem: it takes no argument that is given, or needs one that is neither given nor offered.
    """
    parameters = signature(called).parameters
    names = [name for name, one in parameters.items() if one.kind in _BY_NAME]
    for name, one in parameters.items():
        if one.kind is Parameter.POSITIONAL_ONLY and one.default is Parameter.empty:
            fix = f"take the '/' out of its signature after {name!r}"
            raise Problem(f"{reference} takes {name!r} by position alone", at=at, fix=fix)
    takes_all = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    for name in given:
        if name not in names and not takes_all:
            fix = did_you_mean(name, set(names) - set(offered))
            raise Problem(f"{reference} takes no {name!r}", at=at, fix=fix)
    passed = {**{name: value for name, value in offered.items() if name in names}, **given}
    for name in names:
        if parameters[name].default is Parameter.empty and name not in passed:
            raise Problem(f"{reference} needs {name!r}", at=at, fix=f"{name}: …")
    return passed


def failure(error: BaseException) -> str:
    """An error of the user's code in one line: its type, what it says, and file and line there."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, SyntaxError):  # its own message names file and line
        return said
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    return f"{said} ({_shown(own[-1].filename)}:{own[-1].lineno})" if own else said


def _import(name: str, reference: str, at: str) -> ModuleType:
    search_working_folder()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Only where the missing one is the module itself or a package around it; a module that is
        # there and imports another one in vain is an error inside it.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error, at) from None
        write = f"write {name.replace('.', '/')}.py in {Path.cwd()}"
        fix = _meant(name, _modules_here(), write)
        raise Problem(f"there is no module {name}", at=at, got=reference, fix=fix) from None
    except (Exception, SystemExit) as error:  # whatever a user's module does while it loads
        raise _broken(name, error, at) from None


def _broken(name: str, error: BaseException, at: str) -> Problem:
    rule = f"module {name} is there but fails when it is imported: {failure(error)}"
    return Problem(rule, at=at, fix="mend the module, or install what it needs")


def _meant(word: str, options: Iterable[str], otherwise: str = "") -> str:
    hint = did_you_mean(word, options)
    return hint if hint.startswith("did you mean") or not otherwise else otherwise


def _modules_here() -> list[str]:
    """Modules of the working folder, those of its packages one level down."""
    here = Path.cwd()
    inner = [path for top in here.glob("*/__init__.py") for path in top.parent.glob("*.py")]
    names = [path.relative_to(here).with_suffix("") for path in [*here.glob("*.py"), *inner]]
    return [".".join(name.parts).removesuffix(".__init__") for name in names]


def _callables(module: ModuleType) -> list[str]:
    """Public functions and classes that the module itself defines."""
    return [
        name for name, value in vars(module).items()
        if (isfunction(value) or isclass(value)) and value.__module__ == module.__name__
        and not name.startswith("_")
    ]  # fmt: skip


def _where(module: ModuleType) -> str:
    """The module's file, since another one of that name may have been found first."""
    return module.__name__ if module.__file__ is None else _shown(module.__file__)


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _is_users(file: str) -> bool:
    path = Path(file)
    known = path.is_relative_to(_LRRAY) or path.is_relative_to(_STDLIB)
    return not known and "site-packages" not in path.parts and not file.startswith("<")
