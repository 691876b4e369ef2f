//! Options and state files, against what obfs4proxy 0.0.14 made of the same ones: it was run as a managed server with the
//! options and the file of each case, and the texts here are what it left behind.

use proptest::prelude::*;

use super::*;

const ID: &str = "b123dc3e7c0aa808166ab16b5ae40d40bb0e2c7d";
const PRIVATE: &str = "eec275cc0d868a9320fc760f1668c43912e09c66987ce5874ea3ca83c819a340";
const PUBLIC: &str = "55dd32046cbca23b89dfa9d869d61dce28d5dee4f0f044f4b3b4728c1406db48";
const SEED: &str = "184c79ac9a68e290f0e37585453b0cc85558455278575d1b";
const CERT: &str = "sSPcPnwKqAgWarFrWuQNQLsOLH1V3TIEbLyiO4nfqdhp1h3OKNXe5PDwRPSztHKMFAbbSA";
/// The file that obfs4proxy made by itself.
const MADE: &str = r#"{"node-id":"b123dc3e7c0aa808166ab16b5ae40d40bb0e2c7d","private-key":"eec275cc0d868a9320fc760f1668c43912e09c66987ce5874ea3ca83c819a340","public-key":"55dd32046cbca23b89dfa9d869d61dce28d5dee4f0f044f4b3b4728c1406db48","drbg-seed":"184c79ac9a68e290f0e37585453b0cc85558455278575d1b","iat-mode":0}"#;
const BRIDGE_LINE_TEXT: &str = "# obfs4 torrc client bridge line
#
# This file is an automatically generated bridge line based on
# the current obfs4proxy configuration.  EDITING IT WILL HAVE
# NO EFFECT.
#
# Before distributing this Bridge, edit the placeholder fields
# to contain the actual values:
#  <IP ADDRESS>  - The public IP address of your obfs4 bridge.
#  <PORT>        - The TCP/IP port of your obfs4 bridge.
#  <FINGERPRINT> - The bridge's fingerprint.

Bridge obfs4 <IP ADDRESS>:<PORT> <FINGERPRINT> cert=sSPcPnwKqAgWarFrWuQNQLsOLH1V3TIEbLyiO4nfqdhp1h3OKNXe5PDwRPSztHKMFAbbSA iat-mode=0
";

/// Each byte is one more than the one before.
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}

fn establish(options: &[(&str, &str)], stored: Option<&str>) -> Result<Identity, Fault> {
    let option = |name: &str| {
        options
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_bytes())
    };
    Identity::establish(option, stored.map(str::as_bytes), &mut Counting(7))
}

fn state_of(identity: &Identity) -> String {
    String::from_utf8(identity.state().as_bytes().to_vec()).expect("ASCII")
}

fn kept(options: &[(&str, &str)], stored: Option<&str>) -> String {
    match establish(options, stored) {
        Ok(identity) => state_of(&identity),
        Err(fault) => panic!("{fault:?}"),
    }
}

fn refused(options: &[(&str, &str)], stored: Option<&str>) -> (Place, &'static str, Flaw) {
    match establish(options, stored) {
        Ok(identity) => panic!("accepted: {}", state_of(&identity)),
        Err(fault) => (fault.place, fault.name, fault.flaw),
    }
}

#[test]
fn a_state_of_obfs4proxy_stays_as_it_is() {
    assert_eq!(kept(&[], Some(MADE)), MADE);
    assert_eq!(MADE.len(), STATE);
    let identity =
        Identity::read(MADE.as_bytes(), |_, _, _| None).unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(
        identity.bridge_line().as_bytes(),
        BRIDGE_LINE_TEXT.as_bytes()
    );
    assert_eq!(BRIDGE_LINE_TEXT.len(), BRIDGE_LINE);
    assert_eq!(identity.cert(), CERT.as_bytes());
    assert_eq!(state_of(&identity), MADE);
}

