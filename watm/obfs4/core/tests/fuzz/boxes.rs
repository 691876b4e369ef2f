//! The boxes of frames against RustCrypto's.

use crate::cases::cases;
use crate::reference;
use obfs4_core::framing::MAX_FRAME;
use obfs4_core::secretbox::{SecretBox, TAG};

#[test]
fn boxes_are_rustcryptos() {
    for mut case in cases() {
        let key = case.array();
        let nonce: [u8; 24] = case.array();
        let (prefix, counter) = nonce.split_first_chunk().expect("longer than that");
        let counter = u64::from_be_bytes(*counter.first_chunk().expect("the rest"));
        let mut ours = SecretBox::new(&key, prefix);
        for _ in 0..8 {
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
            ours.open(counter, &mut window, shift).expect("it is good");
            assert!(window[..n] == plain, "opening {n} at {shift}");

            let mut theirs = expected[TAG..].to_vec();
            assert!(reference::open(&key, &nonce, &mut theirs, &tag) && theirs == plain);

            let mut window = [case.bytes(shift), expected].concat();
            let at = shift + case.below(TAG + n);
            window[at] ^= 1 << case.below(8);
            assert!(ours.open(counter, &mut window, shift).is_err(), "forged");
            let shown = plain
                .chunks_exact(16)
                .any(|part| window[..n].windows(16).any(|w| w == part));
            assert!(n > 300 || !shown, "what was forged is not shown");
        }
    }
}
