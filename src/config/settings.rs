//! What an operator writes down: the file of `--config`, and the one that lies beside a module.
//!
//! In: the text of a file, and where it lies. Out: a [`RunFile`] or the [`Settings`] of one transport, every value checked,
//! every path made one from the file's own folder. What can go wrong is a [`Mistake`], which says where. Nothing is read
//! here but those files, and nothing is granted that they do not say. `docs/configuration.md` has every key.

mod go;
mod mistake;
mod values;

pub use mistake::Mistake;
pub use values::{
    Argv, Environment, Given, GuestPath, Level, Limits, Name, Pin, Size, Span, StateFile, Whole,
    is_name,
};

use crate::net::allow::{Allow, Rule};
use crate::platform;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The longest file of settings, and of a module's own configuration: each instance has the latter in its memory.
pub const MAX_SETTINGS: usize = 1 << 20;

/// The file of `--config` for a run under tor: what the flags say, and a table for each transport.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RunFile {
    /// `--modules`.
    pub modules: Option<PathBuf>,
    /// `--max-connections`.
    pub max_connections: Option<Whole<1, 1_000_000>>,
    /// `--threads`.
    pub threads: Option<Whole<1, 1024>>,
    /// `--log-level`.
    pub log_level: Option<Level>,
    /// `--enable-logging`.
    pub enable_logging: bool,
    /// `--unsafe-logging`.
    pub unsafe_logging: bool,
    /// Transports by name.
    pub transport: BTreeMap<Name, Settings>,
}

/// The settings of one transport. What is not said stays as it is without a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Its module.
    pub module: Option<PathBuf>,
    /// What the module's SHA-256 has to be.
    pub sha256: Option<Pin>,
    /// The configuration that its instances get, as JSON.
    pub config: Option<Given>,
    config_file: Option<Spanned<PathBuf>>,
    /// Keys that arguments of a connection may replace.
    pub args_override: Vec<String>,
    announce: Vec<Spanned<String>>,
    /// The deadline of its handshake.
    pub handshake_timeout: Option<Span>,
    /// Where its module may go by itself.
    #[serde(deserialize_with = "rules")]
    pub allow: Allow,
    /// The command line of its instances, the program's name first.
    pub argv: Argv,
    /// Their environment.
    pub env: Environment,
    /// Folders whose copies they may read.
    pub folders: BTreeMap<GuestPath, PathBuf>,
    /// What each of them may use.
    pub limits: Limits,
    /// Its files that lie in the state directory itself.
    pub state_root: Vec<StateFile>,
}

impl RunFile {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<RunFile, Mistake> {
        RunFile::parse(&text(file)?, file)
    }

    /// Reads a text that lies in `file`.
    pub fn parse(text: &str, file: &Path) -> Result<RunFile, Mistake> {
        let mut run: RunFile = toml::from_str(text).map_err(|error| {
            if text.trim_start().starts_with('{') {
                let what = "is JSON, and the settings of a run are TOML; a module's own configuration goes after \
                            --config NAME=FILE";
                return Mistake::whole(what, file);
            }
            Mistake::of_toml(&error, text, file)
        })?;
        let folder = folder_of(file);
        if let Some(modules) = &mut run.modules {
            *modules = folder.join(&modules);
        }
        for settings in run.transport.values_mut() {
            settings.check(text, file)?;
            settings.lie_in(folder);
        }
        Ok(run)
    }
}

impl Settings {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Settings, Mistake> {
        Settings::parse(&text(file)?, file)
    }

    /// Reads a text that lies in `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Settings, Mistake> {
        let mut settings: Settings =
            toml::from_str(text).map_err(|error| Mistake::of_toml(&error, text, file))?;
        settings.check(text, file)?;
        settings.lie_in(folder_of(file));
        Ok(settings)
    }

    /// The file that its instances get as their configuration.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file
            .as_ref()
            .map(|file| file.get_ref().as_path())
    }

    /// Keys that a server tells its clients.
    pub fn announce(&self) -> impl Iterator<Item = &str> {
        self.announce.iter().map(|key| key.get_ref().as_str())
    }

    /// What no single value can say.
    fn check(&self, text: &str, file: &Path) -> Result<(), Mistake> {
        if let (Some(_), Some(other)) = (&self.config, &self.config_file) {
            let what = "config and config-file are two answers to one question; keep one of them";
            return Err(Mistake::at(other.span().start, what, text, file));
        }
        if let Some(empty) = self.announce.iter().find(|key| key.get_ref().is_empty()) {
            let what = "announce names an empty key, which no bridge line can carry; take it out";
            return Err(Mistake::at(empty.span().start, what, text, file));
        }
        Ok(())
    }

    /// Paths are meant from the folder of the file that they stand in.
    fn lie_in(&mut self, folder: &Path) {
        if let Some(module) = &mut self.module {
            *module = folder.join(&module);
        }
        if let Some(file) = &mut self.config_file {
            *file.get_mut() = folder.join(file.get_ref());
        }
        for host in self.folders.values_mut() {
            *host = folder.join(&host);
        }
    }
}

/// What a file says that is named for one module, or lies beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// About the transport.
    pub settings: Settings,
    /// The file itself, if it is the module's own configuration.
    pub own: Option<PathBuf>,
    /// Where a run without tor would listen.
    pub listen: Option<SocketAddr>,
    /// What its author should know.
    pub notices: Vec<String>,
}

impl Told {
    /// Reads a file: settings where its name ends in `.toml`; the Go runtime's where it is JSON of that shape; or else it is
    /// what the module itself reads. What begins like JSON and is none was meant as one of those.
    pub fn read(file: &Path) -> Result<Told, Mistake> {
        if file
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("toml"))
        {
            let settings = Settings::read(file)?;
            return Ok(Told {
                settings,
                ..Told::default()
            });
        }
        // What cannot be read is told by whoever hands it to the module.
        if let Ok(text) = bytes(file) {
            if go::is_go_shape(&text) {
                return go::parse(&text, file);
            }
            if text.trim_ascii_start().starts_with(b"{")
                && let Err(error) = serde_json::from_slice::<IgnoredAny>(&text)
            {
                let remedy = "what begins with { has to be JSON here; hand any other text to the module with config-file in \
                              a .toml";
                return Err(Mistake::of_json(&error, file).with(remedy));
            }
        }
        let notice = format!(
            "{} is handed to the module as its own configuration",
            file.display()
        );
        Ok(Told {
            own: Some(file.to_owned()),
            notices: vec![notice],
            ..Told::default()
        })
    }
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Allow, D::Error> {
    let rules = Vec::<values::Word<Rule>>::deserialize(deserializer)?;
    Ok(Allow::new(rules.into_iter().map(|rule| rule.0).collect()))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn text(file: &Path) -> Result<String, Mistake> {
    String::from_utf8(bytes(file)?).map_err(|_| {
        let what = "is not UTF-8, which settings have to be; save it as UTF-8";
        Mistake::whole(what, file)
    })
}

fn bytes(file: &Path) -> Result<Vec<u8>, Mistake> {
    let mut bytes = Vec::new();
    platform::open_file(file)
        .and_then(|opened| opened.take(MAX_SETTINGS as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Mistake::unreadable(&error, file))?;
    if bytes.len() > MAX_SETTINGS {
        let what = format!("has more than {MAX_SETTINGS} bytes, which no settings have");
        return Err(Mistake::whole(&what, file));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
