//! The ABIs that modules speak: which one, and what its exports are called.
//!
//! In: a module's outline. Out: an [`Abi`], or the reasons why nobody here can run it. WATM v0 and v1 have the same shape
//! (initialise, play a role, take the control pipe, work), so that one session runs both; what differs is here, in
//! [`super::v0`] and in [`super::v1`].

use std::fmt;

use super::errno::Errno;
use super::outline::{Item, Outline};
use super::program::ModuleError;
use super::{v0, v1};

/// The marker of water-rs' own preview of v1.
pub(super) const PREVIEW_MARKER: &str = "_water_v1";
/// Two exports that only the unreleased draft of a final v1 has.
pub(super) const FINAL_USERPIPE: &str = "watm_userpipe_v1";
pub(super) const FINAL_LASTERROR: &str = "watm_lasterror_v1";

/// A version of the WATM specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// `_water_v0`. `own_errors`: its marker is a global, as in modules made with the Rust SDK, which number their
    /// errors in a way of their own.
    V0 {
        /// Whether a negative result may be of the Rust SDK's own table.
        own_errors: bool,
    },
    /// `watm_*_v1`.
    V1,
}

/// Markers of drafts from before v0 was released, in Go's and in water-rs' repositories.
pub(super) const DRAFTS: [&str; 4] = ["_v0", "_v0plus", "V1", "_version"];

/// What is asked of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The application's bytes go in, and the host knows where to (a PT client).
    Dialer,
    /// The same, and the module knows where to.
    FixedDialer,
    /// Connections come from the network (a PT server).
    Listener,
    /// Connections come in and go on: the module stands between two networks.
    Relay,
}

/// The one export that is ouzel's own; harmless elsewhere.
pub(super) const SETUP: &str = "ouzel_setup_v1";

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Dialer, Role::FixedDialer, Role::Listener, Role::Relay];

    /// Its number in a set-up run.
    pub(super) fn number(self) -> i32 {
        match self {
            Role::Dialer => 0,
            Role::Listener => 1,
            Role::FixedDialer => 2,
            Role::Relay => 3,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Dialer => "dialer",
            Role::FixedDialer => "fixed dialer",
            Role::Listener => "listener",
            Role::Relay => "relay",
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Abi::V0 { .. } => "WATM v0",
            Abi::V1 => "WATM v1",
        })
    }
}

/// What a module's exports say that it speaks, whether or not it does so correctly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A released version of WATM.
    Watm(Abi),
    /// The unreleased draft of a final v1, with the names of v1 and other types.
    FinalDraft,
    /// water-rs' own preview of v1.
    Preview,
    /// A draft from before v0 was released.
    EarlyDraft,
    /// None that anybody knows.
    Unknown,
}

impl Dialect {
    /// Reads it from the names that a module exports.
    pub fn of(outline: &Outline<'_>) -> Dialect {
        let has = |name: &str| outline.export(name).is_some();
        let accept_takes_nothing =
            matches!(outline.export(v1::ACCEPT), Some(Item::Func(ty)) if ty.starts_with("()"));
        if has(PREVIEW_MARKER) {
            Dialect::Preview
        } else if has(FINAL_USERPIPE) || has(FINAL_LASTERROR) || accept_takes_nothing {
            Dialect::FinalDraft
        } else if let Some(marker) = outline.export(v0::MARKER) {
            Dialect::Watm(Abi::V0 {
                own_errors: !matches!(marker, Item::Func(_)),
            })
        } else if v1::EXPORTS.into_iter().any(has) {
            Dialect::Watm(Abi::V1)
        } else if v0::EXPORTS.into_iter().any(has) {
            Dialect::Unknown
        } else if DRAFTS.into_iter().any(has) {
            Dialect::EarlyDraft
        } else {
            Dialect::Unknown
        }
    }

    /// The ABI to hold a module against: what speaks none is told what v1 wants.
    pub fn abi(self) -> Result<Abi, ModuleError> {
        match self {
            Dialect::Watm(abi) => Ok(abi),
            Dialect::Unknown => Ok(Abi::V1),
            Dialect::Preview => Err(ModuleError::Abi(
                "speaks water-rs' own preview of v1 (_water_v1), which is no WATM v1; ask its author for a v1 build",
            )),
            Dialect::EarlyDraft => Err(ModuleError::Abi(
                "speaks a draft of WATM from before v0 was released (_v0, _v0plus, V1 or _version); ask its author for a \
                 v1 build",
            )),
            Dialect::FinalDraft => Err(ModuleError::Abi(
                "speaks the unreleased draft of a final v1 (watm_userpipe_v1 and its like); ask its author for a build \
                 against the released v1",
            )),
        }
    }
}

