//! What one run printed on stdout.
//!
//! In: the bytes, or a folder of files that other tests recorded. Out: whole lines of text, with the name of the run
//! for whoever reads a failure. Bytes that are no UTF-8 are an error here already, and so is a run whose last line has no
//! end.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::line::Line;

/// The environment variable that names a folder of recorded transcripts, one line of stdout per line.
pub const RECORDED: &str = "OUZEL_TRANSCRIPTS";

/// A recorded file is small; a folder that is none of ours must not fill the memory.
const MAX_FILE: u64 = 16 << 20;

/// The lines of one run.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Which run.
    pub name: String,
    /// Its lines, without their ends.
    pub lines: Vec<String>,
}

impl Transcript {
    /// From lines.
    pub fn new(name: &str, lines: &[&str]) -> Self {
        Transcript {
            name: name.to_owned(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    /// From all that a run printed.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self> {
        ensure!(
            bytes.is_empty() || bytes.ends_with(b"\n"),
            "{name}: the last line has no end: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        Transcript::from_file(name, bytes)
    }

    /// From a file that somebody has written with one line of stdout per line.
    fn from_file(name: &str, bytes: Vec<u8>) -> Result<Self> {
        let text = String::from_utf8(bytes).with_context(|| format!("{name}: not UTF-8"))?;
        Ok(Transcript {
            name: name.to_owned(),
            lines: text.split_terminator('\n').map(str::to_owned).collect(),
        })
    }

    /// What the contract makes of the lines; those that it does not know are left out.
    pub fn read(&self) -> impl Iterator<Item = Line> {
        self.lines.iter().filter_map(|line| Line::read(line).ok())
    }

    /// Whether a bridge printed it.
    pub fn is_server(&self) -> bool {
        self.read().any(|line| {
            matches!(
                line,
                Line::Smethod { .. } | Line::SmethodError { .. } | Line::SmethodsDone
            )
        })
    }

    /// Whether the parent had named an upstream proxy.
    pub fn is_proxied(&self) -> bool {
        self.read()
            .any(|line| matches!(line, Line::ProxyDone | Line::ProxyError(_)))
    }
}

/// The transcripts in the folder that the environment names; none where it names none.
pub fn recorded() -> Result<Vec<Transcript>> {
    let Some(folder) = std::env::var_os(RECORDED) else {
        return Ok(Vec::new());
    };
    let mut transcripts = Vec::new();
    collect(Path::new(&folder), &mut transcripts)
        .with_context(|| format!("{RECORDED}={}", folder.display()))?;
    transcripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(transcripts)
}

fn collect(folder: &Path, transcripts: &mut Vec<Transcript>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = std::fs::metadata(&path)?;
        if metadata.is_dir() {
            collect(&path, transcripts)?;
        } else if metadata.is_file() {
            ensure!(metadata.len() <= MAX_FILE, "{} is too long", path.display());
            let name = path.display().to_string();
            transcripts.push(Transcript::from_file(&name, std::fs::read(&path)?)?);
        }
    }
    Ok(())
}
