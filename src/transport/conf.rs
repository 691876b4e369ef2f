//! What a guest finds in `/conf/watm.cfg`: the operator's configuration and the connection's arguments.
//!
//! A JSON object. Arguments fill only keys that the operator did not set, unless the operator lists them in
//! `args_override`; of a repeated argument the first value counts. `announce` lists the keys that a server
//! tells its clients in the `SMETHOD` line's `ARGS`. An operator's file that is no JSON object goes to the
//! guest as it is, and arguments beside it are an error: nobody could say which wins.

use crate::error::Failure;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The longest file that is handed to guests; each instance reads it into its own memory.
pub const MAX_CONF: usize = 1 << 20;

/// The operator's configuration of one transport.
#[derive(Clone, Debug)]
pub struct Conf {
    base: Base,
    args_override: Vec<String>,
    announce: Vec<String>,
}

#[derive(Clone, Debug)]
enum Base {
    Object {
        map: Map<String, Value>,
        text: Option<Arc<[u8]>>,
    },
    Opaque(Arc<[u8]>),
}

impl Conf {
    /// Reads the operator's file; no file is an empty object.
    pub fn new(file: Option<&[u8]>) -> Result<Conf, String> {
        let Some(file) = file else {
            let base = Base::Object {
                map: Map::new(),
                text: None,
            };
            return Ok(Conf {
                base,
                args_override: Vec::new(),
                announce: Vec::new(),
            });
        };
        let Ok(Value::Object(mut map)) = serde_json::from_slice(file) else {
            return Ok(Conf {
                base: Base::Opaque(file.into()),
                args_override: Vec::new(),
                announce: Vec::new(),
            });
        };
        let args_override = take_list(&mut map, "args_override")?;
        let announce = take_list(&mut map, "announce")?;
        if announce.iter().any(String::is_empty) {
            return Err("announce names an empty key, which no bridge line can carry".to_owned());
        }
        let text = Some(text(&map));
        Ok(Conf {
            base: Base::Object { map, text },
            args_override,
            announce,
        })
    }

    /// With a key set to true, whatever the file says; not in a file that is no JSON object, which has no keys.
    pub fn switching(mut self, key: &str) -> Conf {
        match &mut self.base {
            Base::Object { map, text: shown } => {
                map.insert(key.to_owned(), Value::Bool(true));
                *shown = Some(text(map));
            }
            Base::Opaque(_) => {
                tracing::warn!("{key} is not set: the configuration file is no JSON object");
            }
        }
        self
    }

    /// Keys to announce besides the file's own list.
    pub fn announcing<'a>(mut self, keys: impl IntoIterator<Item = &'a str>) -> Conf {
        self.announce.extend(keys.into_iter().map(str::to_owned));
        self
    }

    /// Keys that arguments may replace besides the file's own list.
    pub fn overridden_by(mut self, keys: &[String]) -> Conf {
        self.args_override.extend_from_slice(keys);
        self
    }

    /// The configuration of a server: its options become part of the operator's own.
    pub fn with_options<'a>(
        mut self,
        options: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Conf, Failure> {
        let mut options = options.peekable();
        if options.peek().is_none() {
            return Ok(self);
        }
        let map = self.merge(options)?;
        let text = Some(text(&map));
        self.base = Base::Object { map, text };
        Ok(self)
    }

    /// The file for one connection; none if there is nothing to say.
    pub fn file<'a>(
        &self,
        args: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Option<Arc<[u8]>>, Failure> {
        let mut args = args.peekable();
        match (&self.base, args.peek()) {
            (Base::Object { text, .. }, None) => Ok(text.clone()),
            (Base::Opaque(file), None) => Ok(Some(Arc::clone(file))),
            _ => Ok(Some(text(&self.merge(args)?))),
        }
    }

    /// What the `SMETHOD` line says: the announced keys that have a value.
    pub fn announced(&self) -> Vec<(String, String)> {
        let Base::Object { map, .. } = &self.base else {
            return Vec::new();
        };
        let mut told = Vec::new();
        for key in &self.announce {
            // A key that is announced twice is refused by Arti.
            let is_new = told.iter().all(|(earlier, _)| earlier != key);
            let Some(value) = map.get(key).filter(|_| is_new) else {
                continue;
            };
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            told.push((key.clone(), value));
        }
        told
    }

    fn merge<'a>(
        &self,
        args: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Map<String, Value>, Failure> {
        let Base::Object { map, .. } = &self.base else {
            return Err(Failure::Arguments(
                "this transport's configuration file is no JSON object, so it takes none; remove them from the bridge line or from ServerTransportOptions"
                    .to_owned(),
            ));
        };
        let mut merged = map.clone();
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in args {
            let key = str::from_utf8(key)
                .map_err(|_| Failure::Arguments("a key is not UTF-8".to_owned()))?;
            let value = str::from_utf8(value)
                .map_err(|_| Failure::Arguments("a value is not UTF-8".to_owned()))?;
            let may_replace = self.args_override.iter().any(|name| name == key);
            if seen.contains(&key) || (map.contains_key(key) && !may_replace) {
                continue;
            }
            seen.push(key);
            merged.insert(key.to_owned(), Value::String(value.to_owned()));
        }
        Ok(merged)
    }
}

