//! An archive to unpack anywhere, and a package of Debian.

use super::tree::{Tree, below};
use super::{Release, VERSION, third_party};
use dind_lab::Result;
use dind_lab::product::binaries::TOOLS;
use std::fs;
use std::path::Path;
use xshell::cmd;

/// Who answers for the package, unless DEBFULLNAME and DEBEMAIL name somebody, as for Debian's own tools.
const MAINTAINER: (&str, &str) = ("dind maintainers", "dind@packages.invalid");

/// What the tools call, where it is there: none of them needs any of it for all that it does.
const RECOMMENDS: &str = "e2fsprogs, iptables | nftables";
const SUGGESTS: &str = "docker.io | docker-ce, erofs-utils, jq, passt, squashfs-tools, xfsprogs";

const DESCRIPTION: &str = "turn any container into a Docker host
 Four static programs, each of which works alone: dind-storage prepares the
 data root of a Docker Engine, dind-net its network, dind-reaper stops its
 containers in order, and dind-launch runs them around dockerd as the first
 process of a container. All of them print JSON.
 .
 An entrypoint that is a shell script can use one of them, or all.";

/// For lintian(1): what it sees in static programs, by whether they are position-independent.
fn overrides(release: &Release) -> String {
    let tag = match release.arch.has_static_pie() {
        true => "shared-library-lacks-prerequisites",
        false => "statically-linked-binary",
    };
    format!(
        "# The programs run in every image, whichever C library it has, or none.\ndind: {tag} [usr/bin/dind-*]\n"
    )
}

/// `dind-VERSION-linux-ARCH.tar.gz`: one directory of that name.
pub(super) fn archive(release: &Release) -> Result<()> {
    let Release { workspace, directory, arch, epoch, .. } = release;
    let name = format!("dind-{VERSION}-linux-{arch}");
    let tree = Tree::new(release, "tree")?;
    let at = |path: &str| format!("{name}/{path}");
    for part in ["bin", "man", "completions", "licenses"] {
        tree.files(&directory.join(part), |file| at(&format!("{part}/{file}")))?;
    }
    for tool in TOOLS {
        let bill = format!("{tool}.cdx.json");
        tree.file(&directory.join(&bill), &at(&bill))?;
    }
    tree.file(&directory.join("LICENSE"), &at("LICENSE"))?;
    shared(release, &tree, &at("share"), &at("examples"))?;

    let (shell, root, date) = (&workspace.shell, &tree.root, format!("@{epoch}"));
    let plain = directory.join(format!("{name}.tar"));
    // None of the names of this machine: sorted, of root, with modes and dates that are set.
    let same =
        ["--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mtime", &date];
    cmd!(shell, "tar --create --file {plain} --directory {root} {same...} {name}")
        .env("LC_ALL", "C")
        .quiet()
        .run()?;
    Ok(cmd!(shell, "gzip --no-name --best {plain}").quiet().run()?)
}

