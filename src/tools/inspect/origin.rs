//! What language a module was written in, as far as that shows.
//!
//! In: a module's anatomy. Out: a name and by what it was told; a guess that nothing depends on. TinyGo's compiler calls itself
//! a C compiler, so what it leaves behind is looked at first.

use super::anatomy::Anatomy;

/// A guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) language: &'static str,
    /// What tells it.
    pub(super) told_by: &'static str,
}

const PRODUCERS: &str = "its producers section";
const NAMES: &str = "the names of its functions";
const EXPORTS: &str = "its exports";
const SECTIONS: &str = "its custom sections";
const TEXTS: &str = "texts in its data";

/// The language, if anything tells it.
pub(super) fn of(anatomy: &Anatomy<'_>) -> Option<Origin> {
    let found = |language, told_by| Some(Origin { language, told_by });
    let made_by = |word: &str| {
        let mut producers = anatomy.producers.iter();
        producers.any(|one| one.field != "sdk" && one.name.eq_ignore_ascii_case(word))
    };
    let exports = |name: &str| anatomy.exports.iter().any(|export| export.name == name);
    let imports = |name: &str| anatomy.imports.iter().any(|import| import.name == name);
    let section = |name: &str| anatomy.customs.iter().any(|custom| custom.name == name);
    let says = |word: &str| anatomy.texts.iter().any(|text| contains(text, word));
    if made_by("TinyGo") {
        return found("TinyGo", PRODUCERS);
    }
    if made_by("Go") {
        return found("Go", PRODUCERS);
    }
    if section("go:buildid") || section("go.buildid") {
        return found("Go", SECTIONS);
    }
    if contains(anatomy.names, "tinygo") {
        return found("TinyGo", NAMES);
    }
    for language in ["Rust", "Zig", "AssemblyScript", "Swift"] {
        if made_by(language) {
            return found(language, PRODUCERS);
        }
    }
    if exports("__new") && exports("__pin") && imports("abort") {
        return found("AssemblyScript", EXPORTS);
    }
    let allocator = ["malloc", "free", "calloc", "realloc"];
    if allocator.into_iter().all(exports) && says("runtime error: ") {
        return found("TinyGo", TEXTS);
    }
    if says("/rustc/") || says("library/core/src") {
        return found("Rust", TEXTS);
    }
    if contains(anatomy.names, "zig.") {
        return found("Zig", NAMES);
    }
    if made_by("clang") || made_by("C11") || made_by("C_plus_plus_14") {
        return found("C or C++", PRODUCERS);
    }
    None
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|part| part == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::anatomy::Producer;
    use super::*;

    #[test]
    fn a_c_compiler_is_believed_last() {
        let clang = || Producer {
            field: "processed-by",
            name: "clang",
            version: "17.0.1",
        };
        let mut anatomy = Anatomy {
            producers: vec![clang()],
            ..Anatomy::default()
        };
        let language = |anatomy: &Anatomy<'_>| of(anatomy).map(|origin| origin.language);
        assert_eq!(language(&anatomy), Some("C or C++"));
        anatomy.names = b"memcpy tinygo_getCurrentStackPointer";
        assert_eq!(language(&anatomy), Some("TinyGo"));
        anatomy.names = b"";
        anatomy.texts = vec![b"at /rustc/1234/library"];
        assert_eq!(language(&anatomy), Some("Rust"));
        assert_eq!(language(&Anatomy::default()), None);
    }
}
