//! Everything for which a module is not run, found before it is.
//!
//! In: an outline, the version of WATM to hold it against, and what a linker provides. Out: [`ModuleError`]s, the most telling
//! first. A program is refused for the first of them; a tool tells all.

use super::abi::Abi;
use super::grants::Grants;
use super::guest::{Guest, Limits};
use super::outline::{Item, Outline, item, printable};
use super::program::ModuleError;
use super::world::World;
use std::collections::HashMap;
use wasmtime::{Engine, Extern, Linker, Store};

/// All of them, one at a time.
pub(super) fn faults<'a>(
    outline: &'a Outline<'_>,
    abi: Abi,
    linker: &Linker<Guest>,
    engine: &Engine,
    limits: Limits,
) -> impl Iterator<Item = ModuleError> + 'a {
    let needs = too_much(outline, limits);
    let provided = provided(linker, engine);
    let imports = outline.imports.iter().filter_map(move |import| {
        let found = provided.get(&(import.module.to_owned(), import.name.to_owned()));
        let name = || format!("{}.{}", printable(import.module), printable(import.name));
        match found {
            None => Some(ModuleError::UnknownImport(name())),
            Some(found) if *found != import.item => Some(ModuleError::BadImport(name())),
            Some(_) => None,
        }
    });
    abi.faults(outline).chain(needs).chain(imports)
}

fn too_much(outline: &Outline<'_>, limits: Limits) -> Vec<ModuleError> {
    let mut errors = Vec::new();
    if outline.memory > limits.memory as u64 {
        let (asks, may) = (outline.memory >> 20, (limits.memory >> 20) as u64);
        errors.push(ModuleError::Memory { asks, may });
    }
    let (asks, may) = (outline.table, limits.table as u64);
    if asks > may {
        errors.push(ModuleError::Table { asks, may });
    }
    errors
}

/// Everything that a module may import, and what it is.
fn provided(linker: &Linker<Guest>, engine: &Engine) -> HashMap<(String, String), Item> {
    // The store is needed to look at what is there, and is thrown away.
    let mut store = Store::new(
        engine,
        Guest::new(Grants::default(), World::default(), Limits::default()),
    );
    let all: Vec<_> = linker
        .iter(&mut store)
        .map(|(module, name, external)| (module.to_owned(), name.to_owned(), external))
        .collect();
    let typed = |(module, name, external): (String, String, Extern)| {
        ((module, name), item(&external.ty(&store)))
    };
    all.into_iter().map(typed).collect()
}
