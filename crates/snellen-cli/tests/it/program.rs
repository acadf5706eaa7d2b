//! Running `snellen` in a folder of its own, and what stands in that folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A folder that the program runs in, so that its messages name no path of this machine; gone with the test.
pub struct Home(tempfile::TempDir);

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    /// What else it says.
    pub stderr: String,
    /// The stages that it went through, a line each, which depend on the time.
    pub stages: Vec<String>,
}

/// `snellen: 12 s: recording activations`.
fn is_stage(line: &str) -> bool {
    let rest = line.strip_prefix("snellen: ").and_then(|rest| rest.split_once(" s: "));
    rest.is_some_and(|(seconds, _)| !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit()))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stages, stderr) =
            text(output.stderr).split_inclusive('\n').map(str::to_owned).partition(|line| is_stage(line));
        let stages: Vec<String> = stages;
        let stderr: Vec<String> = stderr;
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: stderr.concat(), stages }
    }
}

impl Home {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // The program's own temporary files, so that what it leaves of them is seen.
        fs::create_dir(home.path().join("tmp")).unwrap();
        Self(home)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, args: &str) -> Command {
        self.shell(Command::new(env!("CARGO_BIN_EXE_snellen")), args)
    }

    /// Like [`Home::command`], with at most `kilobytes` of address space.
    pub fn bounded(&self, kilobytes: u64, args: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -v \"$1\" && shift && exec \"$@\"", "sh", &kilobytes.to_string()]);
        shell.arg(env!("CARGO_BIN_EXE_snellen"));
        self.shell(shell, args)
    }

    /// Like [`Home::command`], where no file may grow beyond `blocks` of 512 bytes (or of 1024, as some shells count): writing
    /// fails as on a full disk.
    pub fn cramped(&self, blocks: u64, args: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ && ulimit -f \"$1\" && shift && exec \"$@\"", "sh", &blocks.to_string()]);
        shell.arg(env!("CARGO_BIN_EXE_snellen"));
        self.shell(shell, args)
    }

    pub fn shell(&self, mut command: Command, args: &str) -> Command {
        command.args(args.split_whitespace()).current_dir(self.0.path()).env("TMPDIR", self.path("tmp"));
        // Nothing of whoever runs the tests: no token, no cache, no server.
        command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
        let hub = ["HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH"];
        for name in hub {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &str) -> Ran {
        self.command(args).output().unwrap().into()
    }

    pub fn start(&self, args: &str) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// What it prints, where it has nothing to complain of.
    pub fn succeed(&self, args: &str) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "snellen {args}");
        ran.stdout
    }

    /// The most memory that it took, in kilobytes, as `/proc` tells it while the program runs.
    pub fn peak(&self, args: &str) -> u64 {
        let mut child = self.start(args);
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
            most = most.max(kilobytes.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "snellen {args}");
        most
    }

    /// Bad input: exit code 3, one line that contains all of `says`, nothing printed, nothing written.
    pub fn refuse(&self, args: &str, says: &[&str]) {
        self.refused(self.command(args), args, says);
    }

    pub fn refused(&self, mut command: Command, args: &str, says: &[&str]) {
        let before = self.names();
        let ran = Ran::from(command.output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "snellen {args}: {}", ran.stderr);
        let line = ran.stderr.strip_prefix("snellen: ").and_then(|rest| rest.strip_suffix('\n'));
        assert!(line.is_some_and(|line| !line.contains('\n')), "snellen {args}: {:?}", ran.stderr);
        for part in says {
            assert!(ran.stderr.contains(part), "snellen {args}: {:?} does not say {part:?}", ran.stderr);
        }
        assert_eq!(self.names(), before, "snellen {args}");
    }

    /// Everything that stands in the folder, however deep.
    pub fn names(&self) -> Vec<String> {
        let mut found = names(self.0.path());
        found.sort_unstable();
        found
    }
}

/// Paths relative to `folder`; what vanishes meanwhile, as the program's temporary files do, is passed over.
fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        found.extend(names(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        found.push(name);
    }
    found
}

/// Contents by path relative to `folder`, `None` for folders, however deep.
pub fn files(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
            found.insert(name, None);
        } else {
            found.insert(name, Some(fs::read(&path).unwrap()));
        }
    }
    found
}

/// That two folders hold the same files, to the last byte.
pub fn assert_same_files(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    let names = one.keys().chain(other.keys()).collect::<BTreeSet<_>>();
    let differing: Vec<_> = names.into_iter().filter(|name| one.get(*name) != other.get(*name)).collect();
    assert_eq!(differing, Vec::<&String>::new());
}

/// Copies `from`, a folder of this repository's crates, without `except`.
pub fn copy(from: &str, to: &Path, except: &[&str]) {
    fs::create_dir_all(to).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() && !except.iter().any(|name| entry.file_name() == *name) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A checkpoint that `transformers` saved: `quick_gelu`, `gelu` or `legacy_eos`.
pub fn copy_fixture(name: &str, to: &Path) {
    copy(&format!("snellen/tests/fixtures/clip/{name}"), to, &["activations.safetensors"]);
}

/// Changes the JSON file at `path`.
pub fn edit_json(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut json);
    fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}
