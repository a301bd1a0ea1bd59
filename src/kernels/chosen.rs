//! Which of eight lanes of 16 bits come first: those of a set.

/// Lanes of a register.
pub(super) const LANES: usize = 8;

/// For every set of lanes, what to shuffle bytes by: the lanes of the set, ascending, and then the last
/// of them again and again.
pub(super) static CHOSEN: [[u8; 2 * LANES]; 256] = chosen();

const fn chosen() -> [[u8; 2 * LANES]; 256] {
    let mut table = [[0; 2 * LANES]; 256];
    let mut set = 0usize;
    while set < 256 {
        let (mut left, mut lane, mut n) = (set, 0, 0);
        while n < LANES {
            if left != 0 {
                lane = left.trailing_zeros() as u8;
                left &= left - 1;
            }
            table[set][2 * n] = 2 * lane;
            table[set][2 * n + 1] = 2 * lane + 1;
            n += 1;
        }
        set += 1;
    }
    table
}
