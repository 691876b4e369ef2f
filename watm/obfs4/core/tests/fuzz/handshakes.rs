//! Noise, and messages that somebody changed, in place of both messages: never taken for one.

use crate::cases::{Case, cases};
use crate::link::{Bridge, HOUR, agreement, message};
use obfs4_core::handshake::MAX_MESSAGE;

/// Noise, or a message changed in a few places.
fn attempt(case: &mut Case, honest: &[u8], other: &[u8]) -> Vec<u8> {
    if case.once_in(4) {
        let n = case.up_to(MAX_MESSAGE + 2_000);
        return case.bytes(n);
    }
    let mut bytes = honest.to_vec();
    let marks = [&honest[honest.len() - 32..honest.len() - 16], &other[..32]];
    case.mutate(&mut bytes, &marks);
    bytes
}

#[test]
fn a_server_accepts_its_clients_message_and_nothing_else() {
    for mut case in cases() {
        let bridge = Bridge::new(&mut case);
        let hour = HOUR - 3 + case.below(7) as u64;
        let client = bridge.client(&mut case, hour);
        let request = message(&client, &mut case);
        let other = message(&client, &mut case);
        for attempt_number in 0..8 {
            let sent = match attempt_number {
                0 => request.clone(),
                _ => attempt(&mut case, &request, &other),
            };
            let mut server = bridge.server(&mut case);
            let mut outcome = None;
            for cut in case.cuts(sent.len()) {
                match server.request(&sent[..cut], HOUR, |_| true) {
                    Ok(None) => continue,
                    Ok(Some(_)) => {
                        assert!(sent[..cut] == request, "something else was accepted");
                        assert!(hour.abs_diff(HOUR) <= 1, "{hour} is not now");
                        outcome = Some(true);
                    }
                    Err(_) => outcome = Some(false),
                }
                break;
            }
            if attempt_number == 0 {
                assert_eq!(
                    outcome,
                    Some(hour.abs_diff(HOUR) <= 1),
                    "the message itself"
                );
            } else if sent.len() >= MAX_MESSAGE {
                assert!(outcome.is_some(), "it waits for ever");
            }
        }
    }
}

#[test]
fn a_client_accepts_its_servers_answer_and_nothing_else() {
    for mut case in cases() {
        let bridge = Bridge::new(&mut case);
        let client = bridge.client(&mut case, HOUR);
        let server = bridge.server(&mut case);
        let (_, answer, keys) = agreement(&client, server, &mut case);
        let server = bridge.server(&mut case);
        let (_, other, _) = agreement(&client, server, &mut case);
        for attempt_number in 0..16 {
            let sent = match attempt_number {
                0 => {
                    let more = case.up_to(2_000);
                    [answer.clone(), case.bytes(more)].concat()
                }
                _ => attempt(&mut case, &answer, &other),
            };
            let mut outcome = None;
            for cut in case.cuts(sent.len()) {
                match client.answer(&sent[..cut]) {
                    Ok(None) => continue,
                    Ok(Some((n, theirs))) => {
                        assert!(sent[..n] == answer, "something else was accepted");
                        assert_eq!(theirs.to_server(), keys.to_server());
                        assert_eq!(theirs.to_client(), keys.to_client());
                        outcome = Some(true);
                    }
                    Err(_) => outcome = Some(false),
                }
                break;
            }
            if attempt_number == 0 {
                assert_eq!(outcome, Some(true), "the answer itself");
            } else if sent.len() >= MAX_MESSAGE {
                assert!(outcome.is_some(), "it waits for ever");
            }
        }
    }
}
