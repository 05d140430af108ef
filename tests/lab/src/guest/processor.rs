//! What QEMU and the kernel get for each processor.

use crate::arch::Arch;

/// For a processor, and a way to run it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Processor {
    /// QEMU.
    pub(super) program: &'static str,
    /// For `-machine`.
    pub(super) machine: &'static str,
    /// For `-cpu`.
    pub(super) cpu: &'static str,
    /// The kernel's name of the serial line.
    pub(super) console: &'static str,
    /// More for the kernel, each with a space before it: without the waits and defences that mean nothing here, and cost most where every
    /// instruction is emulated.
    pub(super) kernel: &'static str,
}

/// Emulated, without what a processor speeds up with, and an emulator is slow at. On x86: strings of bytes by one instruction, a look at the
/// rights at each copy from or to a program, a fifth level of page tables, pages that take 2 MiB of zeros, and changes from one process to
/// another. (Not `preempt=none`: a guest got stuck with it.) On Arm: signed pointers and wide vectors, which this model does not have.
pub(super) fn of(arch: Arch, emulated: bool) -> Processor {
    match arch {
        Arch::X86_64 => Processor {
            program: "qemu-system-x86_64",
            machine: "q35,usb=off,graphics=off",
            cpu: if emulated { "max,-erms,-fsrm,-smap,-smep,-la57,-pku,-umip" } else { "max" },
            console: "ttyS0",
            kernel: if emulated {
                " tsc=reliable no_timer_check transparent_hugepage=never dind.emulated"
            } else {
                " tsc=reliable no_timer_check"
            },
        },
        Arch::Aarch64 => Processor {
            program: "qemu-system-aarch64",
            machine: "virt,gic-version=max",
            cpu: if emulated { "cortex-a72" } else { "max" },
            console: "ttyAMA0",
            kernel: if emulated { " transparent_hugepage=never dind.emulated" } else { "" },
        },
    }
}
