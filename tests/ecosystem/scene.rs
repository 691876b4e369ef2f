//! A module in one role, with what it takes at both ends.
//!
//! In: a module and a role. Out: a [`Scene`] that opens connections, each with a near end (whoever connects) and a far end
//! (whoever is connected to), or the reason why there is none. What a module does to bytes is seen, not believed: a first
//! connection carries a knock, and what arrives decides. A module that changes bytes in a way that is not known here is
//! tried against itself, or against the peer that its folder names.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::module::{Module, Role};
use crate::pattern::{self, Arrival, Shape};
use crate::process::{Refusal, Running, far_end, free_port, words};

/// Scenes of modules that go where they want take turns, each for as long as it runs.
static FIXED_PORTS: Mutex<()> = Mutex::const_new(());

/// How long one step of a handshake may take.
const STEP: Duration = Duration::from_secs(30);

/// After so long without a byte, a module is taken to wait for an answer to its handshake.
const SILENCE: Duration = Duration::from_secs(5);

const KNOCK: usize = 32;
const KNOCK_SEED: u64 = 1;
const ANSWER_SEED: u64 = 2;

/// What a role was tried with.
pub(crate) struct Scene {
    entry: SocketAddr,
    far: TcpListener,
    /// In the order in which a connection passes them.
    pub(crate) programs: Vec<Running>,
    /// What becomes of the bytes that the near end sends.
    pub(crate) up: Shape,
    /// And of those that it gets.
    pub(crate) down: Shape,
    /// Whoever undoes what the module does, if somebody has to.
    pub(crate) with: Option<String>,
    /// Whether a connection may come first that carries nothing.
    stray: bool,
    _folder: TempDir,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// Two ends that have heard of each other.
pub(crate) struct Link {
    pub(crate) near: TcpStream,
    pub(crate) far: TcpStream,
}

/// Why a role cannot be tried.
pub(crate) enum Absence {
    /// The executable does not take the module, and says so.
    Refused(String),
    /// The module exports the role and has nothing behind it.
    NotWritten,
    /// Its bytes make sense only to somebody who is not here.
    NeedsPeer,
    /// It should work.
    Failed(String),
}

impl From<anyhow::Error> for Absence {
    fn from(error: anyhow::Error) -> Self {
        Absence::Failed(format!("{error:#}"))
    }
}

impl From<Refusal> for Absence {
    fn from(Refusal(said): Refusal) -> Self {
        Absence::Refused(said)
    }
}

/// What arrived of a knock.
enum Knock {
    /// What it was made of on its way up, and the answer on its way down.
    Understood(Shape, Shape),
    /// Other bytes, or none.
    Strange,
}

impl Scene {
    /// Sets everything up that the role needs. Compiled modules are kept in `state`.
    pub(crate) async fn of(module: &Module, role: Role, state: &Path) -> Result<Scene, Absence> {
        let mut scene = match (role, &module.beside.peer) {
            (Role::Dialer | Role::FixedDialer, Some(peer)) => {
                Scene::with_peer(module, role, peer, state).await?
            }
            _ => Scene::alone(module, role, state).await?,
        };
        let alone = scene.with.is_none();
        match scene.knock().await? {
            Knock::Understood(up, down) => {
                (scene.up, scene.down) = (up, down);
                return Ok(scene);
            }
            Knock::Strange if !alone => {
                return Err(Absence::Failed(
                    "its peer does not undo what it does".to_owned(),
                ));
            }
            Knock::Strange => {}
        }
        let both = module.exports(Role::Dialer) && module.exports(Role::Listener);
        if !both || !matches!(role, Role::Dialer | Role::Listener) {
            return Err(Absence::NeedsPeer);
        }
        let mut pair = Scene::against_itself(module, role, state).await?;
        match pair.knock().await {
            Ok(Knock::Understood(Shape::Same, Shape::Same)) => Ok(pair),
            Ok(_) => Err(Absence::Failed(
                "it does not undo itself what it does".to_owned(),
            )),
            // The other role is not written, so there is nobody here to talk to.
            Err(Absence::NotWritten) => Err(Absence::NeedsPeer),
            Err(absence) => Err(absence),
        }
    }

    async fn alone(module: &Module, role: Role, state: &Path) -> Result<Scene, Absence> {
        let fixed = goes_to(module, role);
        let turn = match fixed {
            Some(_) => Some(FIXED_PORTS.lock().await),
            None => None,
        };
        let (far, at) = far_end(fixed).await?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let config = config(module, &folder, at, at)?;
        let run = start(module, role, at, config.as_deref(), state).await??;
        let mut scene = Scene::from(far, vec![run], folder, None);
        scene._turn = turn;
        Ok(scene)
    }

