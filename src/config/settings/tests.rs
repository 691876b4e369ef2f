//! Every key, every mistake with its place, and texts that no operator would write.

use super::*;
use crate::error::Severity;
use proptest::prelude::*;
use std::time::Duration;

const FILE: &str = "/etc/tor/ouzel/mine.toml";

fn settings(text: &str) -> Settings {
    Settings::parse(text, Path::new(FILE)).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fn mistake(text: &str) -> String {
    let mistake = Settings::parse(text, Path::new(FILE)).expect_err(text);
    let told = mistake.to_string();
    assert!(!told.contains('\n'), "one line: {told}");
    told
}

#[test]
fn every_key_is_read() {
    let text = r#"
        modules = "modules"
        max-connections = 100
        threads = 2
        log-level = "info"
        enable-logging = true
        unsafe-logging = true

        [transport.mine]
        module = "mine.wasm"
        sha256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
        config = { password = "x", port = 1, ratio = 0.5, on = true, when = 2026-01-01, list = ["a"], more = { a = 1 } }
        args-override = ["port"]
        announce = ["password"]
        handshake-timeout = "1m 30s"
        allow = ["example.com:443", "192.0.2.0/24:*"]
        argv = ["mine", "-v"]
        env = { LANG = "C" }
        folders = { "/data" = "data", "/more/data" = "/srv/data" }
        limits = { memory = "128 MiB", table = 30000 }
        state-root = ["bridge_state.json"]

        [transport.other]
        config-file = "other.json"
        handshake-timeout = 5
    "#;
    let run = RunFile::parse(text, Path::new("/etc/tor/ouzel.toml")).expect("good");
    assert_eq!(run.modules.as_deref(), Some(Path::new("/etc/tor/modules")));
    assert_eq!(run.max_connections.map(|n| n.get()), Some(100));
    assert_eq!(run.threads.map(|n| n.get()), Some(2));
    assert_eq!(run.log_level, Some(Level(Severity::Info)));
    assert!(run.enable_logging && run.unsafe_logging);
    let mine = &run.transport[&Name("mine".to_owned())];
    assert_eq!(
        mine.module.as_deref(),
        Some(Path::new("/etc/tor/mine.wasm"))
    );
    let pin = mine.sha256.as_ref().expect("pinned");
    assert!(pin.0.starts_with("e3b0c442"), "in lower case");
    assert_eq!(
        mine.config.as_ref().expect("a table").0,
        serde_json::json!({
            "password": "x", "port": 1, "ratio": 0.5, "on": true, "when": "2026-01-01", "list": ["a"], "more": {"a": 1}
        })
    );
    assert_eq!(mine.args_override, ["port"]);
    assert_eq!(mine.announce().collect::<Vec<_>>(), ["password"]);
    assert_eq!(mine.handshake_timeout, Some(Span(Duration::from_secs(90))));
    assert_eq!(mine.allow.len(), 2);
    assert_eq!(mine.argv.0, ["mine", "-v"]);
    assert_eq!(mine.env.0["LANG"], "C");
    let folders: Vec<_> = mine
        .folders
        .iter()
        .map(|(guest, host)| (&*guest.0, host.to_str().expect("UTF-8")))
        .collect();
    assert_eq!(
        folders,
        [("/data", "/etc/tor/data"), ("/more/data", "/srv/data")]
    );
    assert_eq!(mine.limits.memory, Some(Size(128 << 20)));
    assert_eq!(mine.limits.table.map(|n| n.get()), Some(30_000));
    assert_eq!(mine.state_root, [StateFile("bridge_state.json".to_owned())]);
    let other = &run.transport[&Name("other".to_owned())];
    assert_eq!(other.config_file(), Some(Path::new("/etc/tor/other.json")));
    assert_eq!(other.handshake_timeout, Some(Span(Duration::from_secs(5))));
}

#[test]
fn nothing_said_is_nothing_granted() {
    let nothing = settings("");
    assert_eq!(nothing, Settings::default());
    assert!(nothing.allow.is_empty() && nothing.folders.is_empty() && nothing.argv.0.is_empty());
}

#[test]
fn a_key_that_does_not_exist_is_told_with_its_place_and_the_one_that_was_meant() {
    assert_eq!(
        mistake("argv = []\n  handshake_timout = 3\n"),
        format!(
            "{FILE}:2:3: there is no key \"handshake_timout\"; did you mean \"handshake-timeout\"?"
        )
    );
    assert_eq!(
        mistake("timeout = 3"),
        format!("{FILE}:1:1: there is no key \"timeout\"; did you mean \"handshake-timeout\"?")
    );
    let strange = mistake("colour = 3");
    assert!(
        strange.contains("there are module, sha256, config,"),
        "{strange}"
    );
    assert_eq!(
        mistake("limits = { mem = 1, memry = 2 }"),
        format!("{FILE}:1:12: there is no key \"mem\"; did you mean \"memory\"?")
    );
    let run = RunFile::parse("[transport.a]\nallwo = []", Path::new("o.toml"));
    assert_eq!(
        run.expect_err("unknown").to_string(),
        "o.toml:2:1: there is no key \"allwo\"; did you mean \"allow\"?"
    );
    let run = RunFile::parse("[transports.a]\n", Path::new("o.toml"));
    let told = run.expect_err("unknown").to_string();
    assert!(
        told.starts_with("o.toml:1:2: ") && told.contains("\"transport\""),
        "{told}"
    );
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_what_was_expected() {
    let mut wrong = Vec::new();
    for (text, place, expected) in [
        ("sha256 = \"abc\"", ":1:10: ", "64 hexadecimal digits"),
        (
            "allow = [\n  \"example.com:443\",\n  \"example\"]",
            ":1:9: ",
            "HOST:PORTS",
        ),
        ("handshake-timeout = \"soon\"", ":1:21: ", "\"30s\""),
        ("handshake-timeout = 0", ":1:21: ", "one second"),
        ("handshake-timeout = 3601", ":1:21: ", "one hour"),
        ("handshake-timeout = -1", ":1:21: ", "below zero"),
        ("limits.memory = \"64 MB\"", ":1:17: ", "64 MiB"),
        ("limits.memory = \"8 GiB\"", ":1:17: ", "4 GiB"),
        ("limits = { table = 0 }", ":1:20: ", "from 1 to"),
        ("config = \"mine.json\"", ":1:10: ", "config-file"),
        ("config = { a = nan }", ":1:10: ", "nan"),
        ("config = {}\nconfig-file = \"x\"", ":2:15: ", "keep one"),
        ("announce = [\"\"]", ":1:13: ", "empty key"),
        ("env = { \"A=B\" = \"x\" }", ":1:7: ", "variable"),
        ("argv = [\"\\u0000\"]", ":1:8: ", "NUL"),
        ("folders = { data = \"x\" }", ":1:13: ", "like \"/data\""),
        ("folders = { \"/conf/x\" = \"x\" }", ":1:13: ", "ouzel"),
        (
            "folders = { \"/a/../b\" = \"x\" }",
            ":1:13: ",
            "like \"/data\"",
        ),
        ("state-root = [\"a/b\"]", ":1:14: ", "plain file name"),
        ("state-root = [\"Ouzel.log\"]", ":1:14: ", "ouzel's own"),
        ("argv = \"mine\"", ":1:8: ", "sequence"),
        ("argv = [", ":1:9: ", "array"),
        ("a = 1\na = 2", ":2:1: ", "duplicate"),
    ] {
        let told = mistake(text);
        if !(told.starts_with(&format!("{FILE}{place}")) && told.contains(expected)) {
            wrong.push(format!("{text:?}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named = RunFile::parse("[transport.a-b]", Path::new("o.toml")).expect_err("no name");
    assert!(
        named.to_string().starts_with("o.toml:1:") && named.to_string().contains("letters"),
        "{named}"
    );
}

#[test]
fn a_configuration_in_the_place_of_settings_is_recognised() {
    let told = RunFile::parse("\n{\"a\": 1}", Path::new("mine.json")).expect_err("JSON");
    assert!(told.to_string().contains("--config NAME=FILE"), "{told}");
}

#[test]
fn words_for_a_guest_are_bounded() {
    let many = format!("argv = [{}]", "\"a\",".repeat(1001));
    assert!(mistake(&many).contains("1000 entries"));
    let long = format!("env = {{ A = \"{}\" }}", "a".repeat(64 << 10));
    assert!(mistake(&long).contains("65536 bytes"));
}

const GO: &str = r#"{
    "transport_module": {"bin": "mine.wasm", "config": "/srv/mine.cfg"},
    "network": {
        "address_validator": {"catch_all": false, "allowlist": {"192.0.2.1:443": ["tcp"]}},
        "listener": {"network": "tcp", "address": "localhost:1080"}
    },
    "module": {
        "argv": ["mine"], "env": {"A": "b"}, "inherit_stdin": false, "inherit_stdout": true, "inherit_stderr": false,
        "preopened_dirs": {"data": "/data"}
    },
    "runtime": {"force_interpreter": true, "do_not_close_on_context_done": false}
}"#;

fn go(text: &str) -> Result<Told, Mistake> {
    go::parse(text.as_bytes(), Path::new("/etc/mine.json"))
}

#[test]
fn the_go_runtimes_configurations_are_read() {
    assert!(go::is_go_shape(GO.as_bytes()));
    let told = go(GO).expect("good");
    let settings = &told.settings;
    assert_eq!(
        settings.module.as_deref(),
        Some(Path::new("/etc/mine.wasm"))
    );
    assert_eq!(settings.config_file(), Some(Path::new("/srv/mine.cfg")));
    assert_eq!(told.listen, "127.0.0.1:1080".parse().ok());
    assert_eq!(settings.argv.0, ["mine"]);
    assert_eq!(settings.env.0["A"], "b");
    let data = &settings.folders[&GuestPath("/data".to_owned())];
    assert_eq!(data, Path::new("/etc/data"));
    let target = "192.0.2.1:443".parse().expect("an address");
    assert!(settings.allow.permits("tcp", &target));
    assert!(!settings.allow.permits("tcp4", &target));
    for word in ["inherit_stdout", "runtime", "read-only"] {
        let hits = told.notices.iter().filter(|text| text.contains(word));
        assert_eq!(hits.count(), 1, "{word}: {:?}", told.notices);
    }
}

#[test]
fn its_validator_is_what_it_is_in_go() {
    let allow = |validator: &str| {
        let text = format!(r#"{{"network": {{"address_validator": {validator}}}}}"#);
        let told = go(&text).expect("good");
        (told.settings.allow, told.notices)
    };
    let target = "127.0.0.1:80".parse().expect("an address");
    let (nothing, silent) = allow("{}");
    assert!(nothing.is_empty() && silent.is_empty());
    let (denied, told) = allow(r#"{"catch_all": true}"#);
    assert!(
        denied.is_empty() && told[0].contains("denylist"),
        "{told:?}"
    );
    let (all, _) = allow(r#"{"catch_all": true, "denylist": {}}"#);
    assert!(all.permits("tcp", &target));
    let (but, told) =
        allow(r#"{"catch_all": true, "denylist": {"127.0.0.1:80": ["tcp"]}, "allowlist": {}}"#);
    assert!(!but.permits("tcp", &target) && told[0].contains("allowlist"));
    let wrong = r#"{"network": {"address_validator": {"allowlist": {"127.0.0.1": ["tcp"]}}}}"#;
    assert!(
        go(wrong)
            .expect_err("no port")
            .to_string()
            .contains("HOST:PORT")
    );
}

#[test]
fn what_is_wrong_with_it_is_told_with_its_place() {
    for (text, place, expected) in [
        (
            "{\"transport_module\":\n {\"bni\": \"x\"}}",
            "/etc/mine.json:2:",
            "did you mean \"bin\"?",
        ),
        (
            "{\"network\": {\"listener\": {\"adress\": \"\"}}}",
            "/etc/mine.json:1:",
            "\"address\"",
        ),
        (
            "{\"network\": {\"listener\": {\"address\": \"here:80\"}}}",
            "/etc/mine.json ",
            "here:80",
        ),
        (
            "{\"network\": {\"listener\": {\"network\": \"udp\"}}}",
            "/etc/mine.json ",
            "TCP",
        ),
        ("{\"network\": 1}", "/etc/mine.json:1:", "expected"),
    ] {
        let told = go(text).expect_err(text).to_string();
        assert!(
            told.starts_with(place) && told.contains(expected),
            "{text}: {told}"
        );
    }
}

#[test]
fn other_json_is_the_modules_own() {
    for text in [
        "",
        "{}",
        "[]",
        r#"{"network": "tcp"}"#,
        r#"{"remote_addr": "192.0.2.1"}"#,
        "remote = 1",
    ] {
        assert!(!go::is_go_shape(text.as_bytes()), "{text}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an operator's files")]
fn what_a_file_is_taken_for_is_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let told = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        (
            Told::read(&file).map_err(|mistake| mistake.to_string()),
            file,
        )
    };
    for name in ["m.toml", "m.TOML", "m.Toml"] {
        let (read, _) = told(name, "argv = [\"m\"]");
        let read = read.expect(name);
        assert_eq!((&*read.settings.argv.0[0], read.own), ("m", None), "{name}");
    }
    for text in ["remote = 1", "", "[{", r#"{"remote": 1}"#] {
        let (read, file) = told("m.json", text);
        let read = read.expect(text);
        assert!(
            read.notices[0].ends_with("m.json is handed to the module as its own configuration"),
            "{text}: {:?}",
            read.notices
        );
        assert_eq!(read.own, Some(file), "{text}");
    }
    let (read, file) = told("m.json", "\n {\n  \"network\": {},,\n}");
    let mistake = read.expect_err("no JSON");
    let place = format!("{}:3:17: ", file.display());
    assert!(
        mistake.starts_with(&place) && mistake.contains("config-file"),
        "{mistake}"
    );
}

proptest! {
    #[test]
    fn no_text_brings_it_down(text in "[a-z0-9 =\\[\\]{}\"'.,:\n#-]{0,120}") {
        let _ = Settings::parse(&text, Path::new(FILE));
        let _ = RunFile::parse(&text, Path::new(FILE));
        let _ = go(&text);
    }

    #[test]
    fn no_value_brings_it_down(key in "(module|sha256|config|config-file|allow|argv|env|folders|limits|state-root|handshake-timeout|announce)", value in ".{0,30}") {
        let _ = Settings::parse(&format!("{key} = {value}"), Path::new(FILE));
        let _ = Settings::parse(&format!("{key} = {value:?}"), Path::new(FILE));
        let _ = Settings::parse(&format!("{key} = [{value:?}]"), Path::new(FILE));
        let _ = Settings::parse(&format!("{key} = {{ {value:?} = {value:?} }}"), Path::new(FILE));
    }
}
