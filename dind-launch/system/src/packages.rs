//! How an image gets a program that is missing: by its own package manager, for hints that can be pasted.

use crate::root::Root;

/// A package manager, and where its program is.
const PROGRAMS: [(PackageManager, &str); 3] = [
    (PackageManager::Apt, "/usr/bin/apt-get"),
    (PackageManager::Apk, "/sbin/apk"),
    (PackageManager::Apk, "/usr/bin/apk"),
];

/// Packages that Alpine calls otherwise than Debian.
const ALPINE: [(&str, &str); 2] = [("docker.io", "docker"), ("xz-utils", "xz")];

/// The package manager of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackageManager {
    /// Debian's and Ubuntu's.
    Apt,
    /// Alpine's.
    Apk,
    /// None of these, as in images with nothing but a program.
    #[default]
    Other,
}

impl PackageManager {
    /// That of the image below `root`.
    #[must_use]
    pub fn of(root: &Root) -> Self {
        let found = PROGRAMS.into_iter().find(|(_, path)| root.exists(path));
        found.map_or(Self::Other, |(manager, _)| manager)
    }

    /// The command that installs a package, by its name in Debian; nothing where no package manager is known.
    #[must_use]
    pub fn command(self, package: &str) -> Option<String> {
        match self {
            Self::Apt => Some(format!("apt-get install {package}")),
            Self::Apk => {
                let other = ALPINE.iter().find(|(debian, _)| *debian == package);
                Some(format!("apk add {}", other.map_or(package, |(_, alpine)| alpine)))
            }
            Self::Other => None,
        }
    }

    /// What to do where a program is missing.
    #[must_use]
    pub fn hint(self, program: &str, package: &str) -> String {
        match self.command(package) {
            Some(command) => format!("install it in the image: {command}"),
            None => format!(
                "this image has no apt-get and no apk: copy `{program}` into it, or base it on one that can install {package}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn each_image_has_the_command_of_its_own_package_manager() {
        for (program, hint) in [
            (Some("usr/bin/apt-get"), "install it in the image: apt-get install docker.io"),
            (Some("sbin/apk"), "install it in the image: apk add docker"),
            (Some("usr/bin/apk"), "install it in the image: apk add docker"),
            (
                None,
                "this image has no apt-get and no apk: copy `dockerd` into it, or base it on one that can install docker.io",
            ),
        ] {
            let image = tempfile::tempdir().unwrap();
            if let Some(program) = program {
                let path = image.path().join(program);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let manager = PackageManager::of(&Root::at(image.path()));
            assert_eq!(manager.hint("dockerd", "docker.io"), hint);
        }
        assert_eq!(PackageManager::Apk.command("e2fsprogs").as_deref(), Some("apk add e2fsprogs"));
    }
}
