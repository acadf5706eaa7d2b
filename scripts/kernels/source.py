"""What the sources say of tiles, so that nothing has to be said twice when a kernel changes."""

import re
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "crates/snellen-cpu/src"
CONSTANTS = ("LANES", "VECTORS", "ROWS", "DEPTH", "HALVES")


@dataclass(frozen=True)
class Format:
    """A format of `format.rs`, with the constants of its trait, and how many steps the innermost loop makes."""

    type: str
    lanes: int
    vectors: int
    rows: int
    depth: int
    halves: bool
    unrolled: int

    @property
    def name(self):
        return self.type + (", halves" if self.halves else "")

    @property
    def multiplication(self):
        """How the names of its multiplications begin."""
        return "vdpbf16ps" if self.depth == 2 else "vfmadd"

    @property
    def register(self):
        """The letter of its vector registers."""
        return {4: "x", 8: "y", 16: "z"}[self.lanes]

    @property
    def bytes_of_vector(self):
        """Of the right operand."""
        return self.lanes * (2 if self.halves else 4)

    @property
    def tiles(self):
        """Rows and vectors of every tile."""
        return [(m, v) for m in range(1, self.rows + 1) for v in range(1, self.vectors + 1)]


def formats(sources=SOURCES):
    """Every format of `format.rs`, in its order."""
    path = Path(sources) / "format.rs"
    text = re.sub(r"//.*", "", path.read_text())
    macros = {found[1]: braced(text, found.end() - 1) for found in re.finditer(r"macro_rules! (\w+) \{", text)}
    unrolled = constant(
        re.sub(r"//.*", "", (Path(sources) / "block.rs").read_text()), "UNROLLED", Path(sources) / "block.rs"
    )
    found = []
    for impl in re.finditer(r"impl(<const ROUND: bool>)? Format for (\w+)(<ROUND>)? \{", text):
        body = braced(text, impl.end() - 1)
        for macro, inside in macros.items():
            body = body.replace(f"{macro}!();", inside)
        for round_ in (False, True) if impl[1] else (False,):
            where = f"{path}, {impl[2]}"
            values = {name.lower(): constant(body, name, where, round_) for name in CONSTANTS}
            own = constant(body, "UNROLLED", where, round_) if "const UNROLLED" in body else unrolled
            found.append(Format(impl[2], **values, unrolled=own))
    if not found:
        raise SystemExit(f"{path}: expected `impl Format for ...`, found none")
    return found


def constant(text, name, where, round_=False):
    """The value of a constant on x86-64, where `ROUND` is `round_`."""
    found = re.search(rf"const {name}: \w+ = ([^;]+);", text)
    if not found:
        raise SystemExit(f"{where}: expected a constant {name}, found none")
    value = re.sub(r'if cfg!\(target_arch = "aarch64"\) \{ \w+ \} else \{ (\w+) \}', r"\1", found[1].strip())
    known = {"true": True, "false": False, "ROUND": round_}
    if value not in known and not value.isdecimal():
        raise SystemExit(f"{where}: expected a number, true, false or ROUND as {name}, got `{value}`")
    return known[value] if value in known else int(value)


def braced(text, start):
    """What is between the brace at `start` and the one that closes it."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return text[start + 1 : i]
    raise SystemExit(f"a brace that is never closed: {text[start : start + 60]!r}")
