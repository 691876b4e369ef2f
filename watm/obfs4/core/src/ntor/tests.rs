//! Handshakes of obfs4proxy's, and points that must end them.

use super::*;
use crate::keys::tests::{Scripted, bytes, vectors};

struct Parties {
    client: SessionKey,
    server: SessionKey,
    identity: IdentityKey,
    node: NodeId,
}

fn parties(vector: &[&str]) -> Parties {
    let session = |hex| SessionKey::generate(&mut Scripted(bytes::<32>(hex).to_vec()));
    Parties {
        client: session(vector[0]),
        server: session(vector[1]),
        identity: IdentityKey::from_private(bytes(vector[2])),
        node: NodeId::from_bytes(bytes(vector[3])),
    }
}

#[test]
fn both_sides_agree_as_obfs4proxy_does() {
    let mut count = 0;
    for vector in vectors("ntor") {
        let all = parties(&vector);
        // Each side has the other's key through its representative.
        let x = all.client.representative().to_public();
        let y = all.server.representative().to_public();
        let sides = [
            client(&all.client, &y, all.identity.public(), &all.node),
            server(&x, &all.server, &all.identity, &all.node),
        ];
        for secrets in sides {
            let secrets = secrets.expect("the products are not zero");
            assert_eq!(secrets.seed.0, bytes(vector[4]));
            assert_eq!(secrets.auth, bytes(vector[5]));
            assert!(secrets.auth_is(&bytes(vector[5])));
            assert_eq!(*secrets.seed.expand(), bytes(vector[6]));
        }
        count += 1;
    }
    assert_eq!(count, 16);
}

#[test]
fn each_bit_of_auth_counts() {
    let vector = vectors("ntor").next().expect("a vector");
    let all = parties(&vector);
    let secrets = server(all.client.public(), &all.server, &all.identity, &all.node)
        .expect("the products are not zero");
    for bit in 0..256 {
        let mut received = secrets.auth;
        received[bit / 8] ^= 1 << (bit % 8);
        assert!(!secrets.auth_is(&received), "bit {bit}");
    }
}

#[test]
fn each_key_counts() {
    let vector = vectors("ntor").next().expect("a vector");
    let all = parties(&vector);
    let other = parties(&vectors("ntor").nth(1).expect("a second vector"));
    let (x, y) = (all.client.public(), all.server.public());
    let wrong = [
        server(other.client.public(), &all.server, &all.identity, &all.node),
        server(x, &other.server, &all.identity, &all.node),
        server(x, &all.server, &other.identity, &all.node),
        server(x, &all.server, &all.identity, &other.node),
        client(&all.client, y, other.identity.public(), &all.node),
    ];
    for secrets in wrong {
        let secrets = secrets.expect("the products are not zero");
        assert!(!secrets.auth_is(&bytes(vector[5])));
    }
}

#[test]
fn points_of_low_order_have_no_secrets() {
    let all = parties(&vectors("ntor").next().expect("a vector"));
    let (x, y) = (all.client.public(), all.server.public());
    let low_order = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ]
    .map(|hex| PublicKey::from_bytes(bytes(hex)));
    for point in &low_order {
        assert!(client(&all.client, point, all.identity.public(), &all.node).is_none());
        assert!(client(&all.client, y, point, &all.node).is_none());
        assert!(server(point, &all.server, &all.identity, &all.node).is_none());
    }
    assert!(client(&all.client, y, all.identity.public(), &all.node).is_some());
    assert!(server(x, &all.server, &all.identity, &all.node).is_some());
}

#[test]
fn what_is_secret_is_wiped() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<SessionKey>();
    wiped::<IdentityKey>();
    wiped::<KeySeed>();
    wiped::<Zeroizing<[u8; 144]>>();
}