#[test]
fn a_mode_given_alone_is_kept() {
    let paranoid = MADE.replace("\"iat-mode\":0", "\"iat-mode\":2");
    assert_eq!(kept(&[("iat-mode", "2")], Some(MADE)), paranoid);
    assert_eq!(kept(&[], Some(&paranoid)), paranoid);
    // Even in place of one that could not be used.
    let odd = MADE.replace("\"iat-mode\":0", "\"iat-mode\":7");
    assert_eq!(kept(&[("iat-mode", "0")], Some(&odd)), MADE);
    assert!(kept(&[("iat-mode", "1")], None).ends_with(",\"iat-mode\":1}"));
}

#[test]
fn options_go_before_the_file_and_show_no_public_key() {
    let upper = ID.to_uppercase();
    let longer = format!("{SEED}ab");
    let options = [
        ("node-id", upper.as_str()),
        ("private-key", PRIVATE),
        ("drbg-seed", &longer),
    ];
    let made = MADE.replace(PUBLIC, "");
    // obfs4proxy writes the digits' case, and what it cuts off a seed, as they were given; both mean the same.
    for stored in [None, Some(MADE), Some("not looked at")] {
        assert_eq!(kept(&options, stored), made);
    }
    assert_eq!(kept(&[], Some(&made)), made);
    let with_mode = [options.as_slice(), &[("iat-mode", "+1")]].concat();
    assert_eq!(kept(&with_mode, None), made.replace("mode\":0", "mode\":1"));
    let identity = establish(&options, None).unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(identity.cert(), CERT.as_bytes());
}

#[test]
fn part_of_the_options_is_refused_and_the_missing_one_named() {
    let (id, key, seed) = (
        ("node-id", ID),
        ("private-key", PRIVATE),
        ("drbg-seed", SEED),
    );
    let missing = |name| (Place::Options, name, Flaw::Missing);
    for stored in [None, Some(MADE)] {
        assert_eq!(refused(&[id], stored), missing("private-key"));
        assert_eq!(refused(&[key], stored), missing("node-id"));
        assert_eq!(refused(&[seed], stored), missing("private-key"));
        assert_eq!(refused(&[id, key], stored), missing("drbg-seed"));
        assert_eq!(refused(&[id, seed], stored), missing("private-key"));
        assert_eq!(refused(&[key, seed], stored), missing("node-id"));
    }
}

#[test]
fn malformed_options_are_named() {
    let (id, key, seed) = (
        ("node-id", ID),
        ("private-key", PRIVATE),
        ("drbg-seed", SEED),
    );
    let flawed = |name, flaw| (Place::Options, name, flaw);
    assert_eq!(
        refused(&[("node-id", "zz"), key, seed], None),
        flawed("node-id", Flaw::NotHex { digits: 40 })
    );
    let found = PRIVATE.len() - 1;
    assert_eq!(
        refused(&[id, ("private-key", &PRIVATE[1..]), seed], None),
        flawed("private-key", Flaw::HexLength { found, digits: 64 })
    );
    assert_eq!(
        refused(&[id, key, ("drbg-seed", &SEED[2..])], None),
        flawed(
            "drbg-seed",
            Flaw::HexLength {
                found: 46,
                digits: 48
            }
        )
    );
    for mode in ["3", "-1", "x", ""] {
        assert_eq!(
            refused(&[("iat-mode", mode)], Some(MADE)),
            flawed("iat-mode", Flaw::Mode)
        );
        assert_eq!(
            refused(&[("iat-mode", mode)], None),
            flawed("iat-mode", Flaw::Mode)
        );
    }
}

#[test]
fn a_file_is_read_as_go_reads_it() {
    let one = MADE.replace("\"iat-mode\":0", "\"iat-mode\":1");
    for (stored, expected) in [
        (format!(" \n{MADE}\n"), MADE),
        (MADE.replace(",\"iat-mode\":0", ""), MADE),
        (MADE.replace(":0}", ":-0}"), MADE),
        (MADE.replace(ID, &ID.to_uppercase()), MADE),
        (
            MADE.replace("\"drbg-seed\"", "\"node-id\":null,\"drbg-seed\""),
            MADE,
        ),
        (
            MADE.replace("node-id\":\"b1", "n\\u006fde-id\":\"\\u00621"),
            MADE,
        ),
        (
            MADE.replace("node-id", "Node-ID")
                .replace(":0}", ":0,\"IAT-MODE\":1,\"x\":[1]}"),
            &one,
        ),
        (MADE.replace(":0}", ":0,\"iat-mode\":1}"), &one),
        (MADE.replace(PUBLIC, "of no account"), MADE),
    ] {
        assert_eq!(kept(&[], Some(&stored)), expected, "{stored}");
    }
}

