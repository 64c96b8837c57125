"""HDF5 files that Keras wrote on Windows: a group is named `layers\\lstm\\cell` there, and lies in no other."""

from app.importers.formats.hdf5 import DEEPEST, Group, Numbers
from app.importers.formats.refusals import TooLarge

_SEPARATOR = "\\"


def with_paths(root: Group) -> Group:
    """The root with such names as paths; files without them stay as they are."""
    return JoinedGroup([(root, "")]) if any(_SEPARATOR in name for name in root.names()) else root


class JoinedGroup(Group):
    """The groups of a file that make one group: each with what its names start with."""

    def __init__(self, parts: list[tuple[Group, str]]) -> None:
        self._parts = parts
        self.path = parts[0][0].path + parts[0][1]
        self._found = [
            (group, prefix, [name for name in group.names() if name.startswith(prefix)]) for group, prefix in parts
        ]
        if any(name.count(_SEPARATOR) > DEEPEST for _, _, names in self._found for name in names):
            raise TooLarge(f"its groups are nested more than {DEEPEST} deep")

    def names(self) -> list[str]:
        firsts = (name.removeprefix(prefix).split(_SEPARATOR)[0] for _, prefix, names in self._found for name in names)
        return list(dict.fromkeys(firsts))

    def get(self, path: str) -> Group | Numbers | None:
        first, _, rest = path.partition("/")
        parts: list[tuple[Group, str]] = []
        for group, prefix, names in self._found:
            found = group.get(prefix + first) if prefix + first in names else None
            if isinstance(found, Numbers):
                return None if rest else found
            if found is not None:
                parts.append((found, ""))
            if any(name.startswith(prefix + first + _SEPARATOR) for name in names):
                parts.append((group, prefix + first + _SEPARATOR))
        if not parts:
            return None
        made = JoinedGroup(parts)
        return made.get(rest) if rest else made

    def text(self, name: str) -> str | None:
        return self._parts[0][0].text(name)

    def texts(self, name: str) -> list[str] | None:
        return self._parts[0][0].texts(name)
