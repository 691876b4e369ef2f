//! What is wrong with an argument, an option or the state file, in words for whoever can mend it.
//!
//! In: where it was found, its name, the flaw. Out: one line that names the argument, the form expected and the remedy,
//! and never a value: values are secrets, or lead to a bridge.

use crate::text::Text;

/// The longest line.
pub const LINE: usize = 200;

/// Something that an operator or a user gave is not what it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where it was found.
    pub place: Place,
    /// The argument's name; empty if the state file is meant as a whole.
    pub name: &'static str,
    /// What is wrong.
    pub flaw: Flaw,
}

/// Where an argument comes from, hence who can mend it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A client's bridge line.
    BridgeLine,
    /// A bridge's options (`ServerTransportOptions`).
    Options,
    /// `obfs4_state.json`.
    StateFile,
}

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// It is not there.
    Missing,
    /// It is no text, or no whole number, where JSON has to hold one.
    Kind,
    /// A character that base 64 has not.
    NotBase64,
    /// Too short or too long for a certificate.
    CertLength {
        /// The characters that there are.
        found: usize,
    },
    /// A character that is no hexadecimal digit.
    NotHex {
        /// The digits that there have to be.
        digits: usize,
    },
    /// Too few or too many hexadecimal digits.
    HexLength {
        /// The digits that there are.
        found: usize,
        /// The digits that there have to be.
        digits: usize,
    },
    /// Not 0, 1 or 2.
    Mode,
    /// The state file is not one JSON object.
    NotJson,
}

impl Place {
    pub(crate) fn fault(self, name: &'static str, flaw: Flaw) -> Fault {
        Fault {
            place: self,
            name,
            flaw,
        }
    }
}

impl Fault {
    /// The line, without a line break: ASCII, at most [`LINE`] bytes.
    #[must_use]
    pub fn text(&self) -> Text<LINE> {
        let mut text = Text::new(b"");
        match self.place {
            Place::BridgeLine | Place::Options => text.push(self.name.as_bytes()).push(b"="),
            Place::StateFile if self.name.is_empty() => text.push(b"/state/obfs4_state.json"),
            Place::StateFile => text
                .push(b"/state/obfs4_state.json: ")
                .push(self.name.as_bytes()),
        };
        self.flaw.write(&mut text);
        text.push(match (self.place, self.flaw) {
            (Place::BridgeLine, Flaw::Mode) | (Place::Options, Flaw::Mode) => b"",
            (Place::BridgeLine, _) => b": copy the whole bridge line",
            (Place::Options, Flaw::Missing) => {
                b": node-id=, private-key= and drbg-seed= go together; give all three or none"
            }
            (Place::Options, _) => b": see ServerTransportOptions in torrc",
            (Place::StateFile, _) => {
                b": restore it from a backup, or move it away for a new identity and bridge line"
            }
        });
        text
    }
}

impl Flaw {
    fn write(self, text: &mut Text<LINE>) {
        match self {
            Flaw::Missing => text.push(b" missing"),
            Flaw::Kind => text.push(b" is of the wrong type"),
            Flaw::NotBase64 => text.push(b" holds a character that base64 has not"),
            Flaw::CertLength { found } => text
                .push(b" has ")
                .push_number(found)
                .push(b" characters, 70 are expected"),
            Flaw::NotHex { digits } => text
                .push(b" holds a character that is not hexadecimal, ")
                .push_number(digits)
                .push(b" digits are expected"),
            Flaw::HexLength { found, digits } => text
                .push(b" has ")
                .push_number(found)
                .push(b" characters, ")
                .push_number(digits)
                .push(b" hexadecimal digits are expected"),
            Flaw::Mode => text.push(b" must be 0, 1 or 2"),
            Flaw::NotJson => text.push(b" is not one JSON object"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(place: Place, name: &'static str, flaw: Flaw) -> String {
        let text = place.fault(name, flaw).text();
        String::from_utf8(text.as_bytes().to_vec()).expect("ASCII")
    }

    #[test]
    fn names_the_argument_the_form_and_the_remedy() {
        assert_eq!(
            text(Place::BridgeLine, "cert", Flaw::Missing),
            "cert= missing: copy the whole bridge line"
        );
        assert_eq!(
            text(Place::BridgeLine, "cert", Flaw::CertLength { found: 68 }),
            "cert= has 68 characters, 70 are expected: copy the whole bridge line"
        );
        assert_eq!(
            text(Place::BridgeLine, "iat-mode", Flaw::Mode),
            "iat-mode= must be 0, 1 or 2"
        );
        assert_eq!(
            text(Place::Options, "drbg-seed", Flaw::Missing),
            "drbg-seed= missing: node-id=, private-key= and drbg-seed= go together; give all three or none"
        );
        assert_eq!(
            text(Place::StateFile, "", Flaw::NotJson),
            "/state/obfs4_state.json is not one JSON object: \
             restore it from a backup, or move it away for a new identity and bridge line"
        );
        assert_eq!(
            text(Place::StateFile, "drbg-seed", Flaw::Missing),
            "/state/obfs4_state.json: drbg-seed missing: \
             restore it from a backup, or move it away for a new identity and bridge line"
        );
    }

    #[test]
    fn no_line_is_cut() {
        let (found, digits) = (100_000, 64);
        let flaws = [
            Flaw::Missing,
            Flaw::Kind,
            Flaw::NotBase64,
            Flaw::CertLength { found },
            Flaw::NotHex { digits },
            Flaw::HexLength { found, digits },
            Flaw::Mode,
            Flaw::NotJson,
        ];
        for place in [Place::BridgeLine, Place::Options, Place::StateFile] {
            for flaw in flaws {
                let text = text(place, "private-key", flaw);
                assert!(text.len() < LINE && text.is_ascii(), "{text}");
            }
        }
    }
}
