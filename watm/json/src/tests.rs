//! The text of a configuration, good and broken, and what is found in it.

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

#[test]
fn shows_every_entry_in_its_order() {
    let json = br#" { "a" : 1 , "A":[2,{"b":3}],"a":"x\"" , "" : {} } "#;
    let entries: Vec<(Vec<u8>, bool)> = Object::parse(json)
        .expect("valid")
        .entries()
        .map(|(name, value)| (name.bytes().collect(), matches!(value, Value::Text(_))))
        .collect();
    let expected: [(&[u8], bool); 4] = [(b"a", false), (b"A", false), (b"a", true), (b"", false)];
    assert!(
        entries
            .iter()
            .map(|(name, is_text)| (name.as_slice(), *is_text))
            .eq(expected)
    );
    assert_eq!(Object::parse(b"{ }").expect("valid").entries().count(), 0);
}

#[test]
fn a_text_as_it_was_written_keeps_its_escapes() {
    let Some(Value::Text(text)) = Object::parse(br#"{"k":"a\/b"}"#).expect("valid").get("k") else {
        panic!("a text");
    };
    assert_eq!(text.raw(), br"a\/b");
}
