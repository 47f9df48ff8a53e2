//! numpy's random stream: what `numpy.random.default_rng(seed)` gives, from the same seed.
//!
//! `SeedSequence` spreads the seed, PCG64 (XSL-RR 128/64) makes the bits, and doubles, normals and
//! bounded integers take them as numpy does, so that a published trace can be made again. Normals
//! agree to 1e-14, all else bit for bit. Source: O'Neill 2014, PCG (HMC-CS-2014-0905); Lemire 2019,
//! Fast Random Integer Generation in an Interval; numpy's NEP 19 and the documentation of
//! `SeedSequence` for the constants.

use std::convert::Infallible;

use foresail_models::normal::standard_normal;
use rand_chacha::rand_core::TryRng;

/// Words of the pool of `SeedSequence`.
const POOL: usize = 4;

/// The multiplier of PCG's 128-bit state.
const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

/// A hash that changes its constant with each word.
struct Hash {
    constant: u32,
    factor: u32,
}

impl Hash {
    fn word(&mut self, value: u32) -> u32 {
        let mixed = value ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.factor);
        let mixed = mixed.wrapping_mul(self.constant);
        mixed ^ (mixed >> 16)
    }
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = x
        .wrapping_mul(0xca01_f9dd)
        .wrapping_sub(y.wrapping_mul(0x4973_f715));
    mixed ^ (mixed >> 16)
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
#[must_use]
pub fn seed_words(seed: u64) -> [u64; 4] {
    let low = (seed & 0xffff_ffff) as u32;
    let high = (seed >> 32) as u32;
    // A seed of one word leaves the second place of the pool as zero does.
    let entropy = [low, high, 0, 0];
    let mut hash = Hash {
        constant: 0x43b0_d7e5,
        factor: 0x931e_8875,
    };
    let mut pool = entropy.map(|word| hash.word(word));
    for from in 0..POOL {
        for to in (0..POOL).filter(|to| *to != from) {
            pool[to] = mix(pool[to], hash.word(pool[from]));
        }
    }
    let mut hash = Hash {
        constant: 0x8b51_f9dd,
        factor: 0x58f3_8ded,
    };
    let mut half = |i: usize| u64::from(hash.word(pool[i % POOL]));
    let mut words = [0; 4];
    for (i, word) in words.iter_mut().enumerate() {
        let low = half(2 * i);
        *word = low | half(2 * i + 1) << 32;
    }
    words
}

/// numpy's `Generator` over PCG64.
#[derive(Clone, Debug)]
pub struct Generator {
    state: u128,
    increment: u128,
    /// The upper half of a number whose lower half was taken as 32 bits.
    half: Option<u32>,
}

impl Generator {
    /// `numpy.random.default_rng(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_words(seed);
        let pair = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut generator = Self {
            state: 0,
            increment: pair(c, d) << 1 | 1,
            half: None,
        };
        generator.step();
        generator.state = generator.state.wrapping_add(pair(a, b));
        generator.step();
        generator
    }

    fn step(&mut self) {
        let moved = self.state.wrapping_mul(MULTIPLIER);
        self.state = moved.wrapping_add(self.increment);
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// The next 32 bits: each number serves twice.
    fn half_bits(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let bits = self.bits();
        self.half = Some((bits >> 32) as u32);
        bits as u32
    }

    /// `random()`: uniform in [0, 1).
    pub fn random(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2_f64.powi(-53)
    }

    /// `normal(mean, deviation)`.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        mean + deviation * standard_normal(self)
    }

    /// `integers(low, high)` of the default type: from `low` to `high − 1`.
    ///
    /// A range without a number in it is taken as that of `low` alone.
    pub fn integers(&mut self, low: i64, high: i64) -> i64 {
        let last = (high.wrapping_sub(1)).wrapping_sub(low) as u64;
        if high <= low || last == 0 {
            return low;
        }
        let drawn = match u32::try_from(last) {
            Ok(u32::MAX) => u64::from(self.half_bits()),
            Ok(last) => self.within_32(last),
            Err(_) => self.within_64(last),
        };
        low.wrapping_add(drawn as i64)
    }

    fn within_32(&mut self, last: u32) -> u64 {
        let count = u64::from(last) + 1;
        let mut product = u64::from(self.half_bits()) * count;
        if u64::from(product as u32) < count {
            let rest = u64::from(u32::MAX - last) % count;
            while u64::from(product as u32) < rest {
                product = u64::from(self.half_bits()) * count;
            }
        }
        product >> 32
    }

    fn within_64(&mut self, last: u64) -> u64 {
        let Some(count) = last.checked_add(1).map(u128::from) else {
            return self.bits();
        };
        let mut product = u128::from(self.bits()) * count;
        if u128::from(product as u64) < count {
            let rest = u128::from(u64::MAX - last) % count;
            while u128::from(product as u64) < rest {
                product = u128::from(self.bits()) * count;
            }
        }
        (product >> 64) as u64
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.half_bits())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
