"""Immutable records with named fields: what `dataclass(frozen=True)` gives, without its start-up cost.

A frozen dataclass costs about 0.7 ms to *define*; the syntax tree and the ops are a hundred small classes, and
`netdsl` is a command that people wait for. A record's methods are written once, here, and nothing is generated.
Fields are the annotations of the class body, base classes first; `ClassVar` is not a field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(frozen_default=True, eq_default=True)
class Record:
    """An immutable value, equal by type and fields."""

    _fields: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        """Collect the fields and their defaults from the annotations of the class body, which are texts."""
        if not all(isinstance(kind, str) for kind in cls.__annotations__.values()):
            raise TypeError(
                f"{cls.__module__} needs `from __future__ import annotations`: fields are read as written"
            )
        own = [name for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")]
        cls._fields = cls._fields + tuple(name for name in own if name not in cls._fields)
        cls._defaults = cls._defaults | {k: cls.__dict__[k] for k in own if k in cls.__dict__}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the fields by position or by name."""
        values = self.__dict__
        fields = self._fields
        if len(args) == len(fields) and not kwargs:
            values.update(zip(fields, args))  # noqa: B905  strict costs a third, and the lengths are known
            return
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} fields, got {len(args)}")
        values.update(self._defaults)
        values.update(zip(fields, args, strict=False))
        if kwargs:
            self._check(kwargs)
            values.update(kwargs)
        if len(values) != len(fields):
            missing = [name for name in fields if name not in values]
            raise TypeError(f"{type(self).__name__} misses {', '.join(missing)}")

    def _check(self, given: Mapping[str, Any]) -> None:
        """Raise TypeError for what is no field."""
        for name in given:
            if name not in self._fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self._fields)))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__name__}({inner})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        self._check(changes)
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **changes)
        return copy
