"""Tests of what `scripts/check-kernels` holds, on loops as they were compiled: good ones, and ones with a fault."""

import tempfile
import unittest
from pathlib import Path

from assembly import Function, aliases, demangled, loaded, parse, references
from estimate import assembly, multiplications
from loops import blocks_of, innermost_loops
from registers import STACK, held_at_start
from rules import MULTIPLICATIONS_OF_SPILL, call_faults, examine, match_tiles, spill_fault
from source import Format, formats

EXCERPTS = Path(__file__).parent / "excerpts"
AVX2 = Format("Avx2", lanes=8, vectors=2, rows=2, depth=1, halves=False, unrolled=4)
LEVEL = "snellen_cpu::rows::softmax::avx2"


def excerpt(name):
    return (EXCERPTS / f"{name}.s").read_text()


def examined(text):
    functions = parse(text.splitlines())
    says = demangled(function.name for function in functions)
    return [examine(function, says[function.name]) for function in functions]


def one(text, says=LEVEL):
    """The function of some instructions, one a line, at 0, 4, 8 and so on."""
    lines = [f"{4 * i:x}:\t{line}" for i, line in enumerate(text.strip().split("\n"))]
    return examine(parse(["0000000000000000 <f>:", *lines])[0], says)


class Tiles(unittest.TestCase):
    def test_every_tile_is_found_by_what_it_multiplies(self):
        tiles, faults = match_tiles(AVX2, examined(excerpt("good")))
        self.assertEqual(sorted(tiles), [(1, 1), (1, 2), (2, 1), (2, 2)])
        self.assertEqual(faults, [])

    def test_operands_in_memory_are_broadcasts_and_loads(self):
        for name, format in [
            ("embedded", Format("Avx512", 16, 1, 2, 1, False, 4)),
            ("halves", Format("Avx2", 8, 1, 1, 1, True, 4)),
            ("pairs", Format("Avx512Pairs", 16, 1, 1, 2, False, 4)),
        ]:
            tiles, _ = match_tiles(format, examined(excerpt(name)))
            self.assertIn((format.rows, 1), tiles, name)

    def test_sums_on_the_stack_are_seen(self):
        functions = examined(excerpt("good"))
        spilled = examined(excerpt("spilled"))
        _, faults = match_tiles(AVX2, functions[:3] + spilled)
        self.assertEqual(len(faults), 1)
        self.assertIn("tile 2 x 2: 16 multiplications, 8 broadcasts, 8 vectors", faults[0].expected)
        self.assertIn("4 vmovaps to the stack", faults[0].got)
        self.assertIn("this one 4 for 16: vmovaps %ymm3,(%rsp)", spill_fault(spilled[0]).got)
        self.assertIsNone(spill_fault(functions[3]))

    def test_a_broadcast_or_a_load_that_is_missing_is_seen(self):
        for line, got in [("vbroadcastss 0x4(%rcx),%ymm4", "7 broadcasts, 8 vectors"), ("vmovups (%r14),%ymm5", None)]:
            lines = excerpt("good").split("\n")
            at = next(i for i, text in reversed(list(enumerate(lines))) if line.split()[0] in text)
            del lines[at]
            _, faults = match_tiles(AVX2, examined("\n".join(lines)))
            self.assertEqual(len(faults), 1)
            self.assertIn("tile 2 x 2", faults[0].expected)
            self.assertIn(got or "8 broadcasts, 7 vectors", faults[0].got)

    def test_a_tile_that_is_missing_is_seen(self):
        _, faults = match_tiles(AVX2, examined(excerpt("good"))[:3])
        self.assertEqual(
            [(fault.expected.split(":")[0], fault.got) for fault in faults],
            [("tile 2 x 2", "no function that makes it")],
        )
        _, faults = match_tiles(AVX2, [])
        self.assertEqual([fault.expected for fault in faults], ["4 tiles, from 1 x 1 to 2 x 2"])

    def test_a_tile_too_many_is_seen(self):
        functions = examined(excerpt("good"))
        _, faults = match_tiles(AVX2, functions + functions[:1])
        self.assertEqual([fault.expected for fault in faults], ["no more tiles"])

    def test_narrow_registers_and_unfused_multiplications_are_something_else(self):
        for change in [("%ymm", "%xmm"), ("vfmadd231ps", "vmulps")]:
            _, faults = match_tiles(AVX2, examined(excerpt("good").replace(*change)))
            self.assertTrue(faults, change)


