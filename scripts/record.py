"""A NamedTuple without the module `typing`, whose import takes longer than all decisions at the start of a program."""

from __future__ import annotations

__all__ = ["NamedTuple"]
TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class NamedTuple(tuple):  # noqa: SLOT001  (a subclass has no slots either)
        """A tuple whose items have the names of the annotations, in their order; a default makes an item optional."""

        def __init_subclass__(cls) -> None:
            """Make a property of each annotation."""
            cls._fields = tuple(cls.__annotations__)
            cls._defaults = {name: vars(cls)[name] for name in cls._fields if name in vars(cls)}
            for position, name in enumerate(cls._fields):
                setattr(cls, name, property(lambda self, position=position: self[position]))

        def __new__(cls, *values: object, **named: object) -> NamedTuple:  # noqa: PYI034  (Python 3.7 has no Self)
            """Make a record from values in order and by name.

            Raises:
                TypeError: a value is missing, unknown or given twice.
            """
            given = {**dict(zip(cls._fields, values)), **named}
            if len(given) < len(values) + len(named) or not given.keys() <= set(cls._fields):
                raise TypeError(f"{cls.__name__} has {', '.join(cls._fields)}")
            items = {**cls._defaults, **given}
            if len(items) < len(cls._fields):
                raise TypeError(f"{cls.__name__} needs {', '.join(cls._fields)}")
            return tuple.__new__(cls, [items[name] for name in cls._fields])

        def __repr__(self) -> str:
            """Return the source text that makes this record."""
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

        def _asdict(self) -> dict[str, object]:
            return dict(zip(self._fields, self))
