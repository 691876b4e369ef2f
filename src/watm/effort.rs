//! What a module would cost to compile, seen before it is compiled.
//!
//! In: its bytes. Out: a refusal of what is made to take long. What is damaged is passed over: the compiler says that
//! better. Figures are in docs/design/bounds.md.

use super::program::ModuleError;

/// More functions than any program has: standard Go's smallest have a few thousand. Compiling is paid by the function, and
/// WebAssembly allows a million.
pub(super) const MAX_FUNCTIONS: u32 = 100_000;

/// The largest body of a function, three times the largest of a published module (a Rust client's `poll`): what compiling one
/// costs grows with the square of its length.
pub(super) const MAX_BODY: usize = 512 << 10;

/// Refuses what would take too long.
pub(super) fn check(wasm: &[u8]) -> Result<(), ModuleError> {
    let (count, largest) = functions(&wasm[8.min(wasm.len())..]);
    if count > MAX_FUNCTIONS {
        return Err(ModuleError::TooManyFunctions(count));
    }
    if largest > MAX_BODY {
        return Err(ModuleError::FunctionTooLarge(largest));
    }
    Ok(())
}

/// How many functions a module says it has, and the length of the longest. What is damaged is passed over: the compiler
/// says that better.
fn functions(mut sections: &[u8]) -> (u32, usize) {
    const CODE: u8 = 10;
    while let Some((&id, rest)) = sections.split_first() {
        let Some((size, rest)) = leb128(rest) else {
            break;
        };
        let (section, rest) = rest.split_at(rest.len().min(size as usize));
        if id == CODE {
            return bodies(section);
        }
        sections = rest;
    }
    (0, 0)
}

fn bodies(section: &[u8]) -> (u32, usize) {
    let Some((count, mut rest)) = leb128(section) else {
        return (0, 0);
    };
    let mut largest = 0;
    while let Some((size, after)) = leb128(rest) {
        largest = largest.max(size as usize);
        rest = after.get(size as usize..).unwrap_or_default();
    }
    (count, largest)
}

/// A number of wasm's, and what follows.
fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0;
    for (at, &byte) in bytes.iter().take(5).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A module with a custom section and this code section.
    fn module(code: &[u8]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0\0\x02\x01x\x0a".to_vec();
        // Five bytes, as compilers write a size that they did not know before.
        for shift in [0, 7, 14, 21] {
            module.push(u8::try_from(code.len() >> shift & 0x7f).expect("seven bits") | 0x80);
        }
        module.push(0);
        module.extend(code);
        module
    }

    #[test]
    fn what_would_take_too_long_to_compile_is_refused_before() {
        assert_eq!(check(&module(&[0xa0, 0x8d, 6])), Ok(()));
        let many = check(&module(&[0xa1, 0x8d, 6]));
        assert_eq!(many, Err(ModuleError::TooManyFunctions(100_001)));
        // The second of two bodies.
        let large = [&[2, 2, 0, 0x0b, 0x81, 0x80, 0x20][..], &[0; MAX_BODY + 1]].concat();
        let large = check(&module(&large));
        assert_eq!(large, Err(ModuleError::FunctionTooLarge(MAX_BODY + 1)));
        assert_eq!(check(&module(&[])), Ok(()), "the compiler's matter");
    }

    proptest! {
        #[test]
        fn looking_for_functions_never_fails(bytes: Vec<u8>) {
            let _ = functions(&bytes);
        }
    }
}
