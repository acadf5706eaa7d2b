"""What general registers hold: addresses on the stack, and functions that will be called.

LLVM addresses what it spills by the stack pointer or by a register made from it, and loads the address of a function
that is called often into a register once. A register counts where it holds the same whichever way was taken: what is an
output's address in one case and a buffer's in another is no spill.
"""

import re

STACK = "the stack"
START = {"rsp": STACK}
LOST_BY_CALLS = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
READS_ONLY = ("cmp", "test", "bt", "push", "prefetch", "nop", "j", "ret", "vucomi", "vcomi", "ucomi", "comi")
VECTOR = re.compile(r"%[xyz]mm\d")

WIDE = {}
for _letter in "abcd":
    WIDE |= {
        name: f"r{_letter}x" for name in (f"r{_letter}x", f"e{_letter}x", f"{_letter}x", f"{_letter}l", f"{_letter}h")
    }
for _name in ("si", "di", "bp", "sp"):
    WIDE |= {name: f"r{_name}" for name in (f"r{_name}", f"e{_name}", _name, f"{_name}l")}
for _n in range(8, 16):
    WIDE |= {f"r{_n}{suffix}": f"r{_n}" for suffix in ("", "d", "w", "b")}


def registers(operand):
    """General registers that an operand names, by their widest name."""
    return [WIDE[name] for name in re.findall(r"%([a-z0-9]+)", operand) if name in WIDE]


def write(one, held):
    """Changes what registers hold to what they do after an instruction."""
    if one.is_call:
        for register in LOST_BY_CALLS:
            held.pop(register, None)
        return
    if one.name.startswith(("mul", "imul", "div", "idiv", "cqto", "cltd")) and len(one.operands) < 2:
        held.pop("rax", None)
        held.pop("rdx", None)
        return
    if not one.operands or one.stores or one.name.startswith(READS_ONLY):
        return
    to = next(iter(registers(one.operands[-1])), None)
    if to is None or to == "rsp":
        return
    values = [held.get(register) for operand in one.operands[:-1] for register in registers(operand)]
    before, value = held.pop(to, None), None
    if one.memory is None and one.name in ("mov", "movq"):
        value = values[0] if values else None
    elif one.symbol and one.name in ("mov", "lea"):
        value = one.symbol
    elif one.name.startswith("cmov"):
        value = before if values == [before] else None
    elif (
        one.name.startswith("lea")
        or one.memory is None
        and one.name.startswith(("add", "sub", "and", "or", "inc", "dec"))
    ):
        # An address plus something is an address still, and so is one whose lowest bits are cut off.
        value = STACK if STACK in (values if one.name.startswith("lea") else [before, *values]) else None
    if value is not None:
        held[to] = value


def held_at_start(blocks):
    """For each block what registers hold where it begins. A jump through a table may go wherever nothing else goes."""
    entered = set().union(*(block.next for block in blocks))
    alone = [n for n in range(1, len(blocks)) if n not in entered]
    held, waiting = {0: dict(START)}, [0]
    while waiting:
        n = waiting.pop()
        now = dict(held[n])
        for one in blocks[n].instructions:
            write(one, now)
        last = blocks[n].instructions[-1]
        through_table = last.name.startswith("jmp") and last.operands[0].startswith("*")
        for m in [*blocks[n].next, *(alone if through_table else ())]:
            joined = (
                now
                if m not in held
                else {
                    register: held[m][register]
                    for register in held[m].keys() & now
                    if held[m][register] == now[register]
                }
            )
            if joined != held.get(m):
                held[m] = dict(joined)
                waiting.append(m)
    return [held.get(n, START) for n in range(len(blocks))]


def walk(blocks, numbers, held):
    """Each instruction of some blocks with what registers hold before it, where `held` is what `held_at_start` says."""
    for n in sorted(numbers):
        now = dict(held[n])
        for one in blocks[n].instructions:
            yield one, now
            write(one, now)


def is_on_stack(one, held):
    """Whether an instruction's memory is on the stack."""
    return one.memory is not None and any(held.get(register) == STACK for register in registers(one.memory))


def is_vector_store(one):
    return one.stores and VECTOR.search(one.operands[0]) is not None
