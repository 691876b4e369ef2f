//! What a guest prints, made into lines for whoever listens.
//!
//! In: writes to its standard output and error, of any size. Out: lines of bounded length without control characters. If
//! nobody listens, nothing is looked at. What a guest prints may be anything, its users' addresses and bytes among it;
//! what of it may be told is for the listener to say.

use std::fmt;
use std::sync::Arc;

/// The longest line: enough for an error message, too little to be a way out for somebody's data.
const LINE: usize = 512;

/// The most of one write that is looked at; the rest of it is not told.
const LOOK: usize = 4 << 10;

/// Hears what guests print.
pub trait Output: fmt::Debug + Send + Sync {
    /// A line, without its end.
    fn line(&self, text: &str);
}

/// The standard output and error of one guest, which are one.
#[derive(Debug)]
pub(super) struct Prints {
    output: Option<Arc<dyn Output>>,
    line: Vec<u8>,
    cut: bool,
}

impl Prints {
    pub(super) fn to(output: Option<Arc<dyn Output>>) -> Self {
        Prints {
            output,
            line: Vec::new(),
            cut: false,
        }
    }

    /// Takes what was written.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.output.is_none() {
            return;
        }
        let looked_at = bytes.len().min(LOOK);
        let mut pieces = bytes[..looked_at].split(|&byte| byte == b'\n');
        self.keep(pieces.next().unwrap_or_default());
        for piece in pieces {
            self.end_line();
            self.keep(piece);
        }
        self.cut |= looked_at < bytes.len();
    }

    fn keep(&mut self, piece: &[u8]) {
        let kept = piece.len().min(LINE - self.line.len());
        self.line.extend(&piece[..kept]);
        self.cut |= kept < piece.len();
    }

    fn end_line(&mut self) {
        if let Some(output) = &self.output
            && !self.line.is_empty()
        {
            let text = String::from_utf8_lossy(&self.line);
            let mut text = text.replace(char::is_control, " ");
            if self.cut {
                text.push_str("...");
            }
            output.line(&text);
        }
        self.line.clear();
        self.cut = false;
    }
}

impl Drop for Prints {
    fn drop(&mut self) {
        self.end_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Output for Kept {
        fn line(&self, text: &str) {
            self.0.lock().expect("not poisoned").push(text.to_owned());
        }
    }

    fn lines(writes: &[&[u8]]) -> Vec<String> {
        let kept = Arc::new(Kept::default());
        let mut prints = Prints::to(Some(Arc::clone(&kept) as _));
        for write in writes {
            prints.take(write);
        }
        drop(prints);
        let lines = kept.0.lock().expect("not poisoned");
        lines.clone()
    }

    #[test]
    fn writes_become_lines() {
        assert_eq!(
            lines(&[b"one\ntwo, ", b"", b"in parts\n\n", b"no end"]),
            ["one", "two, in parts", "no end"]
        );
    }

    #[test]
    fn a_line_has_no_control_characters_and_an_end() {
        assert_eq!(
            lines(&[b"\x1b[31mred\tand\0bad \xff\n"]),
            [" [31mred and bad \u{fffd}"]
        );
        let long = lines(&[&[b'x'; 400], &[b'x'; 400], b"\nnext\n"]);
        assert_eq!(long, ["x".repeat(LINE) + "...", "next".to_owned()]);
    }
}
