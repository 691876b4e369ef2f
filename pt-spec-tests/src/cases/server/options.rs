//! What a server is told for its transports: `TOR_PT_SERVER_TRANSPORT_OPTIONS` (pt-spec 3.2.3).

use std::time::Duration;

use super::SERVER;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, run};
use crate::cases::version::fails_with;
use crate::instruments::parent::Launch;
use crate::verdict::{Failure, Verdict, ensure};

const VARIABLE: &str = "TOR_PT_SERVER_TRANSPORT_OPTIONS";

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.3/options-escaped",
        line: 57,
        requirement: "Colons, semicolons and backslashes that a backslash escapes are part of the value, and so is an equals sign without one.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_TRANSPORT_OPTIONS; measured: tor sends fake:a=b\\;c\\:d\\\\e;fake:f=g=h",
        reading: "Looked at in an option of another transport, so that no value is wrong for the transport itself.",
        check: run!(escaped),
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
    fails_with("ENV-ERROR", launch)
        .await
        .map(drop)
        .map_err(|failure| match failure {
            Failure::Deviation(text) => {
                Failure::Deviation(format!("with {VARIABLE}={options}: {text}"))
            }
            other => other,
        })
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
    let Some(own) = bench.server_options() else {
        return Err(Failure::NotApplicable(
            "no option of the transport is known (--server-options)".to_owned(),
        ));
    };
    let again: Vec<_> = own
        .split(';')
        .filter_map(|item| Some(format!("{}=pt-spec-no-value", item.split_once('=')?.0)))
        .collect();
    with(bench, "", &again.join(";")).ready().await.map(drop)
}
