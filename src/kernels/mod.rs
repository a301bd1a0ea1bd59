//! The inner loops of decoding: a plain version that every machine runs, and faster ones beside it.
//!
//! The plain versions are the truth: property tests and a fuzz target compare the others with
//! them. What a kernel reads and writes is checked by its safe entry function, once for each call,
//! so that no caller can make it leave its buffers.

pub(crate) mod alternate;
pub(crate) mod chain;
#[cfg(target_arch = "x86_64")]
mod chosen;
pub(crate) mod columns;
pub(crate) mod copy;
#[cfg(any(fuzzing, test))]
pub(crate) mod differential;
pub(crate) mod expand;
pub(crate) mod fill;
pub(crate) mod huffman;
pub(crate) mod lookup;
pub(crate) mod marks;
pub(crate) mod out;
mod pages;
pub(crate) mod planes;
pub(crate) mod product;
pub(crate) mod scatter;
pub(crate) mod target;
pub(crate) mod unpack;
pub(crate) mod window;

use std::sync::OnceLock;

/// Name of the environment variable that keeps the library from using what the machine has:
/// `plain`, `avx2`, `avx512` or `neon`. Others, and what the machine lacks, change nothing.
const OVERRIDE: &str = "TFZIP_KERNELS";

/// The instructions that kernels may use, fewest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isa {
    /// What every machine has.
    Plain,
    /// AArch64 with NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// x86-64 with AVX2, BMI1, BMI2, FMA, LZCNT and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// As [`Avx2`](Self::Avx2), and AVX-512 F, BW, VL, VBMI and VBMI2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// Into the caches, for whoever reads them soon.
    Cached,
    /// Past the caches, which they don't fit into.
    PastCaches,
}

impl Isa {
    /// The best that this machine has, or what the environment variable `TFZIP_KERNELS` names.
    pub(crate) fn active() -> Self {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let wanted = std::env::var(OVERRIDE).unwrap_or_default();
            let all = Self::available();
            let named = all.iter().find(|isa| isa.name() == wanted);
            named.or(all.last()).copied().unwrap_or(Self::Plain)
        })
    }

    /// Everything that this machine has, fewest first.
    pub(crate) fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "some machines have nothing else")]
        let mut all = vec![Self::Plain];
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            all.push(Self::Neon);
        }
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! has {
                ($($feature:tt),*) => { true $(&& is_x86_feature_detected!($feature))* };
            }
            if has!("avx2", "bmi1", "bmi2", "fma", "lzcnt", "popcnt") {
                all.push(Self::Avx2);
                if has!(
                    "avx512f",
                    "avx512bw",
                    "avx512vl",
                    "avx512vbmi",
                    "avx512vbmi2"
                ) {
                    all.push(Self::Avx512);
                }
            }
        }
        all
    }

    /// The name that the environment variable uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
        }
    }
}

/// What the inner loops of decoding may use of this machine: `plain`, `neon`, `avx2` or `avx512`.
///
/// It is the best that the machine has, found out at the first use. The environment variable
/// `TFZIP_KERNELS` can name another of those that the machine has, to compare them or to rule one
/// out; other names change nothing. The bytes that are written never depend on it, nor do the
/// elements that are read.
pub fn kernels_in_use() -> &'static str {
    Isa::active().name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_the_plain_kernels_and_uses_one_that_it_has() {
        assert_eq!(Isa::available()[0], Isa::Plain);
        assert!(Isa::available().contains(&Isa::active()));
        assert!(Isa::available().is_sorted());
        assert_eq!(kernels_in_use(), Isa::active().name());
    }
}
