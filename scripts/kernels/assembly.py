"""What objdump prints, as functions of instructions.

Names stay mangled here: without their hash the tiles of a format would all be called the same.
"""

import re
import subprocess
from dataclasses import dataclass, field

HEADER = re.compile(r"^[0-9a-f]+ <(.+)>:$")
LINE = re.compile(r"^ *([0-9a-f]+):\t(.*)$")
RELOCATION = re.compile(r"\bR_X86_64_\w+\s+(?:\.text\.(?:unlikely\.)?)?(.+?)(?:@@?[\w.]+)?(?:[+-]0x[0-9a-f]+)?$")
DYNAMIC = re.compile(r"^([0-9a-f]+) R_X86_64_\w+\s+(?:\*ABS\*\+0x0*([0-9a-f]+)|([^@\s]+))")
ALIAS = re.compile(r" F \.text\.(?:unlikely\.)?(\S+)\t\S+ (?:\.hidden )?(\S+)$")
FUNCTION = re.compile(r"^([0-9a-f]+) .{6}F .*\s(\S+)$")
SECTION = re.compile(r"^RELOCATION RECORDS FOR \[(.+)\]")
TARGET = re.compile(r"\b([0-9a-f]+) <([^>]+)>")
PREFIXES = {"addr32", "bnd", "cs", "data16", "ds", "es", "fs", "gs", "lock", "notrack", "rep", "repz", "repnz", "ss"}


@dataclass
class Instruction:
    """One instruction in AT&T's syntax, in which the last operand is the one that is written."""

    address: int
    name: str
    operands: list
    text: str
    # Where a jump or a call goes in the same piece of code.
    target: int | None = None
    # What is jumped to, called, or read from memory whose place is known.
    symbol: str | None = None

    @property
    def memory(self):
        """The operand that is memory, if any."""
        return next((operand for operand in self.operands if "(" in operand and not operand.startswith("*")), None)

    @property
    def stores(self):
        return self.memory is not None and self.operands[-1] is self.memory

    @property
    def is_jump(self):
        return self.name.startswith("j")

    @property
    def is_call(self):
        return self.name.startswith("call")


@dataclass
class Function:
    name: str
    instructions: list = field(default_factory=list)

    @property
    def addresses(self):
        return range(self.instructions[0].address, self.instructions[-1].address + 1)


def operands_of(text):
    """Operands, which commas part outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def instruction_of(address, text, linked):
    """An instruction; `linked` is what `loaded` says."""
    body, _, comment = text.partition("#")
    words = body.split()
    while len(words) > 1 and words[0] in PREFIXES:
        words = words[1:]
    rest = " ".join(words[1:])
    one = Instruction(address, words[0] if words else "(bad)", operands_of(rest), body.strip())
    direct = (one.is_jump or one.is_call) and not rest.startswith("*")
    if found := TARGET.search(rest if direct else comment):
        place = int(found[1], 16)
        one.symbol = linked.get(place) or re.split(r"[+@]", found[2])[0]
        one.target = place if direct else None
    return one


def parse(lines, wanted=lambda name: True, linked=None):
    """Functions whose name is `wanted`, from the lines that `objdump -dr --no-show-raw-insn` prints."""
    function, functions = None, []
    for line in lines:
        if header := HEADER.match(line):
            function = Function(header[1]) if wanted(header[1]) else None
            if function:
                functions.append(function)
        elif function is None:
            continue
        elif found := LINE.match(line):
            function.instructions.append(instruction_of(int(found[1], 16), found[2], linked or {}))
        elif function.instructions and (found := RELOCATION.search(line.rstrip())):
            # What the linker will fill in: nothing in the instruction itself says it yet.
            function.instructions[-1].symbol, function.instructions[-1].target = found[1], None
    return [function for function in functions if function.instructions]


def references(lines):
    """Symbols that code or data refers to, from what `objdump -r` prints; what unwinds does not count."""
    named, counts = set(), False
    for line in lines:
        if section := SECTION.match(line):
            counts = not section[1].startswith((".eh_frame", ".debug", ".gcc_except"))
        elif counts and (found := RELOCATION.search(line.rstrip())):
            named.add(found[1])
    return named


def loaded(dynamic, table):
    """The names of what the loader puts somewhere, by place, from what `objdump -R` and `objdump -t` print."""
    found = [one for line in dynamic if (one := DYNAMIC.match(line))]
    names = {int(one[1], 16): one[2] for line in table if (one := FUNCTION.match(line.rstrip()))}
    # What is in the file itself is named by its place alone.
    return {int(one[1], 16): one[3] or names.get(int(one[2], 16), f"0x{one[2]}") for one in found}


def aliases(lines):
    """Names of functions that were merged with another, each with that one's, from what `objdump -t` prints."""
    found = (ALIAS.search(line.rstrip()) for line in lines)
    return {one[2]: one[1] for one in found if one and one[1] != one[2]}


def objdump(*arguments):
    """The lines that objdump prints."""
    with subprocess.Popen(
        ["objdump", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    ) as process:
        yield from process.stdout


def demangled(names):
    """What names say to a human, without hashes."""
    names = sorted(names)
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    without = (re.sub(r"::h[0-9a-f]{16}$|\[[0-9a-f]{12,16}\]", "", name) for name in done.stdout.splitlines())
    return dict(zip(names, without))
