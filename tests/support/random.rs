//! Random numbers whose seed is printed, so that a failure can be run again.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The seed of this run: `OFFSPRING_SEED` (decimal or 0x…) if set, else a fresh one. Prints it; the runner shows the line
/// when the case fails.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("OFFSPRING_SEED") {
        Ok(text) => match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        }
        .expect("OFFSPRING_SEED is a number, decimal or 0x..."),
        Err(_) => {
            // The keys of `RandomState` come from the kernel once, and are the same in every fork child: add who and when.
            let mut hasher = RandomState::new().build_hasher();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            hasher.write_u128(now.expect("a clock after 1970").as_nanos());
            hasher.write_u32(std::process::id());
            hasher.finish()
        }
    };
    println!("seed: OFFSPRING_SEED={seed:#x}");
    seed
}

/// xorshift64*: small, fast, and good enough to pick moments and sizes.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Equal seeds give equal numbers; the seed is scrambled, so that 1, 2, 3 are far apart.
    pub(crate) fn new(seed: u64) -> Rng {
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Rng((z ^ (z >> 31)).max(1))
    }

    /// The next 64 random bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "below(0) has no answer");
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
