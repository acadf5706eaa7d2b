"""What is held of functions: what a tile's loop is made of, that no loop spills, that nothing is left out of line."""

import re
from collections import Counter
from dataclasses import dataclass

from loops import blocks_of, innermost_loops, returns, strongly_connected
from registers import VECTOR, held_at_start, is_on_stack, is_vector_store, registers, walk

MULTIPLIES = re.compile(r"^(v?mulp[sd]|vfn?m(add|sub|addsub|subadd)(132|213|231)p[sd]|vdpbf16ps)$")
BROADCASTS = re.compile(r"^v(p?broadcastd|broadcastss)$")
# From halves of words to words.
CONVERTS = re.compile(r"^v(psll[dw]|pandd?|pandn?d|pblend\w+)$")
TILE = re.compile(r"(\w+)(<[^>]*>)? as snellen_cpu::format::Format>::tile")
WIDTH = {"x": 16, "y": 32, "z": 64}

# An innermost loop stores at most one vector on the stack for so many multiplications. Where sums are on the stack it
# is one for each, or for the four steps that a loop makes; in the polynomials of e^x and erf, whose constants take more
# than 16 registers, one for five to forty.
MULTIPLICATIONS_OF_SPILL = 5
# What code of a level may call whatever it does: the last two are of f64, which is there for reference.
CALLS_ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "bcmp", "exp", "libm::math::erf::erf"}
# What moves vectors without computing with them: views are copied so.
MOVES = re.compile(r"^(mov|xorp|pxor)")


@dataclass(frozen=True)
class Fault:
    """A place where something does not hold."""

    kernel: str
    function: str
    address: int
    expected: str
    got: str

    def __str__(self):
        where = f"{self.function}+{self.address:#x}" if self.function else "nowhere"
        return f"{self.kernel}: {where}: expected {self.expected}; got {self.got}"


@dataclass(frozen=True)
class Contents:
    """What vector code a loop has: multiplications, words of the left operand, bytes of the right one, and the rest."""

    multiplications: int
    broadcasts: int
    bytes: int
    converts: bool
    others: tuple

    def says(self, bytes_of_vector):
        loads = self.bytes / bytes_of_vector
        text = f"{self.multiplications} multiplications, {self.broadcasts} broadcasts, {loads:g} vectors"
        return text + "".join(f", {n} {name}" for name, n in self.others)


class Loop:
    """An innermost loop."""

    def __init__(self, blocks, numbers, held):
        self.instructions = [one for n in sorted(numbers) for one in blocks[n].instructions]
        on_stack = [one for one, now in walk(blocks, numbers, held) if is_on_stack(one, now)]
        self.spills = [one for one in on_stack if is_vector_store(one)]
        self.on_stack = {one.address for one in on_stack}
        self.address = self.instructions[0].address
        self.multiplications = sum(MULTIPLIES.match(one.name) is not None for one in self.instructions)
        # What lives across a call has no place but the stack.
        self.calls = any(one.is_call for one in self.instructions)

    def contents(self, multiplication="", register=None):
        """Its vector code; a multiplication by other instructions, or in narrower registers, is something else."""
        multiplications, broadcasts, loaded, converts, others = 0, 0, 0, False, Counter()
        for one in self.instructions:
            vectors = [operand for operand in one.operands if VECTOR.search(operand)]
            if not vectors:
                continue
            width = WIDTH[re.search(r"%([xyz])mm", one.operands[-1] if not one.stores else vectors[0])[1]]
            reads = one.memory is not None and not one.stores and one.address not in self.on_stack
            if (
                MULTIPLIES.match(one.name)
                and one.name.startswith(multiplication)
                and register in (None, one.operands[-1][1])
            ):
                multiplications += 1
                if reads and "{1to" in one.text:
                    broadcasts += 1
                elif reads:
                    loaded += width
                elif one.memory:
                    others[f"{one.name} of the stack"] += 1
            elif reads and BROADCASTS.match(one.name):
                broadcasts += 1
            elif reads and one.name.startswith("vpmovzxwd"):
                loaded, converts = loaded + width // 2, True
            elif reads and re.match(
                r"^vmov[ud][pq][sdu](8|16|32|64)?$|^vmovap[sd]$|^vmovdqa(32|64)?$|^vlddqu$", one.name
            ):
                loaded += width
            elif CONVERTS.match(one.name) and one.memory is None:
                converts = True
            else:
                others[one.name + (" to the stack" if one.stores and one.address in self.on_stack else "")] += 1
        return Contents(multiplications, broadcasts, loaded, converts, tuple(sorted(others.items())))


@dataclass
class Examined:
    """A function, and what its name says."""

    function: object
    says: str
    loops: list
    # Instructions, each with what it calls.
    calls: list
    # What it does that vectors of a level would do better, if anything.
    works: str | None

    @property
    def display(self):
        """Its name for a human, with the start of what tells it from others of that name."""
        unique = re.search(r"17h([0-9a-f]{8})[0-9a-f]{8}E", self.function.name)
        return self.says.replace("snellen_cpu::", "") + (f"::h{unique[1]}" if unique else "")

    @property
    def format(self):
        found = TILE.search(self.says)
        return found[1] if found else None

    @property
    def spilled(self):
        """Loops that store vectors on the stack, where they could do without."""
        return [loop for loop in self.loops if loop.spills and not loop.calls]

    @property
    def is_of_a_level(self):
        """Whether it is compiled for more than x86-64 has: that alone has no instructions whose names begin with v."""
        return any(
            one.name[0] == "v" and one.name not in ("verr", "verw", "vzeroupper") for one in self.function.instructions
        )


