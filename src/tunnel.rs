//! One connection's life on either side: slot, handshake under a deadline, session, end.
//!
//! In: the two sockets' makings and a transport. Out: bytes moved, and a [`Failure`] where they were not.
//! [`Slots`] bounds how many connections there are; whoever comes when all are taken is told no, by a
//! bounded number of tasks that hold no instance.

mod deadline;

use crate::error::{Blame, Failure};
use crate::log::Whose;
use crate::net::allow::Allow;
use crate::net::{dial, tune_local};
use crate::say;
use crate::transport::Transport;
use crate::watm::{Connect, Connecting, Control, Dial, Io, Outcome, Session, Stream};
use deadline::Deadline;
use std::collections::HashMap;
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Connections that are told no at the same time; they hold a descriptor each and nothing else.
const MAX_REFUSALS: usize = 1024;
/// How long the end of a process may be held up by its connections: their guests leave at once, what they had queued
/// takes a moment, and whoever stops a program waits for it.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many connections may be open.
#[derive(Clone, Debug)]
pub struct Slots {
    open: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    live: Arc<Mutex<Live>>,
    count: usize,
}

/// The guests at work, to be told when everything ends.
#[derive(Debug, Default)]
struct Live {
    ending: bool,
    controls: HashMap<u64, Control>,
    next: u64,
}

/// A guest at work, until it is dropped.
struct AtWork<'a> {
    slots: &'a Slots,
    number: u64,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.slots.live().controls.remove(&self.number);
    }
}

/// What becomes of a connection that has come.
pub enum Admission {
    /// It may be carried.
    Carried(Slot),
    /// It is told no, for this reason.
    Refused(Slot, Failure),
}

/// A connection's right to exist.
pub type Slot = OwnedSemaphorePermit;

impl Slots {
    /// That many.
    pub fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Slots {
            open: Arc::new(Semaphore::new(count)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            live: Arc::default(),
            count,
        }
    }

    /// Decides over a connection that has come: a slot, or else the right to tell it no. Where both are
    /// taken, whichever is free first.
    pub async fn admit(&self) -> Admission {
        if let Ok(slot) = Arc::clone(&self.open).try_acquire_owned() {
            return Admission::Carried(slot);
        }
        // A permit that is not returned goes back.
        tokio::select! {
            biased;
            turn = Arc::clone(&self.refusals).acquire_owned() => {
                Admission::Refused(turn.expect("never closed"), Failure::PoolFull(self.count))
            }
            slot = Arc::clone(&self.open).acquire_owned() => {
                Admission::Carried(slot.expect("never closed"))
            }
        }
    }

    /// Gives a slot back for the right to tell its peer no, where there is one: whoever only waits for the
    /// end must not keep others out.
    pub fn exchange(&self, slot: Slot) -> Slot {
        Arc::clone(&self.refusals)
            .try_acquire_owned()
            .unwrap_or(slot)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self, control: Control) -> AtWork<'_> {
        let mut live = self.live();
        if live.ending {
            control.stop();
        }
        let number = live.next;
        live.next += 1;
        live.controls.insert(number, control);
        AtWork {
            slots: self,
            number,
        }
    }

    /// Tells every guest to end, and waits a moment for what they still have to say: the process ends next.
    pub async fn end(&self) {
        {
            let mut live = self.live();
            live.ending = true;
            live.controls.values().for_each(Control::stop);
        }
        let _ = timeout(FAREWELL, self.all_free()).await;
    }

    /// Waits until no connection is open.
    pub async fn all_free(&self) {
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        let all = self.open.acquire_many(all).await;
        drop(all.expect("the semaphore is never closed"));
    }
}

/// A connection that is about to be carried.
pub struct Connection<'a> {
    /// By this transport.
    pub transport: &'a Transport,
    /// In one of these.
    pub slots: &'a Slots,
    /// With this configuration file for its module.
    pub conf: Option<Arc<[u8]>>,
    /// What a dial may take, where the module's handshake waits for one.
    pub dialling: Duration,
    /// The far end's address, which appears in logs only where the operator wants it.
    pub far: &'a (dyn Display + Sync),
}

