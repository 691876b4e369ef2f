//! What was prepared is what would be computed, and anything else is passed over.

use super::*;
use crate::random::Repeatable;
use proptest::prelude::*;

/// A bridge with a state of its own, as a set-up run leaves it.
fn bridge(number: u64, mode: u8) -> Identity {
    let mode = [b'0' + mode];
    let option = |key: &str| (key == "iat-mode").then_some(&mode[..]);
    Identity::establish(option, None, &mut Repeatable(number)).expect("nothing is wrong")
}

fn prepared(identity: &Identity, is_biased: bool) -> Vec<u8> {
    let mut out = [0x55; LENGTH];
    let length = write(identity, is_biased, &mut out);
    out[..length].to_vec()
}

/// The public key and the tables' bits, and whether they were read and not computed.
fn read_back(
    identity: &Identity,
    prepared: Option<&[u8]>,
    is_biased: bool,
) -> (Vec<u8>, Vec<u8>, bool) {
    let state = identity.state();
    let (found, tables) = read(state.as_bytes(), prepared, is_biased).expect("a good state");
    let mut bits = vec![0; LENGTH];
    let mut end = write_table(&tables.lengths, &mut bits);
    if let Some(pauses) = &tables.pauses {
        end += write_table(pauses, &mut bits[end..]);
    }
    bits.truncate(end);
    let mut is_used = false;
    let _ = Identity::read(state.as_bytes(), |private, seed, mode| {
        is_used = prepared.is_some_and(|file| {
            file.split_at_checked(MAC).is_some_and(|(mac, contents)| {
                let seal = seal(private, seed, mode, is_biased, contents);
                seal.verify_slice(mac).is_ok() && parse(contents, mode).is_some()
            })
        });
        None
    });
    (found.key.public().as_bytes().to_vec(), bits, is_used)
}

#[test]
fn a_connection_gets_what_would_be_computed() {
    for number in 0..60 {
        let (mode, is_biased) = ((number % 3) as u8, number % 2 == 0);
        let bridge = bridge(number, mode);
        let file = prepared(&bridge, is_biased);
        let (public, bits, is_used) = read_back(&bridge, Some(&file), is_biased);
        let computed = read_back(&bridge, None, is_biased);
        assert!(is_used && !computed.2);
        assert_eq!((public, bits), (computed.0, computed.1));
    }
}

#[test]
fn one_of_another_bridge_mode_or_bias_is_passed_over() {
    let (one, other) = (bridge(1, 1), bridge(2, 1));
    let file = prepared(&one, false);
    assert!(read_back(&one, Some(&file), false).2);
    let computed = |identity, is_biased| read_back(identity, None, is_biased);
    assert_eq!(
        read_back(&other, Some(&file), false),
        computed(&other, false)
    );
    assert_eq!(read_back(&one, Some(&file), true), computed(&one, true));
    let mut paranoid = bridge(1, 1);
    paranoid.iat_mode = IatMode::Paranoid;
    assert_eq!(
        read_back(&paranoid, Some(&file), false),
        computed(&paranoid, false)
    );
    let mut reseeded = bridge(1, 1);
    reseeded.drbg_seed = Seed::from_bytes([9; 24]);
    assert_eq!(
        read_back(&reseeded, Some(&file), false),
        computed(&reseeded, false)
    );
}

#[test]
fn the_longest_fits() {
    let longest = (0..).map(|number| bridge(number, 1)).find(|bridge| {
        let tables = Tables::new(&bridge.drbg_seed, bridge.iat_mode, false);
        tables.lengths.values().len() > 95
            && tables
                .pauses
                .is_some_and(|pauses| pauses.values().len() > 95)
    });
    let longest = longest.expect("there is one");
    assert!(read_back(&longest, Some(&prepared(&longest, false)), false).2);
}

/// A file that is damaged by a disk, or by a program that made a mistake but had the key.
#[test]
fn no_entry_leads_astray() {
    let good = [(7, 1, 0.5), (1448, 0, 1.0)];
    let assemble = |entries: &[(u16, u8, f64)]| {
        Distribution::assemble(entries.iter().copied(), MAX_FRAME as u16).is_some()
    };
    assert!(assemble(&good));
    assert!(!assemble(&[]));
    assert!(!assemble(&[(1449, 0, 1.0)]));
    assert!(!assemble(&[(7, 2, 0.5), (8, 0, 1.0)]));
    for probability in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(!assemble(&[(7, 0, probability)]));
    }
    assert!(assemble(&[(7, 0, 1.0); VALUES]));
    assert!(!assemble(&[(7, 0, 1.0); VALUES + 1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_one_is_passed_over(number: u64, at: prop::sample::Index, change in 1u8.., cut: bool) {
        let bridge = bridge(number, 2);
        let mut file = prepared(&bridge, false);
        let at = at.index(file.len());
        if cut {
            file.truncate(at);
        } else {
            file[at] ^= change;
        }
        prop_assert_eq!(read_back(&bridge, Some(&file), false), read_back(&bridge, None, false));
    }
}
