//! Real tors on both sides: the promise of the whole project, kept.

use crate::support::bytes::MIB;
use crate::support::deadline::within;
use crate::support::peers;
use crate::support::tor::{self, Network, Plug};
use crate::support::web::Web;
use std::time::Duration;

/// A private network, a file fetched through it, and an orderly end.
async fn fetches_a_file(plug: Plug) {
    let host = tor::host();
    let web = Web::start(host, 7, 4 * MIB).await;
    let mut network = Network::start(&plug, web.addr.port(), host).await;
    let mut stream = network.open(web.addr).await;
    within(
        Duration::from_secs(60),
        "4 MiB through the private network",
        web.fetch(&mut stream),
    )
    .await;
    network.client.stop().await;
}

/// The harness itself, with the incumbent in the place of the program under test.
#[tokio::test]
async fn a_file_arrives_through_obfs4proxy() {
    fetches_a_file(Plug {
        program: peers::obfs4proxy(),
        transport: "obfs4",
        ext_orport: true,
    })
    .await;
}
