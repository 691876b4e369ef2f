//! Which files the program touches, seen from the kernel: it writes only below its state directory, and reads only
//! what the list here names. Packagers write their AppArmor and SELinux rules from this list.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::deadline::soon;
use crate::support::orport::{ExtOrPort, OrPort};
use crate::support::peers;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Raw, open};
use crate::support::strace::Traced;

/// What may be read on the way to `main`: the loader's own.
const LOADER: [&str; 6] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/lib/",
    "/lib64/",
    "/usr/lib/",
    "/usr/lib64/",
];

/// What may be asked about the machine: the main thread's stack, how many processors this process may use, how many
/// memory mappings it may have. Each may be forbidden without harm (see the last test).
const MACHINE: [&str; 6] = [
    "/proc/self/maps",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
];

/// What starting the process that compiles a module takes; it may be forbidden too.
const COMPILING: [&str; 2] = ["/proc/self/exe", "/dev/null"];

/// Calls by which a path comes to be, changes or goes.
const CHANGING: [&str; 16] = [
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "truncate",
    "creat",
];

/// Judges every call that names a path.
fn judge(calls: &[String], state: &Path, also: &[&Path]) {
    let state = state.to_str().unwrap().trim_end_matches('/');
    let mut wrong = Vec::new();
    let mut opened = 0;
    for call in calls {
        let name = call.split('(').next().unwrap();
        let paths: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
        if name == "execve" {
            // The first word is the program; the rest are its arguments.
            if Path::new(paths[0]) != peers::ouzel() && paths[0] != COMPILING[0] {
                wrong.push(call);
            }
            continue;
        }
        let changes = CHANGING.contains(&name)
            || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
                .iter()
                .any(|flag| call.contains(flag))
            || name.contains("chmod")
            || name.contains("chown");
        for path in paths.into_iter().filter(|path| !path.is_empty()) {
            opened += 1;
            let mine = path.starts_with(state);
            let known = LOADER.iter().chain(&MACHINE).any(|p| path.starts_with(p))
                || COMPILING.contains(&path)
                || also.iter().any(|other| Path::new(path) == *other);
            if !(mine || known && (!changes || path == "/dev/null")) {
                wrong.push(call);
            }
        }
    }
    assert!(opened > 10, "hardly anything was seen: {calls:?}");
    assert!(wrong.is_empty(), "not on the list: {wrong:#?}");
}

async fn echo(
    near: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    far: &mut tokio::net::TcpStream,
) {
    near.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon("a ping", far.read_exact(&mut bytes)).await.unwrap();
}

#[tokio::test]
async fn a_client_writes_below_its_state_directory_and_reads_what_is_listed() {
    let mut state = None;
    // Cold, then warm.
    for _ in 0..2 {
        let mut launch = Launch::client("plain,reverse").arg("--enable-logging");
        if let Some(state) = &state {
            launch = launch.sharing_state(state);
        }
        let traced = Traced::ready(launch, &["-e", "trace=%file"]).await;
        let far = OrPort::listen().await;
        for name in ["plain", "reverse"] {
            let addr = traced.pt.method(name).await.addr;
            let mut near = open(addr, &far.addr.into(), b"k=v").await.unwrap();
            echo(&mut near, &mut far.accept().await).await;
        }
        let dir = traced.pt.state_dir();
        state = Some(traced.pt.state.clone());
        let calls = traced.calls().await;
        judge(&calls, &dir, &[]);
        assert!(
            calls.iter().any(|call| call.contains("O_CREAT")),
            "the log file at least was made: {calls:?}"
        );
    }
}

#[tokio::test]
async fn a_server_writes_below_its_state_directory_and_reads_the_cookie_besides() {
    let ext = ExtOrPort::listen().await;
    let launch = Launch::server("plain,reverse", "127.0.0.1:9".parse().unwrap())
        .set(
            "TOR_PT_SERVER_BINDADDR",
            "plain-127.0.0.1:0,reverse-127.0.0.1:0",
        )
        .set("TOR_PT_EXTENDED_SERVER_PORT", ext.addr().to_string())
        .set("TOR_PT_AUTH_COOKIE_FILE", ext.cookie_file())
        .arg("--enable-logging");
    let traced = Traced::ready(launch, &["-e", "trace=%file"]).await;
    for name in ["plain", "reverse"] {
        let mut near = Raw::to(traced.pt.method(name).await.addr).await.0;
        near.write_all(b"hello").await.unwrap();
        let (mut relay, _) = ext.welcome().await;
        let mut bytes = [0; 5];
        soon("hello", relay.read_exact(&mut bytes)).await.unwrap();
    }
    let dir = traced.pt.state_dir();
    let cookie = ext.cookie_file();
    let calls = traced.calls().await;
    judge(&calls, &dir, &[&cookie]);
    assert!(
        calls
            .iter()
            .any(|call| call.contains(cookie.to_str().unwrap())),
        "the cookie was read: {calls:?}"
    );
}

#[tokio::test]
async fn a_module_and_its_configuration_are_read_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("mine.wasm");
    let config = folder.path().join("mine.json");
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("watm/dist/plain.wasm"),
        &module,
    )
    .unwrap();
    std::fs::write(&config, "{}").unwrap();
    let launch = Launch::client("mine")
        .module("mine", &module)
        .arg("--config")
        .arg(format!("mine={}", config.display()));
    let traced = Traced::ready(launch, &["-e", "trace=%file"]).await;
    traced.pt.method("mine").await;
    let dir = traced.pt.state_dir();
    let calls = traced.calls().await;
    judge(&calls, &dir, &[&module, &config]);
    for file in [&module, &config] {
        let file = file.to_str().unwrap();
        assert!(calls.iter().any(|call| call.contains(file)), "{file}");
    }
}

/// What a session needs of a client.
async fn works(pt: &Pt) {
    let far = OrPort::listen().await;
    let addr = pt.method("plain").await.addr;
    let mut near = open(addr, &far.addr.into(), b"").await.unwrap();
    echo(&mut near, &mut far.accept().await).await;
}

#[tokio::test]
async fn every_question_about_the_machine_may_be_forbidden() {
    // AppArmor answers EACCES where its profile says nothing.
    let mut options = vec![
        "-e",
        "inject=openat,open,stat,statx,newfstatat,access:error=EACCES",
    ];
    let cgroup = [
        "/sys/fs/cgroup/cpu",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
        "/sys/fs/cgroup/cpu.max",
    ];
    for path in MACHINE.iter().chain(&cgroup) {
        options.extend(["-P", path]);
    }
    let traced = Traced::ready(Launch::client("plain"), &options).await;
    works(&traced.pt).await;
    let calls = traced.calls().await;
    assert!(
        calls.iter().any(|call| call.contains("(INJECTED)")),
        "nothing was forbidden: {calls:?}"
    );
}
