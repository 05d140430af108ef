//! The processors that the tools are built for, under the names that others have for them.

use clap::ValueEnum;
use std::path::Path;
use std::{fmt, fs, io};

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// 64-bit x86.
    #[value(name = "amd64", alias = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[value(name = "arm64", alias = "aarch64")]
    Aarch64,
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("xtask builds on x86-64 and arm64 only");

/// As in Debian and Docker.
impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debian())
    }
}

impl Arch {
    /// This machine's.
    pub const HOST: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// Whether it is this machine's.
    #[must_use]
    pub fn is_host(self) -> bool {
        self == Self::HOST
    }

    /// For the names of what is made for it: empty for this machine's.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            _ if self.is_host() => "",
            Self::X86_64 => "-amd64",
            Self::Aarch64 => "-arm64",
        }
    }

    /// Debian's name, and Go's, which Docker has.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The kernel's name (uname(2)), and Rust's and QEMU's.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Rust's target: static programs are made with glibc.
    #[must_use]
    pub fn triple(self) -> String {
        format!("{}-unknown-linux-gnu", self.machine())
    }

    /// What GNU's programs for it begin with.
    #[must_use]
    pub fn gnu(self) -> String {
        format!("{}-linux-gnu", self.machine())
    }

    /// Docker's name of the platform.
    #[must_use]
    pub fn platform(self) -> String {
        format!("linux/{}", self.debian())
    }

    /// The number in the header of a program (elf.h, `e_machine`).
    #[must_use]
    pub fn elf(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// Whether Rust's static programs are position-independent. Where they are not, there is nothing to relocate, and what gcc links into them
    /// (`crtbeginT.o`) needs the tables for unwinding.
    #[must_use]
    pub fn has_static_pie(self) -> bool {
        self == Self::X86_64
    }

    /// Of a target of Rust, for an option.
    ///
    /// # Errors
    /// The tools are not built for it.
    pub fn of_triple(text: &str) -> Result<Self, String> {
        named(text, Self::triple)
    }

    /// Of a platform of Docker, for an option.
    ///
    /// # Errors
    /// The tools are not built for it.
    pub fn of_platform(text: &str) -> Result<Self, String> {
        named(text, Self::platform)
    }
}

fn named(text: &str, name: impl Fn(Arch) -> String) -> Result<Arch, String> {
    let all = Arch::value_variants();
    let found = all.iter().find(|arch| name(**arch) == text);
    let names = || all.iter().map(|arch| name(*arch)).collect::<Vec<_>>().join(" or ");
    found.copied().ok_or_else(|| format!("expected {}", names()))
}

/// The number of the processor in the header of a program; none where the file is no program of this byte order.
///
/// # Errors
/// It cannot be read.
pub fn of_program(path: &Path) -> io::Result<Option<u16>> {
    use io::Read;
    let mut header = Vec::new();
    fs::File::open(path)?.take(20).read_to_end(&mut header)?;
    Ok(match header[..] {
        [0x7f, b'E', b'L', b'F', _, 1, .., low, high] if header.len() == 20 => {
            Some(u16::from_le_bytes([low, high]))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::Arch;

    #[test]
    fn names_are_understood_and_others_are_refused_with_those_that_there_are() {
        assert_eq!(Arch::of_triple("aarch64-unknown-linux-gnu"), Ok(Arch::Aarch64));
        assert_eq!(Arch::of_platform("linux/amd64"), Ok(Arch::X86_64));
        let refused = Arch::of_triple("riscv64gc-unknown-linux-gnu");
        assert_eq!(refused, Err("expected x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu".to_owned()));
        assert_eq!(Arch::of_platform("arm64"), Err("expected linux/amd64 or linux/arm64".to_owned()));
    }

    #[test]
    fn this_program_is_for_this_processor() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(super::of_program(&own).unwrap(), Some(Arch::HOST.elf()));
        assert_eq!(super::of_program(std::path::Path::new("/proc/self/status")).unwrap(), None);
    }
}
