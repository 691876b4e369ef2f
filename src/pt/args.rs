//! The three places where a parent and a transport exchange `key=value` pairs.
//!
//! In: the RFC 1929 fields of a SOCKS greeting (pt-spec 3.5), or `TOR_PT_SERVER_TRANSPORT_OPTIONS`
//! (pt-spec 3.2.3). Out: [`Args`], and the `ARGS:` word of an `SMETHOD` line (pt-spec 3.3.3). The
//! grammars are goptlib's, on bytes: a bridge line need not be UTF-8. Errors name the item by its
//! place and never quote it, because keys and certificates are secrets.

use std::fmt;

/// Arguments in the order they were given. A key may occur several times; the first one counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Args(Vec<(Vec<u8>, Vec<u8>)>);

impl Args {
    /// No arguments.
    pub fn new() -> Self {
        Args::default()
    }

    /// The first value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(k, v)| (k.as_slice(), v.as_slice()))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a pair at the end; it does not replace an earlier one of the same key.
    pub fn push(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((key.into(), value.into()));
    }
}

/// Keys only: values are secrets.
impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.iter().map(|(k, _)| String::from_utf8_lossy(k));
        f.debug_list().entries(keys).finish()
    }
}

/// Why arguments do not parse, with the place of the item, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// An item without `=`; an empty item, and so a `;` at either end, is one of these.
    #[error("item {0} has no equals sign")]
    NoEquals(usize),
    /// `=value`.
    #[error("item {0} has an empty key")]
    EmptyKey(usize),
    /// Server options only: nothing says which transport the item is for.
    #[error("item {0} has no colon after the transport's name")]
    NoColon(usize),
    /// Server options only: `:key=value`.
    #[error("item {0} has an empty transport name")]
    EmptyName(usize),
    /// A backslash with nothing behind it.
    #[error("item {0} ends in a lone backslash")]
    DanglingEscape(usize),
    /// `SMETHOD` arguments only: a byte that no escape can bring through the line.
    #[error("item {0} holds a byte that an SMETHOD line cannot carry")]
    Unprintable(usize),
}

/// Parses a client's arguments, `key=value;key=value` with `\` before any byte that is meant literally.
///
/// A `=` inside a value needs no backslash (tor writes none). No bytes at all are no arguments.
pub fn parse_client(bytes: &[u8]) -> Result<Args, ArgsError> {
    let mut args = Args::new();
    for item in items(bytes) {
        let (key, value) = item?.pair()?;
        args.push(key, value);
    }
    Ok(args)
}

/// Parses `TOR_PT_SERVER_TRANSPORT_OPTIONS`, `name:key=value;name:key=value`.
///
/// Transports are in the order of their first item, each with all its arguments.
pub fn parse_server_options(text: &[u8]) -> Result<Vec<(String, Args)>, ArgsError> {
    let mut options: Vec<(String, Args)> = Vec::new();
    for item in items(text) {
        let mut item = item?;
        let name = item.take_name()?;
        let (key, value) = item.pair()?;
        if name.is_empty() {
            return Err(ArgsError::EmptyName(item.place));
        }
        // A name that is not UTF-8 is no transport's name, so it cannot be taken for another one.
        let name = String::from_utf8_lossy(&name).into_owned();
        match options.iter_mut().find(|(n, _)| *n == name) {
            Some((_, args)) => args.push(key, value),
            None => options.push((name, Args(vec![(key, value)]))),
        }
    }
    Ok(options)
}

/// Writes the value of `ARGS:` in an `SMETHOD` line, `key=value,key=value`, sorted by key.
///
/// Fails on what the line cannot hold whatever is escaped: white space, control bytes and non-ASCII.
/// A transport does well to use no `,`, `=` or `\` either: tor copies the escapes into bridge lines.
pub fn encode_smethod(args: &Args) -> Result<String, ArgsError> {
    let mut pairs: Vec<_> = args.iter().enumerate().collect();
    pairs.sort_by_key(|(_, (key, _))| *key);
    let mut text = String::new();
    for (index, (key, value)) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        escape_into(&mut text, key).ok_or(ArgsError::Unprintable(index + 1))?;
        text.push('=');
        escape_into(&mut text, value).ok_or(ArgsError::Unprintable(index + 1))?;
    }
    Ok(text)
}

fn escape_into(text: &mut String, bytes: &[u8]) -> Option<()> {
    for &byte in bytes {
        if !byte.is_ascii_graphic() {
            return None;
        }
        if matches!(byte, b'\\' | b'=' | b',') {
            text.push('\\');
        }
        text.push(char::from(byte));
    }
    Some(())
}

/// One `;`-separated item, still escaped.
struct Item<'a> {
    rest: &'a [u8],
    place: usize,
}

/// Splits at unescaped `;`. An empty text has no items; otherwise every `;` stands between two.
fn items(text: &[u8]) -> impl Iterator<Item = Result<Item<'_>, ArgsError>> {
    let mut rest = (!text.is_empty()).then_some(text);
    let mut place = 0;
    std::iter::from_fn(move || {
        let now = rest.take()?;
        place += 1;
        let Some(end) = find_unescaped(now, b";") else {
            return Some(Err(ArgsError::DanglingEscape(place)));
        };
        rest = now.get(end + 1..);
        let rest = &now[..end];
        Some(Ok(Item { rest, place }))
    })
}

impl Item<'_> {
    fn take_name(&mut self) -> Result<Vec<u8>, ArgsError> {
        self.take(b":=", b':').ok_or(ArgsError::NoColon(self.place))
    }

    fn pair(&mut self) -> Result<(Vec<u8>, Vec<u8>), ArgsError> {
        let key = self
            .take(b"=", b'=')
            .ok_or(ArgsError::NoEquals(self.place))?;
        if key.is_empty() {
            return Err(ArgsError::EmptyKey(self.place));
        }
        Ok((key, unescape(self.rest)))
    }

    /// Takes what stands before the first unescaped byte of `stops`, if that byte is `wanted`.
    fn take(&mut self, stops: &[u8], wanted: u8) -> Option<Vec<u8>> {
        let end = find_unescaped(self.rest, stops)?;
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(&[wanted])?;
        Some(unescape(taken))
    }
}

/// Where the first unescaped byte of `stops` is, or the length; nothing if the text ends in an escape.
fn find_unescaped(text: &[u8], stops: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if stops.contains(&byte) {
            return Some(at);
        }
        at += if byte == b'\\' { 2 } else { 1 };
    }
    (at == text.len()).then_some(at)
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut escaped = false;
    for &byte in text {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            bytes.push(byte);
            escaped = false;
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
