//! What a module says of itself, read without running or compiling it.
//!
//! In: the bytes of a `.wasm`, from anybody. Out: an [`Anatomy`], of what could be read up to where the bytes make no sense any
//! more. It is bounded by the size of the file: names are borrowed, lists end where no valid module's would be longer.

use crate::watm::{Import, Item, Outline, signature};
use std::fmt::Display;
use std::sync::Arc;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, CustomSectionReader, Encoding, ExternalKind, Imports,
    KnownCustom, Parser, Payload, TypeRef,
};

/// More entries than a valid module has in one list.
const MAX_ENTRIES: usize = 1_000_000;

/// Custom sections and producers that are kept; the rest is only counted.
const MAX_KEPT: usize = 4096;

/// How much of a module's data is looked at for the marks of a language.
const MAX_TEXT: usize = 4 << 20;

/// A module, laid out.
#[derive(Debug, Default)]
pub(in crate::tools) struct Anatomy<'a> {
    /// It is a component, of which nothing else is read.
    pub(in crate::tools) component: bool,
    pub(super) imports: Vec<Import<'a>>,
    pub(super) exports: Vec<Export<'a>>,
    pub(super) memories: Vec<Size>,
    pub(super) tables: Vec<Size>,
    pub(super) functions: usize,
    pub(super) customs: Vec<Custom<'a>>,
    pub(super) customs_in_all: usize,
    pub(super) producers: Vec<Producer<'a>>,
    /// The data that its memory begins with.
    pub(super) texts: Vec<&'a [u8]>,
    /// The names of its functions, as they lie there.
    pub(super) names: &'a [u8],
    /// Where and why reading ended early.
    pub(in crate::tools) damage: Option<String>,
}

/// Something that a module offers.
#[derive(Debug)]
pub(super) struct Export<'a> {
    pub(super) name: &'a str,
    pub(super) item: Item,
}

/// A memory, in bytes, or a table, in elements.
#[derive(Debug)]
pub(super) struct Size {
    pub(super) initial: u64,
    pub(super) maximum: Option<u64>,
    pub(super) imported: bool,
}

/// A custom section.
#[derive(Debug)]
pub(super) struct Custom<'a> {
    pub(super) name: &'a str,
    pub(super) size: usize,
}

/// A line of the producers section: `language`, `processed-by` or `sdk`; a name; a version.
#[derive(Debug)]
pub(super) struct Producer<'a> {
    pub(super) field: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
}

/// The index spaces that exports point into.
#[derive(Default)]
struct Spaces {
    types: Vec<Item>,
    functions: Vec<u32>,
    globals: Vec<Item>,
}

impl<'a> Anatomy<'a> {
    /// Reads as far as it goes.
    pub(in crate::tools) fn of(wasm: &'a [u8]) -> Anatomy<'a> {
        let mut anatomy = Anatomy::default();
        if let Err(error) = anatomy.read(wasm) {
            anatomy.damage = Some(error);
        }
        anatomy
    }

    fn read(&mut self, wasm: &'a [u8]) -> Result<(), String> {
        let mut spaces = Spaces::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(damaged)?;
            if let Payload::Version {
                encoding: Encoding::Component,
                ..
            } = payload
            {
                self.component = true;
                return Ok(());
            }
            self.section(payload, &mut spaces)?;
        }
        Ok(())
    }

