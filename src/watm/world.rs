//! The folders that a guest can open, all of them in memory.
//!
//! In: what the guest was granted, and the paths and bytes of its calls. Out: files. What can go wrong is an errno:
//! whoever looks outside gets ENOTCAPABLE, whoever writes where nothing is written gets EROFS, and what a set-up run
//! writes is bounded.

use super::errno::Errno;
use super::grants::{Files, Grants, Replay};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The transport's files: keys, counters, a bridge line. A megabyte is far more than any has.
const MAX_STATE: usize = 1 << 20;
/// Each is a file in the state directory.
const MAX_STATE_FILES: usize = 64;
/// As long as file systems let a name be, less what writing it in one step adds.
const MAX_NAME: usize = 128;
/// The digest of a handshake; longer ones are hashed by whoever keeps them, shorter ones tell nothing apart.
const DIGEST: std::ops::RangeInclusive<usize> = 16..=128;

/// The configuration's place in v1, as published modules look for it: with the slash.
const CONF: &str = "/conf/";
const CONF_FILE: &str = "watm.cfg";
const STATE: &str = "/state/";
const REPLAY: &str = "/replay/";

/// One guest's folders, in the order of their descriptors.
#[derive(Default)]
pub(super) struct World {
    places: Vec<Place>,
}

struct Place {
    name: Arc<str>,
    contents: Contents,
}

enum Contents {
    /// `watm.cfg` alone.
    Conf(Arc<[u8]>),
    /// Files to read.
    Copy(Arc<Files>),
    /// The transport's own files, in its set-up run.
    Writable(Written),
    /// Names that can be made once, by all guests of the transport together.
    Replay(Arc<dyn Replay>),
}

/// Files that grow.
type Written = BTreeMap<String, Vec<u8>>;

/// Where a directory's descriptor is: a folder, and the path below it.
#[derive(Clone, Debug)]
pub(super) struct Dir {
    place: usize,
    below: Arc<str>,
}

impl Dir {
    /// Whether it is a granted folder itself.
    pub(super) fn is_preopen(&self) -> bool {
        self.below.is_empty()
    }
}

/// What a path names.
pub(super) enum Found {
    /// A directory.
    Dir(Dir),
    /// A file to read.
    File(Arc<[u8]>),
    /// A file of the set-up run.
    Written(Arc<str>),
}

/// How a path is opened (`oflags`).
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) create: bool,
    pub(super) directory: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
}

/// A name in a directory.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_dir: bool,
}

impl World {
    /// The folders that are granted; `preopens_conf` in v1, where the configuration is one of them.
    pub(super) fn new(grants: &Grants, preopens_conf: bool, is_set_up: bool) -> World {
        let mut world = World::default();
        if preopens_conf && let Some(conf) = &grants.conf {
            world.add(CONF, Contents::Conf(Arc::clone(conf)));
        }
        if let Some(state) = &grants.state {
            let contents = if is_set_up {
                let grown = |(name, data): (&String, &Arc<[u8]>)| (name.clone(), data.to_vec());
                Contents::Writable(state.iter().map(grown).collect())
            } else {
                Contents::Copy(Arc::clone(state))
            };
            world.add(STATE, contents);
        }
        if let Some(replay) = &grants.replay {
            world.add(REPLAY, Contents::Replay(Arc::clone(replay)));
        }
        for folder in grants.folders.iter() {
            world.add(&folder.name, Contents::Copy(Arc::clone(&folder.files)));
        }
        world
    }

    fn add(&mut self, name: &str, contents: Contents) {
        let name = name.into();
        self.places.push(Place { name, contents });
    }

    /// The directories of the first descriptors.
    pub(super) fn preopens(&self) -> impl Iterator<Item = Dir> {
        let below: Arc<str> = "".into();
        (0..self.places.len()).map(move |place| Dir {
            place,
            below: Arc::clone(&below),
        })
    }

    /// The name of a preopened directory.
    pub(super) fn name(&self, dir: &Dir) -> &str {
        &self.places[dir.place].name
    }

