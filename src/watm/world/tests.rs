//! The folders of a guest: what is found, what is refused, what is bounded.

use super::super::grants::Folder;
use super::*;
use proptest::prelude::*;
use std::sync::Mutex;

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<String>>);

impl Replay for Seen {
    fn is_new(&self, digest: &str) -> bool {
        let mut seen = self.0.lock().expect("no panic");
        let is_new = !seen.iter().any(|known| known == digest);
        seen.push(digest.to_owned());
        is_new
    }
}

const READ: Open = Open {
    create: false,
    directory: false,
    exclusive: false,
    truncate: false,
};
const CLAIM: Open = Open {
    create: true,
    exclusive: true,
    ..READ
};

fn files(list: &[(&str, &str)]) -> Arc<Files> {
    let owned = |&(path, data): &(&str, &str)| (path.to_owned(), data.as_bytes().into());
    Arc::new(list.iter().map(owned).collect())
}

fn everything(is_set_up: bool) -> World {
    let grants = Grants {
        conf: Some(b"{}".as_slice().into()),
        state: Some(files(&[("key", "secret")])),
        replay: Some(Arc::new(Seen::default())),
        folders: [Folder {
            name: "/data".to_owned(),
            files: files(&[("a/b/c", "1"), ("a/d", "2"), ("e", "3")]),
        }]
        .into(),
        ..Grants::default()
    };
    World::new(&grants, true, is_set_up)
}

fn dir(world: &World, name: &str) -> Dir {
    let mut all = world.preopens();
    all.find(|dir| world.name(dir) == name).expect("granted")
}

fn text(found: Result<Found, Errno>) -> Result<String, Errno> {
    match found? {
        Found::File(data) => Ok(String::from_utf8(data.to_vec()).expect("text")),
        Found::Written(name) => Ok(format!("written {name}")),
        Found::Dir(_) => Ok("a directory".to_owned()),
    }
}

#[test]
fn each_folder_has_what_was_granted() {
    let world = everything(false);
    let names: Vec<String> = world
        .preopens()
        .map(|dir| world.name(&dir).to_owned())
        .collect();
    assert_eq!(names, ["/conf/", "/state/", "/replay/", "/data"]);
    let find = |folder: &str, path: &str| text(world.find(&dir(&world, folder), path.as_bytes()));
    assert_eq!(find("/conf/", "watm.cfg").as_deref(), Ok("{}"));
    assert_eq!(find("/conf/", "key"), Err(Errno::ENOENT));
    assert_eq!(find("/state/", "./key").as_deref(), Ok("secret"));
    assert_eq!(find("/data", "a//b/./c").as_deref(), Ok("1"));
    assert_eq!(find("/data", "a/b").as_deref(), Ok("a directory"));
    assert_eq!(find("/data", "."), Ok("a directory".to_owned()));
    assert_eq!(find("/data", "a/x"), Err(Errno::ENOENT));
    for outside in ["..", "a/../../conf/watm.cfg", "/e", "/"] {
        assert_eq!(find("/data", outside), Err(Errno::ENOTCAPABLE), "{outside}");
    }
}

#[test]
fn directories_are_listed_level_by_level() {
    let world = everything(false);
    let list = |dir: &Dir| {
        let entries = world.list(dir).into_iter();
        entries
            .map(|entry| format!("{}{}", entry.name, if entry.is_dir { "/" } else { "" }))
            .collect::<Vec<_>>()
    };
    let data = dir(&world, "/data");
    assert_eq!(list(&data), ["a/", "e"]);
    let Ok(Found::Dir(a)) = world.find(&data, b"a") else {
        panic!("a is a directory");
    };
    assert_eq!(list(&a), ["b/", "d"]);
    assert_eq!(text(world.find(&a, b"b/c")).as_deref(), Ok("1"));
    assert_eq!(list(&dir(&world, "/conf/")), ["watm.cfg"]);
    assert!(list(&dir(&world, "/replay/")).is_empty());
}

#[test]
fn only_a_set_up_run_writes_and_only_so_much() {
    let mut world = everything(false);
    let state = dir(&world, "/state/");
    let create = Open {
        create: true,
        ..READ
    };
    let truncate = Open {
        truncate: true,
        ..READ
    };
    assert_eq!(text(world.open(&state, b"new", create)), Err(Errno::EROFS));
    assert_eq!(
        text(world.open(&state, b"key", truncate)),
        Err(Errno::EROFS)
    );
    assert_eq!(world.unlink(&state, b"key"), Err(Errno::EROFS));

    let mut world = everything(true);
    assert!(world.open(&state, b"new", create).is_ok());
    assert_eq!(world.write("new", 3, b"abc"), Ok(6));
    assert_eq!(world.read("new"), Ok(b"\0\0\0abc".as_slice()));
    assert_eq!(world.write("new", MAX_STATE, b"x"), Err(Errno::ENOSPC));
    assert_eq!(world.write("new", usize::MAX, b"x"), Err(Errno::EFBIG));
    for bad in ["a/b", ".hidden", "a b", "\u{e9}", "a\\b"] {
        let made = text(world.open(&state, bad.as_bytes(), create));
        assert_eq!(made, Err(Errno::EINVAL), "{bad}");
    }
    assert_eq!(world.rename((&state, b"new"), (&state, b"key")), Ok(()));
    let left = world.into_state();
    assert_eq!(left.len(), 1);
    assert_eq!(left["key"].as_ref(), b"\0\0\0abc");
}

#[test]
fn a_digest_is_new_once() {
    let mut world = everything(false);
    let replay = dir(&world, "/replay/");
    let mut claim = |digest: &str| text(world.open(&replay, digest.as_bytes(), CLAIM));
    assert_eq!(claim("0123456789abcdef"), Ok(String::new()));
    assert_eq!(claim("0123456789ABCDEF"), Err(Errno::EEXIST));
    assert_eq!(claim("0123456789abcde0"), Ok(String::new()));
    assert_eq!(claim("0123"), Err(Errno::EINVAL));
    assert_eq!(claim("0123456789abcdeg"), Err(Errno::EINVAL));
}

proptest! {
    #[test]
    fn no_path_leaves_its_folder(path in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut world = everything(true);
        for place in world.preopens().collect::<Vec<_>>() {
            let _ = world.open(&place, &path, CLAIM);
            if let Ok(Found::Dir(found)) = world.find(&place, &path) {
                prop_assert_eq!(found.place, place.place);
                prop_assert!(!found.below.split('/').any(|part| part == ".."));
            }
        }
    }
}