    fn section(&mut self, payload: Payload<'a>, spaces: &mut Spaces) -> Result<(), String> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group.map_err(damaged)?.types() {
                        keep(&mut spaces.types, type_item(&ty.composite_type.inner))?;
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for group in imports {
                    self.imports_of(group.map_err(damaged)?, spaces)?;
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions = functions.count() as usize;
                for ty in functions {
                    keep(&mut spaces.functions, ty.map_err(damaged)?)?;
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    keep(
                        &mut self.tables,
                        table_size(table.map_err(damaged)?.ty, false),
                    )?;
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    keep(
                        &mut self.memories,
                        memory_size(memory.map_err(damaged)?, false),
                    )?;
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let ty = global.map_err(damaged)?.ty;
                    keep(&mut spaces.globals, global_item(&ty))?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(damaged)?;
                    let item = spaces.item(export.kind, export.index);
                    let name = export.name;
                    keep(&mut self.exports, Export { name, item })?;
                }
            }
            Payload::DataSection(segments) => {
                let mut left = MAX_TEXT;
                for segment in segments {
                    let text = segment.map_err(damaged)?.data;
                    let text = &text[..text.len().min(left)];
                    left -= text.len();
                    if !text.is_empty() {
                        keep(&mut self.texts, text)?;
                    }
                }
            }
            Payload::CustomSection(section) => self.custom(&section),
            _ => {}
        }
        Ok(())
    }

    fn imports_of(&mut self, group: Imports<'a>, spaces: &mut Spaces) -> Result<(), String> {
        match group {
            Imports::Single(_, import) => {
                self.import(import.module, import.name, import.ty, spaces)
            }
            Imports::Compact1 { module, items } => {
                for item in items {
                    let item = item.map_err(damaged)?;
                    self.import(module, item.name, item.ty, spaces)?;
                }
                Ok(())
            }
            Imports::Compact2 { module, ty, names } => {
                for name in names {
                    self.import(module, name.map_err(damaged)?, ty, spaces)?;
                }
                Ok(())
            }
        }
    }

    fn import(
        &mut self,
        module: &'a str,
        name: &'a str,
        ty: TypeRef,
        spaces: &mut Spaces,
    ) -> Result<(), String> {
        let item = match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                keep(&mut spaces.functions, ty)?;
                spaces.function_type(ty)
            }
            TypeRef::Memory(ty) => {
                keep(&mut self.memories, memory_size(ty, true))?;
                Item::Memory
            }
            TypeRef::Table(ty) => {
                keep(&mut self.tables, table_size(ty, true))?;
                Item::Other("table".into())
            }
            TypeRef::Global(ty) => {
                let item = global_item(&ty);
                keep(&mut spaces.globals, item.clone())?;
                item
            }
            TypeRef::Tag(_) => Item::Other("tag".into()),
        };
        keep(&mut self.imports, Import { module, name, item })
    }

    fn custom(&mut self, section: &CustomSectionReader<'a>) {
        self.customs_in_all += 1;
        let (name, size) = (section.name(), section.data().len());
        if self.customs.len() < MAX_KEPT {
            self.customs.push(Custom { name, size });
        }
        if name == "name" {
            self.names = &section.data()[..size.min(MAX_TEXT)];
        }
        let KnownCustom::Producers(fields) = section.as_known() else {
            return;
        };
        // A broken list of producers is no fault of the module: what is left of it is read.
        for field in fields.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().map_while(Result::ok) {
                if self.producers.len() < MAX_KEPT {
                    self.producers.push(Producer {
                        field: field.name,
                        name: value.name,
                        version: value.version,
                    });
                }
            }
        }
    }

    /// What only debuggers read, and what a module can do without.
    pub(super) fn debug_bytes(&self) -> usize {
        let customs = self.customs.iter();
        let debug = customs.filter(|custom| custom.name.starts_with(".debug_"));
        debug.map(|custom| custom.size).sum()
    }

    /// What the checks before use look at.
    pub(in crate::tools) fn outline(&self) -> Outline<'a> {
        let own = |sizes: &[Size]| {
            let own = sizes.iter().filter(|size| !size.imported);
            own.map(|size| size.initial).max().unwrap_or(0)
        };
        let (memory, table) = (own(&self.memories), own(&self.tables));
        let mut outline = Outline::new(self.imports.clone(), memory, table);
        for export in &self.exports {
            outline.add_export(export.name, &export.item);
        }
        outline
    }
}

impl Spaces {
    fn function_type(&self, ty: u32) -> Item {
        let found = self.types.get(ty as usize).cloned();
        found.unwrap_or_else(|| Item::Other("function of no type".into()))
    }

    fn item(&self, kind: ExternalKind, index: u32) -> Item {
        let at = index as usize;
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => match self.functions.get(at) {
                Some(ty) => self.function_type(*ty),
                None => Item::Other("function that is not there".into()),
            },
            ExternalKind::Memory => Item::Memory,
            ExternalKind::Table => Item::Other("table".into()),
            ExternalKind::Tag => Item::Other("tag".into()),
            ExternalKind::Global => match self.globals.get(at) {
                Some(item) => item.clone(),
                None => Item::Other("global that is not there".into()),
            },
        }
    }
}

fn type_item(ty: &CompositeInnerType) -> Item {
    match ty {
        CompositeInnerType::Func(func) => {
            Item::Func(signature(func.params().iter(), func.results().iter()))
        }
        _ => Item::Other("no function".into()),
    }
}

fn global_item(ty: &wasmparser::GlobalType) -> Item {
    let mutable = if ty.mutable { "mutable " } else { "" };
    let text: Arc<str> = format!("{mutable}global {}", ty.content_type).into();
    Item::Other(text)
}

fn memory_size(ty: wasmparser::MemoryType, imported: bool) -> Size {
    let page = 1_u64
        .checked_shl(ty.page_size_log2.unwrap_or(16))
        .unwrap_or(u64::MAX);
    Size {
        initial: ty.initial.saturating_mul(page),
        maximum: ty.maximum.map(|pages| pages.saturating_mul(page)),
        imported,
    }
}

fn table_size(ty: wasmparser::TableType, imported: bool) -> Size {
    Size {
        initial: ty.initial,
        maximum: ty.maximum,
        imported,
    }
}

fn keep<T>(list: &mut Vec<T>, entry: T) -> Result<(), String> {
    if list.len() == MAX_ENTRIES {
        return Err(format!(
            "one of its lists has more than {MAX_ENTRIES} entries"
        ));
    }
    list.push(entry);
    Ok(())
}

fn damaged(error: BinaryReaderError) -> String {
    place(error.message(), error.offset())
}

fn place(what: impl Display, offset: usize) -> String {
    format!("{what} at byte {offset}")
}