fn take_list(map: &mut Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("\"{key}\" must be a list of names, like [\"password\"]");
    match map.remove(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn text(map: &Map<String, Value>) -> Arc<[u8]> {
    serde_json::to_vec(map)
        .expect("a map of strings and values is JSON")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args<'a>(list: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        list.iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
    }

    fn file(conf: &Conf, list: &[(&str, &str)]) -> Option<String> {
        let file = conf.file(args(list)).expect("good arguments");
        file.map(|file| String::from_utf8(file.to_vec()).expect("UTF-8"))
    }

    #[test]
    fn nothing_to_say_is_no_file() {
        assert_eq!(file(&Conf::new(None).expect("empty"), &[]), None);
    }

    #[test]
    fn arguments_fill_what_the_operator_left_open() {
        let conf = Conf::new(Some(
            br#"{"password":"operator","a":1,"args_override":["a"]}"#,
        ))
        .expect("good");
        let merged = file(
            &conf,
            &[("password", "client"), ("a", "2"), ("b", "x"), ("b", "y")],
        );
        assert_eq!(
            merged.as_deref(),
            Some(r#"{"password":"operator","a":"2","b":"x"}"#)
        );
        assert_eq!(
            file(&conf, &[]).as_deref(),
            Some(r#"{"password":"operator","a":1}"#)
        );
    }

    #[test]
    fn an_opaque_file_goes_through_and_takes_no_arguments() {
        let conf = Conf::new(Some(b"remote = 1")).expect("opaque");
        assert_eq!(file(&conf, &[]).as_deref(), Some("remote = 1"));
        assert!(matches!(
            conf.file(args(&[("a", "b")])),
            Err(Failure::Arguments(_))
        ));
    }

    #[test]
    fn announced_keys_come_from_options_too() {
        let conf = Conf::new(Some(br#"{"announce":["cert"],"cert":"abc"}"#))
            .expect("good")
            .announcing(["key"]);
        let conf = conf
            .with_options(args(&[("key", "k1"), ("cert", "other")]))
            .expect("good");
        assert_eq!(
            conf.announcing(["cert"]).announced(),
            [
                ("cert".to_owned(), "abc".to_owned()),
                ("key".to_owned(), "k1".to_owned())
            ]
        );
    }

    #[test]
    fn a_wrong_list_is_named() {
        assert!(
            Conf::new(Some(br#"{"announce":[""],"":"x"}"#))
                .expect_err("an empty key")
                .contains("empty")
        );
        assert!(
            Conf::new(Some(br#"{"announce":"cert"}"#))
                .expect_err("wrong")
                .contains("announce")
        );
    }
}
