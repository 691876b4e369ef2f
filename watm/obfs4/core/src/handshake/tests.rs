//! Both ends agree an hour apart, and nobody else with anybody.

use super::*;
use crate::random::Repeatable;
use proptest::prelude::*;

const HOUR: u64 = 490_000;

struct Bridge {
    node: NodeId,
    key: IdentityKey,
}

impl Bridge {
    fn new() -> Bridge {
        Bridge {
            node: NodeId::from_bytes([4; 20]),
            key: IdentityKey::generate(&mut Repeatable(99)),
        }
    }

    fn client(&self, number: u64, hour: u64) -> Client {
        let session = SessionKey::generate(&mut Repeatable(number));
        let node = NodeId::from_bytes(*self.node.as_bytes());
        let key = PublicKey::from_bytes(*self.key.public().as_bytes());
        Client::new(session, node, key, hour)
    }

    fn server(&self, number: u64) -> Server<'_> {
        Server::new(
            SessionKey::generate(&mut Repeatable(!number)),
            &self.node,
            &self.key,
        )
    }
}

fn message(client: &Client, number: u64) -> Vec<u8> {
    let mut out = Box::new([0; MAX_MESSAGE]);
    let n = client.message(&mut out, &mut Repeatable(number + 1));
    out[..n].to_vec()
}

fn answer(server: &Server<'_>, accepted: &Accepted, number: u64) -> (Vec<u8>, Keys) {
    let mut out = Box::new([0; MAX_MESSAGE]);
    let (n, keys) = server.answer(accepted, &mut out, &mut Repeatable(number + 2));
    (out[..n].to_vec(), keys)
}

#[test]
fn both_ends_agree_an_hour_apart_and_no_more() {
    let bridge = Bridge::new();
    for (number, hour, is_accepted) in [
        (1, HOUR, true),
        (2, HOUR - 1, true),
        (3, HOUR + 1, true),
        (4, HOUR - 2, false),
        (5, HOUR + 2, false),
        (6, 0, false),
    ] {
        let client = bridge.client(number, hour);
        let mut server = bridge.server(number);
        let request = message(&client, number);
        assert!((141..=MAX_MESSAGE).contains(&request.len()));
        let accepted = server.request(&request, HOUR, |_| true);
        assert_eq!(accepted.is_ok(), is_accepted, "{hour}");
        let Ok(accepted) = accepted else { continue };
        let accepted = accepted.expect("it is whole");
        let (mut reply, ours) = answer(&server, &accepted, number);
        assert!((96..=MAX_MESSAGE - 45).contains(&reply.len()));
        let length = reply.len();
        reply.extend([7; 300]);
        for n in 0..length {
            assert!(
                matches!(client.answer(&reply[..n]), Ok(None)),
                "{n} of {length}"
            );
        }
        let (n, theirs) = client.answer(&reply).expect("good").expect("whole");
        assert_eq!(n, length);
        assert_eq!(ours.to_server(), theirs.to_server());
        assert_eq!(ours.to_client(), theirs.to_client());
        assert_ne!(ours.to_server(), ours.to_client());
    }
}

#[test]
fn what_was_seen_before_is_refused() {
    let bridge = Bridge::new();
    let request = message(&bridge.client(1, HOUR), 1);
    let mut seen = Vec::new();
    let mut is_new = |mac: &[u8; 16]| {
        let is_new = !seen.contains(mac);
        seen.push(*mac);
        is_new
    };
    assert!(
        bridge
            .server(1)
            .request(&request, HOUR, &mut is_new)
            .is_ok()
    );
    assert!(
        bridge
            .server(2)
            .request(&request, HOUR, &mut is_new)
            .is_err()
    );
}

#[test]
fn another_bridge_is_not_fooled() {
    let (bridge, mut other) = (Bridge::new(), Bridge::new());
    other.node = NodeId::from_bytes([5; 20]);
    let client = bridge.client(1, HOUR);
    let request = message(&client, 1);
    let refused = |received: &[u8]| {
        other
            .server(1)
            .request(received, HOUR, |_| true)
            .map(|_| ())
    };
    assert_eq!(refused(&request), Ok(()));
    let mut long = request.clone();
    long.resize(MAX_MESSAGE, 0);
    assert_eq!(refused(&long), Err(Refused));
}

