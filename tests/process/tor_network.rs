//! Real tors on both sides: a client that knows nothing but a bridge fetches a file through it, byte for byte.

use std::time::Duration;

use crate::support::bytes::MIB;
use crate::support::deadline::{SOON, eventually, within};
use crate::support::peers;
use crate::support::tor::{self, Network, Plug, Tor};
use crate::support::web::Web;

/// For the file; tor moves more than ten times as much on an idle machine.
const FETCH: Duration = Duration::from_secs(60);

/// A private network with a file fetched through it.
async fn fetched(plug: &Plug) -> Network {
    let host = tor::host();
    let web = Web::start(host, 7, 4 * MIB).await;
    let network = Network::start(plug, web.addr.port(), host).await;
    let mut stream = network.open(web.addr).await;
    let fetch = web.fetch(&mut stream);
    within(FETCH, "4 MiB through the private network", fetch).await;
    network
}

/// What tor says about a transport that it is not content with.
fn complaints(tor: &Tor) -> Vec<String> {
    let mut lines = tor.log.so_far();
    lines.retain(|line| {
        let text = line.to_lowercase();
        let severe = text.contains("[warn]") || text.contains("[err]");
        let about = ["proxy", "transport", "extended orport", "extorport"];
        let ours = about.iter().any(|word| text.contains(word));
        // tor's own advice about using several bridges at a time.
        let conflux = text.contains("conflux");
        (severe && ours && !conflux) || text.contains("unknown line")
    });
    lines
}

/// The network works with the program under test, its tors have nothing to say against it, and it ends with them.
async fn ouzel_carries(transport: &'static str, ext_orport: bool) {
    let mut network = fetched(&Plug {
        program: peers::ouzel(),
        transport,
        ext_orport,
    })
    .await;
    let registered = format!("Registered server transport '{transport}'");
    network.bridge.logs(SOON, &registered).await;

    // A client that reads its torrc again keeps the process.
    let children = network.client.children();
    assert_eq!(children.len(), 1, "one transport process: {children:?}");
    network.client.reload().await;
    assert_eq!(network.client.children(), children, "it was started anew");

    for tor in [&network.client, &network.bridge] {
        let complaints = complaints(tor);
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
    for tor in [&mut network.client, &mut network.bridge] {
        let children = tor.children();
        assert_eq!(children.len(), 1);
        tor.stop().await;
        let gone = eventually(SOON, || {
            children
                .iter()
                .all(|pid| !std::path::Path::new(&format!("/proc/{pid}/exe")).exists())
                .then_some(())
        });
        assert!(gone.await.is_some(), "it outlived its tor");
    }
}

#[tokio::test]
async fn a_file_arrives_through_plain_and_the_extended_orport() {
    ouzel_carries("plain", true).await;
}

#[tokio::test]
async fn a_file_arrives_through_reverse_and_the_plain_orport() {
    ouzel_carries("reverse", false).await;
}

/// The network itself is tried with the incumbent, so that a failure above is known to be ours.
#[tokio::test]
async fn a_file_arrives_through_obfs4proxy() {
    fetched(&Plug {
        program: peers::obfs4proxy(),
        transport: "obfs4",
        ext_orport: true,
    })
    .await;
}
