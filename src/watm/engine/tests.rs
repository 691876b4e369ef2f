//! What the engine's switches come to.

use super::*;

#[test]
fn slots_stay_below_the_kernels_mappings() {
    let mut notes = Vec::new();
    assert_eq!(clamp_to_mappings(4096, Some(65_530), &mut notes), 4096);
    assert_eq!(clamp_to_mappings(4096, None, &mut notes), 4096);
    assert!(notes.is_empty());
    assert_eq!(clamp_to_mappings(16_000, Some(65_530), &mut notes), 10_580);
    assert_eq!(notes.len(), 1);
}

#[test]
fn a_guest_that_goes_nowhere_rests_longer_and_longer() {
    assert_eq!(rest(0), Duration::ZERO);
    assert_eq!(rest(FREE_TICKS), Duration::ZERO);
    assert_eq!(rest(FREE_TICKS + 1), REST);
    assert_eq!(rest(STUCK_TICKS), MAX_REST);
}

/// A module whose one function, `() -> ()`, has this body: locals, instructions, `end`.
#[cfg(feature = "compile")]
fn function(body: &[u8]) -> Vec<u8> {
    let mut sections = vec![1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
    let len = u8::try_from(body.len()).expect("short");
    sections.extend([10, len + 2, 1, len]);
    sections.extend(body);
    sections
}

#[cfg(feature = "compile")]
#[test]
fn what_nobody_needs_is_refused_by_name() {
    use crate::watm::{Host, ModuleError, Settings};

    let host = Host::new(Settings::for_slots(1)).expect("an engine");
    let cases: [(&str, Vec<u8>); 12] = [
        ("memory64", vec![5, 3, 1, 4, 1]),
        ("multiple memories", vec![5, 5, 2, 0, 1, 0, 1]),
        ("shared memory", vec![5, 4, 1, 3, 1, 1]),
        ("pages of a byte", vec![5, 4, 1, 8, 1, 0]),
        ("atomics", function(&[0, 0xfe, 3, 0, 0x0b])),
        ("tail calls", function(&[0, 0x12, 0, 0x0b])),
        ("exceptions", vec![1, 4, 1, 0x60, 0, 0, 13, 3, 1, 0, 0]),
        ("exceptions of old", function(&[0, 6, 0x40, 0x0b, 0x0b])),
        ("structs", vec![1, 3, 1, 0x5f, 0]),
        ("function references", function(&[1, 1, 0x63, 0, 0x0b])),
        ("continuations", vec![1, 6, 2, 0x60, 0, 0, 0x5d, 0]),
        (
            "relaxed SIMD",
            function(&[1, 1, 0x7b, 0x20, 0, 0x20, 0, 0xfd, 0x80, 2, 0x1a, 0x0b]),
        ),
    ];
    for (what, sections) in cases {
        let module = [b"\0asm\x01\0\0\0", &sections[..]].concat();
        match host.compile(&module) {
            Err(ModuleError::Feature(_)) => {}
            other => panic!("{what}: {:?}", other.map(|artefact| artefact.len())),
        }
    }
    let fine = [b"\0asm\x01\0\0\0", &function(&[0, 0x0b])[..]].concat();
    host.compile(&fine)
        .expect("and the same without is compiled");
}