/// `dind_VERSION_ARCH.deb`.
pub(super) fn debian(release: &Release) -> Result<()> {
    let Release { workspace, directory, arch, .. } = release;
    let shell = &workspace.shell;
    let tree = Tree::new(release, "tree")?;
    let (documents, gzip) = ("usr/share/doc/dind", ["--no-name", "--best"]);
    tree.files(&directory.join("bin"), |tool| format!("usr/bin/{tool}"))?;
    tree.files(&directory.join("man"), |page| {
        let page = Path::new(page);
        let [name, section] =
            [page.file_name(), page.extension()].map(|it| it.unwrap_or_default().to_string_lossy());
        format!("usr/share/man/man{section}/{name}")
    })?;
    tree.files(&directory.join("completions"), completion)?;
    tree.files(&directory.join("licenses"), |file| format!("{documents}/licenses/{file}"))?;
    for tool in TOOLS {
        let bill = format!("{tool}.cdx.json");
        tree.file(&directory.join(&bill), &format!("{documents}/{bill}"))?;
    }
    shared(release, &tree, "usr/share/dind", &format!("{documents}/examples"))?;
    tree.text(&copyright(release)?, &format!("{documents}/copyright"))?;
    tree.text(&changelog(release)?, &format!("{documents}/changelog"))?;
    tree.text(&overrides(release), "usr/share/lintian/overrides/dind")?;
    let texts = below(&tree.root.join("usr/share/man"))?;
    let bills = TOOLS.map(|tool| tree.root.join(format!("{documents}/{tool}.cdx.json")));
    let changelog = tree.root.join(documents).join("changelog");
    let crates = tree.root.join(documents).join("licenses").join(third_party::TEXT);
    let packed: Vec<_> = texts.into_iter().chain(bills).chain([changelog, crates]).collect();
    cmd!(shell, "gzip {gzip...} {packed...}").quiet().run()?;

    let sums = {
        let _there = shell.push_dir(&tree.root);
        let files = below(&tree.root.join("usr"))?;
        let files: Vec<_> = files.iter().filter_map(|file| file.strip_prefix(&tree.root).ok()).collect();
        cmd!(shell, "md5sum {files...}").quiet().read()?
    };
    let kilobytes: u64 =
        below(&tree.root)?.iter().flat_map(fs::metadata).map(|it| it.len().div_ceil(1024)).sum();
    tree.text(&format!("{sums}\n"), "DEBIAN/md5sums")?;
    tree.text(
        &format!(
            "Package: dind\nVersion: {VERSION}\nArchitecture: {arch}\nMaintainer: {}\nInstalled-Size: {kilobytes}\n\
             Recommends: {RECOMMENDS}\nSuggests: {SUGGESTS}\nSection: admin\nPriority: optional\nMulti-Arch: foreign\n\
             Description: {DESCRIPTION}\n",
            maintainer()
        ),
        "DEBIAN/control",
    )?;
    tree.date(release)?;
    let (root, package) = (&tree.root, directory.join(format!("dind_{VERSION}_{arch}.deb")));
    // Every release of Debian and Ubuntu reads xz. The number of threads decides on the bytes.
    let build = cmd!(shell, "dpkg-deb --root-owner-group -Zxz --build {root} {package}");
    Ok(release.dated(build).env("DPKG_DEB_THREADS_MAX", "1").ignore_stdout().run()?)
}

/// What goes beside the programs: the profile for nodes without --privileged, and shell entrypoints.
fn shared(release: &Release, tree: &Tree, share: &str, examples: &str) -> Result<()> {
    let launch = release.workspace.root.join("dind-launch");
    tree.file(&launch.join("seccomp.json"), &format!("{share}/seccomp.json"))?;
    tree.files(&launch.join("examples/entrypoint"), |file| format!("{examples}/entrypoint/{file}"))
}

/// Where the shells of Debian look.
fn completion(file: &str) -> String {
    match file.rsplit_once('.') {
        Some((tool, "bash")) => format!("usr/share/bash-completion/completions/{tool}"),
        Some((_, "fish")) => format!("usr/share/fish/vendor_completions.d/{file}"),
        _ => format!("usr/share/zsh/vendor-completions/{file}"),
    }
}

fn maintainer() -> String {
    let variable = |name, default: &str| {
        std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    format!("{} <{}>", variable("DEBFULLNAME", MAINTAINER.0), variable("DEBEMAIL", MAINTAINER.1))
}

/// <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>
fn copyright(release: &Release) -> Result<String> {
    let year = date(release, "+%Y")?;
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: dind\n\
         Comment: The programs are static. What is linked into them has licences of its own: they are in\n \
         /usr/share/doc/dind/licenses, and {}.gz there names every crate.\n\n\
         Files: *\nCopyright: {year} the dind contributors\nLicense: Apache-2.0\n\n\
         License: Apache-2.0\n On Debian systems, the text is in /usr/share/common-licenses/Apache-2.0.\n",
        third_party::TEXT
    ))
}

/// Of this version alone: what changed is in the history of the repository.
fn changelog(release: &Release) -> Result<String> {
    let date = date(release, "--rfc-email")?;
    Ok(format!(
        "dind ({VERSION}) unstable; urgency=medium\n\n  * Version {VERSION}.\n\n -- {}  {date}\n",
        maintainer()
    ))
}

/// The release's date as date(1) writes it.
fn date(release: &Release, format: &str) -> Result<String> {
    let (shell, date) = (&release.workspace.shell, format!("@{}", release.epoch));
    Ok(cmd!(shell, "date --utc --date {date} {format}").env("LC_ALL", "C").quiet().read()?)
}

#[cfg(test)]
mod tests {
    use super::completion;

    #[test]
    fn each_shell_finds_its_completions() {
        assert_eq!(completion("dind-net.bash"), "usr/share/bash-completion/completions/dind-net");
        assert_eq!(completion("dind-net.fish"), "usr/share/fish/vendor_completions.d/dind-net.fish");
        assert_eq!(completion("_dind-net"), "usr/share/zsh/vendor-completions/_dind-net");
    }
}