impl Abi {
    /// What is missing among a module's exports, or is of another type than it has to be.
    pub(super) fn faults(self, outline: &Outline<'_>) -> impl Iterator<Item = ModuleError> {
        const NOTHING: &str = "() -> (i32)";
        const FD: &str = "(i32) -> (i32)";
        let mandatory = [
            (self.init(), NOTHING),
            (self.worker(), NOTHING),
            (self.cancel(), FD),
        ];
        let missing: Vec<_> = mandatory
            .iter()
            .filter(|(name, _)| outline.export(name).is_none())
            .map(|(name, _)| ModuleError::MissingExport(name))
            .collect();
        let roles = Role::ALL.into_iter().filter_map(|role| self.role(role));
        let roles = roles.map(|name| (name, if self.takes_inner(name) { FD } else { NOTHING }));
        let start = outline.start().map(|name| (name, "() -> ()"));
        let functions = mandatory.into_iter().chain(roles).chain(start);
        let mut wrong = Vec::new();
        for (name, ty) in functions.chain([(SETUP, "(i32, i32) -> (i32)")]) {
            match outline.export(name) {
                Some(Item::Func(found)) if **found != *ty => {
                    wrong.push(ModuleError::BadExport(name, found.to_string()));
                }
                Some(Item::Memory | Item::Other(_)) => {
                    wrong.push(ModuleError::BadExport(name, "it is no function".to_owned()));
                }
                Some(Item::Func(_)) | None => {}
            }
        }
        let memory = match outline.export("memory") {
            Some(Item::Memory) => None,
            _ => Some(ModuleError::MissingExport("memory")),
        };
        missing.into_iter().chain(wrong).chain(memory)
    }

    /// The roles that a module exports.
    pub fn roles(self, outline: &Outline<'_>) -> Vec<Role> {
        let exported = |role: &Role| {
            self.role(*role)
                .is_some_and(|name| outline.export(name).is_some())
        };
        Role::ALL.into_iter().filter(exported).collect()
    }

    /// Whether a module with these roles can be used in this one.
    pub fn demand(self, roles: &[Role], role: Role) -> Result<(), ModuleError> {
        match self.role(role) {
            Some(_) if roles.contains(&role) => Ok(()),
            Some(export) => Err(ModuleError::Role(role.word(), export)),
            None => Err(ModuleError::NoSuchRole(role.word(), self)),
        }
    }

    /// The export that initialises.
    pub(super) fn init(self) -> &'static str {
        match self {
            Abi::V0 { .. } => v0::INIT,
            Abi::V1 => v1::INIT,
        }
    }

    /// The export of a role, if the version has it.
    pub fn role(self, role: Role) -> Option<&'static str> {
        match (self, role) {
            (Abi::V0 { .. }, Role::Dialer) => Some(v0::DIAL),
            (Abi::V0 { .. }, Role::FixedDialer) => None,
            (Abi::V0 { .. }, Role::Listener) => Some(v0::ACCEPT),
            (Abi::V0 { .. }, Role::Relay) => Some(v0::ASSOCIATE),
            (Abi::V1, Role::Dialer) => Some(v1::DIAL),
            (Abi::V1, Role::FixedDialer) => Some(v1::DIAL_FIXED),
            (Abi::V1, Role::Listener) => Some(v1::ACCEPT),
            (Abi::V1, Role::Relay) => Some(v1::ASSOCIATE),
        }
    }

    fn takes_inner(self, role: &str) -> bool {
        role != v0::ASSOCIATE && role != v1::ASSOCIATE
    }

    /// The export that takes the control pipe.
    pub(super) fn cancel(self) -> &'static str {
        match self {
            Abi::V0 { .. } => v0::CANCEL_WITH,
            Abi::V1 => v1::CTRLPIPE,
        }
    }

    /// The export that works until the connection has ended.
    pub(super) fn worker(self) -> &'static str {
        match self {
            Abi::V0 { .. } => v0::WORKER,
            Abi::V1 => v1::START,
        }
    }

    /// A failed result as a person reads it. Some workers return an errno un-negated.
    pub(super) fn shown(self, result: i32) -> String {
        let errno = match Errno::of_result(result) {
            Err(errno) => errno,
            Ok(positive) => Errno(u16::try_from(positive).unwrap_or(u16::MAX)),
        };
        match self {
            Abi::V0 { own_errors: true } => match v0::own_error(result) {
                Some(name) => format!("{name} by the Rust SDK's own table, {errno} as an errno"),
                None => errno.to_string(),
            },
            _ => errno.to_string(),
        }
    }
}
