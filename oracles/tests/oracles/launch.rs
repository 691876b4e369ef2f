//! arti is the parent of a real ouzel: whole conversations, not lines.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use oracles::deadline::soon;
use oracles::heard::Heard;
use oracles::ouzel::executable;
use oracles::runtime::Offline;
use oracles::socks::say;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::interval;
use tor_ptmgr::err::PtError;
use tor_ptmgr::ipc::{
    PluggableClientTransport, PluggableServerTransport, PluggableTransport, PtClientParameters,
    PtClientParametersBuilder, PtCommonParameters, PtServerParameters,
};
use tracing::Level;

/// Less than arti's own 30 s.
const LIMIT: Duration = Duration::from_secs(20);

fn managed(state: &Path) -> PtCommonParameters {
    PtCommonParameters::builder()
        .state_location(state.join("pt_state"))
        .outbound_bind_v4(Some([127, 0, 0, 1].into()))
        .outbound_bind_v6(Some(std::net::Ipv6Addr::LOCALHOST))
        .timeout(Some(LIMIT))
        .build()
        .unwrap()
}

fn asking(transports: &[&str]) -> PtClientParametersBuilder {
    let mut client = PtClientParameters::builder();
    client.transports(
        transports
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
    );
    client
}

/// A client, its state directory, and what arti thinks of it.
async fn client(
    parameters: &PtClientParametersBuilder,
    args: &[&str],
) -> (PluggableClientTransport, TempDir, Result<(), PtError>) {
    let state = tempfile::tempdir().unwrap();
    let mut pt = PluggableClientTransport::new(
        executable().unwrap(),
        args.iter().map(|&arg| arg.to_owned()).collect(),
        managed(state.path()),
        parameters.build().unwrap(),
    );
    let launched = soon("a launch", pt.launch(Offline)).await.unwrap();
    (pt, state, launched)
}

async fn server(
    parameters: &PtServerParameters,
) -> (PluggableServerTransport, Result<(), PtError>) {
    let state = tempfile::tempdir().unwrap();
    let mut pt = PluggableServerTransport::new(
        executable().unwrap(),
        Vec::new(),
        managed(state.path()),
        parameters.clone(),
    );
    let launched = soon("a launch", pt.launch(Offline)).await.unwrap();
    (pt, launched)
}

fn endpoint(pt: &impl PluggableTransport, name: &str) -> SocketAddr {
    let methods = pt.transport_methods();
    let method = methods.get(&name.parse().unwrap());
    method.unwrap_or_else(|| panic!("{methods:?}")).endpoint()
}

#[tokio::test]
async fn arti_launches_a_client_and_has_nothing_to_complain_about() {
    let (heard, _guard) = Heard::listen();
    let (mut pt, _state, launched) = client(&asking(&["plain", "reverse"]), &[]).await;
    launched.unwrap();
    assert_eq!(pt.transport_methods().len(), 2);
    assert_eq!(heard.at_least(Level::WARN), [""; 0]);

    // A LOG line after DONE: arti says it on, at the level that ouzel meant.
    let port = endpoint(&pt, "reverse");
    assert!(port.ip().is_loopback());
    say(port, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let told = async {
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let told = heard.all().into_iter().find(|(_, text)| {
                text == "[pt ouzel] reverse: a SOCKS handshake failed: the first byte is not SOCKS5's"
            });
            if let Some((level, _)) = told {
                return level;
            }
        }
    };
    let level = soon("arti's log", async {
        tokio::select! {
            message = pt.next_message() => panic!("{message:?}"),
            level = told => level,
        }
    });
    assert_eq!(level.await.unwrap(), Level::INFO);
}

#[tokio::test]
async fn arti_launches_a_client_behind_a_proxy() {
    let (heard, _guard) = Heard::listen();
    for proxy in ["socks5://127.0.0.1:9", "http://user:password@[::1]:9"] {
        let mut parameters = asking(&["plain"]);
        parameters.proxy_uri(Some(proxy.to_owned()));
        let (pt, _state, launched) = client(&parameters, &[]).await;
        launched.unwrap();
        assert_eq!(pt.transport_methods().len(), 1);
    }
    assert_eq!(heard.at_least(Level::WARN), [""; 0]);
}

#[tokio::test]
async fn arti_launches_a_bridge() {
    let (heard, _guard) = Heard::listen();
    let parameters = PtServerParameters::builder()
        .transports(vec!["plain".parse().unwrap(), "reverse".parse().unwrap()])
        .server_bindaddr("plain-127.0.0.1:0,reverse-[::1]:0".to_owned())
        .server_transport_options("reverse:key=a\\:b".to_owned())
        .server_orport(Some("127.0.0.1:9".to_owned()))
        .build()
        .unwrap();
    let (pt, launched) = server(&parameters).await;
    launched.unwrap();
    assert_eq!(endpoint(&pt, "plain").ip().to_string(), "127.0.0.1");
    assert_eq!(endpoint(&pt, "reverse").ip().to_string(), "::1");
    assert_eq!(heard.at_least(Level::WARN), [""; 0]);
}

/// A name that ouzel leaves to others, as pt-spec 3.3.2 has it, is one that arti must not ask it for.
#[tokio::test]
async fn arti_gives_up_on_all_transports_where_one_is_unknown() {
    let (_, _state, launched) = client(&asking(&["plain", "nonesuch"]), &[]).await;
    match launched {
        Err(PtError::ClientTransportsUnsupported(names)) => assert_eq!(names, ["nonesuch"]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn arti_hears_why_a_transport_does_not_start() {
    let args = ["--module", "own=/nowhere/own.wasm"];
    let (_, _state, launched) = client(&asking(&["own"]), &args).await;
    match launched {
        Err(PtError::TransportGaveError { transport, message }) => {
            assert_eq!(transport, "own");
            let expected = "/nowhere/own.wasm does not exist; check the path after --module";
            assert_eq!(message, expected);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn arti_hears_why_a_proxy_cannot_be_used() {
    let mut parameters = asking(&["plain"]);
    parameters.proxy_uri(Some("socks5://localhost:9".to_owned()));
    let (_, _state, launched) = client(&parameters, &[]).await;
    match launched {
        Err(PtError::ProxyError(text)) => assert!(text.contains("is not an IP address"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn arti_hears_of_wrong_flags() {
    let (_, _state, launched) = client(&asking(&["plain"]), &["--no-such-flag"]).await;
    match launched {
        Err(PtError::ChildProtocolViolation(text)) => {
            assert!(text.contains("'--no-such-flag'"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

/// arti has no way yet to name the cookie file that an Extended ORPort needs.
#[tokio::test]
async fn arti_cannot_offer_an_extended_orport() {
    let parameters = PtServerParameters::builder()
        .transports(vec!["plain".parse().unwrap()])
        .server_extended_orport(Some("127.0.0.1:9".to_owned()))
        .build()
        .unwrap();
    let (_, launched) = server(&parameters).await;
    match launched {
        Err(PtError::ChildProtocolViolation(text)) => {
            assert!(text.contains("TOR_PT_AUTH_COOKIE_FILE is not"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

/// arti notices that nobody wants a transport any more when the transport says something; then it closes stdin.
#[tokio::test]
async fn a_transport_that_arti_drops_ends() {
    let (pt, _state, launched) = client(&asking(&["plain"]), &[]).await;
    launched.unwrap();
    let port = endpoint(&pt, "plain");
    drop(pt);
    say(port, b"anything that is not SOCKS5").await.unwrap();
    let gone = async {
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            if TcpStream::connect(port).await.is_err() {
                return;
            }
        }
    };
    soon("the end of the transport", gone).await.unwrap();
}
