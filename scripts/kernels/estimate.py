"""How many cycles the innermost loop of each format's full tile takes on processors that are not at hand, by llvm-mca.

llvm-mca knows what units a processor has, which instructions each can do, and in how many cycles. Here it takes the
loop as it was compiled. What it estimates is compared with its own estimate for the multiplications alone: with
registers for operands, no two of them waiting for each other. Memory is the nearest cache in either case.
"""

import re
import shutil
import subprocess

PROCESSORS = ("haswell", "skylake-avx512", "icelake-server", "sapphirerapids", "znver3", "znver4")
# The oldest that knows all of these.
OLDEST = 19
# What a processor must have for a format, by the letter of its registers and the start of its multiplications.
NEEDS = {("y", "vfmadd"): "fma", ("z", "vfmadd"): "avx512f", ("z", "vdpbf16ps"): "avx512bf16"}
ITERATIONS = 200


def llvm_mca():
    """The newest llvm-mca that there is."""
    for version in range(40, OLDEST - 1, -1):
        if program := shutil.which(f"llvm-mca-{version}"):
            return program
    program = shutil.which("llvm-mca")
    version = re.search(r"LLVM version (\d+)", run([program, "--version"]) or "") if program else None
    if version and int(version[1]) >= OLDEST:
        return program
    raise SystemExit(f"--estimate needs llvm-mca of LLVM {OLDEST} or newer (Debian: apt-get install llvm-{OLDEST})")


def run(command, text=""):
    """What a program prints; None where it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def features(processor):
    """What a processor has, going by the compiler of the kernels: llvm-mca takes instructions that it lacks, too."""
    done = subprocess.run(["rustc", "--print", "cfg", f"-Ctarget-cpu={processor}"], capture_output=True, text=True)
    if done.returncode or "not a recognized processor" in done.stderr:
        raise SystemExit(f"--estimate: expected a processor that LLVM knows, got `{processor}`")
    return set(re.findall(r'target_feature="(.+)"', done.stdout))


def analysis(program, processor, lines):
    """Cycles of an iteration, and those that the busiest unit needs for it; None where llvm-mca fails."""
    command = [program, "-mtriple=x86_64-unknown-linux-gnu", f"-mcpu={processor}", f"-iterations={ITERATIONS}"]
    printed = run([*command, "-instruction-info=false", "-resource-pressure=false"], "\n".join(lines) + "\n")
    if printed is None:
        return None
    cycles = int(re.search(r"Total Cycles:\s+(\d+)", printed)[1]) / ITERATIONS
    return cycles, float(re.search(r"Block RThroughput:\s+([\d.]+)", printed)[1])


def assembly(loop):
    """A loop as llvm-mca reads it."""
    texts = [re.sub(r"\s<.*", "", one.text) if not one.is_jump else f"{one.name} .Lloop" for one in loop.instructions]
    return [".Lloop:", *texts]


def multiplications(loop, multiplies):
    """As many of the loop's multiplications as it has, each with registers of its own."""
    found = [one for one in loop.instructions if multiplies(one)]
    letter, name = found[0].operands[-1][1], found[0].name
    registers = 32 if letter == "z" else 16
    return [
        f"{name} %{letter}mm{registers - 1}, %{letter}mm{registers - 2}, %{letter}mm{i % (registers - 2)}"
        for i in range(len(found))
    ]


def report(tiles_of, processors):
    """Prints a table of processors and formats."""
    program = llvm_mca()
    version = re.search(r"LLVM version \S+", run([program, "--version"]))[0]
    print(f"\n{version}: cycles of a step of a full tile; what multiplications alone take of them")
    print(f"{'':<16}" + "".join(f"{format.name:>18}" for format in tiles_of))
    for processor in processors:
        has = features(processor)
        cells = (estimate(program, processor, has, format, tiles) for format, tiles in tiles_of.items())
        print(f"{processor:<16}" + "".join(f"{cell:>18}" for cell in cells))


def estimate(program, processor, has, format, tiles):
    """Cycles of a step of a format's full tile and the part that multiplications need; a dash where there is none."""
    made = tiles.get((format.rows, format.vectors))
    if made is None or NEEDS[format.register, format.multiplication] not in has:
        return "-"
    loop = made[1]
    whole = analysis(program, processor, assembly(loop))
    alone = analysis(program, processor, multiplications(loop, lambda one: one.name.startswith(format.multiplication)))
    if whole is None or alone is None:
        return "?"
    return f"{whole[0] / format.unrolled:.2f} {min(1, alone[1] / whole[0]):4.0%}"
