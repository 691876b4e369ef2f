//! Just enough JSON for a module's configuration, which is one object.
//!
//! In: the bytes of the file. Out: the values of its keys, found without allocating; the text is
//! checked as a whole first, so that a broken file never half-works. Where a key is repeated the
//! first one counts. What can go wrong: [`Malformed`].

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
}

impl<'a> Text<'a> {
    /// Whether it says `other`.
    #[must_use]
    pub fn is(self, other: &str) -> bool {
        self.bytes().eq(other.bytes())
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
mod tests {
    use super::*;

    fn text_of(json: &str, key: &str) -> Option<String> {
        match Object::parse(json.as_bytes()).expect(json).get(key)? {
            Value::Text(text) => {
                Some(String::from_utf8_lossy(&text.bytes().collect::<Vec<_>>()).into())
            }
            _ => None,
        }
    }

    #[test]
    fn finds_a_string_wherever_it_stands() {
        assert_eq!(text_of(r#"{"key":"a"}"#, "key").as_deref(), Some("a"));
        assert_eq!(
            text_of(
                " {\n\"x\" : [1, {\"key\":\"no\"}, \"key\"] , \"key\"\t:\"yes\" } ",
                "key"
            )
            .as_deref(),
            Some("yes")
        );
        assert_eq!(
            text_of(r#"{"key":"first","key":"second"}"#, "key").as_deref(),
            Some("first")
        );
        assert_eq!(text_of(r#"{"k\u0065y":"e"}"#, "key").as_deref(), Some("e"));
        assert_eq!(text_of("{}", "key"), None);
        assert_eq!(text_of(r#"{"a":"key"}"#, "key"), None);
        assert_eq!(text_of(r#"{"key":1}"#, "key"), None);
    }

    #[test]
    fn resolves_escapes() {
        let json = r#"{"key":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\ud83d\u0041é"}"#;
        assert_eq!(
            text_of(json, "key").as_deref(),
            Some("\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}x\u{fffd}A\u{e9}")
        );
    }

    #[test]
    fn knows_the_other_values() {
        let json = br#"{"n":null,"t":true,"f":false,"d":-1.5e+3,"a":[ ],"o":{"p":0}}"#;
        let object = Object::parse(json).expect("valid");
        assert!(matches!(object.get("n"), Some(Value::Null)));
        assert!(matches!(object.get("t"), Some(Value::Bool(true))));
        assert!(matches!(object.get("f"), Some(Value::Bool(false))));
        assert!(matches!(object.get("d"), Some(Value::Number(b"-1.5e+3"))));
        assert!(matches!(object.get("a"), Some(Value::Array(b"[ ]"))));
        let Some(Value::Object(inner)) = object.get("o") else {
            panic!("an object");
        };
        assert!(matches!(inner.get("p"), Some(Value::Number(b"0"))));
    }

    #[test]
    fn refuses_what_is_not_an_object() {
        let bad: [&[u8]; 24] = [
            b"",
            b" ",
            b"[]",
            b"\"x\"",
            b"1",
            b"{",
            b"}",
            b"{}x",
            b"{,}",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{\"a\":1,}",
            b"{\"a\" 1}",
            b"{a:1}",
            b"{\"a\":01}",
            b"{\"a\":1.}",
            b"{\"a\":-}",
            b"{\"a\":tru}",
            b"{\"a\":\"\\x\"}",
            b"{\"a\":\"\\u12g4\"}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"x}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\u00",
        ];
        for text in bad {
            assert!(Object::parse(text).is_err(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(Object::parse(nested(32).as_bytes()).is_ok());
        assert_eq!(Object::parse(nested(33).as_bytes()).err(), Some(Malformed));
        assert!(Object::parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn every_cut_of_a_valid_text_is_refused() {
        let json = br#"{"a":[1,2.5e1,true,null,"\u00e9\\"],"b":{"c":"d"}}"#;
        for end in 0..json.len() {
            assert!(Object::parse(&json[..end]).is_err(), "cut at {end}");
        }
    }
}