#[test]
fn a_corrupt_file_is_refused_and_the_flaw_named() {
    let flawed = |name, flaw| (Place::StateFile, name, flaw);
    let broken = [
        String::new(),
        "[]".into(),
        MADE[..MADE.len() - 3].into(),
        format!("{MADE}x"),
        format!("\u{feff}{MADE}"),
    ];
    for stored in broken {
        assert_eq!(
            refused(&[], Some(&stored)),
            flawed("", Flaw::NotJson),
            "{stored}"
        );
    }
    assert_eq!(
        refused(&[], Some("{}")),
        flawed("private-key", Flaw::Missing)
    );
    for (from, to, name, flaw) in [
        ("node-id", "node-di", "node-id", Flaw::Missing),
        ("\"drbg-seed\":", "\"seed\":", "drbg-seed", Flaw::Missing),
        (
            ":\"b1",
            ":\"ab1",
            "node-id",
            Flaw::HexLength {
                found: 41,
                digits: 40,
            },
        ),
        (
            ":\"eec",
            ":\"eeg",
            "private-key",
            Flaw::NotHex { digits: 64 },
        ),
        (":0}", ":\"0\"}", "iat-mode", Flaw::Kind),
        (":0}", ":1.0}", "iat-mode", Flaw::Kind),
        (":0}", ":3}", "iat-mode", Flaw::Mode),
    ] {
        assert_eq!(
            refused(&[], Some(&MADE.replace(from, to))),
            flawed(name, flaw),
            "{to}"
        );
    }
    let number = MADE.replace(&format!("\"{SEED}\""), "5");
    assert_eq!(refused(&[], Some(&number)), flawed("drbg-seed", Flaw::Kind));
}

#[test]
fn a_new_identity_is_made_of_randomness_and_can_be_read_back() {
    let made = kept(&[], None);
    assert!(made.starts_with("{\"node-id\":\"0708090a0b0c0d0e0f101112131415161718191a\","));
    assert!(made.ends_with(",\"iat-mode\":0}"));
    assert_eq!(made.len(), STATE);
    assert_eq!(kept(&[], Some(&made)), made);
}

proptest! {
    // A public key takes a while to make without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_state_survives_being_written_and_read(
        id: [u8; 20], key: [u8; 32], seed: [u8; 24], mode in 0..3u8, shows: bool,
    ) {
        let identity = Identity {
            node_id: NodeId::from_bytes(id),
            key: IdentityKey::from_private(key),
            drbg_seed: Seed::from_bytes(seed),
            iat_mode: IatMode::parse(&[b'0' + mode]).expect("a mode"),
            shows_public_key: shows,
        };
        let written = identity.state();
        let read = Identity::read(written.as_bytes(), |_, _, _| None).map_err(|fault| {
            TestCaseError::fail(format!("{fault:?}"))
        })?;
        let again = read.state();
        prop_assert_eq!(again.as_bytes(), written.as_bytes());
        prop_assert_eq!(read.key.private_bytes(), &key);
        prop_assert_eq!(read.cert(), identity.cert());
    }

    #[test]
    fn no_file_makes_it_panic(stored in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Identity::read(&stored, |_, _, _| None);
    }

    #[test]
    fn no_cut_or_change_makes_it_panic(at in 0..STATE, byte: u8, cut: bool) {
        let mut stored = MADE.as_bytes().to_vec();
        if cut { stored.truncate(at) } else { stored[at] = byte }
        if let Ok(identity) = Identity::read(&stored, |_, _, _| None) {
            prop_assert!(!cut);
            prop_assert!(identity.state().as_bytes().len() <= STATE);
        }
    }
}
