//! The boxes of frames against RustCrypto's.

use crate::cases::cases;
use crate::reference;
use obfs4_core::framing::MAX_FRAME;
use obfs4_core::secretbox::{SecretBox, TAG};

#[test]
fn boxes_are_rustcryptos() {
    for mut case in cases() {
        let key = case.array();
        let prefix: [u8; 16] = case.array();
        let mut counter = u64::from_be_bytes(case.array());
        // What was made ahead for the next counter must not be taken for another.
        let mut ours = SecretBox::new(&key, &prefix);
        let mut other = SecretBox::new(&key, &prefix);
        for _ in 0..12 {
            counter = match case.below(6) {
                0 => u64::from_be_bytes(case.array()),
                1 => counter,
                _ => counter.wrapping_add(1),
            };
            let mut nonce = [0; 24];
            nonce[..16].copy_from_slice(&prefix);
            nonce[16..].copy_from_slice(&counter.to_be_bytes());
            let most = if case.once_in(16) {
                70_000
            } else {
                3 * MAX_FRAME
            };
            let (n, shift) = (case.up_to(most), case.up_to(most));
            let plain = case.bytes(n);
            let mut expected = plain.clone();
            let tag = reference::seal(&key, &nonce, &mut expected);
            let expected = [&tag[..], &expected].concat();

            let mut window = [case.bytes(TAG + shift), plain.clone()].concat();
            ours.seal(counter, &mut window, shift);
            assert!(window[..TAG + n] == expected, "sealing {n} at {shift}");

            let mut window = [case.bytes(shift), expected.clone()].concat();
            let opener = match case.once_in(4) {
                true => &mut ours,
                false => &mut other,
            };
            let opened = opener.open(counter, &mut window, shift);
            opened.expect("it is good");
            assert!(window[..n] == plain, "opening {n} at {shift}");

            let mut theirs = expected[TAG..].to_vec();
            assert!(reference::open(&key, &nonce, &mut theirs, &tag) && theirs == plain);

            let mut window = [case.bytes(shift), expected].concat();
            let at = shift + case.below(TAG + n);
            window[at] ^= 1 << case.below(8);
            assert!(ours.open(counter, &mut window, shift).is_err(), "forged");
            // Every place of a short one; of a long one, that would take most of the time there is.
            let shown = plain[..n.min(300)]
                .chunks_exact(16)
                .any(|part| window[..n.min(300)].windows(16).any(|w| w == part));
            assert!(!shown, "what was forged is not shown");
        }
    }
}
