//! Who is tested: the command line over the expectation file's `[subject]` table, and the executable's version.
//!
//! What can go wrong: nothing says which executable or which transport, or bridge arguments are not pairs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::exec_line;
use crate::expectations::{Only, SubjectTable};
use crate::report::{Tested, note};
use crate::subject::{Sides, Subject};

/// How long a command that prints a version may take.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// How much of what it prints is read.
const VERSION_BYTES: u64 = 64 << 10;

/// The part of the command line that describes the executable.
#[derive(Args, Debug, Default)]
pub(super) struct SubjectArgs {
    /// The executable, with arguments after spaces as on a torrc's exec line (no quoting; a path that exists as a file
    /// is taken whole); a bare name is looked up on PATH
    #[arg(long, value_name = "PATH", help_heading = "Subject")]
    pub(super) pt: Option<String>,
    /// One more argument for the executable, taken as it is; may be repeated
    #[arg(
        long,
        value_name = "ARG",
        allow_hyphen_values = true,
        help_heading = "Subject"
    )]
    pub(super) pt_arg: Vec<String>,
    /// The method name to ask for
    #[arg(long, value_name = "NAME", help_heading = "Subject")]
    pub(super) transport: Option<String>,
    /// Options for the server's side, without the transport's name: k=v;k2=v2
    #[arg(long, value_name = "K=V;..", help_heading = "Subject")]
    pub(super) server_options: Option<String>,
    /// Test one side only
    #[arg(long, value_enum, help_heading = "Subject")]
    pub(super) only: Option<Only>,
    /// Arguments as on a bridge line, for a client whose server is not tested: k=v;k2=v2 (a backslash before ; and \)
    #[arg(long, value_name = "K=V;..", help_heading = "Subject")]
    pub(super) args: Option<String>,
}

/// Puts both descriptions together.
pub(super) async fn tested(args: &SubjectArgs, table: &SubjectTable) -> Result<Tested> {
    let cwd = std::env::current_dir().context("the current directory")?;
    let mut tested = described(args, table, std::env::var_os("PATH").as_deref(), &cwd)?;
    // Another executable than the file's own has another version.
    let command = table.version_command.as_ref();
    if let Some(command) = command.filter(|_| args.pt.is_none()) {
        tested.version = match version(command).await {
            Ok(version) => Some(version),
            Err(error) => {
                note(&format!(
                    "the version of {} is not known: {error:#}\n",
                    tested.name
                ));
                None
            }
        };
    }
    Ok(tested)
}

fn described(
    args: &SubjectArgs,
    table: &SubjectTable,
    path: Option<&std::ffi::OsStr>,
    cwd: &Path,
) -> Result<Tested> {
    let Some(pt) = args.pt.as_ref().or(table.pt.as_ref()) else {
        bail!(
            "which executable? give --pt PATH, or --expect FILE with `pt` in its [subject] table"
        );
    };
    let Some(transport) = args.transport.as_ref().or(table.transport.as_ref()) else {
        bail!("which transport? give --transport NAME, or `transport` in the [subject] table");
    };
    if pt.trim().is_empty() {
        bail!("--pt is empty: name an executable");
    }
    if !is_transport_name(transport) {
        bail!(
            "{transport:?} is no name of a transport: letters, digits and _ only, no digit first (pt-spec 3.1)"
        );
    }
    let mut line = exec_line::read(pt, path, cwd);
    line.args.extend(args.pt_arg.iter().map(Into::into));
    let bridge_args = args.args.as_ref().or(table.args.as_ref());
    let name = match (&table.name, line.program.file_name()) {
        // Another executable than the file's own is not what the file's name says.
        (Some(name), _) if args.pt.is_none() => name.clone(),
        (_, Some(name)) => name.to_string_lossy().into_owned(),
        (_, None) => pt.clone(),
    };
    let subject = Subject {
        program: line.program,
        args: line.args,
        transport: transport.clone(),
        sides: match args.only.or(table.only) {
            None | Some(Only::Both) => Sides::Both,
            Some(Only::Client) => Sides::Client,
            Some(Only::Server) => Sides::Server,
        },
        server_options: args
            .server_options
            .as_ref()
            .or(table.server_options.as_ref())
            .cloned()
            .unwrap_or_default(),
        bridge_args: bridge_args.map_or(Ok(Vec::new()), |text| pairs(text))?,
    };
    Ok(Tested {
        name,
        version: None,
        subject,
    })
}

