//! Compiled modules, kept between runs.
//!
//! An artefact lies in `watm-cache/` of the state directory under the hash of its module and of everything
//! else that it depends on. It is native code, so it carries an HMAC under a key that only this user can
//! read: that guards against corruption and foreign files, not against the user. Whatever is wrong with an
//! artefact, the module is compiled again.

use super::compiling;
use super::state::State;
use crate::watm::{Host, Limits, ModuleError, Program};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io;
use std::path::PathBuf;

/// A compiled module is about four times its size, and modules have at most 16 MiB.
pub const MAX_ARTEFACT: usize = 64 << 20;

const FOLDER: &str = "watm-cache";
const KEY: &str = "key";
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 32;
const SUM_LEN: usize = 32;

/// The cache of compiled modules.
pub struct Artefacts {
    folder: Option<(State, [u8; KEY_LEN])>,
    /// The executable that compiles for it.
    compiler: Option<PathBuf>,
}

impl Artefacts {
    /// Opens the cache. Without one, every start compiles; that is said once.
    pub fn open(state: &State, compiler: Option<PathBuf>) -> Artefacts {
        // A build without a compiler runs what it was given.
        if cfg!(not(feature = "compile")) {
            return Artefacts {
                folder: None,
                compiler,
            };
        }
        let folder = state.folder(FOLDER).and_then(|folder| {
            let key = key(&folder)?;
            Ok((folder, key))
        });
        match folder {
            Ok(folder) => Artefacts {
                folder: Some(folder),
                compiler,
            },
            Err(error) => {
                unwritable(&error);
                Artefacts {
                    folder: None,
                    compiler,
                }
            }
        }
    }

    /// The program of a module, compiled only if it was not compiled before.
    pub fn program(
        &self,
        host: &Host,
        wasm: &[u8],
        limits: Limits,
    ) -> Result<Program, ModuleError> {
        let (Some((folder, key)), Some(compatibility)) = (&self.folder, host.compatibility())
        else {
            return host.load_with(&self.compile(host, wasm)?, limits);
        };
        let name = format!("{}-{compatibility}.cwasm", hex(&Sha256::digest(wasm)));
        match open(folder, key, &name).map(|artefact| host.load_with(&artefact, limits)) {
            Some(Ok(program)) => return Ok(program),
            Some(Err(error)) => {
                tracing::debug!("a cached module is not usable and is compiled again: it {error}")
            }
            None => {}
        }
        let mut artefact = self.compile(host, wasm)?;
        let program = host.load_with(&artefact, limits)?;
        artefact.extend_from_slice(&tag(key, &name, &artefact));
        if let Err(error) = folder.write(&name, &artefact) {
            unwritable(&error);
        }
        Ok(program)
    }
}

impl Artefacts {
    fn compile(&self, host: &Host, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        if let Some(compiler) = &self.compiler
            && cfg!(feature = "compile")
            && let Some(artefact) = compiling::compile(compiler, wasm, host.interprets())
            // Made for another kind of engine, where this one has had to make do.
            && host.load(&artefact).is_ok()
        {
            return Ok(artefact);
        }
        host.compile(wasm)
    }
}

/// What `ouzel compile` writes: the artefact and its SHA-256, so that damage is noticed before it runs.
pub fn sealed(mut artefact: Vec<u8>) -> Vec<u8> {
    let sum = Sha256::digest(&artefact);
    artefact.extend_from_slice(&sum);
    artefact
}

/// The artefact in a file of `ouzel compile`.
pub fn unsealed(file: &[u8]) -> Result<&[u8], ModuleError> {
    let at = file.len().saturating_sub(SUM_LEN);
    let (artefact, sum) = file.split_at(at);
    if Sha256::digest(artefact)[..] != *sum {
        return Err(ModuleError::DamagedArtefact);
    }
    Ok(artefact)
}

fn unwritable(error: &io::Error) {
    tracing::warn!(
        "compiled transports cannot be kept in the state directory ({}), so every start compiles them again; \
         make it writable for this user",
        error
    );
}

/// The artefact of that name, if it is there and was made here.
fn open(folder: &State, key: &[u8; KEY_LEN], name: &str) -> Option<Vec<u8>> {
    let mut artefact = folder.read(name, MAX_ARTEFACT).ok()?;
    let at = artefact.len().checked_sub(TAG_LEN)?;
    let expected = tag(key, name, &artefact[..at]);
    if !bool::from(subtle::ConstantTimeEq::ct_eq(
        &artefact[at..],
        &expected[..],
    )) {
        tracing::debug!("a cached module is damaged and is compiled again");
        return None;
    }
    artefact.truncate(at);
    Some(artefact)
}

/// The tag covers the name, which says of what module this is an artefact: one must not run for another.
fn tag(key: &[u8; KEY_LEN], name: &str, artefact: &[u8]) -> [u8; TAG_LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(name.as_bytes());
    mac.update(artefact);
    mac.finalize().into_bytes().into()
}

fn key(folder: &State) -> io::Result<[u8; KEY_LEN]> {
    if let Ok(key) = folder.read(KEY, KEY_LEN)
        && let Ok(key) = key.try_into()
    {
        return Ok(key);
    }
    let mut key = [0; KEY_LEN];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    folder.write(KEY, &key)?;
    Ok(key)
}

/// Bytes as digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_of_a_named_artefact_is_noticed() {
        let sealed = sealed(b"native code".to_vec());
        assert_eq!(unsealed(&sealed), Ok(&b"native code"[..]));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x40;
            assert_eq!(unsealed(&changed), Err(ModuleError::DamagedArtefact));
            assert_eq!(unsealed(&sealed[..at]), Err(ModuleError::DamagedArtefact));
        }
    }

    #[test]
    fn a_changed_artefact_is_not_opened() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let folder = State::open(dir.path()).expect("there");
        let key = key(&folder).expect("made");
        assert_eq!(super::key(&folder).expect("read back"), key);
        let mut sealed = b"native code".to_vec();
        sealed.extend(tag(&key, "good", b"native code"));
        folder.write("good", &sealed).expect("written");
        assert_eq!(
            open(&folder, &key, "good").as_deref(),
            Some(&b"native code"[..])
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            folder.write("good", &changed).expect("written");
            assert_eq!(open(&folder, &key, "good"), None, "byte {at}");
        }
        folder.write("good", &sealed).expect("written");
        folder.write("other", &sealed).expect("written");
        assert_eq!(open(&folder, &key, "other"), None, "under another name");
        folder
            .write("short", &sealed[..TAG_LEN - 1])
            .expect("written");
        assert_eq!(open(&folder, &key, "short"), None);
        assert_eq!(open(&folder, &[7; KEY_LEN], "good"), None, "another key");
    }
}
