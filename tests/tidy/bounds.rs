//! The tables of `docs/design/bounds.md`, read against the constants that they list.

/// A row: a file, a constant in it, its value as the source says it.
struct Bound<'a> {
    file: &'a str,
    name: &'a str,
    value: &'a str,
}

fn bounds(page: &str) -> Vec<Bound<'_>> {
    let cell = |cell: &str| cell.trim().len() > 2 && cell.trim().starts_with('`');
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let [_, file, name, value, ..] = cells[..] else {
            return None;
        };
        [file, name, value].into_iter().all(cell).then(|| Bound {
            file: file.trim().trim_matches('`'),
            name: name.trim().trim_matches('`'),
            value: value.trim().trim_matches('`'),
        })
    })
    .collect()
}

/// What is wrong with the page, given a way to read the files it names.
pub(crate) fn check(page: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let bounds = bounds(page);
    let mut wrong = Vec::new();
    if bounds.len() < 20 {
        wrong.push(format!(
            "the page lists {} bounds; is it still read?",
            bounds.len()
        ));
    }
    for Bound { file, name, value } in bounds {
        let source = read(file);
        let declared = source.lines().map(str::trim).find_map(|line| {
            let (head, tail) = line.split_once(": ")?;
            let (_, said) = tail.split_once(" = ")?;
            (head.ends_with(&format!("const {name}"))).then_some(said.trim_end_matches(';'))
        });
        match declared {
            Some(said) if said == value => {}
            Some(said) => wrong.push(format!(
                "{file}: {name} is {said}, and the page says {value}"
            )),
            None => wrong.push(format!("{file} has no constant {name}")),
        }
    }
    wrong
}
