//! All cases: in order, by id, or by a word of the command line.
//!
//! In: the tables of [`cases`](crate::cases), and words. Out: entries. What can go wrong: a word that names nothing,
//! which is answered with what may have been meant.

use std::fmt;

use crate::case::{Case, Section};
use crate::cases::SECTIONS;

/// A case and the section that lists it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The section.
    pub section: &'static Section,
    /// The case.
    pub case: &'static Case,
}

/// Every section, in the order of reports.
pub fn sections() -> &'static [Section] {
    SECTIONS
}

/// Every case, section by section.
pub fn entries() -> impl Iterator<Item = Entry> {
    sections().iter().flat_map(section_entries)
}

/// The cases of one section.
pub fn section_entries(section: &'static Section) -> impl Iterator<Item = Entry> {
    section
        .cases
        .iter()
        .flat_map(|table| table.iter())
        .map(move |case| Entry { section, case })
}

/// The case with this id.
pub fn find(id: &str) -> Option<Entry> {
    entries().find(|entry| entry.case.id == id)
}

/// A word that names no section and no case.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    word: String,
    meant: Option<&'static str>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no section and no case is called '{}'", self.word)?;
        match self.meant {
            Some(meant) => write!(f, "; did you mean '{meant}'?")?,
            None => f.write_str("; `list` shows every case")?,
        }
        let names: Vec<_> = sections().iter().map(|section| section.name).collect();
        write!(f, "\nsections: {}", names.join(", "))
    }
}

impl std::error::Error for Unknown {}

/// The cases that the words name, in the order of reports, each once; no word names them all.
///
/// A word is the name of a section (`socks5`), an id (`pt-3.2.1/version-missing`), or what stands before the slash of
/// ids (`pt-3.2.1`, with or without the slash).
pub fn select(words: &[String]) -> Result<Vec<Entry>, Unknown> {
    for word in words {
        if !entries().any(|entry| names(word, &entry)) {
            return Err(Unknown {
                word: word.clone(),
                meant: closest(word),
            });
        }
    }
    Ok(entries()
        .filter(|entry| words.is_empty() || words.iter().any(|word| names(word, entry)))
        .collect())
}

fn names(word: &str, entry: &Entry) -> bool {
    let id = entry.case.id;
    let group = id.split_once('/').map(|(group, _)| group);
    entry.section.name == word
        || id == word
        || group == Some(word.strip_suffix('/').unwrap_or(word))
}

/// The section, id or group of ids that looks most like `word`, if any looks like it at all.
pub fn closest(word: &str) -> Option<&'static str> {
    let groups = entries().filter_map(|entry| entry.case.id.split_once('/'));
    sections()
        .iter()
        .map(|section| section.name)
        .chain(groups.map(|(group, _)| group))
        .chain(entries().map(|entry| entry.case.id))
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        // A third of it wrong is a slip of the keyboard or the memory; more is another word.
        .filter(|(distance, known)| distance * 3 <= known.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::case::Check;

    const DOCUMENTS: [&str; 9] = [
        "pt", "base3", "ipc2", "ipc3", "extor", "rfc1928", "rfc1929", "tor", "unix",
    ];

    /// How many requirements there are.
    const REQUIREMENTS: u16 = 135;

    fn kebab(text: &str) -> bool {
        text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
    }

    fn well_formed(id: &str) -> bool {
        let Some((group, name)) = id.split_once('/') else {
            return false;
        };
        let Some((document, place)) = group.split_once('-') else {
            return false;
        };
        let place_is_plain = place
            .split(['.', '-', '_'])
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        DOCUMENTS.contains(&document) && place_is_plain && kebab(name)
    }

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            let id = entry.case.id;
            assert!(well_formed(id), "{id:?} is not <document>-<place>/<name>");
            assert!(seen.insert(id), "{id} stands twice");
        }
    }

    #[test]
    fn section_names_are_unique_and_no_group_of_ids() {
        let mut seen = BTreeSet::new();
        for section in sections() {
            assert!(kebab(section.name) && !section.title.is_empty());
            assert!(seen.insert(section.name), "{} stands twice", section.name);
            assert!(
                section_entries(section).next().is_some(),
                "{} is empty",
                section.name
            );
        }
        for entry in entries() {
            let group = entry
                .case
                .id
                .split('/')
                .next()
                .expect("split gives at least one part");
            assert!(
                !seen.contains(group),
                "{group} is a section and a group of ids"
            );
        }
    }

    #[test]
    fn every_requirement_of_the_ledger_has_a_case() {
        let lines: BTreeSet<u16> = entries().map(|entry| entry.case.line).collect();
        let missing: Vec<u16> = (1..=REQUIREMENTS)
            .filter(|line| !lines.contains(line))
            .collect();
        assert!(
            missing.is_empty(),
            "{missing:?}: requirements without a case"
        );
        let strange: Vec<u16> = lines
            .into_iter()
            .filter(|line| !(1..=REQUIREMENTS).contains(line))
            .collect();
        assert!(strange.is_empty(), "{strange:?}: no such requirement");
    }

    #[test]
    fn every_case_says_what_and_where() {
        for Entry { case, .. } in entries() {
            assert!(
                case.requirement.ends_with('.'),
                "{}: {:?}",
                case.id,
                case.requirement
            );
            assert!(!case.reference.is_empty(), "{} has no reference", case.id);
            assert!(!case.limit.is_zero(), "{} has no time", case.id);
            if let Check::Outside(why) = case.check {
                assert!(
                    !why.is_empty(),
                    "{} does not say why it is not tested",
                    case.id
                );
            }
        }
    }

    #[test]
    fn a_hundred_cases_run() {
        let running = entries().filter(|entry| entry.case.runs()).count();
        assert!(running >= 100, "only {running}");
    }

    #[test]
    fn no_case_of_the_third_interface_runs() {
        for Entry { case, .. } in entries() {
            if matches!(case.check, Check::Interface3) {
                assert!(!case.runs(), "{}", case.id);
            }
            if case.id.starts_with("ipc3-") {
                assert!(
                    !case.runs(),
                    "{} speaks the interface that is not run yet",
                    case.id
                );
            }
        }
    }

    #[test]
    fn words_select_sections_groups_and_cases() {
        let all = select(&[]).expect("no word names all");
        assert_eq!(all.len(), entries().count());
        let section = &sections()[0];
        let first = section_entries(section)
            .next()
            .expect("no section is empty")
            .case;
        let words = |word: &str| select(&[word.to_owned()]).map(|found| found.len());
        assert_eq!(words(section.name), Ok(section_entries(section).count()));
        assert_eq!(words(first.id), Ok(1));
        let group = first
            .id
            .split('/')
            .next()
            .expect("split gives at least one part");
        assert_eq!(words(group), words(&format!("{group}/")));
        assert!(words(group).is_ok_and(|count| count >= 1));
        // The same case named twice is one case.
        let twice = select(&[first.id.to_owned(), section.name.to_owned()]);
        assert_eq!(twice.map(|found| found.len()), words(section.name));
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        let id = entries().next().expect("there are cases").case.id;
        let slip = format!("{}x", &id[..id.len() - 1]);
        let unknown = select(&[slip]).map(|_| ()).expect_err("no such id");
        assert_eq!(unknown.meant, Some(id));
        let strange = select(&["quite-something-else-altogether".to_owned()]);
        assert_eq!(
            strange.map(|_| ()).map_err(|unknown| unknown.meant),
            Err(None)
        );
    }
}
