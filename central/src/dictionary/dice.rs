//! Numbers by chance, from a seed that the caller drew.

/// A source of numbers that nobody can foresee without the seed.
pub struct Dice(blake3::OutputReader);

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice")
    }
}

impl Dice {
    /// Begins with a seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(&seed).finalize_xof())
    }

    /// Draws bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut drawn = [0; N];
        self.0.fill(&mut drawn);
        drawn
    }

    /// Draws a number below `bound`, which must not be 0. Its bias is a millionth: this masks, and
    /// guards no key.
    pub fn below(&mut self, bound: u32) -> u32 {
        let drawn = u64::from_le_bytes(self.bytes());
        u32::try_from(drawn % u64::from(bound.max(1))).unwrap_or_default()
    }
}
