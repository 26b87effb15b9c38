"""User-defined parts (``kind: module:function``): import them, and explain their errors."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from types import FunctionType
from typing import Any, TypeVar

from fedchain.errors import FedchainError, PartError
from fedchain.registry.own_code import own_module

T = TypeVar("T")
THIS_PACKAGE = __name__.partition(".")[0]
"""Name of the package whose modules are not a user's."""


def imported(kind: str, expected: type[T], words: str) -> T:
    """Import a user-defined object: ``module:function``, or ``module:object``.

    Args:
        kind: the user's text.
        expected: the object's class.
        words: the name of this class in error messages.

    Raises:
        ValueError: there is no such object, or it has another class.

    >>> from types import FunctionType
    >>> imported("math:pi", FunctionType, "Python function")
    Traceback (most recent call last):
    ValueError: 'math:pi' is no Python function; write module:function
    """
    module, _, name = kind.partition(":")
    form = f"write module:{words.split()[-1]}"
    try:
        found = getattr(own_module(module), name)
    except Exception as error:  # the user's module may raise anything when it is imported
        raise ValueError(f"cannot import {kind!r}: {error}; {form}") from error
    if not isinstance(found, expected):
        raise ValueError(f"{kind!r} is no {words}; {form}")
    return found


def simulator_values(maker: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the arguments that the simulator gives to a part: those before ``*``.

    >>> simulator_values(lambda left, right=1, *, share=0.5: left)
    ('left', 'right')
    """
    asked = inspect.signature(maker).parameters.values()
    return tuple(p.name for p in asked if p.kind is not inspect.Parameter.KEYWORD_ONLY)


def written_form(name: str, model: Callable[..., Any], makes: type | None) -> str:
    """Return the ``def`` line for a new part, with the arguments that the part ``model`` has.

    If an argument before ``*`` is a dataclass, the names of its fields are added.

    >>> written_form("mine", lambda left, *, right=1: left, int)
    'def mine(left, *, ..) -> int'
    """
    values = simulator_values(model)
    form = f"def {name}({', '.join(values)}, *, ..){f' -> {makes.__name__}' if makes else ''}"
    for value in values:
        given = inspect.signature(model).parameters[value].annotation
        record = inspect.unwrap(model).__globals__.get(given, given)
        if is_dataclass(record):
            form += f", where {value} has {', '.join(each.name for each in fields(record))}"
    return form


def called(
    name: str, makes: type, maker: Callable[..., Any], *arguments: object, **given: object
) -> Any:
    """Call a user-defined part, and explain its errors.

    If the part returns a function, errors of that function are explained too. So are errors of the
    user's functions in a dataclass of the class ``makes``, such as the loss of a task.

    Args:
        name: the part's name in messages: ``aggregation my_rules:mean``.
        makes: the class that the part must return.
        maker: the part's function.
        arguments: the values from the simulator.
        given: the parameters from the YAML.

    Raises:
        PartError: the part fails, or returns None or an object of another class.

    >>> called("aggregation mine:none", object, lambda rows: None, [])
    Traceback (most recent call last):
    fedchain.errors.PartError: aggregation mine:none: returns None; a part returns what it makes
    >>> called("aggregation mine:sum", list, lambda rows: 3, [])
    Traceback (most recent call last):
    fedchain.errors.PartError: aggregation mine:sum: must return list, got int
    """
    made = _explained(name, maker)(*arguments, **given)
    if made is None:
        raise PartError(f"{name}: returns None; a part returns what it makes")
    if not isinstance(made, makes):
        raise PartError(f"{name}: must return {makes.__name__}, got {type(made).__name__}")
    if inspect.isfunction(made):
        return _explained(name, made)
    return _with_explained_fields(name, made) if is_dataclass(makes) else made


def _with_explained_fields(name: str, made: Any) -> Any:
    """Return a dataclass whose functions explain their errors, except for fedchain's own."""
    own = {
        field.name: _explained(name, value)
        for field in fields(made)
        if inspect.isfunction(value := getattr(made, field.name))
        and inspect.unwrap(value).__module__.partition(".")[0] != THIS_PACKAGE
    }
    return replace(made, **own) if own else made


def _explained(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the user's function so that its errors name the line that failed."""

    @functools.wraps(function)
    def call(*arguments: object, **given: object) -> Any:
        try:
            return function(*arguments, **given)
        except FedchainError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise PartError(f"{name}: {_failure(error, function)}") from error

    return call


def _failure(error: Exception, function: Callable[..., Any]) -> str:
    """Return the error as text, with the function's file and the failed line."""
    code = inspect.unwrap(function).__code__
    frames = reversed(traceback.extract_tb(error.__traceback__))
    lines = (frame.lineno for frame in frames if frame.filename == code.co_filename)
    line = next(lines, None) or code.co_firstlineno
    text = " ".join(str(error).split())  # torch writes several lines
    return f"{type(error).__name__}: {text} ({code.co_filename}, line {line})"


def file_and_line(kind: str) -> str:
    """Return the file and the line of a user-defined part: ``/home/me/my_lab/rules.py, line 7``.

    Raises:
        ValueError: there is no such function.
    """
    code = inspect.unwrap(imported(kind, FunctionType, "Python function")).__code__
    return f"{code.co_filename}, line {code.co_firstlineno}"
