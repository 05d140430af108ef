//! The name that its runtime gave the container.

use dind_system::proc::{Cgroup, Mount};

/// The first twelve digits of the container's id, as its runtime has put it into cgroup paths or into the sources of
/// /etc/hostname and its like. A cgroup path goes first: containers that share a network share those files, too.
#[must_use]
pub(super) fn container_id(groups: &[Cgroup], mounts: &[Mount]) -> Option<String> {
    let of_group = || {
        let mut words =
            groups.iter().flat_map(|group| group.path.split(|c: char| !c.is_ascii_alphanumeric()));
        words.find(|word| is_id(word)).map(str::to_owned)
    };
    let of_file = |mount: &Mount| {
        let root = mount.root.to_string_lossy();
        let word = root.split("/containers/").nth(1)?.split('/').next()?;
        is_id(word).then(|| word.to_owned())
    };
    let id = of_group().or_else(|| mounts.iter().find_map(of_file))?;
    Some(id[..12].to_owned())
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    #[test]
    fn ids_of_containers() {
        let id = "0123456789abcdef".repeat(4);
        let file = |id: &str| {
            parse_mounts(&format!(
                "31 1 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 a rw\n"
            ))
        };
        let scope = format!("0::/system.slice/docker-{id}.scope\n");
        assert_eq!(
            container_id(&parse_cgroups(&scope), &file(&"f".repeat(64))).as_deref(),
            Some("0123456789ab")
        );
        assert_eq!(container_id(&parse_cgroups("0::/\n"), &file(&id)).as_deref(), Some("0123456789ab"));
        assert_eq!(container_id(&parse_cgroups("0::/user.slice\n"), &file("short")), None);
    }
}
