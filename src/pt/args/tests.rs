//! The grammars, with the vectors that other implementations agree on.

use super::*;
use proptest::prelude::*;

/// An encoded text and the pairs in it.
type Parsed<'a> = (&'a [u8], &'a [(&'a str, &'a str)]);

fn args(pairs: &[(&str, &str)]) -> Args {
    let mut args = Args::new();
    for (k, v) in pairs {
        args.push(*k, *v);
    }
    args
}

#[test]
fn client_arguments() {
    let good: &[Parsed<'_>] = &[
        (b"", &[]),
        (b"key=", &[("key", "")]),
        (b"\\;=\\;;\\\\=\\;", &[(";", ";"), ("\\", ";")]),
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
    let escaped = b"t\\;3:k\\:1=v\\:1;t\\\\4:k\\\\4=v\\=2";
    assert_eq!(
        parse_server_options(escaped).unwrap(),
        [
            ("t;3".to_owned(), args(&[("k:1", "v:1")])),
            ("t\\4".to_owned(), args(&[("k\\4", "v=2")])),
        ]
    );
    let bad: &[(&[u8], ArgsError)] = &[
        (b"t", ArgsError::NoColon(1)),
        (b"t\\", ArgsError::DanglingEscape(1)),
        (b"t:key\\=value", ArgsError::NoEquals(1)),
        (b"t:;key=value", ArgsError::NoEquals(1)),
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