def examine(function, says):
    """A function with its loops and calls."""
    blocks = blocks_of(function)
    held = held_at_start(blocks)
    multiplies = (
        numbers
        for numbers in innermost_loops(blocks)
        if any(MULTIPLIES.match(one.name) for n in numbers for one in blocks[n].instructions)
    )
    loops = [Loop(blocks, numbers, held) for numbers in multiplies]
    calls = [
        (one, now)
        for one, now in ((one, called(one, now, function)) for one, now in walk(blocks, range(len(blocks)), held))
        if now
    ]
    computes = any(
        VECTOR.search(operand) for one in function.instructions if not MOVES.match(one.name) for operand in one.operands
    )
    has_loop = bool(strongly_connected(blocks, set(range(len(blocks))), set()))
    works = "computes with vectors" if computes else "has a loop" if has_loop else None
    return Examined(function, says, loops, calls, works)


def called(one, held, function):
    """The name of what an instruction calls or goes on in, how it is addressed where that is not known; else None."""
    if one.is_jump and (one.target in function.addresses or one.symbol is None):
        return None
    if not one.is_call and not one.is_jump:
        return None
    if one.symbol or "(" in one.operands[0]:
        return one.symbol or one.operands[0]
    register = next(iter(registers(one.operands[0])), None)
    return held.get(register) or only_function_in(register, function) or one.operands[0]


def only_function_in(register, function):
    """The function whose address a register is loaded with, where there is one and no other.

    That it still holds it is taken on trust: registers that are called through hold nothing else in compiled Rust but what
    comes out of tables of methods, which is called where it lies.
    """
    loads = (one for one in function.instructions if one.name == "mov" and one.symbol and not one.stores)
    found = {one.symbol for one in loads if registers(one.operands[-1])[:1] == [register]}
    return found.pop() if len(found) == 1 else None


def expected(format, tile):
    """What the innermost loop of a tile has, and nothing else."""
    rows, vectors = tile
    steps = format.unrolled
    return Contents(steps * rows * vectors, steps * rows, steps * vectors * format.bytes_of_vector, format.halves, ())


def match_tiles(format, functions):
    """Which of the functions of a format makes which tile, with its largest loop; and faults.

    Names do not tell tiles apart: the numbers of multiplications and broadcasts do.
    """
    if not functions:
        want = f"{len(format.tiles)} tiles, from 1 x 1 to {format.rows} x {format.vectors}"
        return {}, [Fault(format.name, "", 0, want, "no function of its own for any")]
    tiles, faults, unknown = {}, [], []
    wanted = {tile: expected(format, tile) for tile in format.tiles}
    for one in functions:
        loop = max(one.loops, key=lambda loop: loop.multiplications, default=None)
        if loop is None:
            continue
        contents = loop.contents(format.multiplication, format.register)
        if contents.converts != format.halves:
            continue
        tile = next((tile for tile, want in wanted.items() if tile not in tiles and want == contents), None)
        if tile:
            tiles[tile] = (one, loop)
        else:
            unknown.append((one, loop, contents))
    for one, loop, contents in unknown:
        # The tile that comes nearest of those that nobody makes.
        left = [tile for tile in wanted if tile not in tiles]
        tile = min(left, key=lambda tile: distance(wanted[tile], contents), default=None)
        if tile:
            tiles[tile] = (one, loop)
        want = f"tile {tile[0]} x {tile[1]}: {wanted[tile].says(format.bytes_of_vector)}" if tile else "no more tiles"
        faults.append(Fault(format.name, one.display, loop.address, want, contents.says(format.bytes_of_vector)))
    for tile in wanted:
        if tile not in tiles:
            want = f"tile {tile[0]} x {tile[1]}: {wanted[tile].says(format.bytes_of_vector)}"
            faults.append(Fault(format.name, "", 0, want, "no function that makes it"))
    return tiles, faults


def distance(a, b):
    return abs(a.multiplications - b.multiplications) + abs(a.broadcasts - b.broadcasts) + abs(a.bytes - b.bytes) / 32


def spill_fault(one):
    """The fault of a function that stores vectors on the stack in its innermost loops, if there is one."""
    loops = [loop for loop in one.spilled if len(loop.spills) * MULTIPLICATIONS_OF_SPILL > loop.multiplications]
    if not loops:
        return None
    worst = max(loops, key=lambda loop: len(loop.spills))
    want = f"no loop that stores a vector on the stack for fewer than {MULTIPLICATIONS_OF_SPILL} multiplications"
    got = f"{len(loops)}, this one {len(worst.spills)} for {worst.multiplications}: {worst.spills[0].text}"
    return Fault("spill", one.display, worst.spills[0].address, want, got)


def call_faults(one, everything, says):
    """Faults of a level's function that leaves work to one that is compiled without the level's instructions.

    `everything` has all functions by name.
    """
    faults = {}
    for instruction, symbol in one.calls:
        work = symbol not in faults and left_out(symbol, everything, says, {one.function.name})
        if work:
            want = "loops and sums inlined or compiled for a level"
            faults[symbol] = Fault(
                "call", one.display, instruction.address, want, f"a call of {says.get(symbol, symbol)}, which {work}"
            )
    return list(faults.values())


def left_out(symbol, everything, says, seen):
    """What a function does that its caller's instructions would do better; None where it does nothing of the kind."""
    if symbol in seen or not returns(symbol) or says.get(symbol, symbol) in CALLS_ALLOWED:
        return None
    seen.add(symbol)
    if symbol not in everything:
        return "is not known here"
    one = everything[symbol]
    if one.is_of_a_level:
        return None
    if one.works:
        return one.works
    works = (left_out(name, everything, says, seen) for _, name in one.calls)
    return next((f"calls what {work}" if not work.startswith("calls") else work for work in works if work), None)
