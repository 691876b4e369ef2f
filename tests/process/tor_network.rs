//! Real tors on both sides: a client that knows nothing but a bridge fetches a file through it, byte for byte.

use std::time::Duration;

use crate::obfs4::ends::{PAIRINGS, Program};
use crate::support::bytes::MIB;
use crate::support::deadline::{SOON, eventually, within};
use crate::support::peers;
use crate::support::tor::{self, Network, Plug, Route, Tor};
use crate::support::web::Web;

/// For the file; tor moves more than ten times as much on an idle machine.
const FETCH: Duration = Duration::from_secs(60);

/// A private network with a file fetched by every route.
async fn fetched(plugs: &[Plug]) -> Network {
    let host = tor::host();
    let web = Web::start(host, 7, 4 * MIB).await;
    let network = Network::start(plugs, web.addr.port(), host).await;
    for route in &network.routes {
        let mut stream = route.open(web.addr).await;
        let fetch = web.fetch(&mut stream);
        within(FETCH, "4 MiB through the private network", fetch).await;
    }
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
    let network = fetched(&[Plug {
        client: peers::ouzel(),
        bridge: peers::ouzel(),
        transport,
        ext_orport,
    }])
    .await;
    for route in network.routes {
        is_content(route, transport).await;
    }
}

/// Neither tor of a route has anything to say against its transport, which survives a reload and ends with its tor.
async fn is_content(mut route: Route, transport: &str) {
    let registered = format!("Registered server transport '{transport}'");
    route.bridge.logs(SOON, &registered).await;

    // A client that reads its torrc again keeps the process.
    let children = route.client.children();
    assert_eq!(children.len(), 1, "one transport process: {children:?}");
    route.client.reload().await;
    assert_eq!(route.client.children(), children, "it was started anew");

    for tor in [&route.client, &route.bridge] {
        let complaints = complaints(tor);
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
    for tor in [&mut route.client, &mut route.bridge] {
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

/// One network, and a route for each pairing of ouzel's obfs4 and Debian's. The first is Debian's alone, so that a
/// failure of another is known to be ours.
#[tokio::test]
async fn a_file_arrives_through_every_pairing_of_obfs4() {
    let plugs = PAIRINGS.map(|pairing| Plug {
        client: pairing.client.executable(),
        bridge: pairing.bridge.executable(),
        transport: "obfs4",
        ext_orport: true,
    });
    let network = fetched(&plugs).await;
    for (pairing, route) in PAIRINGS.into_iter().zip(network.routes) {
        eprintln!("{pairing:?}");
        // obfs4proxy misses a signal now and then, and its children are its own matter.
        if pairing.client == Program::Ouzel && pairing.bridge == Program::Ouzel {
            is_content(route, "obfs4").await;
        }
    }
}
