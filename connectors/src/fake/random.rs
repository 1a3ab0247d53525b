//! Random numbers and letters, many at a time.

use fastrand::Rng;

const LETTERS: usize = 52;
const PAIRS: usize = LETTERS * LETTERS;

/// Every pair of ASCII letters.
static PAIR_TABLE: [[u8; 2]; PAIRS] = pair_table();

const fn pair_table() -> [[u8; 2]; PAIRS] {
    let mut table = [[0; 2]; PAIRS];
    let mut index = 0;
    while index < PAIRS {
        table[index] = [letter(index / LETTERS), letter(index % LETTERS)];
        index += 1;
    }
    table
}

const fn letter(index: usize) -> u8 {
    if index < 26 { b'A' + index as u8 } else { b'a' + (index - 26) as u8 }
}

/// Fills with ASCII letters, each drawn anew.
///
/// Eight letters come of one draw of 64 bits, read as a fraction in base 2704 (a pair of letters a digit). Of the
/// 2^64 draws, each of the 52^8 = 2.1e14 possible results gets 86 or 87 thousand: probabilities are off by less than
/// one part in 86,000, and by far less for each letter on its own.
pub(super) fn fill_letters(random: &mut Rng, out: &mut [u8]) {
    for chunk in out.chunks_mut(8) {
        let mut fraction = random.u64(..);
        for pair in chunk.chunks_mut(2) {
            let product = u128::from(fraction) * PAIRS as u128;
            let letters = &PAIR_TABLE[(product >> 64) as usize];
            pair.copy_from_slice(&letters[..pair.len()]);
            fraction = product as u64;
        }
    }
}

/// Whole numbers from `min` up to and without `max`; `min` alone where both are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Whole {
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Whole {
    /// Draws without a bias.
    pub(super) fn draw(self, random: &mut Rng) -> i64 {
        // As 64 bits without a sign the distance always fits.
        let range = self.max.wrapping_sub(self.min) as u64;
        if range == 0 { self.min } else { self.min.wrapping_add(random.u64(..range) as i64) }
    }
}

/// Numbers from `min` up to and without `max`; `min` alone where both are the same. With `digits`, rounded to so many
/// behind the point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Real {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) digits: Option<i32>,
}

impl Real {
    pub(super) fn draw_double(self, random: &mut Rng) -> f64 {
        let share = random.f64();
        // Weighted, not `min + range * share`: the range may be larger than the largest double.
        let number = self.min * (1.0 - share) + self.max * share;
        let number = if number >= self.max && self.max > self.min { self.max.next_down() } else { number };
        self.rounded(number)
    }

    pub(super) fn draw_float(self, random: &mut Rng) -> f32 {
        let number = Self { digits: None, ..self }.draw_double(random) as f32;
        let max = self.max as f32;
        let number = if number >= max && max > self.min as f32 { max.next_down() } else { number };
        self.rounded(f64::from(number)) as f32
    }

    fn rounded(self, number: f64) -> f64 {
        let Some(digits) = self.digits else { return number };
        let factor = 10f64.powi(digits);
        let rounded = (number * factor).round() / factor;
        // Huge numbers have no digits behind the point to round.
        if rounded.is_finite() { rounded } else { number }
    }
}

/// An unscaled decimal of up to `precision` digits, all equally likely.
pub(super) fn decimal(random: &mut Rng, precision: u8) -> i128 {
    // 10^18 is the largest power of ten whose numbers a 64-bit draw gives.
    const CHUNK: u8 = 18;
    let mut number = 0;
    let mut digits = precision;
    while digits > 0 {
        let chunk = digits.min(CHUNK);
        let power = 10u64.pow(u32::from(chunk));
        number = number * i128::from(power) + i128::from(random.u64(..power));
        digits -= chunk;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_all_drawn_about_equally_often() {
        let mut random = Rng::with_seed(7);
        let mut letters = vec![0; 520_000];
        fill_letters(&mut random, &mut letters);
        let mut counts = [0u32; 256];
        letters.iter().for_each(|letter| counts[usize::from(*letter)] += 1);
        for letter in (b'a'..=b'z').chain(b'A'..=b'Z') {
            // 10,000 expected of each, with a standard deviation of 99.
            assert!((9_400..10_600).contains(&counts[usize::from(letter)]), "{letter}");
        }
        assert_eq!(counts.iter().sum::<u32>(), 520_000);
    }

    #[test]
    fn every_place_of_a_draw_varies_by_itself() {
        let mut random = Rng::with_seed(8);
        let mut letters = vec![0; 8 * 20_000];
        fill_letters(&mut random, &mut letters);
        for place in 0..8 {
            let seen: std::collections::HashSet<u8> = letters.iter().skip(place).step_by(8).copied().collect();
            assert_eq!(seen.len(), LETTERS, "place {place}");
        }
        let words: std::collections::HashSet<&[u8]> = letters.chunks(8).collect();
        assert_eq!(words.len(), 20_000);
    }

    #[test]
    fn odd_lengths_are_filled_to_the_end() {
        for length in 0..20 {
            let mut letters = vec![0; length];
            fill_letters(&mut Rng::with_seed(9), &mut letters);
            assert!(letters.iter().all(u8::is_ascii_alphabetic), "{length}");
        }
    }

    #[test]
    fn bounds_hold_and_the_upper_one_is_never_drawn() {
        let mut random = Rng::with_seed(10);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            seen.insert(Whole { min: -2, max: 3 }.draw(&mut random));
            let whole = Whole { min: i64::MIN, max: i64::MAX }.draw(&mut random);
            assert!(whole < i64::MAX);
            let double = Real { min: -f64::MAX, max: f64::MAX, digits: None }.draw_double(&mut random);
            assert!(double.is_finite() && double < f64::MAX);
            let float = Real { min: 40.0, max: 43.0, digits: None }.draw_float(&mut random);
            assert!((40.0..43.0).contains(&float));
            let digits = Real { min: 0.0, max: 100.0, digits: Some(2) }.draw_double(&mut random) * 100.0;
            assert!((digits - digits.round()).abs() < 1e-6);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
        assert_eq!(Whole { min: 5, max: 5 }.draw(&mut random), 5);
    }

    #[test]
    fn decimals_use_all_their_digits() {
        let mut random = Rng::with_seed(11);
        for precision in [1, 18, 19, 37, 38] {
            let limit = 10i128.pow(u32::from(precision));
            let largest = (0..200).map(|_| decimal(&mut random, precision)).max().expect("numbers");
            assert!(largest < limit && largest >= limit / 2, "{precision}");
        }
    }
}
