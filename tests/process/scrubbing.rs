//! What nobody may read in a log: addresses, arguments, credentials, cookies (pt-spec 4). Everything that goes wrong
//! here goes wrong with a value that cannot come from anywhere else, at the most talkative log level.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

use crate::support::orport::{ExtOrPort, Script, answer};
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Raw, Target, credentials, open};
use crate::support::upstream::{Kind, Upstream};

fn talkative(launch: Launch) -> Launch {
    launch
        .arg("--log-level")
        .arg("debug")
        .arg("--enable-logging")
}

/// Ends a process and gives all that it left: stdout, stderr and every file of its state directory.
async fn traces(mut pt: Pt) -> Vec<(String, String)> {
    pt.close_stdin();
    pt.exits(0).await;
    let mut all = vec![
        ("stdout".to_owned(), pt.stdout.text()),
        ("stderr".to_owned(), pt.stderr.text()),
    ];
    collect(&pt.state_dir(), &mut all);
    assert!(
        all.iter().any(|(name, _)| name.ends_with("ouzel.log")),
        "no log file"
    );
    all
}

fn collect(folder: &Path, all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            all.push((path.display().to_string(), text));
        }
    }
}

fn assert_absent(all: &[(String, String)], secrets: &[&str]) {
    for (name, text) in all {
        // Addresses that a METHOD line must name are our own listeners'.
        let text: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("CMETHOD ") && !line.starts_with("SMETHOD "))
            .collect();
        for secret in secrets {
            let told = text.iter().find(|line| line.contains(secret));
            assert!(told.is_none(), "{secret:?} in {name}: {told:?}");
        }
    }
}

