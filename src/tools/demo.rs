//! `ouzel demo`: the whole way from a tor client to its bridge, shown on one machine.
//!
//! In: a transport's name and a size. Out: the steps in words on stdout, or one JSON object with the
//! figures. This program plays tor on both sides of two processes of its own executable, with a web
//! server where the bridge's tor would be. What can go wrong: a side that does not start, a
//! connection that is refused or stalls, and bytes that arrive changed; each error says what to do.

use crate::transport::artefacts::hex;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::parent::{Launch, Method, Pt, socks_connect};

mod torrc;
mod web;

use web::{Content, Page};

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    /// The transport's name.
    pub transport: String,
    /// How much to fetch, in MiB; more than 0.
    pub size: u64,
    /// Words for the command line of both processes, such as `--module NAME=FILE`.
    pub pt_args: Vec<OsString>,
    /// Prints the figures as one JSON object in place of the story.
    pub json: bool,
}

/// Longer than any handshake takes on a slow machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

const MIB: u64 = 1024 * 1024;

/// Tells the story; an error if any of it does not work, down to the last byte.
///
/// Ctrl-C and SIGTERM end it early, with nothing left behind.
pub async fn run(options: Options) -> anyhow::Result<()> {
    ensure!(options.size > 0, "--size needs a number of MiB above 0");
    let program = std::env::current_exe().context("cannot find out where this program is")?;
    tokio::select! {
        result = tell(&options, &program) => result,
        // Dropping the story ends its processes and removes their files.
        () = interrupted() => bail!("interrupted; both processes are ended, nothing is left behind"),
    }
}

async fn tell(options: &Options, program: &Path) -> anyhow::Result<()> {
    let story = Story {
        quiet: options.json,
    };
    let name = &options.transport;
    let bytes = options
        .size
        .checked_mul(MIB)
        .context("--size is too large")?;
    story.say(&format!(
        "tor can hand its traffic to a transport such as ouzel, which carries it, transformed, to an\n\
         ouzel at the bridge. Here both run on this machine, tor's part is played, and the transport\n\
         is \"{name}\".\n"
    ));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let orport = listener.local_addr()?;
    let content = Content::new(bytes)?;
    let server = web::Server::start(listener, content);
    story.say(&format!(
        "1. A small web server waits at {orport}, where the bridge's tor would be."
    ));
    let sent = content.digest().await;

    let state = StateFolder::create()?;
    let launch = Launch::server(program, state.path.join("bridge"), name, &[], orport);
    let (bridge, line) = start(launch, options, "bridge").await?;
    let bridge_ms = milliseconds(bridge.ready_after());
    story.say(&format!(
        "2. ouzel, started as the bridge's tor would: ready after {bridge_ms:.0} ms, listening at {}.",
        line.addr
    ));
    let launch = Launch::client(program, state.path.join("client"), name);
    let (client, socks) = start(launch, options, "client").await?;
    let client_ms = milliseconds(client.ready_after());
    story.say(&format!(
        "3. ouzel, started as the client's tor would: ready after {client_ms:.0} ms, SOCKS port at {}.",
        socks.addr
    ));
    let sides = Sides {
        bridge,
        client,
        line,
        socks,
    };

    let started = Instant::now();
    let stream = sides.connect().await?;
    let page = async { web::fetch(stream, Page::Greeting).await?.text().await };
    let page = page.await.with_context(|| sides.last_words())?;
    let page_ms = milliseconds(started.elapsed());
    story.say(&format!(
        "4. A page from the far end, through both: \"{page}\" ({page_ms:.1} ms)"
    ));

    story.say(&format!("5. {} MiB, the same way:", options.size));
    let stream = sides.connect().await?;
    let mut progress = Progress::new(bytes, options.json);
    let started = Instant::now();
    let received = async {
        let response = web::fetch(stream, Page::Content).await?;
        response.digest(|done| progress.at(done)).await
    };
    let received = received.await;
    progress.end();
    let (count, received) = received.with_context(|| sides.last_words())?;
    let seconds = started.elapsed().as_secs_f64();
    let speed = count as f64 / MIB as f64 / seconds;
    ensure!(
        count == bytes && received == sent,
        "what arrived is not what was sent ({count} of {bytes} bytes, SHA-256 {} instead of {}): \
         this transport damages data; do not use it, and report it to whoever made it",
        hex(&received),
        hex(&sent),
    );
    story.say(&format!(
        "   {seconds:.2} s, {speed:.0} MiB/s; the SHA-256 is that of the original:\n   {}",
        hex(&received)
    ));

    let args = sides.line.args.clone();
    sides.close().await?;
    drop(server);
    drop(state);
    story.say("6. Both processes have ended; nothing is left behind.\n");
    story.say(&torrc::advice(program, name, &options.pt_args, &args));
    if options.json {
        let figures = serde_json::json!({
            "transport": name,
            "bytes": bytes,
            "seconds": seconds,
            "mib_per_second": speed,
            "page_ms": page_ms,
            "bridge_ready_ms": bridge_ms,
            "client_ready_ms": client_ms,
            "sha256": hex(&received),
        });
        print(&format!("{figures:#}"));
    }
    Ok(())
}

