//! Pauses of many processes that want the same.

use std::time::Duration;

/// Pauses that grow, and differ from process to process, so that two that collided do not collide again.
#[derive(Debug)]
pub(super) struct Jitter(u64, u32);

impl Jitter {
    pub(super) fn new() -> Self {
        Self(u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, 0)
    }

    pub(super) fn wait(&mut self) {
        // xorshift64 (Marsaglia 2003); nothing here needs better numbers.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.1 = (self.1 + 1).min(6);
        std::thread::sleep(Duration::from_micros(200 + self.0 % (500 << self.1)));
    }
}
