//! The ABIs that modules speak: which one, and what its exports are called.
//!
//! In: a module's exports. Out: an [`Abi`], or the reason why nobody here can run it. WATM v0 and v1 have the same shape
//! (initialise, play a role, take the control pipe, work), so that one session runs both; what differs is here, in
//! [`super::v0`] and in [`super::v1`].

use std::fmt;

use super::errno::Errno;
use super::program::ModuleError;
use super::{v0, v1};
use wasmtime::{ExternType, FuncType, Module, ValType};

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

impl Abi {
    /// Which ABI the module speaks, with all mandatory exports there and of the right type.
    pub(super) fn of(module: &Module) -> Result<Abi, ModuleError> {
        let has = |name: &str| module.get_export(name).is_some();
        if has("_water_v1") {
            return Err(ModuleError::Abi(
                "speaks water-rs' own preview of v1 (_water_v1), which is no WATM v1; ask its author for a v1 build",
            ));
        }
        let accept_takes_nothing = module
            .get_export(v1::ACCEPT)
            .is_some_and(|export| export.func().is_some_and(|f| f.params().len() == 0));
        if has("watm_userpipe_v1") || has("watm_lasterror_v1") || accept_takes_nothing {
            return Err(ModuleError::Abi(
                "speaks the unreleased draft of a final v1 (watm_userpipe_v1 and its like); ask its author for a build \
                 against the released v1",
            ));
        }
        let abi = match module.get_export(v0::MARKER) {
            Some(marker) => Abi::V0 {
                own_errors: marker.func().is_none(),
            },
            None => Abi::V1,
        };
        abi.check(module)?;
        Ok(abi)
    }

    fn check(self, module: &Module) -> Result<(), ModuleError> {
        for name in [self.init(), self.worker(), self.cancel()] {
            if module.get_export(name).is_none() {
                return Err(ModuleError::MissingExport(name));
            }
        }
        let roles = Role::ALL.into_iter().filter_map(|role| self.role(role));
        for (name, params) in [(self.init(), 0), (self.worker(), 0), (self.cancel(), 1)]
            .into_iter()
            .chain(roles.map(|name| (name, usize::from(self.takes_inner(name)))))
            .chain([(SETUP, 2)])
        {
            if let Some(export) = module.get_export(name) {
                check_export(name, &export, params)?;
            }
        }
        match module.get_export("memory") {
            Some(ExternType::Memory(_)) => Ok(()),
            _ => Err(ModuleError::MissingExport("memory")),
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
    pub(super) fn role(self, role: Role) -> Option<&'static str> {
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

fn check_export(name: &'static str, export: &ExternType, params: usize) -> Result<(), ModuleError> {
    let Some(found) = export.func() else {
        return Err(ModuleError::BadExport(name, "it is no function".to_owned()));
    };
    let i32s = |mut types: Box<dyn Iterator<Item = ValType> + '_>| {
        types.all(|ty| matches!(ty, ValType::I32))
    };
    let fits = found.params().len() == params
        && found.results().len() == 1
        && i32s(Box::new(found.params()))
        && i32s(Box::new(found.results()));
    if fits {
        Ok(())
    } else {
        Err(ModuleError::BadExport(name, describe(found)))
    }
}

/// A function's type in text.
pub(super) fn describe(found: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(found.params().map(|ty| ty.to_string()).collect());
    let results = list(found.results().map(|ty| ty.to_string()).collect());
    format!("({params}) -> ({results})")
}