class Spills(unittest.TestCase):
    LOOP = "vmulps %ymm0,%ymm1,%ymm2\nvmovups %ymm2,{place}\ndec %rcx\njne {back:x} <f>\nret"

    def spills(self, before, place):
        back = 4 * len(before)
        return spill_fault(one("\n".join([*before, self.LOOP.format(place=place, back=back)])))

    def test_an_address_made_from_the_stack_pointer_is_on_the_stack(self):
        self.assertIsNotNone(self.spills([], "0x20(%rsp)"))
        self.assertIsNotNone(self.spills(["lea 0x40(%rsp),%rax", "mov %rax,%rbx", "and $-64,%rbx"], "(%rbx)"))
        self.assertIsNotNone(self.spills(["mov %rsp,%rbp"], "-0x40(%rbp)"))

    def test_an_output_is_not(self):
        self.assertIsNone(self.spills([], "0x20(%rdi)"))
        self.assertIsNone(self.spills(["lea 0x40(%rsp),%rax", "mov 0x8(%rsp),%rax"], "(%rax)"))
        # An output in one case and a buffer in another.
        self.assertIsNone(
            self.spills(["lea 0x40(%rsp),%rax", "test %rdx,%rdx", "je 10 <f>", "mov %rdi,%rax"], "(%rax)")
        )

    def test_what_lives_across_a_call_has_no_other_place(self):
        self.assertIsNone(self.spills([], "0x20(%rsp)\ncall 1000 <exp>"))

    def test_one_store_for_many_multiplications_is_none_to_speak_of(self):
        many = "\n".join(["vmulps %ymm0,%ymm1,%ymm2"] * (MULTIPLICATIONS_OF_SPILL - 1))
        self.assertIsNotNone(self.spills([], f"(%rsp)\n{many[: many.rindex(chr(10))]}"))
        self.assertIsNone(self.spills([], f"(%rsp)\n{many}"))

    def test_only_innermost_loops_count(self):
        inner = "nop\nvmulps %ymm0,%ymm1,%ymm2\ndec %rcx\njne 4 <f>"
        self.assertIsNone(spill_fault(one(f"{inner}\nvmovups %ymm2,(%rsp)\ndec %rdx\njne 0 <f>\nret")))
        self.assertIsNotNone(
            spill_fault(
                one("vmulps %ymm0,%ymm1,%ymm2\nvmovups %ymm2,(%rsp)\njmp 10 <f>\nret\ndec %rcx\njne 0 <f>\nret")
            )
        )


class Calls(unittest.TestCase):
    def faults(self, text, *others, says=None):
        caller = one(text)
        everything = {other.function.name: other for other in others}
        return [fault.got for fault in call_faults(caller, everything, says or {})]

    def other(self, name, text):
        found = one(text, name)
        return examine(Function(name, found.function.instructions), name)

    def test_work_that_is_left_out_is_seen_and_what_does_none_is_not(self):
        work = self.other("g", "mulps %xmm0,%xmm1\nret")
        self.assertEqual(
            self.faults("vzeroupper\ncall 100 <g>\nret", work), ["a call of g, which computes with vectors"]
        )
        loop = self.other("g", "mov (%rdi),%eax\ndec %rcx\njne 0 <g>\nret")
        self.assertEqual(self.faults("call 100 <g>\nret", loop), ["a call of g, which has a loop"])
        views = self.other("g", "movups (%rdi),%xmm0\nmovups %xmm0,(%rsi)\nret")
        self.assertEqual(self.faults("call 100 <g>\nret", views), [])
        through, work = self.other("g", "call 200 <h>\nret"), self.other("h", "mulps %xmm0,%xmm1\nret")
        got = self.faults("call 100 <g>\nret", through, work)
        self.assertEqual(got, ["a call of g, which calls what computes with vectors"])

    def test_a_call_of_a_levels_function_a_panic_or_memcpy_is_none(self):
        level = self.other("g", "vmulps %ymm0,%ymm1,%ymm2\nret")
        self.assertEqual(
            self.faults("call 100 <g>\ncall 200 <memcpy>\ncall 300 <core9panicking5panic>\nret", level), []
        )

    def test_an_address_in_a_register_is_followed(self):
        text = "mov 0x0(%rip),%rbx        # 7 <g>\nnop\ncall *%rbx\nret"
        self.assertEqual(self.faults(text), ["a call of g, which is not known here"])
        self.assertEqual(self.faults("call *%rbx\nret"), ["a call of *%rbx, which is not known here"])

    def test_a_register_that_is_loaded_with_one_address_only_holds_it_wherever_ways_meet(self):
        # Instructions are four bytes apart; the jump passes over the load.
        ways = "je 8 <f>\nmov 0x0(%rip),%rbx        # 7 <g>\ncall *%rbx\nret"
        self.assertEqual(self.faults(ways), ["a call of g, which is not known here"])
        another = "je c <f>\nmov 0x0(%rip),%rbx        # 7 <g>\nmov 0x0(%rip),%rbx        # 7 <h>\ncall *%rbx\nret"
        self.assertEqual(self.faults(another), ["a call of *%rbx, which is not known here"])

    def test_relocations_say_what_is_called(self):
        lines = ["0 <f>:", "   0:\tcall   5 <f+0x5>", "\t\t\t1: R_X86_64_PLT32\t.text._ZN1gE-0x4", "   5:\tret"]
        self.assertEqual(parse(lines)[0].instructions[0].symbol, "_ZN1gE")


