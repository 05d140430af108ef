//! One run of the guest: QEMU, its serial line, and a limit to everything.

use super::Guest;
use super::kernel::Boot;
use crate::workspace::Workspace;
use crate::{Result, progress, support};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Between two lines of the guest. Idle, an emulated machine needs a tenth of it; a loaded one, more.
const SILENCE: Duration = Duration::from_secs(300);

/// A whole run, for the same reasons.
const LIMIT: Duration = Duration::from_secs(1800);

/// What the kernel says of a processor that does not come back from it (Documentation/admin-guide/lockup-watchdogs.rst).
const STUCK: &str = "watchdog: BUG: soft lockup";

/// How processors are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accelerator {
    /// The machine's own.
    Kvm,
    /// QEMU's emulation: some ten times slower.
    Tcg,
}

impl Accelerator {
    /// How long the guest may take to the first word of its own. Emulated, it says it within five seconds on an idle
    /// machine; but there are machines that offer KVM and do not run a guest with it, which should not cost much time.
    fn first_word(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(10),
            Self::Tcg => Duration::from_secs(60),
        }
    }
}

/// The disks of a run, in the order in which the guest finds them: vda to vdd.
#[derive(Debug)]
pub(super) struct Disks<'a> {
    /// The system.
    pub(super) system: &'a Path,
    /// The engine's data root.
    pub(super) data: &'a Path,
    /// The archive of test programs.
    pub(super) payload: &'a Path,
}

/// What the guest said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Version of its kernel.
    pub(crate) linux: String,
    /// Version of its engine.
    pub(crate) docker: String,
    /// The tests, and whether each passed.
    pub(crate) tests: Vec<(String, bool)>,
    /// The programs' status, once all have ended.
    status: Option<i32>,
    /// Why it did not get that far.
    trouble: Option<String>,
    /// Whether its kernel stopped working, as far as can be seen from outside.
    stuck: bool,
}

impl Said {
    /// Whether all programs ended, and well.
    pub(crate) fn passed(&self) -> bool {
        self.status == Some(0)
    }

    /// What went wrong.
    pub(crate) fn trouble(&self) -> &str {
        self.trouble.as_deref().unwrap_or("failures")
    }

    /// Whether another try may end otherwise, and hides no failure.
    fn may_be_the_emulator(&self) -> bool {
        self.stuck && self.tests.iter().all(|(_, passed)| *passed)
    }

    fn note(&mut self, line: &str) {
        self.stuck |= line.contains(STUCK);
        if let Some(word) = line.strip_prefix("vm: ") {
            let mut words = word.split(' ');
            let (subject, value) = (words.next(), words.next().unwrap_or_default());
            match subject {
                Some("linux") => value.clone_into(&mut self.linux),
                Some("docker") => value.clone_into(&mut self.docker),
                Some("end") => self.status = value.parse().ok(),
                _ => {}
            }
        } else {
            self.tests.extend(support::verdict(line));
        }
    }
}

/// Boots the guest and waits for its end.
pub(super) fn run(workspace: &Workspace, guest: Guest, boot: &Boot, disks: &Disks) -> Result<Said> {
    for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
        if accelerator == Accelerator::Kvm && !has_kvm() {
            progress::note("no KVM on this machine: emulated");
            continue;
        }
        let watch = || Run::start(workspace, guest, accelerator, boot, disks)?.watch();
        let mut said = watch()?;
        if let Some(first) = said.as_ref().filter(|said| said.may_be_the_emulator()) {
            progress::note(&format!("{}\nonce more: it may be the emulator's fault", first.trouble()));
            said = watch()?;
        }
        match said {
            Some(said) => return Ok(said),
            None if accelerator == Accelerator::Kvm => {
                progress::note("the guest says nothing with this machine's KVM: emulated");
            }
            None => {}
        }
    }
    let log = workspace.logs().join(format!("vm-{guest}.err"));
    Err(format!("the guest said nothing; QEMU says in `{}`:\n{}", log.display(), progress::tail(&log)).into())
}

