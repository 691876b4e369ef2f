//! A private tor network on loopback: authorities, relays, a bridge and a client that reaches it through a
//! pluggable transport. Nothing leaves the machine.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::interval;

use super::deadline::{SOON, eventually, soon, stays_pending};
use super::lines::Lines;
use super::{peers, socks};

/// From the first tor started to the client's circuits.
const BOOTSTRAP: Duration = Duration::from_secs(60);
/// For a stream through it.
const STREAM: Duration = Duration::from_secs(45);

/// The transport that the network is to use.
pub(crate) struct Plug {
    /// The client's executable.
    pub(crate) client: PathBuf,
    /// The bridge's.
    pub(crate) bridge: PathBuf,
    /// The method name.
    pub(crate) transport: &'static str,
    /// Whether the bridge offers its Extended ORPort.
    pub(crate) ext_orport: bool,
}

/// One tor.
pub(crate) struct Tor {
    name: String,
    child: Child,
    /// Its log.
    pub(crate) log: Lines,
    /// Its data directory.
    pub(crate) data: PathBuf,
}

/// A bridge, and a client that has its line.
pub(crate) struct Route {
    /// The bridge.
    pub(crate) bridge: Tor,
    /// The client.
    pub(crate) client: Tor,
    socks: SocketAddr,
}

/// A running network, ended when dropped.
pub(crate) struct Network {
    /// One for each plug.
    pub(crate) routes: Vec<Route>,
    // Relays and folders go last.
    _relays: Vec<Tor>,
    _folder: TempDir,
}

/// An address of its own, so that the ports which tor must know beforehand are nobody else's. Not from
/// 127.192.0.0/10: tor takes that for its virtual addresses.
pub(crate) fn host() -> IpAddr {
    let mut random = [0; 3];
    getrandom::fill(&mut random).unwrap();
    let [a, b, c] = random;
    IpAddr::V4(Ipv4Addr::new(127, a % 180 + 2, b, c % 253 + 1))
}

/// Progress for whoever watches; libtest would keep a print until the end.
fn say(start: Instant, what: &str) {
    let at = start.elapsed().as_secs_f32();
    let _ = writeln!(std::io::stderr(), "[tor network {at:5.1} s] {what}");
}

impl Network {
    /// Starts everything, with a route for each plug, and waits until every client has built a circuit. `web` is what
    /// the exits must allow.
    pub(crate) async fn start(plugs: &[Plug], web: u16, host: IpAddr) -> Self {
        let start = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);

        let mut authorities = Vec::new();
        let mut lines = String::new();
        for name in ["auth0", "auth1"] {
            let authority = Authority::create(name, at(name), host).await;
            lines.push_str(&authority.line);
            authorities.push(authority);
        }
        say(start, "authority keys made");

