"""Evaluates the sizes that a model's header defines, as a device's compiler will.

Not a preprocessor: only what the header's templates write, numbers, sums and choices.
"""

import re
from collections.abc import Mapping, Sequence

_MACRO = re.compile(r"^#define (\w+)(?:\(([^)]*)\))? ((?:.*\\\n)*.*)$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r"\d+|\w+|[-+*/<>?:(),]")


class HeaderSizes:
    """The macros of a header.

    Args:
        header: Its text.
        known: Values in the place of what it defines: {'MODEL_SMALL': 1}.
    """

    def __init__(self, header: str, known: Mapping[str, int]) -> None:
        self._known = dict(known)
        text = _COMMENT.sub("", header)
        self._macros = {
            name: ([one.strip() for one in (given or "").split(",") if one.strip()], body)
            for name, given, body in _MACRO.findall(text)
        }

    def __contains__(self, name: str) -> bool:
        """Return whether the header defines it."""
        return name in self._macros

    def count(self, name: str) -> int:
        """Return how many parameters a macro has; 0 of one that is not defined."""
        return len(self._macros[name][0]) if name in self._macros else 0

    def value(self, name: str, given: Sequence[int] = ()) -> int:
        """Return what a macro is.

        Args:
            name: Of the macro.
            given: The values of its parameters.

        Raises:
            ValueError: It is not defined, or is no sum of numbers.
        """
        if name in self._known:
            return self._known[name]
        if name not in self._macros:
            raise ValueError(f"the header does not define {name}")
        names, body = self._macros[name]
        if len(names) != len(given):
            raise ValueError(f"{name} takes {len(names)} sizes, not {len(given)}")
        tokens = _TOKEN.findall(body.replace("(size_t)", "").replace("\\\n", " "))
        reader = _Reader(self, tokens, dict(zip(names, given, strict=True)))
        value = reader.choice()
        if reader.left:
            raise ValueError(f"{name} is no sum of numbers: {body.strip()[:80]}")
        return value


class _Reader:
    """Reads an expression, from the operator that binds least to that which binds most."""

    def __init__(self, sizes: HeaderSizes, tokens: list[str], names: Mapping[str, int]) -> None:
        self._sizes, self.left, self._names = sizes, tokens[::-1], names

    def choice(self) -> int:
        found = self._less()
        if not self._takes("?"):
            return found
        first = self.choice()
        self._need(":")
        other = self.choice()
        return first if found else other

    def _less(self) -> int:
        found = self._sum()
        if self._takes("<"):
            return int(found < self._sum())
        if self._takes(">"):
            return int(found > self._sum())
        return found

    def _sum(self) -> int:
        found = self._product()
        while self.left and self.left[-1] in "+-":
            sign = 1 if self.left.pop() == "+" else -1
            found += sign * self._product()
        return found

    def _product(self) -> int:
        found = self._one()
        while self.left and self.left[-1] in "*/":
            found = found * self._one() if self.left.pop() == "*" else found // self._one()
        return found

    def _one(self) -> int:
        if self._takes("("):
            found = self.choice()
            self._need(")")
            return found
        token = self.left.pop() if self.left else ""
        if token.isdigit():
            return int(token)
        if token in self._names:
            return self._names[token]
        given: list[int] = []
        if self._takes("("):
            given.append(self.choice())
            while self._takes(","):
                given.append(self.choice())
            self._need(")")
        return self._sizes.value(token, given)

    def _takes(self, token: str) -> bool:
        if self.left and self.left[-1] == token:
            self.left.pop()
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._takes(token):
            raise ValueError(f"a size in the header lacks '{token}'")
