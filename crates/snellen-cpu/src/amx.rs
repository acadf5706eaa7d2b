//! The tile registers of AMX: who may use them, and the instructions, which Rust has no stable names for.

use crate::block::Block;
use crate::format::Avx512Pairs;
use crate::tiles::{AHEAD, Operands, Sums, Tiles, block_by_tiles};
use std::arch::asm;
use std::sync::OnceLock;

/// Whether this processor multiplies tiles of bf16, and this process may. Linux lets only those that ask, since it has to save eight
/// kilobytes more of every thread that does.
pub(crate) fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    const HERE: bool = cfg!(all(target_os = "linux", target_pointer_width = "64"));
    *PERMITTED.get_or_init(|| HERE && has_tiles() && ask())
}

/// Whether the processor has them and the system saves them.
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    #[target_feature(enable = "xsave")]
    unsafe fn saved() -> u64 {
        // SAFETY: the caller's.
        unsafe { _xgetbv(0) }
    }
    const XSAVE: u32 = 1 << 26 | 1 << 27;
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    const SHAPES_AND_TILES: u64 = 1 << 17 | 1 << 18;
    let all = |bits: u32, of: u32| bits & of == of;
    __cpuid(0).eax >= 7
        && all(__cpuid_count(7, 0).edx, BF16_AND_TILES)
        && all(__cpuid(1).ecx, XSAVE)
        // SAFETY: the processor has XGETBV, and the system has enabled it.
        && unsafe { saved() } & SHAPES_AND_TILES == SHAPES_AND_TILES
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)` of Linux, for all threads.
fn ask() -> bool {
    const ARCH_PRCTL: isize = 158;
    let result: isize;
    // SAFETY: a system call that reads and writes no memory of ours, and the registers that any of them may change.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") 0x1023,
            in("rsi") 18,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// [`block()`](crate::block::block) on this level, in bf16.
///
/// # Safety
/// As of that one; this process may use tile registers.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(crate) unsafe fn block(t: &Block<'_>, left: &mut [u32]) {
    // SAFETY: the caller's.
    unsafe { block_by_tiles::<Avx512Pairs>(t, left) };
}

/// What LDTILECFG reads: palette 1; bytes of a row from byte 16 on, two for every register, and rows from byte 48 on.
#[repr(align(64))]
#[allow(dead_code, reason = "an instruction reads it")]
struct Shapes([u8; 64]);

/// Eight registers of 16 rows of 64 bytes.
static SHAPES: Shapes = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut register = 0;
    while register < 8 {
        bytes[16 + 2 * register] = 64;
        bytes[48 + register] = 16;
        register += 1;
    }
    Shapes(bytes)
};

/// Instructions, after which nothing is known of tile registers.
macro_rules! with_tiles {
    ($($line:literal)*; $($operands:tt)*) => {
        asm!(
            $($line,)*
            $($operands)*
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Bytes of a row of a tile.
const ROW: usize = 64;
// There is a prefetch for each below.
const _: () = assert!(AHEAD == 6);

impl Tiles for Avx512Pairs {
    #[inline(always)]
    unsafe fn shape() {
        // SAFETY: the caller's.
        unsafe { with_tiles!("ldtilecfg [{shapes}]"; shapes = in(reg) &raw const SHAPES,) };
    }

    #[inline(always)]
    unsafe fn release() {
        // SAFETY: the caller's.
        unsafe { with_tiles!("tilerelease";) };
    }

    #[inline(always)]
    unsafe fn multiply_tiles(o: &Operands<'_>, sums: &mut Sums) {
        let right = o.right * ROW;
        // SAFETY: the caller's: two tiles of `a`, their rows side by side, and two of `b`, whose rows are a step apart, as often as
        // there are tiles; the same of `end` where it is not empty; four tiles of sums, whose rows are two rows of a tile.
        unsafe {
            with_tiles!(
                "tilezero tmm0"
                "tilezero tmm1"
                "tilezero tmm2"
                "tilezero tmm3"
                "jmp 3f"
                "2:"
                "tileloadd tmm6, [{b} + {step}*1]"
                "tileloadd tmm7, [{right} + {step}*1]"
                "tileloadd tmm4, [{a} + {row}*1]"
                "tileloadd tmm5, [{a} + {row}*1 + 1024]"
                "tdpbf16ps tmm0, tmm4, tmm6"
                "tdpbf16ps tmm1, tmm4, tmm7"
                "tdpbf16ps tmm2, tmm5, tmm6"
                "tdpbf16ps tmm3, tmm5, tmm7"
                "prefetcht1 [{ahead}]"
                "prefetcht1 [{ahead} + 64]"
                "prefetcht1 [{ahead} + 128]"
                "prefetcht1 [{ahead} + 192]"
                "prefetcht1 [{ahead} + 256]"
                "prefetcht1 [{ahead} + 320]"
                "add {ahead}, {pace}"
                "add {a}, 2048"
                // Sixteen steps.
                "lea {b}, [{b} + {step}*8]"
                "lea {b}, [{b} + {step}*8]"
                "lea {right}, [{right} + {step}*8]"
                "lea {right}, [{right} + {step}*8]"
                "3:"
                "sub {tiles}, 1"
                "jae 2b"
                // Once more for the end, where there is one.
                "xor {tiles:e}, {tiles:e}"
                "mov {b}, {end}"
                "mov {right}, {end_right}"
                "sub {ends}, 1"
                "jae 2b"
                "tilestored [{sums} + {row}*2], tmm0"
                "tilestored [{sums} + {row}*2 + 64], tmm1"
                "tilestored [{sums} + {row}*2 + 2048], tmm2"
                "tilestored [{sums} + {row}*2 + 2112], tmm3";
                a = inout(reg) o.a.as_ptr() => _,
                b = inout(reg) o.b.as_ptr() => _,
                right = inout(reg) o.b.as_ptr().wrapping_byte_add(right) => _,
                end = in(reg) o.end.as_ptr(),
                end_right = in(reg) o.end.as_ptr().wrapping_byte_add(right),
                row = in(reg) ROW,
                step = in(reg) o.step * ROW,
                tiles = inout(reg) o.tiles => _,
                ends = inout(reg) usize::from(!o.end.is_empty()) => _,
                sums = in(reg) sums,
                ahead = inout(reg) o.ahead => _,
                pace = in(reg) o.pace * ROW,
            );
        }
    }
}

/// Products of a step of [`chains`]: a part of what an instruction makes, so that a step is about as long as one of vectors.
pub(crate) const PRODUCTS_OF_STEP: usize = 16 * 16 * 32 * CHAINS / STEPS_OF_ALL;
/// Sums that do not wait for each other.
const CHAINS: usize = 4;
/// Steps in which every one of them is multiplied once.
const STEPS_OF_ALL: usize = 8;

/// Nothing but multiplications of tiles in registers; at least [`STEPS_OF_ALL`] steps.
///
/// # Safety
/// This process may use tile registers.
pub(crate) unsafe fn chains(steps: usize) {
    // SAFETY: the caller's.
    unsafe {
        Avx512Pairs::shape();
        with_tiles!(
            "2:"
            "tdpbf16ps tmm0, tmm6, tmm7"
            "tdpbf16ps tmm1, tmm6, tmm7"
            "tdpbf16ps tmm2, tmm6, tmm7"
            "tdpbf16ps tmm3, tmm6, tmm7"
            "sub {n}, 1"
            "ja 2b";
            n = inout(reg) steps / STEPS_OF_ALL => _,
        );
        Avx512Pairs::release();
    }
}