/// An address under which nothing else here lives.
async fn bridge() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.83.91.7:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Sessions that a client sees, good and bad.
async fn client_sessions(pt: &Pt) -> Vec<String> {
    let socks = pt.method("plain").await.addr;
    let (listener, addr) = bridge().await;
    let good = open(socks, &addr.into(), b"cert=SECRETCERT;iat-mode=0").await;
    let mut near = good.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    near.write_all(b"SECRETPAYLOAD").await.unwrap();
    far.set_zero_linger().unwrap();
    drop(far);
    drop(listener);
    open(socks, &addr.into(), b"cert=SECRETCERT")
        .await
        .unwrap_err();
    let name = format!("secret-bridge.{}.invalid", "a".repeat(64));
    open(socks, &Target::name(&name, 4433), b"")
        .await
        .unwrap_err();
    let v6: SocketAddr = "[ff02::5ec:4e7]:4433".parse().unwrap();
    let _ = open(socks, &v6.into(), b"").await;
    for said in [
        &b"GET /SECRETREQUEST HTTP/1.1\r\n\r\n"[..],
        &[&[5, 1, 2][..], &credentials(b"SECRETUSER")].concat(),
        &[&[5, 1, 2][..], &credentials(b"k=SECRETVALUE;")].concat(),
        &[
            &[5, 1, 2][..],
            &credentials(b"k=\xffSECRETBYTES"),
            &Target::from(addr).connect(),
        ]
        .concat(),
    ] {
        let mut raw = Raw::to(socks).await;
        raw.send(said).await;
        let _ = raw.rest().await;
    }
    [
        "127.83.91.7",
        &format!(":{}", addr.port()),
        "SECRET",
        "secret-bridge",
        "5ec:4e7",
        "4433",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[tokio::test]
async fn a_client_s_logs_tell_no_addresses_and_no_arguments() {
    let pt = talkative(Launch::client("plain,reverse")).ready().await;
    let secrets = client_sessions(&pt).await;
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    assert_absent(&traces(pt).await, &secrets);
}

#[tokio::test]
async fn a_client_behind_a_proxy_tells_no_credentials() {
    for (kind, user, code) in [
        (Kind::Http, "SECRETUSER:SECRETPASS", 4),
        (Kind::Http, "SECRETUSER:SECRETPASS", 0),
        (Kind::Socks5(2), "SECRETUSER:SECRETPASS", 5),
        (Kind::Socks5(2), "SECRETUSER:SECRETPASS", 0),
        (Kind::Socks5(0xff), "SECRETUSER:SECRETPASS", 0),
        (Kind::Socks4, "SECRETUSER", 91),
    ] {
        let (listener, addr) = bridge().await;
        let reply = if code == 0 {
            kind.welcome()
        } else {
            kind.reply(code)
        };
        let proxy = Upstream::start(kind, reply, Some(addr)).await;
        let scheme = match kind {
            Kind::Http => "http",
            Kind::Socks5(_) => "socks5",
            Kind::Socks4 => "socks4a",
        };
        let pt = talkative(Launch::client("plain"))
            .set("TOR_PT_PROXY", format!("{scheme}://{user}@{}", proxy.addr))
            .ready()
            .await;
        let socks = pt.method("plain").await.addr;
        for target in [
            Target::from(addr),
            Target::name("secret-bridge.invalid", addr.port()),
        ] {
            let _ = open(socks, &target, b"cert=SECRETCERT").await;
        }
        drop(listener);
        let all = traces(pt).await;
        let told = all
            .iter()
            .any(|(name, text)| name == "stdout" && text.contains("LOG "));
        assert!(code == 0 || told, "{kind:?} {code}: no line to look at");
        // The second is the beginning of the first in base64.
        let secrets = [
            "SECRET",
            "U0VDUkVU",
            "127.83.91.7",
            "secret-bridge",
            &format!(":{}", proxy.addr.port()),
        ];
        assert_absent(&all, &secrets);
    }
}

#[tokio::test]
async fn a_server_s_logs_tell_no_clients_no_options_and_no_cookie() {
    let mut ext = ExtOrPort::listen().await;
    let pt = talkative(Launch::server("plain", "127.0.0.1:9".parse().unwrap()))
        .set("TOR_PT_EXTENDED_SERVER_PORT", ext.addr().to_string())
        .set("TOR_PT_AUTH_COOKIE_FILE", ext.cookie_file())
        .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", "plain:psk=SECRETOPTION")
        .ready()
        .await;
    let addr = pt.method("plain").await.addr;
    let from_client = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.83.92.8:0".parse().unwrap()).unwrap();
        Raw(socket.connect(addr).await.unwrap())
    };
    // Good; denied; an impostor; a wrong cookie; nobody there.
    let mut client = from_client().await;
    let (mut relay, _) = ext.welcome().await;
    relay.write_all(b"SECRETPAYLOAD").await.unwrap();
    client.take(13).await.unwrap();
    drop((client, relay));

    let _client = from_client().await;
    let mut relay = ext.accept().await;
    ext.greet(&mut relay).await;
    answer(&mut relay, 0x1001, b"").await;

    let _client = from_client().await;
    let mut relay = ext.accept().await;
    let script = Script {
        honest: false,
        ..Script::default()
    };
    let _ = ext.authenticate(&mut relay, &script).await;

    let first_cookie = hex(ext.cookie());
    ext.renew_cookie();
    ext.write_cookie(&[b"not a cookie".as_slice(), ext.cookie()].concat());
    let _client = from_client().await;
    pt.logs(&["cookie"]).await;
    drop(relay);
    let second_cookie = hex(ext.cookie());
    let port = format!(":{}", ext.addr().port());
    drop(ext);
    let _client = from_client().await;
    let gone = pt.until(|line| line.starts_with("LOG ") && line.contains("ORPort"));
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("the missing ORPort is logged");
    let secrets = [
        "127.83.92.8",
        "SECRET",
        &first_cookie,
        &second_cookie,
        &port,
    ];
    assert_absent(&traces(pt).await, &secrets);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn an_operator_may_ask_for_addresses() {
    // The other way round, so that the tests above are known to look in the right place.
    let pt = talkative(Launch::client("plain,reverse"))
        .arg("--unsafe-logging")
        .ready()
        .await;
    client_sessions(&pt).await;
    let all = traces(pt).await;
    for place in ["stdout", "ouzel.log"] {
        let (_, text) = all
            .iter()
            .find(|(name, _)| name.ends_with(place))
            .expect("collected");
        assert!(
            text.contains("127.83.91.7:"),
            "no address in {place}:\n{text}"
        );
    }
}

/// A module's words can hold anything; only an operator who asks for addresses in the log hears them.
#[tokio::test]
async fn what_a_module_prints_is_told_to_nobody_who_did_not_ask() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("watm/dist/test-guests/printer.wasm");
    let module = format!("printer={}", module.display());
    for unsafe_logging in [false, true] {
        let launch = talkative(Launch::client("printer"))
            .arg("--module")
            .arg(&module);
        let launch = if unsafe_logging {
            launch.arg("--unsafe-logging")
        } else {
            launch
        };
        let pt = launch.ready().await;
        let (listener, addr) = bridge().await;
        let near = open(pt.method("printer").await.addr, &addr.into(), b"")
            .await
            .unwrap();
        if unsafe_logging {
            pt.logs(&["printer: its module says: a line to 192.0.2.1:443"])
                .await;
            pt.logs(&["half a line"]).await;
        } else {
            pt.logs(&["printer: its module printed something; --unsafe-logging shows what"])
                .await;
        }
        drop((near, listener));
        let mut all = traces(pt).await;
        // The module itself is kept, compiled, with its words in it.
        all.retain(|(name, _)| !name.ends_with(".cwasm"));
        let said = all.iter().flat_map(|(_, text)| text.lines());
        let said = said.filter(|line| line.contains("its module says")).count();
        if unsafe_logging {
            // Two sinks, sixty lines each.
            assert!((4..=120).contains(&said), "{said} lines of a flood");
        } else {
            assert_absent(&all, &["192.0.2.1", "half a line", "line 0001"]);
        }
    }
}