        let common = |name: &str| {
            format!(
                "TestingTorNetwork 1\nNickname {name}\nDataDirectory {}\nAddress {host}\n\
                 AssumeReachable 1\nShutdownWaitLength 0\n__OwningControllerProcess {}\n\
                 Log notice stdout\nLogTimeGranularity 1\nSafeLogging 0\nAvoidDiskWrites 1\n\
                 ServerDNSResolvConfFile {}\nServerDNSDetectHijacking 0\nServerDNSTestAddresses\n\
                 ClientRejectInternalAddresses 0\nClientDNSRejectInternalAddresses 0\n\
                 PathsNeededToBuildCircuits 0.25\n{lines}",
                at(name).display(),
                std::process::id(),
                at("resolv.conf").display(),
            )
        };
        std::fs::write(at("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();

        let mut relays = Vec::new();
        for authority in &authorities {
            let torrc = format!(
                "{}SocksPort 0\nORPort {host}:{}\nDirPort {host}:{}\nContactInfo nobody\n\
                 AuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\nExitPolicy reject *:*\n\
                 TestingV3AuthInitialVotingInterval 10\nTestingV3AuthInitialVoteDelay 2\n\
                 TestingV3AuthInitialDistDelay 2\nV3AuthVotingInterval 10\nV3AuthVoteDelay 2\n\
                 V3AuthDistDelay 2\nTestingDirAuthVoteExit *\nTestingDirAuthVoteGuard *\n\
                 TestingDirAuthVoteHSDir *\nAuthDirMaxServersPerAddr 0\n",
                common(authority.name),
                authority.or_port,
                authority.dir_port,
            );
            relays.push(Tor::start(authority.name, &at(authority.name), &torrc));
        }
        for name in ["exit0", "exit1"] {
            // A policy of private ranges alone is summarised as "reject everything": the port must be open to all.
            let torrc = format!(
                "{}SocksPort 0\nORPort {host}:auto\nExitRelay 1\nExitPolicyRejectPrivate 0\n\
                 ExitPolicy accept 127.0.0.0/8:*,accept *:{web},reject *:*\n",
                common(name)
            );
            relays.push(Tor::start(name, &at(name), &torrc));
        }
        // A bridge that asks before there is a consensus waits 10 to 20 s for its second try.
        for tor in &relays[..2] {
            tor.writes("cached-microdesc-consensus", |text| {
                (text.contains("\nr exit0 ") && text.contains("\nr exit1 ")).then_some(())
            })
            .await;
        }
        say(start, "the authorities agree, both exits listed");

        let mut bridges = Vec::new();
        for (n, plug) in plugs.iter().enumerate() {
            let name = format!("bridge{n}");
            let torrc = format!(
                "{}SocksPort 0\nORPort {host}:auto\nBridgeRelay 1\nExitRelay 0\n\
                 PublishServerDescriptor 0\nBridgeDistribution none\n\
                 ServerTransportPlugin {} exec {}\nServerTransportListenAddr {} {host}:{}\n{}",
                common(&name),
                plug.transport,
                plug.bridge.display(),
                plug.transport,
                free_port(host).await,
                if plug.ext_orport {
                    "ExtORPort auto\n"
                } else {
                    ""
                },
            );
            bridges.push(Tor::start(&name, &at(&name), &torrc));
        }
        let mut lines = Vec::new();
        for bridge in &bridges {
            // Written by tor 0.4.9 and later, for every transport alike.
            let line = bridge
                .writes("bridgelines", |text| {
                    let line = text.lines().find(|line| line.starts_with("Bridge "))?;
                    Some(line.to_owned())
                })
                .await;
            say(start, &line);
            // Until it knows the relays it answers 404 for them, and a client asks again only after 10 s.
            bridge.logs(BOOTSTRAP, "Bootstrapped 100%").await;
            lines.push(line);
        }

        let mut clients = Vec::new();
        for (n, (plug, line)) in plugs.iter().zip(&lines).enumerate() {
            let name = format!("client{n}");
            let torrc = format!(
                "{}SocksPort {host}:auto\nUseBridges 1\n{line}\nClientTransportPlugin {} exec {}\n",
                common(&name),
                plug.transport,
                plug.client.display(),
            );
            clients.push(Tor::start(&name, &at(&name), &torrc));
        }
        let mut routes = Vec::new();
        for (bridge, client) in bridges.into_iter().zip(clients) {
            let socks = SocketAddr::new(host, client.circuit_and_port().await);
            say(start, "a client has a circuit through its bridge");
            routes.push(Route {
                bridge,
                client,
                socks,
            });
        }
        Network {
            routes,
            _relays: relays,
            _folder: folder,
        }
    }
}

impl Route {
    /// A stream through the client, the bridge and the exits to `target`.
    pub(crate) async fn open(&self, target: SocketAddr) -> TcpStream {
        let opened = tokio::time::timeout(STREAM, async {
            let mut tries = interval(Duration::from_millis(500));
            loop {
                tries.tick().await;
                match socks::open(self.socks, &target.into(), b"").await {
                    Ok(stream) => return stream,
                    // The first circuits of a new network may fail: ask again.
                    Err(_) => self.client.still_runs(),
                }
            }
        });
        opened.await.unwrap_or_else(|_| {
            let log = self.client.log.text();
            panic!("no stream through tor within {STREAM:?}:\n{log}")
        })
    }
}

impl Tor {
    /// Starts tor with this torrc.
    fn start(name: &str, data: &Path, torrc: &str) -> Tor {
        private_folder(data);
        let file = data.join("torrc");
        std::fs::write(&file, torrc).unwrap();
        let mut child = Command::new(peers::find("tor", "tor"))
            .args(["--defaults-torrc", "/dev/null", "-f"])
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Tor {
            name: name.to_owned(),
            log: Lines::of(child.stdout.take().unwrap()),
            child,
            data: data.to_owned(),
        }
    }

    /// Waits for a line of its log.
    pub(crate) async fn logs(&self, limit: Duration, what: &str) -> String {
        let line = tokio::time::timeout(limit, self.log.find(|line| line.contains(what))).await;
        match line {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended:\n{}", self.name, self.log.text()),
            Err(_) => panic!("{} never logged {what:?}:\n{}", self.name, self.log.text()),
        }
    }

