//! A bridge with its client, and the reading end of a direction, as a guest drives them.

use crate::cases::Case;
use obfs4_core::framing::{HEADER, MAX_FRAME, Opener};
use obfs4_core::handshake::{Client, Keys, MAX_MESSAGE, Server};
use obfs4_core::keys::{IdentityKey, NodeId, PublicKey, SessionKey};

/// The hour of all cases.
pub(crate) const HOUR: u64 = 492_000;

/// Who a bridge is.
pub(crate) struct Bridge {
    node: NodeId,
    key: IdentityKey,
}

impl Bridge {
    pub(crate) fn new(case: &mut Case) -> Bridge {
        Bridge {
            node: NodeId::from_bytes(case.array()),
            key: IdentityKey::generate(case),
        }
    }

    pub(crate) fn client(&self, case: &mut Case, hour: u64) -> Client {
        let node = NodeId::from_bytes(*self.node.as_bytes());
        let key = PublicKey::from_bytes(*self.key.public().as_bytes());
        Client::new(SessionKey::generate(case), node, key, hour)
    }

    pub(crate) fn server(&self, case: &mut Case) -> Server<'_> {
        Server::new(SessionKey::generate(case), &self.node, &self.key)
    }
}

/// A client's message.
pub(crate) fn message(client: &Client, case: &mut Case) -> Vec<u8> {
    let mut out = [0; MAX_MESSAGE];
    let n = client.message(&mut out, case);
    out[..n].to_vec()
}

/// A client's message, the server's answer to it, and the keys.
pub(crate) fn agreement(
    client: &Client,
    mut server: Server<'_>,
    case: &mut Case,
) -> (Vec<u8>, Vec<u8>, Keys) {
    let request = message(client, case);
    let accepted = server.request(&request, HOUR, |_| true);
    let accepted = accepted.expect("it is good").expect("it is whole");
    let mut out = [0; MAX_MESSAGE];
    let (n, keys) = server.answer(&accepted, &mut out, case);
    (request, out[..n].to_vec(), keys)
}

/// What has come out of a direction.
pub(crate) struct Reader {
    opener: Opener,
    rest: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) others: Vec<(u8, Vec<u8>)>,
    pub(crate) is_broken: bool,
}

impl Reader {
    pub(crate) fn new(opener: Opener) -> Reader {
        Reader {
            opener,
            rest: Vec::new(),
            payload: Vec::new(),
            others: Vec::new(),
            is_broken: false,
        }
    }

    /// Takes what one read brought. Where a guest stops at a frame that is broken, this one goes on, and gets nothing.
    pub(crate) fn take(&mut self, bytes: &[u8], case: &mut Case) {
        let mut buffer = case.bytes(HEADER);
        buffer.append(&mut self.rest);
        buffer.extend(bytes);
        let others = &mut self.others;
        let count = others.len();
        let opened = self.opener.open(&mut buffer, case, |kind, packet| {
            others.push((kind, packet.to_vec()));
        });
        assert!(HEADER + opened.payload + opened.rest <= buffer.len());
        if self.is_broken {
            assert!(opened.is_broken && opened.payload == 0, "after the break");
            assert_eq!(self.others.len(), count, "after the break");
        }
        self.is_broken = opened.is_broken;
        assert!(opened.is_broken || opened.rest < MAX_FRAME);
        self.payload
            .extend(&buffer[HEADER..HEADER + opened.payload]);
        self.rest = buffer.split_off(buffer.len() - opened.rest);
    }

    /// Whether the direction may end here.
    pub(crate) fn is_between_frames(&self) -> bool {
        !self.is_broken && self.rest.is_empty() && self.opener.is_between_frames()
    }
}
