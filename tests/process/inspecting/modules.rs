//! Modules made to measure: what `ouzel inspect` is asked about has to be exactly so.

use std::borrow::Cow;

use wasm_encoder::{
    CodeSection, CustomSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Instruction, MemorySection, MemoryType, Module, ProducersField,
    ProducersSection, RefType, TableSection, TableType, TypeSection, ValType,
};

/// A module to be.
#[derive(Clone, Default)]
pub(super) struct Plan {
    imports: Vec<(String, String, (usize, usize))>,
    exports: Vec<(String, (usize, usize), Body)>,
    memory: Option<(u64, Option<u64>)>,
    shared: bool,
    table: Option<u64>,
    customs: Vec<(String, Vec<u8>)>,
    producers: Vec<(String, String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Returns(i32),
    Traps,
    Loops,
    /// It leaves nothing on the stack, whatever its type says.
    Wrong,
}

/// The least that is a WATM v1 dialer.
pub(super) fn v1() -> Plan {
    Plan::default()
        .memory(Some((1, None)))
        .export("watm_init_v1", 0, 1)
        .export("watm_start_v1", 0, 1)
        .export("watm_ctrlpipe_v1", 1, 1)
        .export("watm_dial_v1", 1, 1)
}

/// The least that is a WATM v0 listener.
pub(super) fn v0() -> Plan {
    Plan::default()
        .memory(Some((1, None)))
        .export("_water_v0", 0, 0)
        .export("_water_init", 0, 1)
        .export("_water_worker", 0, 1)
        .export("_water_cancel_with", 1, 1)
        .export("_water_accept", 1, 1)
}

impl Plan {
    /// A function that it wants, of so many `i32` parameters and results.
    pub(super) fn import(
        mut self,
        module: &str,
        name: &str,
        params: usize,
        results: usize,
    ) -> Plan {
        self.imports
            .push((module.to_owned(), name.to_owned(), (params, results)));
        self
    }

    /// A function that it offers; it returns zeros.
    pub(super) fn export(mut self, name: &str, params: usize, results: usize) -> Plan {
        self.exports
            .push((name.to_owned(), (params, results), Body::Returns(0)));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Plan {
        self.exports.retain(|(known, ..)| known != name);
        self
    }

    pub(super) fn returning(self, name: &str, value: i32) -> Plan {
        self.with_body(name, Body::Returns(value))
    }

    pub(super) fn trapping(self, name: &str) -> Plan {
        self.with_body(name, Body::Traps)
    }

    pub(super) fn endless(self, name: &str) -> Plan {
        self.with_body(name, Body::Loops)
    }

    pub(super) fn bad_body(self) -> Plan {
        self.with_body("watm_init_v1", Body::Wrong)
    }

    fn with_body(mut self, name: &str, body: Body) -> Plan {
        let found = self.exports.iter_mut().find(|(known, ..)| known == name);
        found.expect("it is in the plan").2 = body;
        self
    }

    /// Its memory, in pages: at the start and at most.
    pub(super) fn memory(mut self, memory: Option<(u64, Option<u64>)>) -> Plan {
        self.memory = memory;
        self
    }

    pub(super) fn shared_memory(mut self) -> Plan {
        self.memory = Some((1, Some(1)));
        self.shared = true;
        self
    }

    pub(super) fn table(mut self, elements: u64) -> Plan {
        self.table = Some(elements);
        self
    }

    pub(super) fn custom(mut self, name: &str, data: &[u8]) -> Plan {
        self.customs.push((name.to_owned(), data.to_owned()));
        self
    }

    pub(super) fn producer(mut self, field: &str, name: &str, version: &str) -> Plan {
        let entry = [field, name, version].map(str::to_owned);
        self.producers.push(entry.into());
        self
    }

    /// Its bytes.
    pub(super) fn build(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        let mut known: Vec<(usize, usize)> = Vec::new();
        let mut type_of = |ty: (usize, usize)| {
            let at = known.iter().position(|one| *one == ty).unwrap_or_else(|| {
                let i32s = |count| vec![ValType::I32; count];
                types.ty().function(i32s(ty.0), i32s(ty.1));
                known.push(ty);
                known.len() - 1
            });
            u32::try_from(at).unwrap()
        };
        let mut imports = ImportSection::new();
        for (module, name, ty) in &self.imports {
            imports.import(module, name, EntityType::Function(type_of(*ty)));
        }
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let mut exports = ExportSection::new();
        for (at, (name, ty, body)) in self.exports.iter().enumerate() {
            functions.function(type_of(*ty));
            code.function(&body.function(ty.1));
            let index = u32::try_from(self.imports.len() + at).unwrap();
            exports.export(name, ExportKind::Func, index);
        }
        let mut memories = MemorySection::new();
        if let Some((minimum, maximum)) = self.memory {
            memories.memory(MemoryType {
                minimum,
                maximum,
                memory64: false,
                shared: self.shared,
                page_size_log2: None,
            });
            exports.export("memory", ExportKind::Memory, 0);
        }
        let mut tables = TableSection::new();
        if let Some(minimum) = self.table {
            tables.table(TableType {
                element_type: RefType::FUNCREF,
                minimum,
                maximum: Some(minimum),
                table64: false,
                shared: false,
            });
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&tables).section(&memories).section(&exports);
        module.section(&code);
        self.close(&mut module);
        module.finish()
    }

    fn close(&self, module: &mut Module) {
        for (name, data) in &self.customs {
            module.section(&CustomSection {
                name: Cow::Borrowed(name),
                data: Cow::Borrowed(data),
            });
        }
        let mut producers = ProducersSection::new();
        for field in ["language", "processed-by", "sdk"] {
            let mut values = ProducersField::new();
            let mut any = false;
            for (_, name, version) in self.producers.iter().filter(|(known, ..)| known == field) {
                values.value(name, version);
                any = true;
            }
            if any {
                producers.field(field, &values);
            }
        }
        if !self.producers.is_empty() {
            module.section(&producers);
        }
    }
}

impl Body {
    fn function(self, results: usize) -> Function {
        let mut function = Function::new([]);
        match self {
            Body::Returns(value) => {
                for _ in 0..results {
                    function.instruction(&Instruction::I32Const(value));
                }
            }
            Body::Traps => {
                function.instruction(&Instruction::Unreachable);
            }
            Body::Loops => {
                function.instruction(&Instruction::Loop(wasm_encoder::BlockType::Empty));
                function.instruction(&Instruction::Br(0));
                function.instruction(&Instruction::End);
                function.instruction(&Instruction::Unreachable);
            }
            Body::Wrong => {}
        }
        function.instruction(&Instruction::End);
        function
    }
}
