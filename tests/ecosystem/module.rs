//! A module's file, read from outside: what it says about itself, and what lies beside it.
//!
//! In: `NAME.wasm`, and where there is one `NAME.json`, the folder owner's word on how to try it. Out: a [`Module`]. What
//! can go wrong: a file that is no module (it is listed as such), or a `NAME.json` that is no such object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A part that a module may play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Dialer,
    FixedDialer,
    Listener,
    Relay,
}

impl Role {
    pub(crate) const ALL: [Role; 4] =
        [Role::Dialer, Role::FixedDialer, Role::Listener, Role::Relay];

    fn exports(self) -> [&'static str; 2] {
        match self {
            Role::Dialer => ["watm_dial_v1", "_water_dial"],
            Role::FixedDialer => ["watm_dial_fixed_v1", ""],
            Role::Listener => ["watm_accept_v1", "_water_accept"],
            Role::Relay => ["watm_associate_v1", "_water_associate"],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Dialer => "dialer",
            Role::FixedDialer => "fixed dialer",
            Role::Listener => "listener",
            Role::Relay => "relay",
        })
    }
}

/// One module of a folder.
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// Its path within the folder, without `.wasm`.
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) size: usize,
    exports: BTreeSet<String>,
    /// Who made it, from the custom section `producers`.
    pub(crate) producers: Vec<String>,
    pub(crate) beside: Beside,
}

/// `NAME.json`. In its texts `{far_host}` and `{far_port}` stand for where bytes are to arrive, `{peer_host}` and
/// `{peer_port}` for where the peer is to listen.
#[derive(Default)]
pub(crate) struct Beside {
    /// `config`: a text, or an object, handed to the module.
    pub(crate) config: Option<String>,
    /// `memory`: what an instance may use, as in an operator's settings (`512 MiB`), if the default is too little.
    pub(crate) memory: Option<String>,
    /// `peer`: a command that listens, undoes what a dialer does, and sends on to the far end.
    pub(crate) peer: Option<Vec<String>>,
    /// `goes_to`: where a fixed dialer goes that reads it nowhere, so that somebody listens there.
    pub(crate) goes_to: Option<SocketAddr>,
    /// `known`: by a role's name, why it fails; such a failure is told, and does not count. Where it does not fail
    /// any more, that counts.
    pub(crate) known: BTreeMap<String, String>,
}

/// All modules below a folder, by path.
pub(crate) fn in_folder(folder: &Path) -> anyhow::Result<Vec<Module>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("{} cannot be read", next.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|ext| ext == "wasm") {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|file| Module::read(folder, file))
        .collect()
}

impl Module {
    fn read(folder: &Path, file: PathBuf) -> anyhow::Result<Module> {
        let bytes =
            fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let name = file
            .strip_prefix(folder)
            .unwrap_or(&file)
            .with_extension("");
        let mut module = Module {
            name: name.display().to_string(),
            sha256: Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            size: bytes.len(),
            exports: BTreeSet::new(),
            producers: Vec::new(),
            beside: Beside::read(&file.with_extension("json"))?,
            file,
        };
        // Whatever is damaged is left out; the executable says what is wrong with it.
        let _ = module.look_inside(&bytes);
        Ok(module)
    }

    fn look_inside(&mut self, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes.strip_prefix(b"\0asm\x01\0\0\0")?;
        while let Some((&id, after)) = rest.split_first() {
            rest = after;
            let length = number(&mut rest)?;
            let (mut section, after) = rest.split_at_checked(length)?;
            rest = after;
            match id {
                0 if text(&mut section)? == "producers" => self.read_producers(section)?,
                7 => {
                    for _ in 0..number(&mut section)? {
                        self.exports.insert(text(&mut section)?);
                        section = section.get(1..)?;
                        number(&mut section)?;
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn read_producers(&mut self, mut section: &[u8]) -> Option<()> {
        for _ in 0..number(&mut section)? {
            text(&mut section)?;
            for _ in 0..number(&mut section)? {
                let (what, version) = (text(&mut section)?, text(&mut section)?);
                let version = version.split(' ').next().unwrap_or_default();
                self.producers
                    .push(format!("{what} {version}").trim_end().to_owned());
            }
        }
        Some(())
    }

    /// What the module seems to speak, by its exports.
    pub(crate) fn abi(&self) -> &'static str {
        let has = |name: &str| self.exports.contains(name);
        if has("_water_v1") {
            "water-rs preview"
        } else if has("watm_userpipe_v1") || has("watm_lasterror_v1") {
            "draft of a final v1"
        } else if has("_water_v0") {
            "v0"
        } else if has("watm_init_v1") {
            "v1"
        } else {
            "none"
        }
    }

    /// Whether a host has to know what it speaks.
    pub(crate) fn speaks_watm(&self) -> bool {
        matches!(self.abi(), "v0" | "v1")
    }

    /// Whether it says that it can play the role.
    pub(crate) fn exports(&self, role: Role) -> bool {
        role.exports()
            .iter()
            .any(|name| self.exports.contains(*name))
    }

    /// The language or compiler that matters.
    pub(crate) fn language(&self) -> &str {
        let known = ["TinyGo", "rustc", "Go ", "zig", "clang"];
        let found = known.iter().find_map(|word| {
            self.producers
                .iter()
                .find(|producer| producer.starts_with(word))
        });
        found.map_or("unknown", |producer| producer)
    }
}

impl Beside {
    fn read(file: &Path) -> anyhow::Result<Beside> {
        let Ok(text) = fs::read(file) else {
            return Ok(Beside::default());
        };
        let name = file.display();
        let value: Value =
            serde_json::from_slice(&text).with_context(|| format!("{name} is no JSON"))?;
        let Value::Object(keys) = value else {
            bail!("{name} is no JSON object");
        };
        let mut beside = Beside::default();
        for (key, value) in keys {
            let fits = beside.set(&key, value).is_some();
            ensure!(
                fits,
                "{name}: {key} is none of config (text or object), memory (a size), peer (list of texts), goes_to (an address), \
                 known (an object of texts, by role)"
            );
        }
        Ok(beside)
    }

    fn set(&mut self, key: &str, value: Value) -> Option<()> {
        match (key, value) {
            ("config", Value::String(config)) => self.config = Some(config),
            ("config", object @ Value::Object(_)) => self.config = Some(object.to_string()),
            ("memory", Value::String(size)) => self.memory = Some(size),
            ("peer", words) => self.peer = Some(serde_json::from_value(words).ok()?),
            ("goes_to", Value::String(at)) => self.goes_to = Some(at.parse().ok()?),
            ("known", Value::Object(roles)) => {
                for (role, why) in roles {
                    Role::ALL.iter().find(|known| known.to_string() == role)?;
                    self.known.insert(role, why.as_str()?.to_owned());
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// An unsigned LEB128 of up to 32 bits.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(value).ok();
        }
    }
    None
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(String::from_utf8_lossy(text).into_owned())
}
