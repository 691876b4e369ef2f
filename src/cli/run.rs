//! A run as a pluggable transport: its arguments, and the file that may say the same.

use super::called::Called;
use super::{named_file, transport_name};
use crate::config::Config;
use crate::config::settings::{Mistake, RunFile};
use crate::error::Severity;
use crate::platform;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Add a transport: its name, and its module (.wasm, or .cwasm made by `ouzel compile`)
    #[arg(long = "module", value_name = "NAME=FILE", value_parser = named_file)]
    modules: Vec<(String, PathBuf)>,
    /// Add a folder of transports: NAME.wasm or NAME.cwasm each, and its settings beside it in NAME.toml
    #[arg(long = "modules", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The operator's settings (TOML); or, as NAME=FILE, the configuration that a transport's module reads
    #[arg(long = "config", value_name = "FILE", value_parser = given)]
    configs: Vec<Given>,
    /// Connections at a time [default: 1536 on a client, 4096 on a bridge]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: Option<u32>,
    /// Processor threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The quietest line to tell: error, warn, notice, info or debug [default: notice]
    #[arg(long, alias = "logLevel", value_name = "LEVEL")]
    pub(super) log_level: Option<Severity>,
    /// Keep a log in the state directory (ouzel.log) too
    #[arg(long, alias = "enableLogging")]
    pub(super) enable_logging: bool,
    /// Let addresses appear in logs; for debugging only
    #[arg(long, alias = "unsafeLogging")]
    pub(super) unsafe_logging: bool,
}

/// What stands after `--config`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    /// A module's own configuration.
    Module(String, PathBuf),
    /// The operator's settings.
    Settings(PathBuf),
}

fn given(text: &str) -> Result<Given, String> {
    match text.split_once('=') {
        // A path may have an equals sign in it, and a name has neither slash nor dot.
        Some((name, _)) if transport_name(name).is_ok() => {
            named_file(text).map(|(name, file)| Given::Module(name, file))
        }
        _ if text.is_empty() => Err("the file is missing".to_owned()),
        _ => Ok(Given::Settings(text.into())),
    }
}

impl Run {
    /// What the definition cannot say: a name stands for one file, and there is one file of settings.
    pub(super) fn check(&self) -> Result<(), clap::Error> {
        let modules = self.modules.iter().map(|(name, _)| name.as_str());
        let configs = self.configs.iter().filter_map(|given| match given {
            Given::Module(name, _) => Some(name.as_str()),
            Given::Settings(_) => None,
        });
        let text = if let Some(name) = twice(modules) {
            format!("--module names {name} twice; keep one of the two")
        } else if let Some(name) = twice(configs) {
            format!("--config names {name} twice; keep one of the two")
        } else if self.files().count() > 1 {
            "--config names two files of settings; put both into one".to_owned()
        } else {
            return Ok(());
        };
        Err(super::Cli::command().error(ErrorKind::ArgumentConflict, text))
    }

    /// Whether an error of the definition is a level that is none.
    pub(super) fn is_about_the_level(error: &clap::Error) -> bool {
        match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => {
                error.kind() == ErrorKind::ValueValidation && flag.starts_with("--log-level")
            }
            _ => false,
        }
    }

    /// Everything that was asked for, and how many threads: the flags, and what they leave open from the file. In another
    /// program's place, the flag for the level is about the log file, as there.
    pub(super) fn read(self, called: Called) -> Result<(Config, Option<usize>), Mistake> {
        let file = match self.files().next() {
            Some(file) => RunFile::read(file)?,
            None => RunFile::default(),
        };
        let threads = file.threads.map(|threads| threads.get());
        let file = Config::of_file(file);
        let configs = self.configs.into_iter().filter_map(|given| match given {
            Given::Module(name, file) => Some((name, file)),
            Given::Settings(_) => None,
        });
        let config = Config {
            compiler: platform::own_executable(),
            modules: self.modules,
            configs: configs.collect(),
            overruled_folder: file.folder.clone().filter(|_| self.folder.is_some()),
            folder: self.folder.or(file.folder),
            max_connections: self
                .max_connections
                .map(|most| most as usize)
                .or(file.max_connections),
            log_level: match called {
                Called::Ouzel => self.log_level.unwrap_or(file.log_level),
                Called::InPlaceOf(_) => file.log_level,
            },
            file_level: called.file_level(self.log_level),
            log_name: called.log_name(),
            log_file: self.enable_logging || file.log_file,
            unsafe_logging: self.unsafe_logging || file.unsafe_logging,
            ..file
        };
        Ok((config, self.threads.map(usize::from).or(threads)))
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.configs.iter().filter_map(|given| match given {
            Given::Settings(file) => Some(file),
            Given::Module(..) => None,
        })
    }
}

fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Some(name);
        }
        seen.push(name);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_makes_the_difference() {
        let module = |name: &str, file: &str| Ok(Given::Module(name.to_owned(), file.into()));
        assert_eq!(given("mine=a.json"), module("mine", "a.json"));
        assert_eq!(given("mine=b=c.toml"), module("mine", "b=c.toml"));
        for file in ["ouzel.toml", "/etc/tor/a=b.toml", "./a=b", "a-b=c"] {
            assert_eq!(given(file), Ok(Given::Settings(file.into())));
        }
        assert!(given("mine=").is_err());
        assert!(given("").is_err());
    }
}
