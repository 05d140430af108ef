//! What the manual says beside the command line and the help; see [`Manual`].

use dind_contract::help::Manual;

/// The manual.
pub const MANUAL: Manual = Manual {
    description: &[
        "Finds a storage driver for the data root of a Docker Engine that runs in a container, and prepares the data root for it. A \
         container's own root is an overlay, and overlay does not work on overlay. On a volume it does. So the tool tries it: it mounts \
         overlay in the data root's own file system, and writes, renames and deletes files through it. Where that fails, the data root \
         gets a loop-mounted image.",
        "The settings for the engine are printed: as a fragment of `daemon.json` in `engine.config`, or as flags of `dockerd` with \
         `--output flags`.",
        "Every verb prints one line on stdout, which is one JSON object. Lines for people go to stderr.",
    ],
    verbs: &[
        ("plan", &["Needs no privilege, unless overlay has to be tried."]),
        (
            "apply",
            &[
                "Needs root with `CAP_SYS_ADMIN`, and loop devices where an image is needed. A second run changes nothing. An image is made \
                 whole or not at all. It grows when `--size` is larger, and is never shrunk or formatted again.",
            ],
        ),
        ("release", &["The image stays, with all that is in it. Processes that still use it are named."]),
        (
            "seal",
            &[
                "Copies images and their layers, without containers and volumes. The engine of the data root must not run.",
            ],
        ),
    ],
    environment: &[("PATH", "where `mkfs.ext4`, `mkfs.xfs`, `e2fsck` and `dockerd` are looked for")],
    files: &[
        ("/var/lib/docker", "the data root"),
        ("/data/docker", "the loop image, where one is needed"),
        (".dind-node", "in the data root: the host name of the node that has it"),
        (".dind-seed", "in the data root: what seeds have brought"),
        ("/proc/self/mountinfo, /proc/filesystems, /dev/loop-control", "what the kernel has to offer"),
    ],
    see_also: &["dockerd(8)", "losetup(8)", "mkfs.ext4(8)", "mount(8)"],
};
