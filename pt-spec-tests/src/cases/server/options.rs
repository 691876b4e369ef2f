//! What a server is told for its transports: `TOR_PT_SERVER_TRANSPORT_OPTIONS` (pt-spec 3.2.3).

use std::path::Path;
use std::time::Duration;

use super::SERVER;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, run};
use crate::cases::version::{failed_with, fails_with};
use crate::instruments::negotiation::Args;
use crate::instruments::parent::Launch;
use crate::instruments::wire::SOON;
use crate::verdict::{Failure, Verdict, ensure};

const VARIABLE: &str = "TOR_PT_SERVER_TRANSPORT_OPTIONS";

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.3/options-escaped",
        line: 57,
        requirement: "Options are well formed with colons, semicolons and backslashes behind a backslash, with an equals sign in the value, and with an empty value.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_TRANSPORT_OPTIONS; measured: tor sends fake:a=b\\;c\\:d\\\\e;fake:f=g=h",
        reading: "Looked at in options of another transport, so that no value is wrong for the transport itself; what becomes of them is for the next case.",
        check: run!(escaped),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-are-decoded",
        line: 57,
        level: Level::Should,
        requirement: "A backslash in an option of the transport's own is taken away, and what stands behind it is part of the key or the value.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_TRANSPORT_OPTIONS; goptlib",
        reading: "SHOULD, since the first characters of keys and values are escaped too, which the specification does not ask for and goptlib takes. It is seen in those ARGS that come from the options.",
        check: run!(decoded),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-bare-colon",
        line: 57,
        level: Level::Should,
        requirement: "A colon inside a value needs no backslash to be understood: the name ends at the first one.",
        reference: "goptlib: a value goes up to the next semicolon that is not escaped",
        reading: "SHOULD: the parent has to escape it (pt-spec 3.2.3), but nothing else could be meant.",
        check: run!(bare_colon),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-malformed",
        line: 58,
        requirement: "Options without a name, a colon, a key or an equals sign are answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3 and 3.3.1, ENV-ERROR; goptlib",
        limit: Duration::from_secs(60),
        check: run!(malformed),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-dangling-backslash",
        line: 58,
        requirement: "Options that end in a lone backslash are answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3 and 3.3.1, ENV-ERROR; goptlib",
        check: run!(dangling),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-empty-items",
        line: 58,
        requirement: "Empty items among the options, also behind a last semicolon, are answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3: items are separated by semicolons, and each has a name and a pair; goptlib",
        limit: Duration::from_secs(60),
        check: run!(empty_items),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-of-others",
        line: 59,
        requirement: "Options of transports that are not launched are ignored.",
        reference: "pt-spec 3.2.3: options are passed to the transport that they name",
        check: run!(of_others),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/options-repeated",
        line: 59,
        level: Level::Should,
        requirement: "Where a key is repeated the first value counts.",
        reference: "goptlib, Args.Get; tor passes on what the operator wrote",
        reading: "SHOULD, since the specification does not say which one counts.",
        check: run!(repeated),
        ..SERVER
    },
];

/// The options that the subject needs, and these: behind them, or in front.
fn with(bench: &Bench, before: &str, after: &str) -> Launch {
    let own = bench.server_options().unwrap_or_default();
    let items = [before, &own, after].map(str::to_owned);
    let all: Vec<_> = items.into_iter().filter(|item| !item.is_empty()).collect();
    bench.server(UNUSED_ORPORT).set(VARIABLE, all.join(";"))
}

async fn escaped(bench: &Bench) -> Verdict {
    let options = r"pt_spec_other:a=b\;c\:d\\e;pt_spec_other:f=g=h;pt_spec_other:empty=";
    with(bench, options, "").ready().await.map(drop)
}

