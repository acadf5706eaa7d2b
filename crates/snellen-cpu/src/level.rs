//! Instruction levels: which kernels a processor can run, and which are run.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions that kernels are compiled for.
///
/// Results are the same bytes at any number of threads on one level; between levels they differ in rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// `portable`: what the compiler makes of plain code; NEON on ARM.
    Portable,
    /// `avx2`: AVX2 and FMA.
    Avx2,
    /// `avx512`: AVX-512 F, BW, DQ and VL.
    Avx512,
    /// `avx512-bf16`: the same with dot products of bf16 pairs.
    Avx512Bf16,
    /// `amx-bf16`: the same with tile registers for bf16, on Linux. In f32 it is `avx512`.
    AmxBf16,
}

/// What [`Level::use_for_all`] set; 0 for nothing, else one more than the level.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// Every level, from the plainest.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::AmxBf16];

    /// Whether this processor can run it.
    pub fn is_supported(self) -> bool {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            let avx512 = avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            match self {
                Self::Portable => true,
                Self::Avx2 => avx2,
                Self::Avx512 => avx512,
                Self::Avx512Bf16 => avx512 && has!("avx512bf16"),
                Self::AmxBf16 => avx512 && has!("avx512bf16") && crate::amx::is_permitted(),
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        {
            self == Self::Portable
        }
    }

    /// The best that this processor can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_supported()).unwrap_or(Self::Portable)
    }

    /// The level that models run on: [`Level::best`], unless another was chosen.
    pub fn current() -> Self {
        match CHOSEN.load(Ordering::Relaxed) {
            0 => {
                let best = Self::best();
                CHOSEN.store(best as u8 + 1, Ordering::Relaxed);
                best
            }
            chosen => Self::ALL[chosen as usize - 1],
        }
    }

    /// Makes everything in this process run on this level from now on. Weights that are packed already stay on theirs.
    ///
    /// # Errors
    /// With itself where this processor cannot run it.
    pub fn use_for_all(self) -> Result<(), Self> {
        if !self.is_supported() {
            return Err(self);
        }
        CHOSEN.store(self as u8 + 1, Ordering::Relaxed);
        Ok(())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
            Self::AmxBf16 => "amx-bf16",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|level| level.name() == name);
        found.ok_or_else(|| format!("expected one of {}, got `{name}`", known()))
    }
}

/// What code that is compiled for several levels can be sure of.
pub(crate) mod set {
    /// Nothing.
    pub(crate) const PLAIN: u8 = 0;
    /// One instruction for a multiplication and an addition.
    pub(crate) const FUSED: u8 = 1;
    /// The same, and AVX-512.
    pub(crate) const AVX512: u8 = 2;
    /// What every processor of this kind has.
    pub(crate) const ALWAYS: u8 =
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { FUSED } else { PLAIN };
}

/// Defines a function once and compiles it for every level; the first argument says which is run.
///
/// The body is plain Rust that the compiler makes vector code of. It must not call what is not inlined into it, or that part is
/// compiled for the plainest level only. In it, `SET` says which instructions there are, see [`set`].
macro_rules! per_level {
    ($(
        $(#[$doc:meta])*
        $vis:vis fn $name:ident $([$f:ident: $bound:path])? ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$doc])*
        $vis fn $name$(<$f: $bound>)?(level: $crate::Level, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::extra_unused_type_parameters)]
            fn plain<$($f: $bound,)? const SET: u8>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2$(<$f: $bound>)?($($arg: $ty),*) $(-> $ret)? {
                plain::<$($f,)? { $crate::level::set::FUSED }>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512$(<$f: $bound>)?($($arg: $ty),*) $(-> $ret)? {
                plain::<$($f,)? { $crate::level::set::AVX512 }>($($arg),*)
            }

            assert!(level.is_supported(), "this processor cannot run {level}");
            match level {
                // SAFETY: the assertion above says that the processor has these instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::Level::Avx512 | $crate::Level::Avx512Bf16 | $crate::Level::AmxBf16 => unsafe {
                    avx512($($arg),*)
                },
                _ => plain::<$($f,)? { $crate::level::set::ALWAYS }>($($arg),*),
            }
        }
    )*};
}
pub(crate) use per_level;
