"""Holds what `scripts/check-kernels` promises of a built binary or library; see there."""

import argparse
import sys
from pathlib import Path

import estimate
from assembly import Function, aliases, demangled, loaded, objdump, parse, references
from loops import returns
from rules import CALLS_ALLOWED, call_faults, examine, match_tiles, spill_fault
from source import SOURCES, formats

DISASSEMBLE = ("-d", "-r", "--no-show-raw-insn")


def everything_in(path):
    """The functions of snellen_cpu in a file by name, what names say, and the names that something refers to.

    A linker leaves out what nothing refers to: in a program the last is None.
    """
    with open(path, "rb") as file:
        is_library = file.read(8) == b"!<arch>\n"
    everything, says, named = {}, {}, None
    if is_library:
        # All that is compiled for this crate, also what is generic elsewhere.
        functions = parse(objdump(*DISASSEMBLE, path))
        code = {function.name: function.instructions for function in functions}
        merged = {
            name: code[same] for name, same in aliases(objdump("-t", path)).items() if name not in code and same in code
        }
        functions += [Function(name, instructions) for name, instructions in merged.items()]
        named = references(objdump("-r", path))
    else:
        linked = loaded(objdump("-R", path), objdump("-t", path))
        functions = parse(objdump(*DISASSEMBLE, path), lambda name: "snellen_cpu" in name, linked)
    while functions:
        symbols = {one.symbol for function in functions for one in function.instructions if one.symbol}
        says |= demangled({function.name for function in functions} | symbols)
        new = [examine(function, says[function.name]) for function in functions]
        everything |= {one.function.name: one for one in new}
        functions = []
        if not is_library:
            # What is called and generic elsewhere, as far as it does nothing itself.
            of_levels = (
                one for one in new if one.is_of_a_level or "snellen_cpu" not in one.function.name and not one.works
            )
            called = (
                {symbol for one in of_levels for _, symbol in one.calls if returns(symbol)}
                - everything.keys()
                - CALLS_ALLOWED
            )
            for symbol in sorted(called):
                functions += parse(objdump(*DISASSEMBLE, f"--disassemble={symbol}", path), symbol.__eq__, linked)
    return everything, says, named


def report(path, known):
    """Prints what holds and what does not; the faults, and the tiles of each format."""
    everything, says, named = everything_in(path)
    if not any("snellen_cpu" in name for name in everything):
        raise SystemExit(f"{path}: expected functions of snellen_cpu, found none: is it stripped?")
    # The tiles that no format has are compiled, but nobody calls them, and no program has them.
    live = [one for one in everything.values() if named is None or one.format is None or one.function.name in named]
    levels = [one for one in live if one.is_of_a_level]
    plain = [one for one in live if not one.is_of_a_level and "snellen_cpu" in one.function.name]

    faults, tiles_of = [], {}
    print(f"{'kernel':<16} {'tiles':<6}  innermost loop of a full tile")
    for format in known:
        if format.type == "Portable":
            continue
        tiles_of[format], missed = match_tiles(format, [one for one in live if one.format == format.type])
        faults += missed
        m, v, steps = format.rows, format.vectors, format.unrolled
        made = f"{len(tiles_of[format]) - sum(fault.function != '' for fault in missed)}/{len(format.tiles)}"
        full = f"{m} x {v}: {steps * m * v} multiplications, {steps * m} broadcasts, {steps * v} vectors"
        print(f"{format.name:<16} {made:<6}  {full}")
    portable = [one for one in plain if one.format == "Portable"]
    spilling = sum(any(loop.spills for loop in one.loops) for one in portable)
    print(f"{'Portable':<16} {len(portable):<6}  as it comes: {spilling} tiles store sums on the stack")

    seen = {fault.function for fault in faults}
    faults += [fault for fault in map(spill_fault, levels) if fault and fault.function not in seen]
    for one in levels:
        faults += call_faults(one, everything, says)
    loops = sum(len(one.loops) for one in levels)
    spilling = sum(spill_fault(one) is not None for one in plain)
    print(
        f"{len(levels)} functions of a level with {loops} innermost loops that multiply; "
        f"{len(plain)} plain ones, of which {spilling} spill"
    )
    spilled = [(len(loop.spills) / loop.multiplications, one.display, loop) for one in levels for loop in one.spilled]
    if spilled:
        _, where, loop = max(spilled, key=lambda entry: entry[0])
        print(f"most spilled: {where}+{loop.address:#x}, {len(loop.spills)} for {loop.multiplications} multiplications")
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"{path}: {len(faults)} faults" if faults else f"{path}: every kernel is as it should be")
    return faults, tiles_of


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/check-kernels", description="Holds what is promised of compiled kernels."
    )
    parser.add_argument("file", help="a program or library with symbols")
    parser.add_argument("--source", type=Path, default=SOURCES, help="the sources that it was built from")
    parser.add_argument("--estimate", nargs="*", metavar="CPU", help="cycles of a step on processors, by llvm-mca")
    given = parser.parse_args()
    faults, tiles = report(given.file, formats(given.source))
    if given.estimate is not None:
        estimate.report(tiles, given.estimate or estimate.PROCESSORS)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
