//! A Rust file as the rules see it: its lines, its tokens without comments and literals, its attributes.
//!
//! In: the text of a file. Out: a [`Source`]. The lexer knows what can hide or fake a word (comments, strings, raw
//! strings, characters, lifetimes) and nothing else of the language.

use std::ops::RangeInclusive;
use std::path::Path;

/// A word or a sign of code.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<Token>,
    /// The text without comments, line for line; strings are kept.
    pub(crate) code: String,
    /// The lines of `#[cfg(test)] mod … { }`.
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(crate) fn read(path: &str, text: String) -> Self {
        let (tokens, code) = lex(&text);
        let tests = test_lines(&tokens);
        Source {
            path: path.to_owned(),
            lines: text.lines().count(),
            text,
            tokens,
            code,
            tests,
        }
    }

    /// Whether a line belongs to the file's unit tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.path.ends_with("/tests.rs") || self.tests.iter().any(|range| range.contains(&line))
    }

    /// The names of the items it declares, with their lines.
    pub(crate) fn items(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tokens.windows(2).filter_map(|pair| {
            let declares = matches!(
                pair[0].text.as_str(),
                "struct" | "enum" | "trait" | "mod" | "type" | "fn" | "macro_rules"
            );
            (declares && is_word(&pair[1].text)).then_some((pair[1].line, pair[1].text.as_str()))
        })
    }

    /// The tokens between the brackets of every attribute; none is empty.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &[Token]> {
        (0..self.tokens.len()).filter_map(|at| {
            if self.tokens[at].text != "#" {
                return None;
            }
            let word = |offset: usize| {
                self.tokens
                    .get(at + offset)
                    .map(|token| token.text.as_str())
            };
            let first = match (word(1), word(2)) {
                (Some("["), _) => at + 2,
                (Some("!"), Some("[")) => at + 3,
                _ => return None,
            };
            let end = closing(&self.tokens, first, "[", "]")?;
            (end > first).then(|| &self.tokens[first..end])
        })
    }
}

/// Every file of the repository, sorted: no build output, no vendored code, no folder of an editor or of git.
pub(crate) fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder
            .read_dir()
            .expect("a folder of the repository can be read")
        {
            let entry = entry.expect("a folder of the repository can be read");
            let name = entry
                .file_name()
                .into_string()
                .expect("the names in the repository are UTF-8");
            let kind = entry.file_type().expect("an entry has a type");
            let foreign = matches!(name.as_str(), "target" | "vendor" | "corpus" | "artifacts");
            if kind.is_dir() && !foreign && (!name.starts_with('.') || name == ".ci") {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let relative = path.strip_prefix(root).expect("the walk began at the root");
                found.push(
                    relative
                        .to_str()
                        .expect("each part is UTF-8")
                        .replace('\\', "/"),
                );
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The index of the sign that closes a group whose first inner token is at `from`.
pub(crate) fn closing(tokens: &[Token], from: usize, open: &str, close: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        if token.text == open {
            depth += 1;
        } else if token.text == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

fn test_lines(tokens: &[Token]) -> Vec<RangeInclusive<usize>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut ranges = Vec::new();
    for at in 0..tokens.len() {
        let marked = tokens[at..]
            .iter()
            .map(|token| token.text.as_str())
            .take(MARK.len())
            .eq(MARK);
        if !marked {
            continue;
        }
        let mut next = at + MARK.len();
        while tokens.get(next).is_some_and(|token| token.text == "#") {
            match closing(tokens, next + 2, "[", "]") {
                Some(end) => next = end + 1,
                None => break,
            }
        }
        let is = |offset: usize, text: &str| {
            tokens
                .get(next + offset)
                .is_some_and(|token| token.text == text)
        };
        if is(0, "mod")
            && is(2, "{")
            && let Some(end) = closing(tokens, next + 3, "{", "}")
        {
            ranges.push(tokens[at].line..=tokens[end].line);
        }
    }
    ranges
}

fn lex(text: &str) -> (Vec<Token>, String) {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut code = String::with_capacity(text.len());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let comment = chars[at] == '/' && matches!(chars.get(at + 1), Some('/' | '*'));
        if comment {
            at = after_comment(&chars, at);
        } else if let Some(end) = after_literal(&chars, at) {
            at = end;
        } else if is_word(&chars[at].to_string()) || chars[at].is_ascii_digit() {
            while chars
                .get(at)
                .is_some_and(|next| next.is_alphanumeric() || *next == '_')
            {
                at += 1;
            }
            tokens.push(Token {
                text: chars[start..at].iter().collect(),
                line,
            });
        } else if chars[at] == ':' && chars.get(at + 1) == Some(&':') {
            at += 2;
            tokens.push(Token {
                text: "::".to_owned(),
                line,
            });
        } else {
            if !chars[at].is_whitespace() {
                tokens.push(Token {
                    text: chars[at].to_string(),
                    line,
                });
            }
            at += 1;
        }
        for passed in &chars[start..at] {
            line += usize::from(*passed == '\n');
            if !comment || *passed == '\n' {
                code.push(*passed);
            }
        }
    }
    (tokens, code)
}

fn after_comment(chars: &[char], from: usize) -> usize {
    if chars[from + 1] == '/' {
        return (from..chars.len())
            .find(|at| chars[*at] == '\n')
            .unwrap_or(chars.len());
    }
    let (mut at, mut depth) = (from + 2, 1);
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

/// The end of a string, byte string, C string, raw string, raw identifier's mark, character or lifetime.
fn after_literal(chars: &[char], from: usize) -> Option<usize> {
    if chars[from] == '\'' {
        return Some(after_quote(chars, from));
    }
    let mut at = from;
    // A prefix only counts at the start of a word: `r` in `for"` cannot occur, the lexer takes words whole.
    while at < from + 2 && matches!(chars.get(at), Some('b' | 'c' | 'r')) {
        at += 1;
    }
    let raw = at > from && chars[at - 1] == 'r';
    let hashes = if raw {
        chars[at..].iter().take_while(|sign| **sign == '#').count()
    } else {
        0
    };
    match chars.get(at + hashes) {
        Some('"') => {}
        // `r#type`: the mark is passed over, the word follows.
        Some(_) if raw && hashes == 1 => return Some(at + 1),
        Some('\'') if at == from + 1 && chars[from] == 'b' => return Some(after_quote(chars, at)),
        _ => return None,
    }
    let mut end = at + hashes + 1;
    while end < chars.len() {
        if chars[end] == '\\' && !raw {
            end += 2;
        } else if chars[end] == '"'
            && chars[end + 1..]
                .iter()
                .take(hashes)
                .filter(|sign| **sign == '#')
                .count()
                == hashes
        {
            return Some(end + 1 + hashes);
        } else {
            end += 1;
        }
    }
    Some(chars.len())
}

/// The end of a character, or of the quote alone when it begins a lifetime.
fn after_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => {
            // The sign after the backslash may itself be a quote.
            let close = (from + 3..chars.len()).find(|at| chars[*at] == '\'');
            close.map_or(chars.len(), |at| at + 1)
        }
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}
