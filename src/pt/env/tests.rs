//! Environments as tor makes them, and as nobody should.

use super::*;
use proptest::prelude::*;

fn with<T>(pairs: &[(&str, &str)], run: impl Fn(Lookup<'_>) -> T) -> T {
    let lookup = |name: &str| {
        let pair = pairs.iter().rev().find(|(n, _)| *n == name)?;
        Some(OsString::from(pair.1))
    };
    run(&lookup)
}

const CLIENT_BASE: &[(&str, &str)] = &[(STATE, "/s/"), (CLIENT, "plain")];
const SERVER_BASE: &[(&str, &str)] = &[(STATE, "/s/"), (SERVER, "plain"), (ORPORT, "127.0.0.1:9")];

fn read(base: &[(&str, &str)], more: &[(&str, &str)]) -> Result<Environment, StartError> {
    with(&[base, more].concat(), |lookup| parse(lookup))
}

fn server_of(more: &[(&str, &str)]) -> ServerEnv {
    match read(SERVER_BASE, more).unwrap().role {
        Role::Server(server) => server,
        Role::Client(_) => panic!("a server's environment made a client"),
    }
}

#[track_caller]
fn is_env_error(result: Result<Environment, StartError>, names: &str) {
    match result {
        Err(StartError::Env(text)) => assert!(text.contains(names), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_parent_is_recognised() {
    assert!(!with(&[], |l| is_managed(l)));
    assert!(!with(&[("HOME", "/"), ("TOR_PT_UNHEARD", "1")], |l| {
        is_managed(l)
    }));
    assert!(with(&[(MANAGED_VERSION, "")], |l| is_managed(l)));
    assert!(with(&[(CLIENT, "plain")], |l| is_managed(l)));
}

#[test]
fn versions() {
    for good in ["1", "1,2", "2,1", "3.0,1", "2,1,3"] {
        assert_eq!(with(&[(MANAGED_VERSION, good)], |l| version(l)), Ok(()));
    }
    for bad in ["2", "1a,11", " 1", "1.0", ","] {
        assert_eq!(
            with(&[(MANAGED_VERSION, bad)], |l| version(l)),
            Err(StartError::Version)
        );
    }
    let missing = Err(env(format!("{MANAGED_VERSION} is not set")));
    assert_eq!(with(&[], |l| version(l)), missing);
    assert_eq!(with(&[(MANAGED_VERSION, "")], |l| version(l)), missing);
}

#[test]
fn a_plain_client() {
    assert_eq!(
        read(CLIENT_BASE, &[(CLIENT, "b,,a,b,"), (EXTENDED, "nonsense")]),
        Ok(Environment {
            state: "/s/".into(),
            exit_on_stdin_close: false,
            bind_v4: None,
            bind_v6: None,
            role: Role::Client(ClientEnv {
                transports: vec!["b".into(), "a".into()],
                proxy: None,
            }),
        })
    );
}

#[test]
fn the_role_must_be_one() {
    is_env_error(read(CLIENT_BASE, &[(SERVER, "plain")]), "both");
    is_env_error(read(CLIENT_BASE, &[(CLIENT, "")]), "neither");
    assert!(read(CLIENT_BASE, &[(SERVER, "")]).is_ok());
}

#[test]
fn the_state_location_is_required() {
    is_env_error(read(CLIENT_BASE, &[(STATE, "")]), STATE);
    is_env_error(read(&[(CLIENT, "plain")], &[]), STATE);
}

#[test]
fn only_a_one_closes_with_stdin() {
    for (value, expected) in [
        ("1", true),
        ("", false),
        ("0", false),
        ("true", false),
        ("11", false),
    ] {
        let environment = read(CLIENT_BASE, &[(STDIN, value)]).unwrap();
        assert_eq!(environment.exit_on_stdin_close, expected, "{value:?}");
    }
}

#[test]
fn outbound_addresses() {
    let environment = read(
        CLIENT_BASE,
        &[(OUTBOUND_V4, "192.0.2.1"), (OUTBOUND_V6, "[2001:db8::1]")],
    );
    let environment = environment.unwrap();
    assert_eq!(environment.bind_v4, "192.0.2.1".parse().ok());
    assert_eq!(environment.bind_v6, "2001:db8::1".parse().ok());
    let bare = read(CLIENT_BASE, &[(OUTBOUND_V6, "2001:db8::2")]).unwrap();
    assert_eq!(bare.bind_v6, "2001:db8::2".parse().ok());
    let empty = read(CLIENT_BASE, &[(OUTBOUND_V4, ""), (OUTBOUND_V6, "")]).unwrap();
    assert_eq!((empty.bind_v4, empty.bind_v6), (None, None));
    is_env_error(
        read(CLIENT_BASE, &[(OUTBOUND_V4, "192.0.2.1:0")]),
        OUTBOUND_V4,
    );
    is_env_error(read(SERVER_BASE, &[(OUTBOUND_V4, "::1")]), OUTBOUND_V4);
    is_env_error(
        read(CLIENT_BASE, &[(OUTBOUND_V6, "[192.0.2.1]")]),
        OUTBOUND_V6,
    );
}

#[test]
fn a_proxy_is_used_or_refused_never_ignored() {
    let proxy_of = |value| match read(CLIENT_BASE, &[(PROXY, value)]).unwrap().role {
        Role::Client(client) => client.proxy,
        Role::Server(_) => panic!("a client's environment made a server"),
    };
    assert!(proxy_of("").is_none());
    assert!(matches!(proxy_of("socks5://127.0.0.1:1"), Some(Ok(_))));
    assert!(matches!(proxy_of("garbage"), Some(Err(_))));
    assert!(read(SERVER_BASE, &[(PROXY, "garbage")]).is_ok());
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(b"a\xff".to_vec());
    let lookup = |name: &str| match name {
        STATE | PROXY => Some(odd.clone()),
        CLIENT => Some("plain".into()),
        _ => None,
    };
    let environment = parse(&lookup).unwrap();
    assert_eq!(environment.state.as_os_str(), odd);
    let Role::Client(client) = environment.role else {
        panic!("a client's environment made a server");
    };
    assert_eq!(client.proxy, Some(Err(ProxyError::NotText.to_string())));
}

#[test]
fn bind_addresses_are_matched_to_the_transports_asked_for() {
    let server = server_of(&[
        (SERVER, "plain,reverse,six"),
        (BINDADDR, "plain-0.0.0.0:443,six-[::1]:80,other-1.2.3.4:5"),
    ]);
    let bind = |name: &str, addr: Option<&str>| Bind {
        name: name.into(),
        addr: addr.map(|a| a.parse().unwrap()),
    };
    assert_eq!(
        server.binds,
        [
            bind("plain", Some("0.0.0.0:443")),
            bind("reverse", None),
            bind("six", Some("[::1]:80")),
        ]
    );
    let unbracketed = server_of(&[(BINDADDR, "plain-::1:0")]);
    assert_eq!(unbracketed.binds, [bind("plain", Some("[::1]:0"))]);
    assert_eq!(server_of(&[]).binds, [bind("plain", None)]);
}

#[test]
fn malformed_bind_addresses() {
    for bad in [
        "plain",
        "plain-localhost:80",
        "plain-1.2.3.4",
        "plain-1.2.3.4:",
        "plain-1.2.3.4:x",
        "plain-1.2.3.4:+1",
        "plain-1.2.3.4:65536",
        "plain-:80",
        "plain-1.2.3.4:80,",
        "plain-1.2.3.4:80,plain-1.2.3.4:81",
        "other-1.2.3.4:80,other-1.2.3.4:81",
    ] {
        is_env_error(read(SERVER_BASE, &[(BINDADDR, bad)]), BINDADDR);
    }
}

#[test]
fn server_options_of_the_transports_asked_for() {
    let server = server_of(&[(OPTIONS, "plain:a=1;other:b=2;plain:a=3")]);
    assert_eq!(server.options.len(), 1);
    assert_eq!(server.options["plain"].get(b"a"), Some(&b"1"[..]));
    assert!(server_of(&[(OPTIONS, "")]).options.is_empty());
    for bad in [
        "x",
        "plain:secret",
        "plain:a=1;",
        "plain:=secret",
        "plain:a=\\",
    ] {
        let result = read(SERVER_BASE, &[(OPTIONS, bad)]);
        assert!(!format!("{result:?}").contains("secret"));
        is_env_error(result, OPTIONS);
    }
}

#[test]
fn the_relay_is_found() {
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let plain = server_of(&[(EXTENDED, ""), (COOKIE, "/c")]);
    assert_eq!(plain.orport, OrPort::Plain(addr("127.0.0.1:9")));

    let extended = OrPort::Extended {
        addr: addr("127.0.0.1:10"),
        cookie: "/c".into(),
    };
    let both = server_of(&[(EXTENDED, "127.0.0.1:10"), (COOKIE, "/c")]);
    assert_eq!(both.orport, extended);

    let alone = server_of(&[(ORPORT, ""), (EXTENDED, "127.0.0.1:10"), (COOKIE, "/c")]);
    assert_eq!(alone.orport, extended);

    is_env_error(read(SERVER_BASE, &[(ORPORT, "")]), ORPORT);
    is_env_error(read(SERVER_BASE, &[(ORPORT, "here:9")]), ORPORT);
    is_env_error(read(SERVER_BASE, &[(EXTENDED, "127.0.0.1:10")]), COOKIE);
    is_env_error(
        read(SERVER_BASE, &[(EXTENDED, "x"), (COOKIE, "/c")]),
        EXTENDED,
    );
}

#[test]
fn exit_codes() {
    assert_eq!(StartError::Version.exit_code(), 78);
    assert_eq!(env(String::new()).exit_code(), 64);
}

proptest! {
    #[test]
    fn any_environment_is_judged(
        values in prop::collection::vec("[-a-z0-9.,:;=\\\\\\[\\]\\PC]{0,24}", 13),
        is_server in any::<bool>(),
    ) {
        let names = [STATE, STDIN, OUTBOUND_V4, OUTBOUND_V6, PROXY, BINDADDR, OPTIONS, ORPORT,
            EXTENDED, COOKIE, MANAGED_VERSION];
        let mut pairs: Vec<_> = names.iter().zip(&values).map(|(n, v)| (*n, v.as_str())).collect();
        pairs.push((if is_server { SERVER } else { CLIENT }, &values[12]));
        let _ = with(&pairs, |l| (version(l), parse(l)));
    }
}