/// A C identifier, as pt-spec 3.1 has it.
fn is_transport_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(fine)
}

/// Reads `k=v;k=v`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut item = String::new();
    let mut chars = text.chars();
    loop {
        let char = chars.next();
        match char {
            Some('\\') => match chars.next() {
                Some(escaped) => item.push(escaped),
                None => bail!("bridge arguments end with a backslash: {text}"),
            },
            Some(char) if char != ';' => item.push(char),
            _ => {
                match item.split_once('=') {
                    Some((key, value)) if !key.is_empty() => {
                        pairs.push((key.to_owned(), value.to_owned()));
                    }
                    _ => bail!("bridge arguments are k=v;k2=v2, and this is none: '{item}'"),
                }
                item.clear();
                if char.is_none() {
                    return Ok(pairs);
                }
            }
        }
    }
}

/// The first line that a command prints.
async fn version(command: &[String]) -> Result<String> {
    let [program, args @ ..] = command else {
        bail!("version-command is empty");
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| program.clone())?;
    let printed = async {
        tokio::join!(
            first_line(child.stdout.take()),
            first_line(child.stderr.take())
        )
    };
    let (stdout, stderr) = timeout(VERSION_LIMIT, printed)
        .await
        .with_context(|| format!("{program} does not end"))?;
    stdout
        .or(stderr)
        .with_context(|| format!("{program} prints nothing"))
}

async fn first_line(pipe: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut bytes = Vec::new();
    pipe?
        .take(VERSION_BYTES)
        .read_to_end(&mut bytes)
        .await
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(
        line.chars()
            .filter(|char| !char.is_control())
            .take(120)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_file() {
        let table = SubjectTable {
            name: Some("From the file".to_owned()),
            pt: Some("/bin/a -x".to_owned()),
            transport: Some("one".to_owned()),
            only: Some(Only::Client),
            ..SubjectTable::default()
        };
        let with = |args: SubjectArgs| described(&args, &table, None, Path::new("/"));
        let plain = with(SubjectArgs::default()).expect("the file says all");
        assert_eq!(plain.name, "From the file");
        assert_eq!(plain.subject.args, ["-x"]);
        assert_eq!(plain.subject.sides, Sides::Client);
        let given = with(SubjectArgs {
            pt: Some("/bin/b".to_owned()),
            pt_arg: vec!["-y z".to_owned()],
            transport: Some("two".to_owned()),
            only: Some(Only::Both),
            ..SubjectArgs::default()
        });
        let given = given.expect("all is given");
        assert_eq!(
            (given.name.as_str(), given.subject.transport.as_str()),
            ("b", "two")
        );
        assert_eq!(given.subject.args, ["-y z"]);
        assert_eq!(given.subject.sides, Sides::Both);
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        let none = described(
            &SubjectArgs::default(),
            &SubjectTable::default(),
            None,
            Path::new("/"),
        );
        assert!(
            none.expect_err("no executable")
                .to_string()
                .contains("--pt")
        );
    }

    #[test]
    fn bridge_arguments_are_pairs() {
        let read = pairs(r"a=b\;c\\;url=http://x/?q=1;a=").expect("well formed");
        let read: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, [("a", r"b;c\"), ("url", "http://x/?q=1"), ("a", "")]);
        for wrong in ["", "a", "=b", "a=b;", r"a=b\"] {
            assert!(pairs(wrong).is_err(), "{wrong:?}");
        }
    }
}
