//! A text of bounded length, for a core that does not allocate.
//!
//! In: pieces. Out: the bytes so far. What does not fit is cut off, so the bounds are chosen, and tested, to suffice.
//! A text may hold a private key: it is wiped on drop.

use zeroize::Zeroize;

/// A text of at most `N` bytes.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// A text that begins as `start`.
    pub(crate) fn new(start: &[u8]) -> Text<N> {
        let mut text = Text {
            bytes: [0; N],
            len: 0,
        };
        text.push(start);
        text
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn push(&mut self, more: &[u8]) -> &mut Text<N> {
        for (place, byte) in self.bytes[self.len..].iter_mut().zip(more) {
            *place = *byte;
            self.len += 1;
        }
        self
    }

    pub(crate) fn push_hex(&mut self, bytes: &[u8]) -> &mut Text<N> {
        for byte in bytes {
            self.push(&crate::hex::encode(*byte));
        }
        self
    }

    pub(crate) fn push_number(&mut self, number: usize) -> &mut Text<N> {
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = number;
        while first == digits.len() || rest > 0 {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.push(&digits[first..])
    }
}

impl<const N: usize> Drop for Text<N> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, 10, 68, 1_448, usize::MAX] {
            let mut text = Text::<20>::new(b"");
            text.push_number(number);
            assert_eq!(text.as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut text = Text::<4>::new(b"ab");
        text.push_hex(&[0xcd, 0xef]).push(b"x");
        assert_eq!(text.as_bytes(), b"abcd");
    }
}
