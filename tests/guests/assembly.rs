//! Guests in text: `watm/test-guests/wat/*.wat`, each with as much of `frame.wat` around it as it does not
//! define itself.
//!
//! In: the name of a file. Out: a module's bytes, of whatever validity its author wanted. A file that does
//! not parse is a mistake of the tests, and panics with its line.

use std::path::{Path, PathBuf};

/// The module of that name, if there is a file for it.
pub(crate) fn assemble(name: &str) -> Option<Vec<u8>> {
    let path = folder().join("wat").join(format!("{name}.wat"));
    if !path.exists() {
        return None;
    }
    Some(module_of(&read(&path)))
}

/// The module of a guest's text.
pub(crate) fn module_of(text: &str) -> Vec<u8> {
    let forms = forms(text);
    let whole = matches!(forms[..], [form] if starts(form, "module") || starts(form, "component"));
    let module = if whole {
        text.to_owned()
    } else {
        complete(&forms, &read(&folder().join("frame.wat")))
    };
    wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("watm/test-guests")
}

fn read(path: &PathBuf) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A module of the guest's definitions and those of the frame that have another name.
fn complete(guest: &[&str], frame: &str) -> String {
    let named: Vec<&str> = guest.iter().filter_map(|form| identifier(form)).collect();
    let frame = self::forms(frame);
    let missing = frame
        .iter()
        .filter(|form| identifier(form).is_none_or(|name| !named.contains(&name)));
    // Imports come first, or the text format refuses them.
    let (imports, rest): (Vec<&str>, Vec<&str>) = missing
        .chain(guest)
        .partition(|form| starts(form, "import"));
    format!("(module {} {})", imports.join("\n"), rest.join("\n"))
}

fn starts(form: &str, keyword: &str) -> bool {
    form.strip_prefix('(')
        .and_then(|rest| rest.trim_start().strip_prefix(keyword))
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// The first `$name` in a definition, which is its own.
fn identifier(form: &str) -> Option<&str> {
    let own = &form[form.find('$')?..];
    let end = own.find(|c: char| c.is_whitespace() || c == ')' || c == '(');
    // `(start $it)`, `(elem … $it)` and `(export … (memory $it))` name what others define.
    let refers = ["start", "elem", "export"];
    (!refers.iter().any(|word| starts(form, word))).then(|| &own[..end.unwrap_or(own.len())])
}

/// The parenthesised forms at the top of a text, comments outside left out.
fn forms(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut forms, mut depth, mut start, mut at) = (Vec::new(), 0, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b';' if bytes.get(at + 1) == Some(&b';') => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
            }
            b'"' => {
                at += 1;
                while bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'(' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            b')' => {
                depth -= 1;
                if depth == 0 {
                    forms.push(&text[start..=at]);
                }
            }
            _ => {}
        }
        at += 1;
    }
    assert_eq!(depth, 0, "the parentheses match");
    forms
}

#[test]
fn a_guest_replaces_what_it_defines_itself() {
    let module = complete(
        &forms(
            "(import \"a\" \"b\" (func $b)) ;; (func $no)\n(func $work unreachable) (start $work)",
        ),
        "(import \"x\" \"y\" (func $y)) (func $work (nop)) (func $stays (call $work) ;; )\n) (memory $memory 1)",
    );
    assert!(module.contains("$work unreachable") && !module.contains("(nop)"));
    assert!(module.find("$b").expect("kept") < module.find("$stays").expect("kept"));
    assert!(module.contains("$memory 1") && module.contains("(start $work)"));
}