    /// What the set-up run left behind.
    pub(super) fn into_state(self) -> Files {
        let written = self
            .places
            .into_iter()
            .find_map(|place| match place.contents {
                Contents::Writable(files) => Some(files),
                _ => None,
            });
        let whole = |(name, data): (String, Vec<u8>)| (name, data.into());
        written.unwrap_or_default().into_iter().map(whole).collect()
    }

    /// Finds what is there.
    pub(super) fn find(&self, dir: &Dir, path: &[u8]) -> Result<Found, Errno> {
        let path = joined(&dir.below, path)?;
        let at = |below: &str| {
            Ok(Found::Dir(Dir {
                place: dir.place,
                below: below.into(),
            }))
        };
        if path.is_empty() {
            return at("");
        }
        match &self.places[dir.place].contents {
            Contents::Conf(conf) if path == CONF_FILE => Ok(Found::File(Arc::clone(conf))),
            Contents::Writable(files) if files.contains_key(&path) => {
                Ok(Found::Written(path.into()))
            }
            Contents::Copy(files) => match files.get(&path) {
                Some(data) => Ok(Found::File(Arc::clone(data))),
                None if below(files, &path).next().is_some() => at(&path),
                None => Err(Errno::ENOENT),
            },
            _ => Err(Errno::ENOENT),
        }
    }

    /// Opens what is there, or makes it where that may be.
    pub(super) fn open(&mut self, dir: &Dir, path: &[u8], how: Open) -> Result<Found, Errno> {
        let is_writable = matches!(
            self.places[dir.place].contents,
            Contents::Writable(_) | Contents::Replay(_)
        );
        match self.find(dir, path) {
            Ok(_) if how.create && how.exclusive => Err(Errno::EEXIST),
            Ok(Found::Dir(dir)) if !how.truncate => Ok(Found::Dir(dir)),
            Ok(Found::Dir(_)) => Err(Errno::EISDIR),
            Ok(_) if how.directory => Err(Errno::ENOTDIR),
            Ok(Found::Written(name)) => {
                if how.truncate {
                    self.set_size(&name, 0)?;
                }
                Ok(Found::Written(name))
            }
            Ok(_) if how.truncate => Err(Errno::EROFS),
            Ok(found) => Ok(found),
            Err(Errno::ENOENT) if how.create && !how.directory && is_writable => {
                self.make(dir, path)
            }
            Err(Errno::ENOENT) if how.create => Err(Errno::EROFS),
            Err(errno) => Err(errno),
        }
    }

