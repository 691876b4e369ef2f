//! Just enough JSON for a module's configuration, which is one object.
//!
//! In: the bytes of the file. Out: the values of its keys, found without allocating; the text is
//! checked as a whole first, so that a broken file never half-works. [`Object::get`] takes the first
//! of a repeated key; [`Object::entries`] shows them all. What can go wrong: [`Malformed`].
#![cfg_attr(not(test), no_std)]

/// The text is not one JSON object, or nests deeper than 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// A checked JSON object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(&'a [u8]);

/// A value of an [`Object`].
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(&'a [u8]),
    /// A string.
    Text(Text<'a>),
    /// An array, brackets included.
    Array(&'a [u8]),
    /// An object.
    Object(Object<'a>),
}

/// A JSON string, escapes not yet resolved.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(&'a [u8]);

const MAX_DEPTH: usize = 32;

impl<'a> Object<'a> {
    /// Checks a whole text.
    pub fn parse(text: &'a [u8]) -> Result<Object<'a>, Malformed> {
        let mut scan = Scan { text, at: 0 };
        scan.space();
        let start = scan.at;
        if scan.peek() != Some(b'{') {
            return Err(Malformed);
        }
        scan.value(0)?;
        let end = scan.at;
        scan.space();
        if scan.at != text.len() {
            return Err(Malformed);
        }
        Ok(Object(&text[start..end]))
    }

    /// The value of `key`, if it is there.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        // Not by way of entries(): that makes a module a tenth larger.
        let mut scan = Scan {
            text: self.0,
            at: 1,
        };
        loop {
            scan.space();
            let name = scan.text().ok()?;
            scan.space();
            scan.expect(b':').ok()?;
            scan.space();
            let value = scan.value(1).ok()?;
            if name.is(key) {
                return Some(value);
            }
            scan.space();
            scan.expect(b',').ok()?;
        }
    }

    /// Its keys and values, in the order of the text.
    #[must_use]
    pub fn entries(self) -> Entries<'a> {
        Entries(Scan {
            text: self.0,
            at: 1,
        })
    }
}

/// The keys and values of an [`Object`].
#[derive(Clone, Debug)]
pub struct Entries<'a>(Scan<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (Text<'a>, Value<'a>);

    fn next(&mut self) -> Option<(Text<'a>, Value<'a>)> {
        let scan = &mut self.0;
        scan.space();
        if scan.peek() == Some(b',') {
            scan.at += 1;
            scan.space();
        }
        let name = scan.text().ok()?;
        scan.space();
        scan.expect(b':').ok()?;
        scan.space();
        let value = scan.value(1).ok()?;
        Some((name, value))
    }
}

impl<'a> Text<'a> {
    /// Whether it says `other`.
    #[must_use]
    pub fn is(self, other: &str) -> bool {
        self.bytes().eq(other.bytes())
    }

    /// As it was written, escapes and all.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    /// Its bytes in UTF-8, escapes resolved. Half of a surrogate pair becomes U+FFFD.
    #[must_use]
    pub fn bytes(self) -> Bytes<'a> {
        Bytes {
            rest: self.0,
            encoded: [0; 4],
            at: 0,
            len: 0,
        }
    }
}

/// The bytes of a [`Text`].
#[derive(Clone, Debug)]
pub struct Bytes<'a> {
    rest: &'a [u8],
    encoded: [u8; 4],
    at: usize,
    len: usize,
}

impl Bytes<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn hex4(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        let value = four_digits(digits)?;
        self.rest = rest;
        Some(value)
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        let before = self.rest;
        if self.take() == Some(b'\\')
            && self.take() == Some(b'u')
            && let Some(second @ 0xdc00..0xe000) = self.hex4()
        {
            return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        }
        self.rest = before;
        None
    }
}

impl Iterator for Bytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.at < self.len {
            self.at += 1;
            return Some(self.encoded[self.at - 1]);
        }
        let byte = self.take()?;
        if byte != b'\\' {
            return Some(byte);
        }
        Some(match self.take()? {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let char = self.unicode().unwrap_or(char::REPLACEMENT_CHARACTER);
                self.len = char.encode_utf8(&mut self.encoded).len();
                self.at = 1;
                self.encoded[0]
            }
            plain => plain,
        })
    }
}

fn four_digits(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

#[derive(Clone, Debug)]
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.at]
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        let start = self.at;
        match self.peek().ok_or(Malformed)? {
            b'{' => {
                self.sequence(b'}', |scan| {
                    scan.text()?;
                    scan.space();
                    scan.expect(b':')?;
                    scan.space();
                    scan.value(depth + 1).map(drop)
                })?;
                Ok(Value::Object(Object(self.since(start))))
            }
            b'[' => {
                self.sequence(b']', |scan| scan.value(depth + 1).map(drop))?;
                Ok(Value::Array(self.since(start)))
            }
            b'"' => self.text().map(Value::Text),
            b't' => self.word(b"true").map(|()| Value::Bool(true)),
            b'f' => self.word(b"false").map(|()| Value::Bool(false)),
            b'n' => self.word(b"null").map(|()| Value::Null),
            _ => self.number().map(Value::Number),
        }
    }

    /// From the opening bracket to the closing one, elements parted by commas.
    fn sequence(
        &mut self,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.at += 1;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            element(self)?;
            self.space();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn text(&mut self) -> Result<Text<'a>, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..0x20 => return Err(Malformed),
                _ => self.at += 1,
            }
        }
        let inside = self.since(start);
        self.at += 1;
        if core::str::from_utf8(inside).is_err() {
            return Err(Malformed);
        }
        Ok(Text(inside))
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        let letter = self.peek().ok_or(Malformed)?;
        self.at += 1;
        match letter {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.text[self.at..].first_chunk().ok_or(Malformed)?;
                four_digits(digits).ok_or(Malformed)?;
                self.at += 4;
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(Malformed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
