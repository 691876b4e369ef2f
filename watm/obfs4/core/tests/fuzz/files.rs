//! State files, options and bridge lines that somebody changed: refused, or read for good.

use crate::cases::{Case, cases};
use obfs4_core::arguments::ClientArguments;
use obfs4_core::burst::{BUFFER, Piece, Shaper, Tables};
use obfs4_core::cert;
use obfs4_core::fault::{Fault, LINE};
use obfs4_core::framing::{KEY, Sealer};
use obfs4_core::identity::Identity;
use obfs4_core::keys::NodeId;
use obfs4_core::prepared;

/// What JSON and the files' own words are made of.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"\"",
    b":",
    b",",
    b"[",
    b"]",
    b"\\",
    b"\\u0041",
    b"\\ud83d",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"2",
    b"1e9",
    b"\"node-id\"",
    b"\"private-key\"",
    b"\"drbg-seed\"",
    b"\"iat-mode\"",
    b"\"public-key\"",
    b"\xff",
    b"\xc3\xa9",
    b"==",
];

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<String>().into_bytes()
}

/// One line, of bounded length.
fn is_sayable(fault: &Fault) -> bool {
    let text = fault.text();
    let text = text.as_bytes();
    !text.is_empty() && text.len() <= LINE && text.iter().all(|byte| (b' '..=b'~').contains(byte))
}

type Parts = ([u8; 20], [u8; 32], [u8; 24], u8);

fn parts(identity: &Identity) -> Parts {
    (
        *identity.node_id.as_bytes(),
        *identity.key.private_bytes(),
        *identity.drbg_seed.as_bytes(),
        identity.iat_mode.number(),
    )
}

/// What was taken is the same when it is written and read again.
fn round(identity: &Identity) {
    let text = identity.state().as_bytes().to_vec();
    let again = prepared::read(&text, None, false)
        .map(|(identity, _)| identity)
        .unwrap_or_else(|fault| panic!("{}", String::from_utf8_lossy(fault.text().as_bytes())));
    assert_eq!(parts(&again), parts(identity));
    let (node, key) = cert::decode(&identity.cert()).expect("its own cert");
    assert_eq!(node.as_bytes(), identity.node_id.as_bytes());
    assert_eq!(key.as_bytes(), identity.key.public().as_bytes());
}

fn fresh(case: &mut Case) -> Identity {
    match Identity::establish(|_| None, None, case) {
        Ok(identity) => identity,
        Err(_) => panic!("there is nothing to be wrong"),
    }
}

#[test]
fn state_files_are_refused_or_kept() {
    for mut case in cases() {
        let identity = fresh(&mut case);
        round(&identity);
        let good = identity.state().as_bytes().to_vec();
        for _ in 0..8 {
            let mut text = good.clone();
            case.mutate(&mut text, &WORDS);
            match prepared::read(&text, None, false).map(|(identity, _)| identity) {
                Ok(read) => round(&read),
                Err(fault) => assert!(is_sayable(&fault)),
            }
            match Identity::establish(|_| None, Some(&text), &mut case) {
                Ok(read) => round(&read),
                Err(fault) => assert!(is_sayable(&fault)),
            }
        }
    }
}

/// The shape of a few bursts.
fn shape(identity: &Identity, tables: &Tables, mut case: Case) -> Vec<Piece> {
    let mut shaper = Shaper::new(Sealer::new(&[7; KEY]), identity.iat_mode);
    let mut buffer = Box::new([0; BUFFER]);
    let mut pieces = Vec::new();
    for _ in 0..4 {
        shaper.begin(&mut buffer, 1, tables, &mut case);
        while let Some(piece) = shaper.next(&mut buffer, tables, &mut case) {
            pieces.push(piece);
        }
    }
    pieces
}

/// What set-up prepared is never more than a short cut.
#[test]
fn what_is_prepared_changes_nothing() {
    for mut case in cases() {
        let mode = [b'0' + case.below(3) as u8];
        let is_biased = case.once_in(3);
        let option = |name: &str| (name == "iat-mode").then_some(mode.as_slice());
        let establish = |case: &mut Case| match Identity::establish(option, None, case) {
            Ok(identity) => identity,
            Err(_) => panic!("there is nothing to be wrong"),
        };
        let (identity, other) = (establish(&mut case), establish(&mut case));
        let prepared = |identity| {
            let mut space = [0; prepared::LENGTH];
            let n = prepared::write(identity, is_biased, &mut space);
            space[..n].to_vec()
        };
        let (good, others) = (prepared(&identity), prepared(&other));
        let text = identity.state().as_bytes().to_vec();
        let tables = Tables::new(&identity.drbg_seed, identity.iat_mode, is_biased);
        let expected = shape(&identity, &tables, case.clone());
        let twin = case.clone();
        for number in 0..8 {
            let mut file = good.clone();
            match number {
                0 => {}
                1 => file = others.clone(),
                2 => file[..32].copy_from_slice(&others[..32]),
                _ => case.mutate(&mut file, &[&others[..32], &others[32..64]]),
            }
            let read = prepared::read(&text, Some(&file), is_biased);
            let Ok((read, tables)) = read else {
                panic!("the state is good");
            };
            assert_eq!(parts(&read), parts(&identity));
            assert_eq!(read.cert(), identity.cert());
            assert_eq!(shape(&read, &tables, twin.clone()), expected);
        }
    }
}

#[test]
fn options_are_refused_or_kept() {
    for mut case in cases() {
        let identity = fresh(&mut case);
        let mut options = [
            ("node-id", hex(identity.node_id.as_bytes())),
            ("private-key", hex(identity.key.private_bytes())),
            ("drbg-seed", hex(identity.drbg_seed.as_bytes())),
            ("iat-mode", b"1".to_vec()),
        ];
        for number in 0..8 {
            if number > 0 {
                let at = case.below(options.len());
                case.mutate(&mut options[at].1, &WORDS);
            }
            let missing = case.below(options.len() + 3);
            let get = |name: &str| {
                let at = options.iter().position(|(known, _)| *known == name)?;
                (at != missing).then_some(options[at].1.as_slice())
            };
            match Identity::establish(get, None, &mut case) {
                Ok(read) => round(&read),
                Err(fault) => assert!(is_sayable(&fault)),
            }
        }
    }
}

#[test]
fn bridge_lines_are_refused_or_taken() {
    for mut case in cases() {
        let identity = fresh(&mut case);
        let mut arguments = [
            ("cert", identity.cert().to_vec()),
            ("iat-mode", b"2".to_vec()),
            ("node-id", hex(identity.node_id.as_bytes())),
            ("public-key", hex(identity.key.public().as_bytes())),
        ];
        for number in 0..8 {
            if number > 0 {
                let at = case.below(arguments.len());
                case.mutate(&mut arguments[at].1, &WORDS);
            }
            let missing = case.below(arguments.len() + 1);
            let get = |name: &str| {
                let at = arguments.iter().position(|(known, _)| *known == name)?;
                (at != missing).then_some(arguments[at].1.as_slice())
            };
            match ClientArguments::parse(get) {
                Ok(taken) => {
                    let text = cert::encode(&taken.node_id, &taken.public_key);
                    let (node, key) = cert::decode(&text).expect("its own cert");
                    assert_eq!(NodeId::as_bytes(&node), taken.node_id.as_bytes());
                    assert_eq!(key.as_bytes(), taken.public_key.as_bytes());
                    assert!(taken.iat_mode.number() <= 2);
                }
                Err(fault) => assert!(is_sayable(&fault)),
            }
        }
    }
}
