"""Turns generators of steps into methods, which block or are awaited as the transport of their object says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from service.client.steps import Steps, Telling
from service.client.transport import Awaiting, Blocking

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", Blocking, Awaiting)
T_co = TypeVar("T_co", covariant=True)


class Over(Protocol[T_co]):
    """What has methods: it speaks over a transport."""

    @property
    def transport(self) -> T_co:
        """What does the steps."""
        ...


class Resource(Generic[T]):
    """Some methods of a client that belong together."""

    def __init__(self, transport: T) -> None:
        self.transport: T = transport


class method(Generic[P, R]):  # noqa: N801 -- a decorator, as `property` is
    """A method whose result is returned, or awaited, once all of its steps are done."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[R]]) -> None:
        self.steps = steps
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, of: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self, of: Over[Blocking], owner: Any = None) -> Callable[P, R]: ...
    @overload
    def __get__(self, of: Over[Awaiting], owner: Any = None) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, of: Any, owner: Any = None) -> Any:
        """Return the method of the object `of`."""
        if of is None:
            return self

        @wraps(self.steps)
        def call(*arguments: P.args, **named: P.kwargs) -> Any:
            return of.transport.run(self.steps(of, *arguments, **named))

        return call


class stream(Generic[P, R]):  # noqa: N801 -- a decorator, as `property` is
    """A method whose items are iterated over, with `for` or `async for`, as they come."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Telling[R]]) -> None:
        self.steps = steps
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, of: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self, of: Over[Blocking], owner: Any = None) -> Callable[P, Generator[R, None, None]]: ...
    @overload
    def __get__(self, of: Over[Awaiting], owner: Any = None) -> Callable[P, AsyncGenerator[R, None]]: ...
    def __get__(self, of: Any, owner: Any = None) -> Any:
        """Return the method of the object `of`."""
        if of is None:
            return self

        @wraps(self.steps)
        def call(*arguments: P.args, **named: P.kwargs) -> Any:
            return of.transport.stream(self.steps(of, *arguments, **named))

        return call