/// Who knows where a connection goes.
pub enum Way {
    /// The host: the module asks for the connection and gets this one.
    Host(Connect),
    /// The module: it names an address, and this decides.
    Module(Dial),
}

impl Way {
    /// Tells `connected` when there is a connection.
    fn telling(self, connected: &Arc<Notify>) -> Way {
        let connected = Arc::clone(connected);
        let tell = move |dial: Connecting| -> Connecting {
            let connected = Arc::clone(&connected);
            Box::pin(async move {
                let io = dial.await?;
                connected.notify_one();
                Ok(io)
            })
        };
        match self {
            Way::Host(connect) => Way::Host(Box::new(move || tell(connect()))),
            Way::Module(dial) => Way::Module(Box::new(move |network, address| {
                tell(dial(network, address))
            })),
        }
    }

    /// A module that says itself where to go goes where the rules let it, and out as everything else does.
    pub fn chosen_by_module(dial: Arc<dial::Dial>, allow: Arc<Allow>) -> Way {
        Way::Module(Box::new(move |network, address| {
            let (dial, allow) = (Arc::clone(&dial), Arc::clone(&allow));
            Box::pin(async move {
                let connected = dial.connect_allowed(&network, &address, &allow).await;
                connected.map(Io::from)
            })
        }))
    }
}

/// Whether the transport's handshake had succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WasUp(pub bool);