class Objects(unittest.TestCase):
    def test_loops_inside_loops(self):
        text = "nop\nnop\ndec %rcx\njne 4 <f>\ndec %rdx\njne 0 <f>\ndec %rax\njne 18 <f>\nret"
        blocks = blocks_of(one(text).function)
        starts = [blocks[min(loop)].instructions[0].address for loop in innermost_loops(blocks)]
        self.assertEqual(starts, [4, 24])

    def test_what_follows_a_panic_is_not_part_of_a_loop(self):
        text = "jmp c <f>\ncall 100 <core9panicking5panic>\njmp 0 <f>\ncmp %rax,%rbx\njne 4 <f>\nret"
        self.assertEqual(innermost_loops(blocks_of(one(text).function)), [])

    def test_registers_where_ways_meet(self):
        blocks = blocks_of(one("lea 8(%rsp),%rax\ntest %rdx,%rdx\nje 10 <f>\nmov %rdi,%rax\nret").function)
        self.assertEqual([held.get("rax") for held in held_at_start(blocks)], [None, STACK, None])

    def test_names_of_merged_functions_and_of_what_the_loader_places(self):
        same = "0000000000000000 g     F .text._ZN1aE\t00000000000000b7 .hidden "
        table = [f"{same}_ZN1bE", f"{same}_ZN1aE"]
        self.assertEqual(aliases(table), {"_ZN1bE": "_ZN1aE"})
        dynamic = [
            "00000000000080f0 R_X86_64_RELATIVE  *ABS*+0x0000000000001c30",
            "0000000000008100 R_X86_64_GLOB_DAT  memcpy@GLIBC_2.14",
        ]
        table = ["0000000000001c30 l     F .text\t00000000000000b7              _ZN1aE"]
        self.assertEqual(loaded(dynamic, table), {0x80F0: "_ZN1aE", 0x8100: "memcpy"})

    def test_unwinding_refers_to_nothing(self):
        unwinding = ["RELOCATION RECORDS FOR [.eh_frame]:", "0 R_X86_64_PC32     .text._ZN1aE"]
        code = ["RELOCATION RECORDS FOR [.text._ZN1bE]:", "1 R_X86_64_PLT32    _ZN1cE-0x0000000000000004"]
        lines = unwinding + code
        self.assertEqual(references(lines), {"_ZN1cE"})


class Estimates(unittest.TestCase):
    def test_a_loop_is_written_as_an_assembler_reads_it(self):
        loop = examined(excerpt("embedded"))[0].loops[0]
        lines = assembly(loop)
        self.assertEqual([lines[0], lines[-1]], [".Lloop:", "jne .Lloop"])
        self.assertEqual(len(lines), 1 + len(loop.instructions))
        self.assertNotIn("<", "".join(lines))

    def test_multiplications_alone_wait_for_nothing(self):
        loop = examined(excerpt("embedded"))[0].loops[0]
        lines = multiplications(loop, lambda one: one.name.startswith("vfmadd"))
        self.assertEqual(len(set(lines)), 8)
        self.assertEqual(lines[7], "vfmadd231ps %zmm31, %zmm30, %zmm7")


class Sources(unittest.TestCase):
    def test_constants_come_from_the_sources(self):
        known = {format.name: format for format in formats()}
        self.assertEqual(
            list(known),
            ["Portable", "Portable, halves", "Avx2", "Avx2, halves", "Avx512", "Avx512, halves", "Avx512Pairs"],
        )
        self.assertEqual([known[name].register for name in ("Avx2", "Avx512")], ["y", "z"])
        self.assertEqual(known["Avx512Pairs"].multiplication, "vdpbf16ps")
        self.assertEqual(known["Avx2, halves"].bytes_of_vector, 16)

    def test_what_is_not_understood_is_said(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "block.rs").write_text("const UNROLLED: usize = 4;")
            (Path(folder) / "format.rs").write_text("impl Format for A {\n const LANES: usize = lanes();\n}")
            with self.assertRaisesRegex(SystemExit, "a number, true, false or ROUND as LANES, got `lanes\\(\\)`"):
                formats(folder)


if __name__ == "__main__":
    unittest.main()
