//! The parent's side of the process: what tor asks for and what it is told (pt-spec, PT 1.0).
//!
//! In: the environment ([`mod@env`]), signals, stdin and the parent's death ([`parent`]). Out: the lines on
//! stdout ([`ipc`]). Between them, the grammars of arguments ([`args`]). Nothing here opens a socket.
//! What can go wrong is a [`StartError`](env::StartError) before the first listener, and nothing after.

pub mod args;
pub mod env;
pub mod ipc;
pub mod parent;

/// Whether a name is one a transport may have: `[a-zA-Z_][a-zA-Z0-9_]*` (pt-spec 3.1).
///
/// Parents check it in their configuration and in every line they read, so no other name is printed.
pub fn is_transport_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::is_transport_name;

    #[test]
    fn names_are_c_identifiers() {
        for good in ["obfs4", "plain", "_", "meek_lite", "A9"] {
            assert!(is_transport_name(good), "{good}");
        }
        for bad in ["", "9a", "a-b", "a b", "a\n", "é", "*"] {
            assert!(!is_transport_name(bad), "{bad:?}");
        }
    }
}