impl Connection<'_> {
    /// Carries a client's connection. `socket` is the application, whose first bytes may be `early`; it gets
    /// `answer` as soon as the transport is up, or is handed back with the failure.
    pub async fn carry_client(
        self,
        socket: TcpStream,
        early: &[u8],
        way: Way,
        answer: &[u8],
    ) -> Result<Outcome, (Option<TcpStream>, Failure)> {
        // The dial has a limit of its own, and a name of its own when it is exceeded.
        let deadline = self.deadline(self.dialling);
        let mut session = match self.session(deadline).await {
            Ok(session) => session,
            Err(failure) => return Err((Some(socket), failure)),
        };
        let mut inner = Stream::gated(socket, early);
        if !answer.is_empty() {
            inner.await_answer();
        }
        let connected = Arc::new(Notify::new());
        let up = async {
            match way.telling(&connected) {
                Way::Host(connect) => session.dial(inner, connect).await,
                Way::Module(dial) => session.dial_fixed(inner, dial).await,
            }
        };
        let up = deadline.hold_connecting(&connected, up);
        if let Err(failure) = up.await {
            let socket = match session.into_inner().map(Stream::into_io) {
                Some(Io::Tcp(socket)) => Some(socket),
                _ => None,
            };
            return Err((socket, failure));
        }
        if let Io::Tcp(socket) = session.inner().io()
            && socket.write_all(answer).await.is_err()
        {
            return Err((None, Failure::Left));
        }
        session.inner().open();
        Ok(self.run(session).await)
    }

    /// Carries a server's connection: `socket` came from the network, `relay` dials the relay once the
    /// transport is up. A connection that fails before it has both ends comes back, to be ended by
    /// [`crate::watm::quiet`]: if the transport was not up, at the time that is the same for all of those.
    pub async fn carry_server(
        self,
        socket: TcpStream,
        relay: impl Future<Output = Result<TcpStream, Failure>>,
    ) -> Result<Outcome, (Option<Stream>, WasUp)> {
        let deadline = self.deadline(Duration::ZERO);
        let mut session = match self.session(deadline).await {
            Ok(session) => session,
            Err(failure) => {
                self.tell(&failure);
                return Err((Some(Stream::new(socket)), WasUp(false)));
            }
        };
        let inner = Stream::gated(Io::Unconnected, &[]);
        let up = session.accept(inner, Stream::new(socket));
        if let Err(failure) = deadline.hold(up).await {
            self.tell_probe(&failure);
            return Err((session.into_outer(), WasUp(false)));
        }
        // The handshake's last word is not kept waiting for the relay.
        poll_fn(|cx| {
            let _ = session.outer().poll_flush(cx);
            Poll::Ready(())
        })
        .await;
        match relay.await {
            Ok(relay) => {
                tune_local(&relay);
                session.inner().attach(relay);
                session.inner().open();
                Ok(self.run(session).await)
            }
            Err(failure) => {
                self.tell(&failure);
                Err((session.into_outer(), WasUp(true)))
            }
        }
    }

    /// Carries a connection that came from the network on to another address, through a module between the two. What fails
    /// before both ends are there comes back as from [`Connection::carry_server`].
    pub async fn carry_relay(
        self,
        socket: TcpStream,
        way: Way,
    ) -> Result<Outcome, (Option<Stream>, WasUp)> {
        let deadline = self.deadline(self.dialling);
        let mut session = match self.session(deadline).await {
            Ok(session) => session,
            Err(failure) => {
                self.tell(&failure);
                return Err((Some(Stream::new(socket)), WasUp(false)));
            }
        };
        let connected = Arc::new(Notify::new());
        let (connect, dial) = match way.telling(&connected) {
            Way::Host(connect) => (Some(connect), None),
            Way::Module(dial) => (None, Some(dial)),
        };
        let up = session.associate(Stream::new(socket), connect, dial);
        let up = deadline.hold_connecting(&connected, up);
        if let Err(failure) = up.await {
            self.tell(&failure);
            return Err((session.into_outer(), WasUp(false)));
        }
        Ok(self.run(session).await)
    }

    async fn run(&self, session: Session) -> Outcome {
        let _at_work = self.slots.working(session.control());
        let outcome = session.run().await;
        self.tell_end(&outcome);
        outcome
    }

    async fn session(&self, deadline: Deadline) -> Result<Session, Failure> {
        let grants = self.transport.grants.with_conf(self.conf.clone());
        let session = Session::new(&self.transport.program, grants);
        deadline.hold(session).await
    }

    fn deadline(&self, dialling: Duration) -> Deadline {
        Deadline::after(self.transport.handshake, dialling)
    }

    /// Tells why the connection failed before it had both ends.
    pub fn tell(&self, failure: &Failure) {
        let (name, whose) = (&self.transport.name, Whose(self.far));
        say!(
            failure.severity(),
            "{name}: a connection{whose} failed: {failure}"
        );
    }

    /// A handshake that fails on a server is mostly a prober or a scanner: no news, unless the module broke.
    fn tell_probe(&self, failure: &Failure) {
        let (name, whose) = (&self.transport.name, Whose(self.far));
        match failure {
            Failure::Trap(_)
            | Failure::Stuck
            | Failure::OutOfMemory(_)
            | Failure::NoRole
            | Failure::Host(_) => self.tell(failure),
            _ => tracing::debug!("{name}: a handshake{whose} failed: {failure}"),
        }
    }

    /// Tells how the connection ended. Peers that break off are everybody's daily life.
    fn tell_end(&self, outcome: &Outcome) {
        let (name, whose) = (&self.transport.name, Whose(self.far));
        let (up, down) = (outcome.from_inner, outcome.from_outer);
        match &outcome.result {
            Ok(()) => tracing::trace!(
                "{name}: a connection{whose} ended after {up} bytes up and {down} down"
            ),
            Err(failure) if failure.blame() == Blame::Peer || *failure == Failure::Stopped => {
                tracing::debug!("{name}: a connection{whose} ended early: {failure}");
            }
            Err(failure) => say!(
                failure.severity(),
                "{name}: a connection{whose} was lost: {failure}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever comes while everybody is told no gets the first slot that is free.
    #[tokio::test]
    async fn a_freed_slot_is_not_kept_waiting_by_refusals() {
        let slots = Slots::new(1);
        let Admission::Carried(carried) = slots.admit().await else {
            panic!("the slot was free");
        };
        let mut refused = Vec::new();
        for _ in 0..MAX_REFUSALS {
            match slots.admit().await {
                Admission::Refused(turn, Failure::PoolFull(1)) => refused.push(turn),
                _ => panic!("the slot was taken"),
            }
        }
        let waiting = slots.admit();
        tokio::pin!(waiting);
        let none = timeout(Duration::from_millis(50), &mut waiting).await;
        assert!(none.is_err(), "there was neither a slot nor a turn");
        drop(carried);
        assert!(matches!(waiting.await, Admission::Carried(_)));
    }
}
