//! Rules and lists against addresses and names in every dress.

use super::*;
use proptest::prelude::*;

fn allow(rules: &[&str]) -> Allow {
    Allow::new(
        rules
            .iter()
            .map(|rule| rule.parse().expect("a rule"))
            .collect(),
    )
}

fn ip(text: &str) -> Target {
    Target::Ip(text.parse().expect("an address"))
}

fn name(name: &str, port: u16) -> Target {
    Target::Name(name.to_owned(), port)
}

#[test]
fn nothing_is_allowed_by_default() {
    let nothing = Allow::default();
    assert!(!nothing.permits("tcp", &ip("192.0.2.1:443")));
    assert!(!nothing.permits("tcp", &name("example.com", 443)));
}

#[test]
fn names_match_whole_or_by_suffix() {
    let rules = allow(&["example.com:443", "*.example.org:80-81"]);
    assert!(rules.permits("tcp", &name("Example.COM.", 443)));
    assert!(rules.permits("tcp", &name("a.b.example.org", 81)));
    for (host, port) in [
        ("example.com", 80),
        ("notexample.com", 443),
        ("example.com.evil", 443),
        ("example.org", 80),
        ("evilexample.org", 80),
        (".example.org", 80),
    ] {
        assert!(!rules.permits("tcp", &name(host, port)), "{host}:{port}");
    }
    assert!(
        !rules.permits("tcp", &ip("192.0.2.1:443")),
        "a name rule allows no address"
    );
}

#[test]
fn addresses_match_by_block_in_every_dress() {
    let rules = allow(&["192.0.2.0/24:443", "[2001:db8::]/32:*", "198.51.100.7:1-2"]);
    assert!(rules.permits("tcp", &ip("192.0.2.255:443")));
    assert!(rules.permits("tcp", &ip("[::ffff:192.0.2.1]:443")));
    assert!(rules.permits("tcp", &ip("[2001:db8::1]:9")));
    assert!(!rules.permits("tcp", &ip("192.0.3.0:443")));
    assert!(!rules.permits("tcp", &ip("198.51.100.8:1")));
    assert!(!rules.permits("tcp", &ip("198.51.100.7:3")));
}

#[test]
fn a_name_does_not_lead_home() {
    let rules = allow(&["*:443", "intern.example:80", "10.1.0.0/16:80"]);
    let addr = |text: &str| text.parse().expect("an address");
    assert!(rules.permits_resolved(addr("1.1.1.1:443")));
    let named = allow(&["intern.example:80", "10.1.0.0/16:80"]);
    assert!(named.permits_resolved(addr("10.1.2.3:80")));
    for home in [
        "127.0.0.1:80",
        "10.2.0.1:80",
        "169.254.169.254:80",
        "[::1]:80",
        "[fe80::1]:80",
        "[::ffff:127.0.0.1]:80",
        "[::127.0.0.1]:80",
        "[64:ff9b::7f00:1]:80",
        "0.0.0.0:80",
    ] {
        assert!(!named.permits_resolved(addr(home)), "{home}");
    }
}

#[test]
fn lists_of_the_go_runtime_are_taken_word_by_word() {
    let entry = |network, address| Listed::new(network, address).expect("an entry");
    let some = Allow::listed(vec![
        entry("tcp", "192.0.2.1:443"),
        entry("tcp4", "example.com:80"),
    ]);
    assert!(some.permits("tcp", &ip("192.0.2.1:443")));
    assert!(some.permits("tcp4", &name("EXAMPLE.com.", 80)));
    assert!(!some.permits("tcp4", &ip("192.0.2.1:443")));
    assert!(!some.permits("tcp", &ip("192.0.2.1:444")));
    assert!(!some.permits("tcp", &name("a.example.com", 80)));
    let rest = Allow::all_but(vec![
        entry("tcp", "192.0.2.1:443"),
        entry("udp", "192.0.2.2:1"),
    ]);
    assert!(!rest.permits("tcp", &ip("192.0.2.1:443")));
    assert!(!rest.permits("tcp", &ip("[::ffff:192.0.2.1]:443")));
    assert!(rest.permits("tcp4", &ip("192.0.2.1:443")));
    assert!(rest.permits("tcp", &ip("192.0.2.2:1")));
    assert!(rest.permits("tcp", &name("localhost", 1)));
    let addr = "192.0.2.1:443".parse().expect("an address");
    assert!(!rest.permits_resolved(addr), "by no name either");
    let both = rest.with(allow(&["192.0.2.1:443"]));
    assert!(!both.permits("tcp", &ip("192.0.2.1:443")));
    assert_eq!(Listed::new("tcp", "no port"), None);
}

#[test]
fn what_is_no_rule_is_refused() {
    for text in [
        "",
        "example.com",
        ":443",
        "example.com:",
        "example.com:0",
        "example.com:2-1",
        "2001:db8::1:443",
        "10.0.0.0/33:1",
        "*example.com:1",
        "*.:1",
        "a..b:1",
        "10.0.0:1",
        "example.com/8:1",
        "a b:1",
        "[10.0.0.1]:1",
        "[example.com]:1",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_rule_reads_as_it_was_written(text in ".{0,40}") {
        if let Ok(rule) = text.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
        }
    }
}
