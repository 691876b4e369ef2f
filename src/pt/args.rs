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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn args(pairs: &[(&str, &str)]) -> Args {
        let mut args = Args::new();
        for (k, v) in pairs {
            args.push(*k, *v);
        }
        args
    }

    #[test]
    fn client_arguments() {
        let good: &[(&[u8], &[(&str, &str)])] = &[
            (b"", &[]),
            (b"key=", &[("key", "")]),
            (b"key==", &[("key", "=")]),
            (b"key=value", &[("key", "value")]),
            (b"a=b=c", &[("a", "b=c")]),
            (b"a=b:c;d=e", &[("a", "b:c"), ("d", "e")]),
            (b"key=a\nb", &[("key", "a\nb")]),
            (b"key=value\\;", &[("key", "value;")]),
            (b"key=\"value\"", &[("key", "\"value\"")]),
            (b"key=\"\"value\"\"", &[("key", "\"\"value\"\"")]),
            (b"\"key=value\"", &[("\"key", "value\"")]),
            (
                b"key=value;key=value",
                &[("key", "value"), ("key", "value")],
            ),
            (b"ke\\=y=v\\x", &[("ke=y", "vx")]),
            (b"cert=ab\\;c\\\\d=e=f", &[("cert", "ab;c\\d=e=f")]),
            (b"k\\;1=\\=v;k2=\\\\", &[("k;1", "=v"), ("k2", "\\")]),
        ];
        for (text, pairs) in good {
            assert_eq!(
                parse_client(text),
                Ok(args(pairs)),
                "{}",
                text.escape_ascii()
            );
        }
        let bad: &[(&[u8], ArgsError)] = &[
            (b"key", ArgsError::NoEquals(1)),
            (b"key\\=value", ArgsError::NoEquals(1)),
            (b"=value", ArgsError::EmptyKey(1)),
            (b"=", ArgsError::EmptyKey(1)),
            (b"==value", ArgsError::EmptyKey(1)),
            (b";key=value", ArgsError::NoEquals(1)),
            (b"key=value;", ArgsError::NoEquals(2)),
            (b"key=value;=v", ArgsError::EmptyKey(2)),
            (b"a=1;;b=2", ArgsError::NoEquals(2)),
            (b"a=1;b", ArgsError::NoEquals(2)),
            (b"key=value\\", ArgsError::DanglingEscape(1)),
            (b"a=1;key\\", ArgsError::DanglingEscape(2)),
            (b";", ArgsError::NoEquals(1)),
            (b"\\", ArgsError::DanglingEscape(1)),
        ];
        for (text, error) in bad {
            assert_eq!(parse_client(text), Err(*error), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn the_first_value_of_a_key_counts_and_all_are_kept() {
        let args = parse_client(b"a=1;b=2;a=3").unwrap();
        assert_eq!(args.get(b"a"), Some(&b"1"[..]));
        assert_eq!(args.get(b"c"), None);
        assert_eq!(args.len(), 3);
    }

    #[test]
    fn arguments_need_not_be_utf8() {
        let args = parse_client(b"k\xff=\xfe").unwrap();
        assert_eq!(args.get(b"k\xff"), Some(&b"\xfe"[..]));
    }

    #[test]
    fn a_value_is_never_printed() {
        let args = parse_client(b"cert=secret").unwrap();
        assert_eq!(format!("{args:?}"), r#"["cert"]"#);
    }

    #[test]
    fn server_options() {
        let parsed =
            parse_server_options(b"fake:a=b\\;c\\:d\\\\e;fake:f=g=h;trebuchet:secret=nou").unwrap();
        assert_eq!(
            parsed,
            [
                ("fake".to_owned(), args(&[("a", "b;c:d\\e"), ("f", "g=h")])),
                ("trebuchet".to_owned(), args(&[("secret", "nou")])),
            ]
        );
        assert_eq!(parse_server_options(b"").unwrap(), []);
        assert_eq!(
            parse_server_options(b"t:k:1=v:2").unwrap(),
            [("t".to_owned(), args(&[("k:1", "v:2")]))]
        );
        assert_eq!(
            parse_server_options(b"t\\:\\=:k=v").unwrap(),
            [("t:=".to_owned(), args(&[("k", "v")]))]
        );
        let bad: &[(&[u8], ArgsError)] = &[
            (b"t", ArgsError::NoColon(1)),
            (b";", ArgsError::NoColon(1)),
            (b"t=a:b", ArgsError::NoColon(1)),
            (b"t:k", ArgsError::NoEquals(1)),
            (b"t:=v", ArgsError::EmptyKey(1)),
            (b":k=v", ArgsError::EmptyName(1)),
            (b"t:k=v;", ArgsError::NoColon(2)),
            (b";t:k=v", ArgsError::NoColon(1)),
            (b"t:k=v;;t:k=v", ArgsError::NoColon(2)),
            (b"t:k=v\\", ArgsError::DanglingEscape(1)),
            (b"t:k=v;k2=v2", ArgsError::NoColon(2)),
        ];
        for (text, error) in bad {
            assert_eq!(
                parse_server_options(text),
                Err(*error),
                "{}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn smethod_arguments_are_sorted_and_escaped() {
        let text = encode_smethod(&args(&[
            ("z", "1"),
            ("cert", "a,b=c\\d"),
            ("a=", "second"),
            ("a=", "first"),
        ]));
        assert_eq!(
            text.unwrap(),
            "a\\==second,a\\==first,cert=a\\,b\\=c\\\\d,z=1"
        );
        assert_eq!(encode_smethod(&Args::new()).unwrap(), "");
        for bad in ["a b", "a\nb", "\0", "é", "\t"] {
            let pairs = args(&[("ok", "1"), ("k", bad)]);
            assert_eq!(encode_smethod(&pairs), Err(ArgsError::Unprintable(2)));
        }
    }

    fn escaped(bytes: &[u8], special: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        for &b in bytes {
            if special.contains(&b) {
                text.push(b'\\');
            }
            text.push(b);
        }
        text
    }

    fn any_pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\\=;:,a".to_vec())];
        let key = prop::collection::vec(byte.clone(), 1..6);
        let value = prop::collection::vec(byte, 0..6);
        prop::collection::vec((key, value), 1..5)
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(text in prop::collection::vec(prop_oneof![
            any::<u8>(), prop::sample::select(b"\\=;:,a".to_vec())], 0..40)) {
            if let Ok(args) = parse_client(&text) {
                let size: usize = args.iter().map(|(k, v)| k.len() + v.len()).sum();
                prop_assert!(size <= text.len());
                prop_assert!(args.iter().all(|(k, _)| !k.is_empty()));
            }
            let _ = parse_server_options(&text);
        }

        #[test]
        fn what_is_escaped_comes_back(pairs in any_pairs()) {
            let client: Vec<_> = pairs.iter()
                .map(|(k, v)| [escaped(k, b"\\=;"), escaped(v, b"\\;")].join(&b'=')).collect();
            prop_assert_eq!(parse_client(&client.join(&b';')), Ok(Args(pairs.clone())));

            let server: Vec<_> = pairs.iter()
                .map(|(k, v)| [b"t:".to_vec(), escaped(k, b"\\=;"), b"=".to_vec(), escaped(v, b"\\;:")].concat())
                .collect();
            prop_assert_eq!(
                parse_server_options(&server.join(&b';')),
                Ok(vec![("t".to_owned(), Args(pairs))])
            );
        }
    }
}
