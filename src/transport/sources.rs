//! Which module, and which settings, stand behind each name.
//!
//! In: the flags, the operator's file, a folder of modules, and the built-ins. Out: a [`Source`] for each name, or one
//! sentence why there is none. Who says it nearest to the command line wins: `--module` before a `[transport.NAME]` table,
//! that before the folder, and the folder before a built-in; a word in the log says what went unused. Two answers from the
//! same place are refused, for one of them is not what the operator meant.

use super::builtins::{BuiltIn, builtins};
use crate::config::Config;
use crate::config::settings::{Settings, Told, is_name};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// More files than any folder of modules has; a typo that names a spool is noticed.
const MAX_FILES: usize = 10_000;

/// What stands behind a name.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) module: Module,
    pub(super) settings: Settings,
    /// `--config NAME=FILE`.
    pub(super) conf: Option<PathBuf>,
    /// Keys of its configuration that a flag sets to true.
    pub(super) keys: Vec<&'static str>,
    /// What the operator should know once this is used.
    pub(super) notices: Vec<String>,
}

/// Where a module is.
#[derive(Clone, Debug)]
pub(super) enum Module {
    /// In a file, as this says: a flag or a key.
    File(PathBuf, &'static str),
    /// In the executable.
    BuiltIn(&'static BuiltIn),
}

impl Source {
    fn of(module: Module) -> Source {
        Source {
            module,
            settings: Settings::default(),
            conf: None,
            keys: Vec::new(),
            notices: Vec::new(),
        }
    }
}

/// Sources by name.
pub(super) type Sources = BTreeMap<String, Result<Source, String>>;

/// Puts everything together that an operator says about transports.
pub(super) fn gather(config: &Config) -> Sources {
    let mut sources: Sources = builtins()
        .iter()
        .map(|one| (one.name.to_owned(), Ok(Source::of(Module::BuiltIn(one)))))
        .collect();
    if let Some(unused) = &config.overruled_folder {
        tracing::info!(
            "the folder {} is not used: --modules names another than modules in the file after --config",
            unused.display()
        );
    }
    let beside = match &config.folder {
        Some(folder) => add_folder(&mut sources, folder),
        None => BTreeMap::new(),
    };
    for (name, table) in &config.transports {
        let flagged = config.modules.iter().any(|(known, _)| known == name);
        add_table(&mut sources, name, table, flagged, beside.get(name));
    }
    for (name, path) in &config.modules {
        let table = config.transports.get(name).cloned();
        if let Some(unread) = beside.get(name) {
            tracing::info!(
                "{} is not read: it belongs to the module beside it, and --module names another for {name}",
                unread.display()
            );
        }
        let mut source = Source::of(Module::File(path.clone(), "--module"));
        source.settings = table.unwrap_or_default();
        put(&mut sources, name, source, "--module");
    }
    for (name, path) in &config.configs {
        match sources.get_mut(name) {
            Some(Ok(source)) => source.conf = Some(path.clone()),
            // It has a worse trouble, which is told when it is used.
            Some(Err(_)) => {}
            None => tracing::warn!(
                "there is no transport {name} for --config {name}={}; is the name right?",
                path.display()
            ),
        }
    }
    for &(name, key) in &config.switches {
        if let Some(Ok(source)) = sources.get_mut(name) {
            source.keys.push(key);
        }
    }
    sources
}

/// Puts one module into the place of another, and says which goes unused; a built-in is nothing that anybody put there.
fn put(sources: &mut Sources, name: &str, source: Source, who: &str) {
    let before = sources.insert(name.to_owned(), Ok(source));
    if let Some(Ok(Source {
        module: Module::File(unused, _),
        ..
    })) = before
    {
        tracing::info!(
            "{} is not used: {who} names another module for {name}",
            unused.display()
        );
    }
}

fn add_table(
    sources: &mut Sources,
    name: &str,
    table: &Settings,
    flagged: bool,
    beside: Option<&PathBuf>,
) {
    if let Some(file) = beside.filter(|_| !flagged) {
        let why = format!(
            "its settings stand in two places: in {} and in [transport.{name}] of the file after --config; keep one of them",
            file.display()
        );
        sources.insert(name.to_owned(), Err(why));
        return;
    }
    let settings = table.clone();
    match (&table.module, sources.get_mut(name)) {
        (Some(path), _) => {
            let mut source = Source::of(Module::File(path.clone(), "module"));
            source.settings = settings;
            put(sources, name, source, &format!("[transport.{name}]"));
        }
        (None, Some(Ok(source))) => source.settings = settings,
        (None, Some(Err(_))) => {}
        (None, None) if flagged => {}
        (None, None) => tracing::warn!(
            "there is no module for [transport.{name}]; name it there with module = \"FILE\", or put {name}.wasm into the \
             folder of --modules"
        ),
    }
}

/// The files of one name in a folder.
#[derive(Default)]
struct Files {
    modules: Vec<PathBuf>,
    settings: Vec<PathBuf>,
}

/// Adds what lies in a folder; returns the settings files that were read, by name.
fn add_folder(sources: &mut Sources, folder: &Path) -> BTreeMap<String, PathBuf> {
    let files = match list(folder) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(
                "the folder of modules {} cannot be read ({error}); check the path after --modules and its permissions, and \
                 under Debian's tor its AppArmor profile (it allows /etc/tor)",
                folder.display()
            );
            return BTreeMap::new();
        }
    };
    let mut read = BTreeMap::new();
    let with_module: BTreeSet<String> = files
        .iter()
        .filter(|(_, files)| !files.modules.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    for (name, files) in files {
        let built_in = sources.contains_key(&name);
        if !is_name(&name) {
            tell_misnamed(&name, &files, &with_module);
            continue;
        }
        if files.modules.is_empty() && !built_in {
            if let Some(alone) = files.settings.iter().find(|file| has_end(file, "toml")) {
                tracing::warn!(
                    "{} has no module beside it; put {name}.wasm there, or take it away",
                    alone.display()
                );
            }
            continue;
        }
        if let (Some(module), true) = (files.modules.first(), built_in) {
            tracing::info!(
                "{} takes the place of the built-in {name}",
                module.display()
            );
        }
        if let Some(settings) = files.settings.first() {
            read.insert(name.clone(), settings.clone());
        }
        sources.insert(name.clone(), of_files(&name, &files, sources.get(&name)));
    }
    read
}

/// What lies under a name that no transport can have is not used: pins and limits among it.
fn tell_misnamed(name: &str, files: &Files, with_module: &BTreeSet<String>) {
    let better = nearest_name(name);
    if let Some(module) = files.modules.first() {
        let along: String = files
            .settings
            .iter()
            .map(|file| {
                format!(
                    ", and {} along with it to {}",
                    file.display(),
                    renamed(file, &better)
                )
            })
            .collect();
        tracing::warn!(
            "{} makes no transport, because {name:?} is no name for one; rename it to {}{along}",
            module.display(),
            renamed(module, &better)
        );
        return;
    }
    for alone in &files.settings {
        // Other programs have JSON too; this is a transport's if its module was renamed, and it was not.
        if has_end(alone, "toml") || with_module.contains(&better) {
            tracing::warn!(
                "{} is not read, because {name:?} is no name for a transport; name it like the module that it is for \
                 ({}), or take it away",
                alone.display(),
                renamed(alone, &better)
            );
        }
    }
}

fn list(folder: &Path) -> io::Result<BTreeMap<String, Files>> {
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    for (count, entry) in fs::read_dir(folder)?.enumerate() {
        if count == MAX_FILES {
            return Err(io::Error::other(format!(
                "it has more than {MAX_FILES} files"
            )));
        }
        let path = entry?.path();
        let (Some(name), Some(end)) = (path.file_stem(), path.extension().and_then(OsStr::to_str))
        else {
            continue;
        };
        let name = name.to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        match &*end.to_ascii_lowercase() {
            "wasm" | "cwasm" => found.entry(name).or_default().modules.push(path),
            "toml" | "json" => found.entry(name).or_default().settings.push(path),
            _ => {}
        }
    }
    Ok(found)
}

fn of_files(
    name: &str,
    files: &Files,
    built_in: Option<&Result<Source, String>>,
) -> Result<Source, String> {
    let folder = |file: &PathBuf| file.with_file_name("").display().to_string();
    if let [one, _, ..] = &*files.modules {
        return Err(format!(
            "{} has both {name}.wasm and {name}.cwasm; keep one of them",
            folder(one)
        ));
    }
    if let [one, _, ..] = &*files.settings {
        return Err(format!(
            "{} has both {name}.toml and {name}.json; keep one of them",
            folder(one)
        ));
    }
    let mut source = match (files.modules.first(), built_in) {
        (Some(module), _) => Source::of(Module::File(module.clone(), "--modules")),
        (None, Some(built_in)) => built_in.clone()?,
        (None, None) => return Err(format!("there is no module {name}")),
    };
    let Some(file) = files.settings.first() else {
        return Ok(source);
    };
    let told = Told::read(file).map_err(|mistake| mistake.to_string())?;
    source.notices = told.notices;
    source.settings = told.settings;
    source.conf = told.own;
    if let Some(other) = source.settings.module.take()
        && files.modules.first() != Some(&other)
    {
        if has_end(file, "toml") {
            return Err(format!(
                "{} names a module, and the one beside it is meant; take the key module out",
                file.display()
            ));
        }
        source.notices.push(format!(
            "{}: bin is not used; the module is the one beside it",
            file.display()
        ));
    }
    if told.listen.is_some() {
        source.notices.push(format!(
            "{}: the listener is not used; tor says where a bridge listens, with ServerTransportListenAddr",
            file.display()
        ));
    }
    Ok(source)
}

fn has_end(file: &Path, end: &str) -> bool {
    file.extension()
        .is_some_and(|own| own.eq_ignore_ascii_case(end))
}

/// The nearest name that tor takes.
fn nearest_name(name: &str) -> String {
    let mut better: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if better.is_empty() || better.starts_with(|c: char| c.is_ascii_digit()) {
        better.insert(0, '_');
    }
    better
}

fn renamed(file: &Path, name: &str) -> String {
    let end = file.extension().unwrap_or_default().to_string_lossy();
    format!("{name}.{end}")
}