    async fn with_peer(
        module: &Module,
        role: Role,
        peer: &[String],
        state: &Path,
    ) -> Result<Scene, Absence> {
        let (far, at) = far_end(None).await?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let (peer_at, turn) = match goes_to(module, role) {
            Some(at) => {
                let turn = FIXED_PORTS.lock().await;
                drop(far_end(Some(at)).await?);
                (at, Some(turn))
            }
            None => (free_port().await?, None),
        };
        let command: Vec<String> = peer.iter().map(|word| filled(word, at, peer_at)).collect();
        let peer_name = command
            .first()
            .map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        let peer_name = peer_name.to_owned();
        let peer = Running::peer(&command, peer_at).await?;
        let config = config(module, &folder, at, peer_at)?;
        let run = start(module, role, peer_at, config.as_deref(), state).await??;
        let mut scene = Scene::from(far, vec![run, peer], folder, Some(peer_name));
        scene._turn = turn;
        scene.stray = true;
        Ok(scene)
    }

    async fn against_itself(module: &Module, role: Role, state: &Path) -> Result<Scene, Absence> {
        let (far, at) = far_end(None).await?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let config = config(module, &folder, at, at)?;
        let listener = start(module, Role::Listener, at, config.as_deref(), state).await??;
        let dialer = start(module, Role::Dialer, listener.at, config.as_deref(), state).await??;
        let other = match role {
            Role::Listener => "its own dialer",
            _ => "its own listener",
        };
        Ok(Scene::from(
            far,
            vec![dialer, listener],
            folder,
            Some(other.to_owned()),
        ))
    }

    fn from(
        far: TcpListener,
        programs: Vec<Running>,
        folder: TempDir,
        with: Option<String>,
    ) -> Scene {
        Scene {
            entry: programs[0].at,
            far,
            programs,
            up: Shape::Same,
            down: Shape::Same,
            with,
            stray: false,
            _folder: folder,
            _turn: None,
        }
    }

    /// The first connection.
    async fn knock(&mut self) -> Result<Knock, Absence> {
        let said = self.said();
        let mut near = match self.connect().await {
            Ok(near) => near,
            // A module that refuses at once may have its connection reset before it is known to be made.
            Err(error) => {
                let why = timeout(SILENCE, self.failure(&said)).await;
                return Err(why.map_or_else(|_| error.into(), refused));
            }
        };
        // Where this fails, the log says more.
        let _ = near.write_all(&pattern::bytes(KNOCK_SEED, 0, KNOCK)).await;
        let mut far;
        let up = loop {
            far = tokio::select! {
                accepted = self.far.accept() => accepted.context("the far end accepts nothing")?.0,
                failure = self.failure(&said) => return Err(refused(failure)),
                () = tokio::time::sleep(STEP) => return Ok(Knock::Strange),
            };
            let up = seen(&mut far, KNOCK_SEED).await;
            // Some peers pass on at once that somebody looked whether they listen.
            if !(std::mem::take(&mut self.stray) && up.is_err()) {
                break up;
            }
        };
        let answered = async {
            let Some(up) = up? else {
                return Ok(Knock::Strange);
            };
            far.write_all(&pattern::bytes(ANSWER_SEED, 0, KNOCK))
                .await?;
            let down = seen(&mut near, ANSWER_SEED).await?;
            std::io::Result::Ok(down.map_or(Knock::Strange, |down| Knock::Understood(up, down)))
        };
        match answered.await {
            Ok(knock) => Ok(knock),
            Err(error) => {
                let why = timeout(SILENCE, self.any_failure(&said)).await;
                Err(Absence::Failed(
                    why.unwrap_or_else(|_| format!("the first bytes: {error}")),
                ))
            }
        }
    }

    /// A connection, once a knock has come through in both directions.
    pub(crate) async fn open(&self) -> Result<Link> {
        let said = self.said();
        let mut near = self.connect().await?;
        near.write_all(&pattern::bytes(KNOCK_SEED, 0, KNOCK))
            .await?;
        let (mut far, _) = tokio::select! {
            accepted = self.far.accept() => accepted?,
            failure = self.failure(&said) => bail!("{failure}"),
            () = tokio::time::sleep(STEP) => bail!("nothing arrives at the far end"),
        };
        expect(&mut far, KNOCK_SEED, self.up)
            .await
            .context("the first bytes up")?;
        far.write_all(&pattern::bytes(ANSWER_SEED, 0, KNOCK))
            .await?;
        expect(&mut near, ANSWER_SEED, self.down)
            .await
            .context("the first bytes down")?;
        Ok(Link { near, far })
    }

    async fn connect(&self) -> Result<TcpStream> {
        let near = timeout(STEP, TcpStream::connect(self.entry)).await;
        let near = near
            .context("nobody accepts")?
            .context("the port is closed")?;
        // One that was reset already says so at the first byte.
        let _ = near.set_nodelay(true);
        Ok(near)
    }