/// A machine that is a guest itself may have the device without a processor that can do what a guest needs.
fn has_kvm() -> bool {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
        && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

/// A running QEMU; killed when this goes.
struct Run {
    qemu: Child,
    lines: Receiver<String>,
    log: PathBuf,
    began: Instant,
    first_word: Duration,
}

impl Run {
    fn start(
        workspace: &Workspace,
        guest: Guest,
        accelerator: Accelerator,
        boot: &Boot,
        disks: &Disks,
    ) -> Result<Self> {
        fs::create_dir_all(workspace.logs())?;
        let log = workspace.logs().join(format!("vm-{guest}.log"));
        let mut qemu = command(guest, accelerator, boot, disks);
        let mut qemu = qemu
            .env("PATH", &workspace.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(File::create(log.with_extension("err"))?))
            .spawn()
            .map_err(|error| format!("cannot run qemu: {error}"))?;
        let (sender, lines) = mpsc::channel();
        if let Some(serial) = qemu.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(serial).split(b'\n').map_while(std::io::Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { qemu, lines, log, began: Instant::now(), first_word: accelerator.first_word() })
    }

    /// Follows the serial line to its end; what was told before counts, however it ends. None: there was not a word.
    fn watch(mut self) -> Result<Option<Said>> {
        let mut log = File::create(&self.log)?;
        let (mut said, mut spoke, mut tests_run) = (Said::default(), false, false);
        loop {
            let limit = if spoke { SILENCE } else { self.first_word };
            match self.lines.recv_timeout(limit.min(LIMIT.saturating_sub(self.began.elapsed()))) {
                Ok(line) => {
                    // The firmware's words are not the guest's.
                    spoke |= line.starts_with("vm: ");
                    writeln!(log, "{:7.2} {line}", self.began.elapsed().as_secs_f32())?;
                    said.note(&line);
                    if said.stuck {
                        said.trouble = Some(self.broken("is stuck"));
                        return Ok(Some(said));
                    }
                    // Before the tests begin, the kernel and the engine have the word.
                    tests_run |= line.starts_with("running ");
                    if tests_run || line.starts_with("vm: ") {
                        progress::note(&line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.qemu.wait()?;
                    said.trouble = said.status.is_none().then(|| self.broken("ended early"));
                    return Ok(spoke.then_some(said));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.began.elapsed() >= LIMIT {
                        said.trouble = Some(self.broken(&format!("took more than {} s", LIMIT.as_secs())));
                        return Ok(spoke.then_some(said));
                    }
                    said.trouble = Some(self.broken(&format!("said nothing for {} s", limit.as_secs())));
                    said.stuck = true;
                    return Ok(spoke.then_some(said));
                }
            }
        }
    }

    fn broken(&self, how: &str) -> String {
        format!("the guest {how}; the end of `{}`:\n{}", self.log.display(), progress::tail(&self.log))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn command(guest: Guest, accelerator: Accelerator, boot: &Boot, disks: &Disks) -> Command {
    let (accelerator, cpu, lean) = match accelerator {
        Accelerator::Kvm => ("kvm", "max", ""),
        // Without what a processor speeds up with, and an emulator is slow at: strings of bytes by one instruction, a
        // look at the rights at each copy from or to a program, a fifth level of page tables, pages that take
        // 2 MiB of zeros, and changes from one process to another. (Not `preempt=none`: a guest got stuck with it.)
        Accelerator::Tcg => (
            "tcg,thread=multi",
            "max,-erms,-fsrm,-smap,-smep,-la57,-pku,-umip",
            " transparent_hugepage=never dind.emulated",
        ),
    };
    // Without the waits and defences that mean nothing here, and cost most where every instruction is emulated.
    let kernel = format!(
        "console=ttyS0 quiet panic=-1 mitigations=off nokaslr norandmaps random.trust_cpu=on tsc=reliable no_timer_check{lean} dind.cgroup={}",
        guest.cgroup
    );
    // Killed with this program: an interrupted run leaves no QEMU behind.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-accel", accelerator, "-machine", "q35,usb=off,graphics=off", "-cpu", cpu, "-smp", "2"])
        .args(["-m", "4096", "-serial", "stdio", "-append", &kernel])
        .arg("-kernel")
        .arg(&boot.kernel)
        .arg("-initrd")
        .arg(&boot.initramfs);
    for (name, file) in [
        ("system", disks.system),
        ("modules", &boot.modules),
        ("data", disks.data),
        ("payload", disks.payload),
    ] {
        // What the guest writes goes to a temporary file that has no name.
        let drive = format!("id={name},if=none,format=raw,snapshot=on,cache=unsafe,file={}", file.display());
        qemu.args(["-drive", &drive, "-device", &format!("virtio-blk-pci,drive={name}")]);
    }
    qemu
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn what_the_guest_says_is_understood() {
        let mut said = Said::default();
        for line in [
            "vm: linux 6.1.0-50-cloud-amd64 (2.1 s)",
            "vm: docker 20.10.24+dfsg1 (8.0 s)",
            "running 2 tests",
            "test limits ... ok",
            "test loops::grow ... FAILED",
            "test result: FAILED. 1 passed; 1 failed",
            "vm: end 1",
        ] {
            said.note(line);
        }
        assert_eq!((said.linux.as_str(), said.docker.as_str()), ("6.1.0-50-cloud-amd64", "20.10.24+dfsg1"));
        assert_eq!(said.tests, [("limits".to_owned(), true), ("grow".to_owned(), false)]);
        assert!(!said.passed() && said.status == Some(1));
    }
    #[test]
    fn a_stuck_kernel_gets_another_try_unless_a_test_has_failed() {
        let mut said = Said::default();
        said.note("test limits ... ok");
        assert!(!said.may_be_the_emulator());
        said.note("[   44.609193] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [runc:448]");
        assert!(said.may_be_the_emulator());
        said.note("test loops::grow ... FAILED");
        assert!(!said.may_be_the_emulator());
    }
}
