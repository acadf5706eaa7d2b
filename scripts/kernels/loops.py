"""The innermost loops of a function."""

from dataclasses import dataclass

# Parts of names of functions that never return.
NO_RETURN = ("panicking", "_fail", "handle_error", "handle_alloc_error", "_Unwind_Resume", "abort", "capacity_overflow")


@dataclass
class Block:
    """Instructions that are run one after the other, and the numbers of the blocks that may come next."""

    instructions: list
    next: set


def blocks_of(function):
    """The function's blocks, in their order. Where a jump through a table goes is not known, and it ends the way."""
    code = function.instructions
    index = {one.address: i for i, one in enumerate(code)}
    leaders = {0}
    for i, one in enumerate(code):
        if one.is_jump or ends(one):
            leaders.add(i + 1)
        if one.is_jump and one.target in index:
            leaders.add(index[one.target])
    starts = sorted(i for i in leaders if i < len(code))
    number = {start: n for n, start in enumerate(starts)}
    blocks = []
    for n, (start, end) in enumerate(zip(starts, starts[1:] + [len(code)])):
        last, after = code[end - 1], set()
        if last.is_jump and last.target in index:
            after.add(number[index[last.target]])
        if not ends(last) and n + 1 < len(starts):
            after.add(n + 1)
        blocks.append(Block(code[start:end], after))
    return blocks


def ends(one):
    """Whether what follows an instruction is not run after it."""
    if one.is_call:
        return one.symbol is not None and not returns(one.symbol)
    return one.name.startswith(("jmp", "ret", "ud2", "hlt", "int3"))


def returns(symbol):
    """Whether a function may return, going by its name."""
    return not any(part in symbol for part in NO_RETURN)


def innermost_loops(blocks):
    """Sets of numbers of blocks: each a loop that has no loop inside."""
    found = []
    waiting = [(set(range(len(blocks))), set())]
    while waiting:
        inside, cut = waiting.pop()
        for part in strongly_connected(blocks, inside, cut):
            # A loop's head is where it is entered. Without the ways back to it, only loops inside are left.
            entered = {n for m, block in enumerate(blocks) if m not in part for n in block.next & part}
            head = min((entered or part) - cut, default=None)
            if head is None:
                found.append(part)
                continue
            inner = strongly_connected(blocks, part, cut | {head})
            if inner:
                waiting.append((part, cut | {head}))
            else:
                found.append(part)
    return sorted(found, key=min)


def strongly_connected(blocks, inside, cut):
    """Sets of blocks of `inside` that reach each other, or one that reaches itself, without going to one of `cut`."""
    after = {n: [m for m in blocks[n].next if m in inside and m not in cut] for n in inside}
    order, low, on, stack, found = {}, {}, set(), [], []
    for root in sorted(inside):
        if root in order:
            continue
        work = [(root, iter(after[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on.add(root)
        while work:
            n, rest = work[-1]
            for m in rest:
                if m not in order:
                    order[m] = low[m] = len(order)
                    stack.append(m)
                    on.add(m)
                    work.append((m, iter(after[m])))
                    break
                if m in on:
                    low[n] = min(low[n], order[m])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[n])
                if low[n] == order[n]:
                    part = set()
                    while n not in part:
                        m = stack.pop()
                        on.discard(m)
                        part.add(m)
                    if len(part) > 1 or n in after[n]:
                        found.append(part)
    return found