    /// How much each program has said so far.
    pub(crate) fn said(&self) -> Vec<usize> {
        self.programs
            .iter()
            .map(|program| program.log.so_far())
            .collect()
    }

    /// The first connection that any of them says was never made.
    async fn failure(&self, said: &[usize]) -> String {
        self.find(said, &[" failed: "]).await
    }

    /// The first connection that any of them says went wrong in any way.
    pub(crate) async fn any_failure(&self, said: &[usize]) -> String {
        let words = [" failed: ", " was lost: ", " ended early: "];
        self.find(said, &words).await
    }

    async fn find(&self, said: &[usize], words: &[&str]) -> String {
        let mut logs = self.programs.iter().map(|program| &program.log).zip(said);
        match (logs.next(), logs.next()) {
            (Some((one, &a)), Some((other, &b))) => tokio::select! {
                line = one.find(a, words) => line,
                line = other.find(b, words) => line,
            },
            (Some((one, &a)), None) => one.find(a, words).await,
            _ => std::future::pending().await,
        }
    }
}

/// What became of a knock; nothing that is known here if other bytes come, or none.
async fn seen(from: &mut TcpStream, seed: u64) -> std::io::Result<Option<Shape>> {
    let knock = pattern::bytes(seed, 0, KNOCK);
    let mut came = [0; KNOCK];
    let Ok(read) = timeout(SILENCE, from.read_exact(&mut came)).await else {
        return Ok(None);
    };
    read?;
    Ok(if came == knock[..] {
        Some(Shape::Same)
    } else if came.iter().rev().eq(knock.iter()) {
        Some(Shape::Reversed)
    } else {
        None
    })
}

async fn expect(from: &mut TcpStream, seed: u64, shape: Shape) -> Result<()> {
    let mut came = [0; KNOCK];
    timeout(STEP, from.read_exact(&mut came))
        .await
        .context("nothing comes")??;
    let mut arrival = Arrival::new(seed, shape);
    arrival.take(&came)?;
    arrival.settle()
}

fn refused(failure: String) -> Absence {
    if failure.contains("EPERM") {
        Absence::NotWritten
    } else {
        Absence::Failed(failure)
    }
}

/// `ouzel` with the module in a role.
async fn start(
    module: &Module,
    role: Role,
    connect: SocketAddr,
    config: Option<&Path>,
    state: &Path,
) -> Result<Result<Running, Refusal>> {
    let connect = connect.to_string();
    let to_far = ["--connect", &connect];
    let (command, to): (_, &[&str]) = match role {
        Role::Dialer => ("dial", &to_far),
        Role::FixedDialer => (
            "dial",
            &["--allow", "127.0.0.0/8:*", "--allow", "localhost:*"],
        ),
        Role::Listener => ("listen", &to_far),
        Role::Relay => ("relay", &to_far),
    };
    let file = module.file.as_os_str();
    let mut all = words([command.as_ref(), "--module".as_ref(), file]);
    all.extend(to.iter().map(OsString::from));
    all.extend(words(["--state".as_ref(), state.as_os_str()]));
    if let Some(config) = config {
        all.extend(words(["--config".as_ref(), config.as_os_str()]));
    }
    Running::ouzel(&all).await
}

fn goes_to(module: &Module, role: Role) -> Option<SocketAddr> {
    module.beside.goes_to.filter(|_| role == Role::FixedDialer)
}

/// Whether `ouzel` says no to a module that it cannot run, and what it says.
pub(crate) async fn refusal(module: &Module, state: &Path) -> Result<Absence> {
    let nowhere = free_port().await?;
    Ok(
        match start(module, Role::Dialer, nowhere, None, state).await? {
            Err(Refusal(said)) => Absence::Refused(said),
            Ok(_) => Absence::Failed("it is run, though it speaks no WATM".to_owned()),
        },
    )
}

fn config(
    module: &Module,
    folder: &TempDir,
    far: SocketAddr,
    peer: SocketAddr,
) -> Result<Option<std::path::PathBuf>> {
    let written = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).context("the configuration cannot be written")?;
        anyhow::Ok(file)
    };
    let config = match &module.beside.config {
        Some(text) => Some(written("config", &filled(text, far, peer))?),
        None => None,
    };
    let Some(memory) = &module.beside.memory else {
        return Ok(config);
    };
    let mut settings = format!("limits.memory = {memory:?}\n");
    if config.is_some() {
        settings.push_str("config-file = \"config\"\n");
    }
    written("settings.toml", &settings).map(Some)
}

fn filled(text: &str, far: SocketAddr, peer: SocketAddr) -> String {
    let mut text = text.to_owned();
    for (name, at) in [("far", far), ("peer", peer)] {
        text = text.replace(&format!("{{{name}_host}}"), &at.ip().to_string());
        text = text.replace(&format!("{{{name}_port}}"), &at.port().to_string());
    }
    text
}
