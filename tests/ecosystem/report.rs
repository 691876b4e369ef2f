//! What came of every module, as a table for people and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::module::{Module, Role};
use crate::trials::Figures;

/// What came of one role.
pub(crate) enum Verdict {
    /// The module does not export it.
    NotExported,
    /// All trials passed.
    Works {
        /// What happens to the bytes, or with whose help they arrive as they were.
        how: String,
        /// What was measured.
        figures: Figures,
    },
    /// The module exports the role, and answers EPERM when it is to play it.
    NotWritten,
    /// It changes bytes in a way that nobody here undoes.
    NeedsPeer,
    /// The executable says that it cannot run this; rightly.
    Refused(String),
    /// It should have worked.
    Failed(String),
    /// It failed, as its folder says that it does.
    Known(String),
    /// Its folder says that it fails, and it does not.
    Stale(String),
}

/// What came of one module.
pub(crate) struct Tried {
    pub(crate) module: Module,
    /// In the order of [`Role::ALL`].
    pub(crate) roles: Vec<(Role, Verdict)>,
}

impl Verdict {
    /// Whether the run fails by it.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Verdict::Failed(_) | Verdict::Stale(_))
    }

    /// The same, with the file's name in place of its path.
    pub(crate) fn naming(mut self, file: &Path) -> Self {
        if let Verdict::Refused(why) | Verdict::Failed(why) = &mut self
            && let Some(name) = file.file_name()
        {
            *why = why.replace(&file.display().to_string(), &name.to_string_lossy());
        }
        self
    }

    /// A table's cell.
    pub(crate) fn cell(&self) -> String {
        match self {
            Verdict::NotExported => "–".to_owned(),
            Verdict::Works { how, figures } => format!(
                "ok ({how}): {} MiB at {:.0}/{:.0} MiB/s",
                figures.length, figures.up, figures.down
            ),
            Verdict::NotWritten => "EPERM: not written".to_owned(),
            Verdict::NeedsPeer => "needs a peer".to_owned(),
            Verdict::Refused(_) => "refused".to_owned(),
            Verdict::Failed(_) => "**FAILED**".to_owned(),
            Verdict::Known(_) => "fails, as known".to_owned(),
            Verdict::Stale(_) => "**not as known**".to_owned(),
        }
    }

    /// The cell, and the reason.
    pub(crate) fn told(&self) -> String {
        match self {
            Verdict::Failed(why)
            | Verdict::Known(why)
            | Verdict::Stale(why)
            | Verdict::Refused(why) => {
                format!("{}: {why}", self.cell())
            }
            _ => self.cell(),
        }
    }

    fn note(&self) -> Option<String> {
        match self {
            Verdict::Refused(why)
            | Verdict::Failed(why)
            | Verdict::Known(why)
            | Verdict::Stale(why) => Some(why.clone()),
            Verdict::Works { figures, .. } if figures.half_close => {
                Some("half-close works".to_owned())
            }
            _ => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Verdict::NotExported => json!({"verdict": "not exported"}),
            Verdict::NotWritten => json!({"verdict": "not written"}),
            Verdict::NeedsPeer => json!({"verdict": "needs a peer"}),
            Verdict::Refused(why) => json!({"verdict": "refused", "why": why}),
            Verdict::Failed(why) => json!({"verdict": "failed", "why": why}),
            Verdict::Known(why) => json!({"verdict": "fails as known", "why": why}),
            Verdict::Stale(why) => json!({"verdict": "not as known", "why": why}),
            Verdict::Works { how, figures } => json!({
                "verdict": "ok",
                "how": how,
                "mib": figures.length,
                "up_mib_per_s": rounded(figures.up),
                "down_mib_per_s": rounded(figures.down),
                "duplex_mib_per_s": rounded(figures.duplex),
                "slow_reader_holds_back_at_mib": rounded(figures.held_at),
                "half_close": figures.half_close,
                "idle_cpu_of_a_core": figures.idle_cpu.map(|part| (part * 1e4).round() / 1e4),
            }),
        }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

/// The table.
pub(crate) fn table(all: &[Tried]) -> String {
    let mut text = "| module | SHA-256 | bytes | WATM | made with | dialer | fixed dialer | listener | relay | notes |\n\
                    | --- | --- | ---: | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for Tried { module, roles } in all {
        let (short, abi, language) = (&module.sha256[..12], module.abi(), module.language());
        let _ = write!(
            text,
            "| {} | {short}… | {} | {abi} | {language} |",
            module.name, module.size
        );
        for (_, verdict) in roles {
            let _ = write!(text, " {} |", verdict.cell());
        }
        let mut notes: Vec<String> = Vec::new();
        for (role, verdict) in roles {
            let Some(note) = verdict.note() else { continue };
            // A module that is refused is refused in every role, by the same sentence.
            let said = |earlier: &String| earlier.ends_with(&note);
            if !notes.iter().any(said) {
                notes.push(format!("{role}: {note}"));
            }
        }
        let _ = writeln!(text, " {} |", notes.join("; ").replace('|', "\\|"));
    }
    text
}

/// Everything, for programs.
pub(crate) fn json(all: &[Tried]) -> Value {
    let module = |tried: &Tried| {
        let Tried { module, roles } = tried;
        let roles: serde_json::Map<String, Value> = roles
            .iter()
            .map(|(role, verdict)| (role.to_string(), verdict.json()))
            .collect();
        json!({
            "module": module.name,
            "sha256": module.sha256,
            "bytes": module.size,
            "watm": module.abi(),
            "producers": module.producers,
            "roles": roles,
        })
    };
    all.iter().map(module).collect()
}