#[test]
fn the_longest_message_without_a_mark_is_refused_and_no_shorter_one() {
    let bridge = Bridge::new();
    let client = bridge.client(1, HOUR);
    let mut noise = vec![0; MAX_MESSAGE + 1];
    Repeatable(8).fill(&mut noise);
    for n in [0, 31, 32, 140, 141, 1_000, MAX_MESSAGE - 1] {
        assert!(matches!(client.answer(&noise[..n]), Ok(None)), "{n}");
        assert!(
            matches!(
                bridge.server(1).request(&noise[..n], HOUR, |_| true),
                Ok(None)
            ),
            "{n}"
        );
    }
    for n in [MAX_MESSAGE, MAX_MESSAGE + 1] {
        assert!(client.answer(&noise[..n]).is_err(), "{n}");
        assert!(
            bridge
                .server(1)
                .request(&noise[..n], HOUR, |_| true)
                .is_err(),
            "{n}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_request_is_not_accepted(number in 0..1000u64, place in any::<prop::sample::Index>(), change in 1..=255u8) {
        let bridge = Bridge::new();
        let mut request = message(&bridge.client(number, HOUR), number);
        let at = place.index(request.len());
        request[at] ^= change;
        let accepted = bridge.server(number).request(&request, HOUR, |_| true);
        prop_assert!(!matches!(accepted, Ok(Some(_))));
    }

    #[test]
    fn a_request_with_something_after_it_is_not_accepted(number in 0..1000u64, more in 1..200usize) {
        let bridge = Bridge::new();
        let mut request = message(&bridge.client(number, HOUR), number);
        request.resize(request.len() + more, 0);
        let accepted = bridge.server(number).request(&request, HOUR, |_| true);
        prop_assert!(!matches!(accepted, Ok(Some(_))));
    }

    #[test]
    fn a_changed_answer_is_not_accepted(number in 0..1000u64, place in any::<prop::sample::Index>(), change in 1..=255u8) {
        let bridge = Bridge::new();
        let client = bridge.client(number, HOUR);
        let mut server = bridge.server(number);
        let accepted = server.request(&message(&client, number), HOUR, |_| true);
        let accepted = accepted.expect("good").expect("whole");
        let (mut reply, _) = answer(&server, &accepted, number);
        let at = place.index(reply.len());
        reply[at] ^= change;
        prop_assert!(!matches!(client.answer(&reply), Ok(Some(_))));
    }

    #[test]
    fn any_cut_of_a_request_waits(number in 0..1000u64, place in any::<prop::sample::Index>()) {
        let bridge = Bridge::new();
        let request = message(&bridge.client(number, HOUR), number);
        let mut server = bridge.server(number);
        let n = place.index(request.len());
        prop_assert!(matches!(server.request(&request[..n], HOUR, |_| true), Ok(None)));
        prop_assert!(matches!(server.request(&request, HOUR, |_| true), Ok(Some(_))));
    }
}

#[test]
fn no_two_messages_share_a_padding() {
    let bridge = Bridge::new();
    let client = bridge.client(1, HOUR);
    let mut random = Repeatable(5);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let mut out = Box::new([0; MAX_MESSAGE]);
        let end = client.message(&mut out, &mut random) - END;
        for chunk in out[REPRESENTATIVE..end].as_chunks::<16>().0 {
            assert!(seen.insert(*chunk));
        }
    }
}

proptest! {
    #[test]
    fn a_mark_is_found_where_it_is_first(
        mut bytes in proptest::collection::vec(0u8..3, 0..120),
        mark in proptest::array::uniform16(0u8..3),
        places in proptest::collection::vec(0usize..120, 0..4),
    ) {
        for place in places {
            if let Some(there) = bytes.get_mut(place..place + MARK) {
                there.copy_from_slice(&mark);
            }
        }
        let room = bytes.len().saturating_sub(MAC);
        let expected = bytes[..room].windows(MARK).position(|window| window == mark);
        prop_assert_eq!(find(&mark, &bytes), expected);
    }
}