    /// Waits until a file in its data directory holds what `probe` looks for.
    async fn writes<T>(&self, file: &str, probe: impl Fn(&str) -> Option<T>) -> T {
        let path = self.data.join(file);
        let found = eventually(BOOTSTRAP, || {
            assert!(
                !self.log.ended(),
                "{} ended:\n{}",
                self.name,
                self.log.text()
            );
            probe(&std::fs::read_to_string(&path).ok()?)
        })
        .await;
        found.unwrap_or_else(|| {
            let text = std::fs::read_to_string(&path);
            panic!("{}: {file} is {text:?}\n{}", self.name, self.log.text())
        })
    }

    /// Waits for a client's first circuit; gives its SOCKS port.
    async fn circuit_and_port(&self) -> u16 {
        self.logs(BOOTSTRAP, "Bootstrapped 100%").await;
        let opened = self
            .logs(BOOTSTRAP, "Socks listener listening on port ")
            .await;
        opened
            .rsplit("port ")
            .next()
            .and_then(|rest| rest.trim_end_matches('.').parse().ok())
            .unwrap_or_else(|| panic!("no port in {opened:?}"))
    }

    fn still_runs(&self) {
        assert!(self.child.id().is_some(), "{} has ended", self.name);
    }

    /// The processes that it has started and that still run.
    pub(crate) fn children(&self) -> Vec<i32> {
        let Some(pid) = self.child.id() else {
            return Vec::new();
        };
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .unwrap_or_default()
            .split_whitespace()
            .map(|child| child.parse().unwrap())
            .collect()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("runs");
        let pid = Pid::from_raw(pid as i32).expect("a pid");
        kill_process(pid, signal).unwrap();
    }

    /// Lets it read its torrc again, and waits until it has.
    pub(crate) async fn reload(&self) {
        self.signal(Signal::HUP);
        self.logs(SOON, "Received reload signal").await;
        // tor's housekeeping, once a second, is what restarts a transport that does not suit the new configuration.
        self.outlives(Duration::from_secs(2)).await;
    }

    /// Asserts that it runs for some time more.
    async fn outlives(&self, window: Duration) {
        stays_pending(window, "tor ended", self.log.end()).await;
    }

    /// Ends it as an init system does, and waits.
    pub(crate) async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = soon("tor ends at SIGTERM", self.child.wait()).await;
        assert!(status.unwrap().success(), "{} ended badly", self.name);
    }
}

struct Authority {
    name: &'static str,
    or_port: u16,
    dir_port: u16,
    /// Its `DirAuthority` line.
    line: String,
}

impl Authority {
    async fn create(name: &'static str, data: PathBuf, host: IpAddr) -> Self {
        let keys = data.join("keys");
        private_folder(&data);
        private_folder(&keys);
        let (or_port, dir_port) = (free_port(host).await, free_port(host).await);
        let mut made = Command::new(peers::find("tor-gencert", "tor"))
            .args(["--create-identity-key", "--passphrase-fd", "0", "-m", "12"])
            .args(["-a", &format!("{host}:{dir_port}")])
            .current_dir(&keys)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = made.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, b"not a secret\n")
            .await
            .unwrap();
        drop(stdin);
        let status = soon("tor-gencert makes the keys", made.wait()).await;
        assert!(status.unwrap().success(), "tor-gencert failed");
        let certificate = std::fs::read_to_string(keys.join("authority_certificate")).unwrap();
        let v3ident = certificate
            .lines()
            .find_map(|line| line.strip_prefix("fingerprint "))
            .expect("a fingerprint in the certificate");

        let listed = soon(
            "tor --list-fingerprint",
            Command::new(peers::find("tor", "tor"))
                .args([
                    "--defaults-torrc",
                    "/dev/null",
                    "--ignore-missing-torrc",
                    "-f",
                ])
                .arg(data.join("no-torrc"))
                .args(["--list-fingerprint", "--hush", "--Nickname", name])
                .args(["--ORPort", &or_port.to_string(), "--Address"])
                .arg(host.to_string())
                .arg("--DataDirectory")
                .arg(&data)
                .output(),
        )
        .await
        .unwrap();
        let fingerprint = std::fs::read_to_string(data.join("fingerprint"))
            .unwrap_or_else(|e| panic!("{e}; tor said {listed:?}"));
        let fingerprint = fingerprint.strip_prefix(name).expect("NAME FINGERPRINT");
        let line = format!(
            "DirAuthority {name} orport={or_port} v3ident={v3ident} {host}:{dir_port} {}\n",
            fingerprint.trim()
        );
        Authority {
            name,
            or_port,
            dir_port,
            line,
        }
    }
}

/// A port of our own address that nobody has.
async fn free_port(host: IpAddr) -> u16 {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// tor insists on 0700.
fn private_folder(path: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .unwrap();
}
