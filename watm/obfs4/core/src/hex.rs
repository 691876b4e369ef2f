//! Base 16, as bridge lines, options and the state file write it.
//!
//! In: digits of either case, one by one. Out: bytes; and lower-case digits the other way. What can go wrong: [`Flaw`],
//! which says how many digits there were. Private keys pass through here, so no branch and no table depends on a digit.

use crate::fault::Flaw;

/// What `digits` stand for: 2 × N of them, or more where `longer` allows it (what is beyond is checked and dropped).
pub(crate) fn decode<const N: usize>(
    digits: impl Iterator<Item = u8>,
    longer: bool,
) -> Result<[u8; N], Flaw> {
    let mut bytes = [0; N];
    let mut count = 0;
    let mut flawed = 0;
    for digit in digits {
        let (value, bad) = nibble(digit);
        flawed |= bad;
        if let Some(byte) = bytes.get_mut(count / 2) {
            *byte = *byte << 4 | value;
        }
        count += 1;
    }
    if flawed != 0 {
        return Err(Flaw::NotHex { digits: 2 * N });
    }
    if count == 2 * N || longer && count > 2 * N && count.is_multiple_of(2) {
        return Ok(bytes);
    }
    Err(Flaw::HexLength {
        found: count,
        digits: 2 * N,
    })
}

/// The two digits of a byte.
pub(crate) fn encode(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| {
        // '0' + n, and 39 more (the way from '9' to 'a') from ten on.
        let above_nine = (9u8.wrapping_sub(nibble)) >> 7;
        b'0' + nibble + above_nine * 39
    };
    [digit(byte >> 4), digit(byte & 15)]
}

/// The value of a digit, and whether (1) it is none.
fn nibble(digit: u8) -> (u8, u8) {
    let upper = u16::from(digit);
    let lower = u16::from(digit | 0x20);
    let decimal = within(upper, b'0', b'9');
    let letter = within(lower, b'a', b'f');
    let value = (digit.wrapping_sub(b'0') & decimal.wrapping_neg())
        | ((digit | 0x20).wrapping_sub(b'a' - 10) & letter.wrapping_neg());
    (value, 1 ^ (decimal | letter))
}

/// 1 if `value` lies between the two, both included.
fn within(value: u16, first: u8, last: u8) -> u8 {
    let below = value.wrapping_sub(u16::from(first)) >> 15;
    let above = u16::from(last).wrapping_sub(value) >> 15;
    1 ^ (below | above) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_there_and_back() {
        for byte in 0..=255u8 {
            let digits = encode(byte);
            assert_eq!(&digits[..], format!("{byte:02x}").as_bytes());
            assert_eq!(decode::<1>(digits.into_iter(), false), Ok([byte]));
            let upper = digits.map(|digit| digit.to_ascii_uppercase());
            assert_eq!(decode::<1>(upper.into_iter(), false), Ok([byte]));
        }
    }

    #[test]
    fn every_character_is_a_digit_or_a_flaw() {
        for character in 0..=255u8 {
            let expected = char::from(character)
                .to_digit(16)
                .map(|value| [value as u8])
                .ok_or(Flaw::NotHex { digits: 2 });
            assert_eq!(decode::<1>([b'0', character].into_iter(), false), expected);
        }
    }

    #[test]
    fn the_count_of_digits_is_told() {
        let length = |found| Err(Flaw::HexLength { found, digits: 4 });
        assert_eq!(decode::<2>(b"".iter().copied(), false), length(0));
        assert_eq!(decode::<2>(b"abc".iter().copied(), false), length(3));
        assert_eq!(decode::<2>(b"abcdef".iter().copied(), false), length(6));
        assert_eq!(
            decode::<2>(b"abcdef".iter().copied(), true),
            Ok([0xab, 0xcd])
        );
        assert_eq!(decode::<2>(b"abcde".iter().copied(), true), length(5));
        assert_eq!(
            decode::<2>(b"abcdeg".iter().copied(), true),
            Err(Flaw::NotHex { digits: 4 })
        );
    }
}
