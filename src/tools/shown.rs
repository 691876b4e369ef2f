//! What a tool prints of things that somebody else has named.
//!
//! In: names of files, JSON with a module's words in it. Out: text that no terminal takes for a command and no reader for another
//! text: nothing invisible, nothing that changes the direction of writing.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// A file's name: letters of any language as they are, the rest escaped.
pub(super) fn file_name(path: &Path) -> String {
    let mut shown = String::new();
    for sign in path.to_string_lossy().chars() {
        match sign {
            // As they are; `escape_debug` would put a backslash before them.
            '\'' | '"' | '\\' => shown.push(sign),
            _ => shown.extend(sign.escape_debug()),
        }
    }
    shown
}

/// JSON in ASCII alone, on one line.
pub(super) fn ascii(value: &Value) -> String {
    let mut shown = String::new();
    for sign in value.to_string().chars() {
        // Only strings have anything else in them.
        if matches!(sign, ' '..='~') {
            shown.push(sign);
        } else {
            for unit in sign.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_invisible_is_printed() {
        assert_eq!(file_name(Path::new("größe/it's.wasm")), "größe/it's.wasm");
        assert_eq!(
            file_name(Path::new("a\x1b[2J\u{202e}b\n")),
            "a\\u{1b}[2J\\u{202e}b\\n"
        );
        let value = json!({ "a": "\u{202e}\u{7f}\u{1f600}\u{1b}" });
        assert_eq!(ascii(&value), r#"{"a":"\u202e\u007f\ud83d\ude00\u001b"}"#);
        let back: Value = serde_json::from_str(&ascii(&value)).expect("it is JSON");
        assert_eq!(back, value);
    }

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<String> = [0, 999, 1000, 674_620, 16_777_216].map(grouped).to_vec();
        assert_eq!(shown, ["0", "999", "1,000", "674,620", "16,777,216"]);
    }
}