/// Starts one side and finds the transport among what it launched.
async fn start(launch: Launch, options: &Options, side: &str) -> anyhow::Result<(Pt, Method)> {
    let name = &options.transport;
    let pt = launch.args(options.pt_args.iter().cloned()).start().await;
    let pt = pt.with_context(|| format!("the {side}'s side did not start"))?;
    if let Some(error) = pt.method_error(name) {
        bail!("the {side}'s side cannot offer \"{name}\": {error}");
    }
    match pt.method(name) {
        Some(method) => Ok((pt, method)),
        None => bail!(
            "there is no transport called \"{name}\": add --module {name}=FILE.wasm, or try --transport plain"
        ),
    }
}

/// Both processes, and the way through them.
struct Sides {
    bridge: Pt,
    client: Pt,
    line: Method,
    socks: Method,
}

impl Sides {
    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let connect = socks_connect(self.socks.addr, self.line.addr, &self.line.args);
        let reply = timeout(CONNECT_LIMIT, connect)
            .await
            .map_err(|_| anyhow::anyhow!("no answer within {} s", CONNECT_LIMIT.as_secs()))
            .and_then(|reply| Ok(reply?));
        match reply.with_context(|| self.last_words())? {
            Ok(stream) => Ok(stream),
            Err(rep) => bail!("SOCKS reply {rep}; {}", self.last_words()),
        }
    }

    /// What the two said last: the reason of a failure is usually there.
    fn last_words(&self) -> String {
        let last = |pt: &Pt| {
            let record = pt.record();
            let log = record.logs.back().map(|log| log.message.clone());
            log.or(record.stderr.back().cloned())
                .unwrap_or_else(|| "nothing".to_owned())
        };
        format!(
            "the connection through the transport failed; the client's side said: {}; the bridge's side said: {}",
            last(&self.client),
            last(&self.bridge)
        )
    }

    async fn close(self) -> anyhow::Result<()> {
        for (side, pt) in [("client", self.client), ("bridge", self.bridge)] {
            let status = pt.close().await?;
            ensure!(
                status.success(),
                "the {side}'s side did not end as it should: {status}"
            );
        }
        Ok(())
    }
}

/// A fresh folder for the two state directories, removed at the end, however that comes.
struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    fn create() -> anyhow::Result<Self> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).context("this machine gives no random bytes")?;
        let path = std::env::temp_dir().join(format!("ouzel-demo-{}", hex(&name)));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| {
            let path = path.display();
            format!("cannot create {path}: set TMPDIR to a folder that can be written to")
        })?;
        Ok(StateFolder { path })
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            let path = self.path.display();
            let _ = writeln!(std::io::stderr(), "{path} could not be removed: {error}");
        }
    }
}

/// The steps, told to a person, or not at all.
struct Story {
    quiet: bool,
}

impl Story {
    fn say(&self, text: &str) {
        if !self.quiet {
            print(text);
        }
    }
}

/// A bar where there is a terminal, else a line per quarter.
enum Progress {
    Bar(ProgressBar),
    Lines { total: u64, quarter: u64 },
    Silent,
}

impl Progress {
    fn new(total: u64, quiet: bool) -> Self {
        if quiet {
            return Progress::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Progress::Lines { total, quarter: 0 };
        }
        let bar = ProgressBar::new(total);
        let template = "   [{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress::Bar(bar)
    }

    fn at(&mut self, done: u64) {
        match self {
            Progress::Bar(bar) => bar.set_position(done),
            Progress::Lines { total, quarter } => {
                let reached = u64::try_from(u128::from(done) * 4 / u128::from(*total)).unwrap_or(4);
                if reached > *quarter {
                    *quarter = reached;
                    print(&format!("   {} of {} MiB", done / MIB, *total / MIB));
                }
            }
            Progress::Silent => {}
        }
    }

    fn end(&self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line for whoever called; a closed pipe is their wish.
fn print(text: &str) {
    #[expect(clippy::disallowed_methods, reason = "no tor listens to a demo")]
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Returns at Ctrl-C or SIGTERM.
async fn interrupted() {
    let ctrl_c = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = ctrl_c => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = ctrl_c.await;
}
