//! One run of the guest: QEMU, its serial line, and a limit to everything.

use super::Guest;
use super::kernel::Boot;
use super::processor;
use super::report::Report;
use crate::arch::Arch;
use crate::workspace::Workspace;
use crate::{Result, progress};
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

/// A bound, times the factor that the suites stretch theirs by.
fn stretched(bound: Duration) -> Duration {
    let factor = std::env::var("DIND_TEST_SLOWNESS").ok().and_then(|text| text.parse::<f64>().ok());
    bound.mul_f64(factor.filter(|factor| (1.0..100.0).contains(factor)).unwrap_or(1.0))
}

/// What runs the guest's processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accelerator {
    /// The machine's own.
    Kvm,
    /// QEMU's emulation: some ten times slower.
    Tcg,
    /// The same with one instruction after the other, each of which takes a nanosecond of the guest's time.
    CountingTcg,
}

impl Accelerator {
    /// How long the guest may take to its first line. Emulated, that comes within five seconds on an idle
    /// machine; but there are machines that offer KVM and do not run a guest with it, which should not cost much time.
    fn first_word(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(10),
            Self::Tcg => Duration::from_secs(60),
            Self::CountingTcg => Duration::from_secs(180),
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

/// Boots the guest and waits for its end.
pub(super) fn run(workspace: &Workspace, guest: Guest, boot: &Boot, disks: &Disks) -> Result<Report> {
    let emulated = if guest.counts { Accelerator::CountingTcg } else { Accelerator::Tcg };
    for accelerator in [Accelerator::Kvm, emulated] {
        if accelerator == Accelerator::Kvm && !has_kvm(guest.arch) {
            progress::note(&format!("no KVM for {} on this machine: emulated", guest.arch));
            continue;
        }
        let watch = || Run::start(workspace, guest, accelerator, boot, disks)?.watch();
        let mut report = watch()?;
        if let Some(first) = report.as_ref().filter(|report| report.may_be_the_emulator()) {
            progress::note(&format!("{}\nonce more: it may be the emulator's fault", first.trouble()));
            report = watch()?;
        }
        match report {
            Some(report) => return Ok(report),
            None if accelerator == Accelerator::Kvm => {
                progress::note("the guest is silent with this machine's KVM: emulated");
            }
            None => {}
        }
    }
    let log = workspace.logs().join(format!("vm-{guest}.err"));
    Err(format!("the guest was silent; the end of QEMU's `{}`:\n{}", log.display(), progress::tail(&log))
        .into())
}

/// A machine that is a guest itself may have the device without a processor that can do what a guest needs.
fn has_kvm(arch: Arch) -> bool {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let may = arch != Arch::X86_64 || flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    arch.is_host() && may && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
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

    /// Follows the serial line to its end; what was reported before counts, however it ends. None: there was not a word.
    fn watch(mut self) -> Result<Option<Report>> {
        let mut log = File::create(&self.log)?;
        let (mut report, mut spoke, mut programs_run) = (Report::default(), false, false);
        let whole = stretched(LIMIT);
        loop {
            let limit = if spoke { stretched(SILENCE) } else { stretched(self.first_word) };
            match self.lines.recv_timeout(limit.min(whole.saturating_sub(self.began.elapsed()))) {
                Ok(line) => {
                    // The firmware's words are not the guest's.
                    spoke |= line.starts_with("vm: ");
                    writeln!(log, "{:7.2} {line}", self.began.elapsed().as_secs_f32())?;
                    report.note(&line);
                    if report.stuck {
                        report.trouble = Some(self.broken("is stuck"));
                        return Ok(Some(report));
                    }
                    // Before the programs begin, the kernel and the engine have the word.
                    programs_run |= line.starts_with("vm: run ");
                    if programs_run || line.starts_with("vm: ") {
                        progress::note(&line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.qemu.wait()?;
                    report.trouble = report.status.is_none().then(|| self.broken("ended early"));
                    return Ok(spoke.then_some(report));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.began.elapsed() >= whole {
                        report.trouble = Some(self.broken(&format!("took more than {} s", whole.as_secs())));
                        return Ok(spoke.then_some(report));
                    }
                    report.trouble = Some(self.broken(&format!("was silent for {} s", limit.as_secs())));
                    report.stuck = true;
                    return Ok(spoke.then_some(report));
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
    let counting = accelerator == Accelerator::CountingTcg;
    let processor = processor::of(guest.arch, accelerator != Accelerator::Kvm);
    let accelerator = match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Tcg => "tcg,thread=multi",
        Accelerator::CountingTcg => "tcg,thread=single",
    };
    // Of systemd only the process itself, which is enough to ask for groups.
    let first = if guest.userns { " dind.userns systemd.unit=vm.target systemd.show_status=no" } else { "" };
    let kernel = format!(
        "console={} quiet panic=-1 mitigations=off nokaslr norandmaps random.trust_cpu=on{}{first} dind.cgroup={}",
        processor.console, processor.kernel, guest.cgroup
    );
    // Killed with this program: an interrupted run leaves no QEMU behind.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", processor.program, "-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-accel", accelerator, "-machine", processor.machine, "-cpu", processor.cpu])
        .args(["-smp", if counting { "1" } else { "2" }])
        .args(["-m", "4096", "-serial", "stdio", "-append", &kernel])
        .arg("-kernel")
        .arg(&boot.kernel)
        .arg("-initrd")
        .arg(&boot.initramfs);
    if counting {
        // With a second processor, Linux 6.1 stops at its start. While the guest waits, its clock is the machine's.
        qemu.args(["-icount", "shift=0,sleep=on"]);
    }
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