    fn make(&mut self, dir: &Dir, path: &[u8]) -> Result<Found, Errno> {
        let path = joined(&dir.below, path)?;
        match &mut self.places[dir.place].contents {
            Contents::Writable(files) => {
                check_name(&path)?;
                if files.len() >= MAX_STATE_FILES {
                    return Err(Errno::ENOSPC);
                }
                files.insert(path.clone(), Vec::new());
                Ok(Found::Written(path.into()))
            }
            Contents::Replay(replay) => {
                if !DIGEST.contains(&path.len()) || !path.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(Errno::EINVAL);
                }
                if replay.is_new(&path.to_ascii_lowercase()) {
                    Ok(Found::File([].into()))
                } else {
                    Err(Errno::EEXIST)
                }
            }
            _ => Err(Errno::EROFS),
        }
    }

    fn written(&mut self) -> Result<&mut Written, Errno> {
        let written = self
            .places
            .iter_mut()
            .find_map(|place| match &mut place.contents {
                Contents::Writable(files) => Some(files),
                _ => None,
            });
        written.ok_or(Errno::EROFS)
    }

    /// A file of the set-up run, as it is now.
    pub(super) fn read(&mut self, name: &str) -> Result<&[u8], Errno> {
        let file = self.written()?.get(name);
        file.map(Vec::as_slice).ok_or(Errno::ENOENT)
    }

    /// Writes into a file of the set-up run; returns where the write ended.
    pub(super) fn write(&mut self, name: &str, at: usize, data: &[u8]) -> Result<usize, Errno> {
        let end = at.checked_add(data.len()).ok_or(Errno::EFBIG)?;
        let size = self.read(name)?.len();
        self.set_size(name, size.max(end))?;
        let file = self.written()?.get_mut(name).ok_or(Errno::ENOENT)?;
        file[at..end].copy_from_slice(data);
        Ok(end)
    }

    /// Cuts a file of the set-up run, or fills it up with zeros.
    pub(super) fn set_size(&mut self, name: &str, size: usize) -> Result<(), Errno> {
        let files = self.written()?;
        let old = files.get(name).ok_or(Errno::ENOENT)?;
        if old.len() == size {
            return Ok(());
        }
        let others: usize = files.values().map(|file| file.len()).sum::<usize>() - old.len();
        if size > MAX_STATE - others.min(MAX_STATE) {
            return Err(Errno::ENOSPC);
        }
        let file = files.get_mut(name).ok_or(Errno::ENOENT)?;
        file.resize(size, 0);
        Ok(())
    }

    /// Removes a file of the set-up run.
    pub(super) fn unlink(&mut self, dir: &Dir, path: &[u8]) -> Result<(), Errno> {
        match self.find(dir, path)? {
            Found::Written(name) => {
                self.written()?.remove(&*name);
                Ok(())
            }
            Found::Dir(_) => Err(Errno::EISDIR),
            Found::File(_) => Err(Errno::EROFS),
        }
    }

    /// Renames a file of the set-up run, over whatever has the name.
    pub(super) fn rename(
        &mut self,
        (from, old): (&Dir, &[u8]),
        (to, new): (&Dir, &[u8]),
    ) -> Result<(), Errno> {
        let Found::Written(old) = self.find(from, old)? else {
            return Err(Errno::EROFS);
        };
        let new = joined(&to.below, new)?;
        check_name(&new)?;
        if from.place != to.place {
            return Err(Errno::EXDEV);
        }
        let files = self.written()?;
        let data = files.remove(&*old).ok_or(Errno::ENOENT)?;
        files.insert(new, data);
        Ok(())
    }

    /// What is in a directory, in the order of names.
    pub(super) fn list(&self, dir: &Dir) -> Vec<Entry> {
        match &self.places[dir.place].contents {
            Contents::Conf(_) => entries([CONF_FILE].into_iter()),
            Contents::Replay(_) => Vec::new(),
            Contents::Copy(files) => entries(below(files, &dir.below)),
            Contents::Writable(files) => entries(below(files, &dir.below)),
        }
    }
}

/// The first parts of sorted paths, each once.
fn entries<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for path in paths {
        let (name, is_dir) = match path.split_once('/') {
            Some((folder, _)) => (folder, true),
            None => (path, false),
        };
        if entries.last().is_none_or(|last| last.name != name) {
            let name = name.to_owned();
            entries.push(Entry { name, is_dir });
        }
    }
    entries
}

/// The paths below a directory, seen from there.
fn below<'a, T>(
    files: &'a BTreeMap<String, T>,
    dir: &str,
) -> impl Iterator<Item = &'a str> + use<'a, T> {
    let prefix = if dir.is_empty() {
        String::new()
    } else {
        format!("{dir}/")
    };
    let from = Bound::Included(prefix.as_str());
    let paths = files.range::<str, _>((from, Bound::Unbounded));
    paths.map_while(move |(path, _)| path.strip_prefix(prefix.as_str()))
}

/// A guest's path from a directory's place on, in parts that are names.
fn joined(below: &str, path: &[u8]) -> Result<String, Errno> {
    let path = str::from_utf8(path).map_err(|_| Errno::EILSEQ)?;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if path.starts_with('/') {
        return Err(Errno::ENOTCAPABLE);
    }
    let mut whole = below.to_owned();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Errno::ENOTCAPABLE),
            _ => {
                if !whole.is_empty() {
                    whole.push('/');
                }
                whole.push_str(part);
            }
        }
    }
    Ok(whole)
}

/// A state file's name becomes one on the disk: no folders, nothing hidden, nothing that a shell or another system reads
/// in its own way.
fn check_name(name: &str) -> Result<(), Errno> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.len() > MAX_NAME {
        return Err(Errno::ENAMETOOLONG);
    }
    if name.starts_with('.') || !name.bytes().all(plain) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