async fn decoded(bench: &Bench) -> Verdict {
    let own = own(bench)?;
    let state = bench.fresh_path("kept");
    let plain = args(bench, &state, Some(&own)).await?;
    let again = args(bench, &bench.fresh_path("kept"), Some(&own)).await?;
    // What it draws itself where its state is new tells nothing.
    let mut visible = plain.clone();
    visible.retain(|pair| again.contains(pair));
    match args(bench, &bench.fresh_path("kept"), None).await {
        Ok(without) => {
            visible.retain(|pair| !without.contains(pair));
            if visible.is_empty() {
                return Err(Failure::NotApplicable(
                    "its options cannot be seen in its ARGS".to_owned(),
                ));
            }
        }
        // It needs them: that it starts shows that it has read them.
        Err(Failure::Deviation(_)) => {}
        Err(failure) => return Err(failure),
    }
    let prefix = format!("{}:", bench.transport());
    let escaped: Vec<_> = items(&own)
        .iter()
        .map(|item| {
            let pair = item.strip_prefix(&prefix).unwrap_or(item);
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{prefix}{}={}", needless(key), needless(value))
        })
        .collect();
    let escaped = escaped.join(";");
    let found = args(bench, &state, Some(&escaped)).await;
    let found = found.map_err(|failure| failed_with(VARIABLE, &escaped, failure))?;
    ensure!(
        visible.iter().all(|pair| found.contains(pair)),
        "with {VARIABLE}={own} it announces {plain:?}, with {escaped} {found:?}"
    );
    Ok(())
}

/// The same text with a backslash before its first character, unless there is one.
fn needless(text: &str) -> String {
    match text.chars().next() {
        None | Some('\\') => text.to_owned(),
        Some(_) => format!("\\{text}"),
    }
}

/// Splits options at their semicolons, but for those behind a backslash.
fn items(options: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut escaped = false;
    for char in options.chars() {
        match char {
            ';' if !escaped => items.push(String::new()),
            _ => items.last_mut().expect("it begins with one").push(char),
        }
        escaped = char == '\\' && !escaped;
    }
    items
}

/// The options that the subject needs.
fn own(bench: &Bench) -> Verdict<String> {
    bench.server_options().ok_or_else(|| {
        Failure::NotApplicable("no option of the transport is known (--server-options)".to_owned())
    })
}

/// What a server announces with these options.
async fn args(bench: &Bench, state: &Path, options: Option<&str>) -> Verdict<Args> {
    let launch = bench.server(UNUSED_ORPORT).state(state);
    let launch = match options {
        Some(options) => launch.set(VARIABLE, options),
        None => launch.unset(VARIABLE),
    };
    let mut ready = launch.ready().await?;
    ready.pt.close_stdin();
    ready.pt.must_exit(SOON).await?;
    Ok(ready.method.args)
}

async fn bare_colon(bench: &Bench) -> Verdict {
    with(bench, "pt_spec_other:url=https://bridge.invalid:443/", "")
        .ready()
        .await
        .map(drop)
}

async fn malformed(bench: &Bench) -> Verdict {
    let name = bench.transport();
    for options in [
        name.to_owned(),
        format!("{name}:"),
        format!("{name}:key"),
        format!("{name}:=value"),
        ":key=value".to_owned(),
        format!("{name}=key"),
    ] {
        refused(bench, &options).await?;
    }
    Ok(())
}

async fn dangling(bench: &Bench) -> Verdict {
    refused(bench, &format!(r"{}:key=value\", bench.transport())).await
}

async fn empty_items(bench: &Bench) -> Verdict {
    let item = format!("{}:key=value", bench.transport());
    for options in [
        format!("{item};"),
        format!(";{item}"),
        format!("{item};;{item}"),
    ] {
        refused(bench, &options).await?;
    }
    Ok(())
}

async fn refused(bench: &Bench, options: &str) -> Verdict {
    let launch = bench.server(UNUSED_ORPORT).set(VARIABLE, options);
    let refused = fails_with("ENV-ERROR", launch).await;
    refused
        .map(drop)
        .map_err(|failure| failed_with(VARIABLE, options, failure))
}

async fn of_others(bench: &Bench) -> Verdict {
    let said = with(bench, "pt_spec_other:key=value", "pt_spec_more:key=value")
        .ready()
        .await?
        .said;
    let about = said
        .lines
        .iter()
        .find(|line| line.contains("METHOD") && line.contains("pt_spec_"));
    ensure!(
        about.is_none(),
        "a transport that only has options gets a line: {about:?}"
    );
    Ok(())
}

async fn repeated(bench: &Bench) -> Verdict {
    let own = own(bench)?;
    let state = bench.fresh_path("kept");
    let plain = args(bench, &state, Some(&own)).await?;
    let mut all = items(&own);
    for item in items(&own) {
        let key = item.split_once('=').map(|(key, _)| key);
        all.extend(key.map(|key| format!("{key}=pt-spec-no-value")));
    }
    let found = args(bench, &state, Some(&all.join(";"))).await?;
    ensure!(
        found == plain,
        "without the second value it announces {plain:?}, with it {found:?}"
    );
    Ok(())
}
